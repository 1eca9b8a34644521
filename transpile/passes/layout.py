"""Moves transposes down through the graph until they cancel or a contraction absorbs them.

Images come channels-first from the user; convolutions and pools are channels-last inside, each
between two transposes. A transpose that sinks below the elementwise operators, paddings and
reductions behind a convolution meets the opposite one of the next and both vanish.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from transpile.ir.graph import Graph, Node
from transpile.passes.layout_contract import absorb
from transpile.passes.layout_reshape import sink_through_reshape
from transpile.passes.tools import (
    Uses,
    align,
    inverse,
    is_map,
    moves_only_units,
    plain,
    rewrite,
    with_inputs,
)

Perm = tuple[int, ...]


def layout(graph: Graph) -> Graph:
    """Move transposes towards the outputs, where they cancel, and into contractions."""
    present = {(n.inputs[0], n.attrs["perm"]) for n in graph.nodes if n.op == "transpose"}
    seen = {(id(n), p) for n, p in present}

    def rule(node: Node, uses: Uses) -> Node | None:
        if is_map(node) or node.op == "concat":
            return _sink_through_operands(node, seen) or _below_map(node)
        if node.op in ("contract", "transpose"):
            return absorb(node, uses)
        if not node.inputs or node.inputs[0].op != "transpose":
            return None
        return SINK[node.op](node, node.inputs[0]) if node.op in SINK else None

    return rewrite(graph, rule)


# Operators with several operands of one shape

def _sink_through_operands(node: Node, seen: set[tuple[int, Perm]]) -> Node | None:
    rank = node.type.rank
    perm = next((i.attrs["perm"] for i in node.inputs
                 if i.op == "transpose" and i.type.rank == rank), None)
    if perm is None:
        return None
    operands = [_permuted(i, perm, rank, seen) for i in node.inputs]
    if any(o is None for o in operands):
        return None
    attrs = {"axis": perm[node.attrs["axis"]]} if node.op == "concat" else {}
    inner = with_inputs(node, (o for o in operands if o is not None), **attrs)
    return plain(node, "transpose", inner, perm=perm)


def _permuted(operand: Node, perm: Perm, rank: int, seen: set[tuple[int, Perm]]) -> Node | None:
    """`operand` as it must be for its transpose by `perm` to be what it was; None if dear."""
    if operand.op == "transpose" and operand.attrs["perm"] == perm:
        return operand.inputs[0]
    shape, back = align(operand.shape, rank), inverse(perm)
    if all(d == 1 for d in shape):
        return operand
    turned = tuple(shape[p] for p in back)
    if moves_only_units(shape, back):
        return plain(operand, "reshape", operand, shape=turned)
    if not operand.is_constant and (id(operand), back) not in seen:
        return None
    full = operand if operand.type.rank == rank else plain(operand, "reshape", operand,
                                                           shape=shape)
    return plain(operand, "transpose", full, perm=back)


def _below_map(node: Node) -> Node | None:
    """`relu(reshape(transpose(x)))` as `reshape(relu(transpose(x)))`: on the way to a Linear."""
    views = [i for i in node.inputs if i.op == "reshape" and i.inputs[0].op == "transpose"]
    others = [i for i in node.inputs if i not in views]
    if len(views) != 1 or node.op == "concat" or views[0].shape != node.shape:
        return None
    if not all(o.is_constant and o.value.size == 1 for o in others):
        return None
    bare = tuple(i.inputs[0] if i in views else
                 i if i.type.rank == 0 else plain(i, "reshape", i, shape=()) for i in node.inputs)
    return plain(node, "reshape", with_inputs(node, bare), shape=node.shape)


# Operators with one operand, whose attributes follow its axes

def _through_axes(*keys: str) -> Callable[[Node, Node], Node]:
    """For attributes that hold one entry for each axis."""
    def sink(node: Node, view: Node) -> Node:
        back = inverse(view.attrs["perm"])
        attrs = {k: tuple(node.attrs[k][p] for p in back) for k in keys}
        inner = with_inputs(node, view.inputs, **attrs)
        return plain(node, "transpose", inner, perm=view.attrs["perm"])
    return sink


def _through_axis(node: Node, view: Node) -> Node:
    """For scans and sorts along one axis."""
    perm = view.attrs["perm"]
    inner = with_inputs(node, view.inputs, axis=perm[node.attrs["axis"]])
    return plain(node, "transpose", inner, perm=perm)


def _through_reduction(node: Node, view: Node) -> Node:
    perm = view.attrs["perm"]
    axes = [node.attrs["axis"]] if "axis" in node.attrs else list(node.attrs["axes"])
    moved = sorted(perm[a] for a in axes)
    attrs: dict[str, Any] = ({"axis": moved[0]} if "axis" in node.attrs
                             else {"axes": tuple(moved)})
    inner = with_inputs(node, view.inputs, **attrs)
    if not node.attrs.get("keepdims", False):
        left = [p for a, p in enumerate(perm) if a not in axes]
        perm = tuple(sorted(left).index(p) for p in left)
    if perm == tuple(range(len(perm))):
        return inner
    return plain(node, "transpose", inner, perm=perm)


def _through_broadcast(node: Node, view: Node) -> Node | None:
    if node.type.rank != view.type.rank:
        return None
    perm = view.attrs["perm"]
    inner = with_inputs(node, view.inputs, shape=tuple(node.shape[p] for p in inverse(perm)))
    return plain(node, "transpose", inner, perm=perm)


SINK: dict[str, Callable[[Node, Node], Node | None]] = {
    "pad": _through_axes("low", "high"),
    "slice": _through_axes("starts", "sizes", "steps"),
    "dilate": _through_axes("factors"),
    "broadcast_to": _through_broadcast,
    "reshape": sink_through_reshape,
    **dict.fromkeys(("cumsum", "cumprod", "sort", "argsort"), _through_axis),
    **dict.fromkeys(("sum", "prod", "max", "min", "argmax", "argmin"), _through_reduction),
}
"""How each operator lets a transpose of its one operand pass; absent ones hold it back."""
