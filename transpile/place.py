"""Placement: what is only padded or concatenated next is stored inside the larger tensor."""

from __future__ import annotations

from collections.abc import Sequence

from transpile.fuse import Group
from transpile.ir.control import REGIONS
from transpile.ir.dims import Axis, Dim, axis, nonnegative
from transpile.ir.graph import Graph, Node
from transpile.lower.expr import Const
from transpile.lower.routine import loops
from transpile.lower.stmt import Argument, Stmt, Store
from transpile.lower.storage import Place, Storage, is_alias


def place(groups: Sequence[Group], graph: Graph) -> dict[Node, Place]:
    """Where values are stored inside another one, for every pad and concatenation that allows it.

    A value must be computed by a kernel (inputs and weights lie where they are), be no output of
    the graph, and be read nowhere under another shape.
    """
    made = {g.output for g in groups}
    outputs = {n for _, n in graph.outputs}
    places: dict[Node, Place] = {}
    for group in groups:
        larger = group.output
        if len(group.members) > 1 or larger.op not in ("pad", "concat"):
            continue
        inside = _operands(larger)
        if inside and all(_movable(n, larger, made, graph) and n not in outputs
                          and n not in places for n in inside):
            places.update(inside)
    return places


def _operands(larger: Node) -> dict[Node, Place]:
    """The place of each operand; empty where there is none to be had."""
    if larger.op == "pad":
        low, high = larger.attrs["low"], larger.attrs["high"]
        fits = larger.attrs["mode"] == "constant" and all(map(nonnegative, (*low, *high)))
        return {larger.inputs[0]: Place(larger, low)} if fits else {}
    position: Dim = 0
    result: dict[Node, Place] = {}
    along = larger.attrs["axis"]
    for operand in larger.inputs:
        low = tuple(position if i == along else 0 for i in range(larger.type.rank))
        result[operand] = Place(larger, low)
        position = position + operand.shape[along]
    return result if len(result) == len(larger.inputs) else {}


def _movable(node: Node, larger: Node, made: set[Node], graph: Graph) -> bool:
    return (node in made and node.dtype == larger.dtype
            and not any(is_alias(u) or u.op in REGIONS for u in graph.users[node]))


def fill_border(pad: Node, storage: Storage, out: Argument) -> tuple[Stmt, ...]:
    """The statements that fill a pad around a value that lies inside it already."""
    low, inner = pad.attrs["low"], pad.inputs[0].shape
    value = Const(pad.attrs["value"], pad.dtype)
    result: list[Stmt] = []
    for along, total in enumerate(pad.shape):
        for start, size in ((0, low[along]),
                            (low[along] + inner[along], pad.attrs["high"][along])):
            if size == 0:
                continue
            # Axes before this one stay inside, so that no element is stored twice.
            starts = [low[i] if i < along else start if i == along else 0
                      for i in range(pad.type.rank)]
            sizes = [inner[i] if i < along else size if i == along else pad.shape[i]
                     for i in range(pad.type.rank)]
            axes = [Axis(f"i{i}", d) for i, d in enumerate(sizes)]
            index = [s + axis(a.name, a.extent) for s, a in zip(starts, axes, strict=True)]
            store = Store(out.name, storage.offset(pad, index), value)
            result += loops(axes, [store])
        assert total == low[along] + inner[along] + pad.attrs["high"][along]
    return tuple(result)
