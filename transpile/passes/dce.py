"""Drops elements that nothing reads: parts of concatenations, slices of slices.

Whole nodes that nothing reads are not in a graph at all: `Graph.nodes` is what outputs reach.
"""

from __future__ import annotations

from collections.abc import Sequence

from transpile.ir.dims import Dim
from transpile.ir.graph import Graph, Node
from transpile.passes.tools import Uses, plain, rewrite, same, with_inputs


def dce(graph: Graph) -> Graph:
    """Drop parts of tensors that nothing reads."""
    return rewrite(graph, _rule)


def _rule(node: Node, _uses: Uses) -> Node | None:
    if node.op == "slice":
        inner = node.inputs[0]
        whole = inner.type == node.type and all(same(s, 0) for s in node.attrs["starts"])
        if whole and _unit(node):
            return inner
        if inner.op == "slice":
            return _slice_of_slice(node, inner)
        return _slice_of_concat(node, inner) if inner.op == "concat" else None
    return _flat_concat(node) if node.op == "concat" else None


def _unit(node: Node) -> bool:
    return all(s == 1 for s in node.attrs["steps"])


def _slice_of_slice(node: Node, inner: Node) -> Node:
    first, then = inner.attrs, node.attrs
    starts = tuple(a + b * s for a, b, s in zip(first["starts"], then["starts"], first["steps"],
                                                strict=True))
    steps = tuple(a * b for a, b in zip(first["steps"], then["steps"], strict=True))
    return plain(node, "slice", inner.inputs[0], starts=starts, sizes=then["sizes"], steps=steps)


def _slice_of_concat(node: Node, joined: Node) -> Node | None:
    """A slice that lies within one operand of a concatenation reads that operand alone."""
    axis = joined.attrs["axis"]
    start, size, step = (node.attrs[key][axis] for key in ("starts", "sizes", "steps"))
    last = start + (size - 1) * step
    if not isinstance(start, int) or not isinstance(last, int):
        return None
    offset = 0
    for operand in joined.inputs:
        extent = operand.shape[axis]
        if not isinstance(extent, int):
            return None
        if offset <= min(start, last) and max(start, last) < offset + extent:
            starts = _set(node.attrs["starts"], axis, start - offset)
            part = plain(node, "slice", operand, **{**node.attrs, "starts": starts})
            return part if part.type == node.type else None
        offset += extent
    return None


def _set(values: Sequence[Dim], at: int, value: Dim) -> tuple[Dim, ...]:
    return (*values[:at], value, *values[at + 1:])


def _flat_concat(node: Node) -> Node | None:
    """A concatenation of concatenations is one; empty operands and a lone one need none."""
    axis = node.attrs["axis"]
    parts: list[Node] = []
    for operand in node.inputs:
        nested = operand.op == "concat" and operand.attrs["axis"] == axis
        parts += operand.inputs if nested and operand.dtype == node.dtype else [operand]
    parts = [p for p in parts if not same(p.shape[axis], 0)] or parts[:1]
    if len(parts) == 1 and parts[0].type == node.type:
        return parts[0]
    if tuple(parts) == node.inputs:
        return None
    result = with_inputs(node, parts)
    return result if result.type == node.type else None
