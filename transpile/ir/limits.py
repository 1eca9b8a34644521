"""Up to which sizes a graph reads only what there is: a table of 40 rows has no row 41."""

from __future__ import annotations

from collections.abc import Iterator

from transpile.ir.dims import Dim, names, nonnegative, substitute
from transpile.ir.graph import Graph, all_graphs


def size_limits(graph: Graph) -> tuple[tuple[Dim, Dim], ...]:
    """Pairs (size, most): no slice ends outside of its operand where each size is at most that.

    What holds for all named sizes is left out, and so is what no named size decides.
    """
    found = dict.fromkeys(p for g in all_graphs(graph) for p in _slice_limits(g))
    return tuple(p for p in found if _is_open(*p))


def _slice_limits(graph: Graph) -> Iterator[tuple[Dim, Dim]]:
    for node in graph.nodes:
        if node.op != "slice":
            continue
        parts = (node.attrs[key] for key in ("starts", "sizes", "steps"))
        for extent, start, count, step in zip(node.inputs[0].shape, *parts, strict=True):
            way = (count - 1) * abs(step)
            end, most = (start + way, extent - 1) if step > 0 else (way, start)
            rest = substitute(end, dict.fromkeys(names(end), 0))
            yield end - rest, most - rest


def _is_open(size: Dim, most: Dim) -> bool:
    return bool(names(size)) and not nonnegative(most - size)
