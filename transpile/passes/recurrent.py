"""Weights of recurrent layers are stored in blocks of hidden units."""

from __future__ import annotations

from dataclasses import replace

from transpile.ir.graph import Graph, Node, constant
from transpile.ops.scan import blocked

GATES = {"lstm_scan": 4, "gru_scan": 3}
WIDTHS = (8, 4)
"""Units in a block: two vectors, or one."""


def recurrent(graph: Graph) -> Graph:
    """Recurrent weights in blocks of units, so that a step reads each cache line just once."""
    return graph.rewrite(_rule)


def _rule(node: Node) -> Node | None:
    if node.op not in GATES or not node.inputs[1].is_constant or node.inputs[1].type.rank != 2:
        return None
    weight = node.inputs[1]
    width = next((w for w in WIDTHS if weight.value.shape[0] % w == 0), 0)
    if not width:
        return None
    packed = constant(blocked(weight.value, GATES[node.op], width), weight.name, weight.where,
                      parameter=bool(weight.attrs["parameter"]))
    return replace(node, inputs=(node.inputs[0], packed, *node.inputs[2:]))
