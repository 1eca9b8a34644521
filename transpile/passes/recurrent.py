"""Weights of recurrent layers are stored in panels of columns."""

from __future__ import annotations

from dataclasses import replace

from transpile.ir.graph import Graph, Node, constant
from transpile.lower.scalar import LANES
from transpile.ops.recurrence import packed

WIDTH = 4
"""Vectors side by side in a panel: with two states in a step they fill the registers."""


def recurrent(graph: Graph) -> Graph:
    """Recurrent weights in panels, so that a step reads them from front to back."""
    return graph.rewrite(_rule)


def _rule(node: Node) -> Node | None:
    if node.op != "recurrence" or not node.inputs[1].is_constant:
        return None
    weight = node.inputs[1]
    if weight.type.rank != 2 or weight.value.shape[1] < WIDTH * LANES:
        return None
    new = constant(packed(weight.value, WIDTH, LANES), weight.name, weight.where,
                   parameter=bool(weight.attrs["parameter"]))
    return replace(node, inputs=(node.inputs[0], new, *node.inputs[2:]))
