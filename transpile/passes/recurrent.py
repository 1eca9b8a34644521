"""Weights of recurrent layers are stored in panels of columns."""

from __future__ import annotations

from dataclasses import replace

from transpile.ir.graph import Graph, Node, constant
from transpile.lower.scalar import LANES
from transpile.ops.recurrence import packed

WIDTHS = (4, 7)
"""Vectors side by side in a panel that fill the registers, see `lower/recurrence.py`."""


def recurrent(graph: Graph) -> Graph:
    """Recurrent weights in panels, so that a step reads them from front to back."""
    return graph.rewrite(_rule)


def _rule(node: Node) -> Node | None:
    weight = node.inputs[1] if node.op == "recurrence" and not node.attrs.get("panel") else None
    if weight is None or not weight.is_constant or weight.value.shape[1] < WIDTHS[0] * LANES:
        return None
    panel = min(WIDTHS, key=lambda w: _loads(weight.value.shape[1], w))
    new = constant(packed(weight.value, panel, LANES), weight.name, weight.where,
                   parameter=bool(weight.attrs["parameter"]))
    return replace(node, inputs=(node.inputs[0], new, *node.inputs[2:]),
                   attrs={**node.attrs, "panel": panel})


def _loads(columns: int, width: int) -> int:
    """Loads for one state: what bounds a step. Each panel loads the state itself as well."""
    vectors = -(-columns // LANES)
    return vectors + -(-vectors // width)
