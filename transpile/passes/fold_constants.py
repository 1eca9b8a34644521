"""Computes at build time what depends on constants alone."""

from __future__ import annotations

from dataclasses import replace
from types import MappingProxyType

import numpy as np

from transpile.ir.graph import Graph, Node
from transpile.ir.interpret import call_reference
from transpile.ir.types import TensorType
from transpile.ops.registry import Composite, Pointwise, Region, get
from transpile.passes.tools import Uses, rewrite

SMALL = 4096
"""A folded constant may have this many elements though its operands have fewer."""


def fold_constants(graph: Graph) -> Graph:
    """Evaluate what has only constant operands, unless the result would swell the weights."""
    return rewrite(graph, _rule)


def fold_views(graph: Graph) -> Graph:
    """Constants that are only turned lie in memory as they are read."""
    def rule(node: Node, _uses: Uses) -> Node | None:
        turned = _is_view(node) and all(i.is_constant and i.type.size == node.type.size
                                        for i in node.inputs)
        return evaluate_node(node) if turned else None
    return rewrite(graph, rule)


def _is_view(node: Node) -> bool:
    form = get(node.op).form
    return isinstance(form, Pointwise) and form.kind == "view"


def _rule(node: Node, _uses: Uses) -> Node | None:
    if not all(i.is_constant for i in node.inputs) or node.type.names:
        return None
    if isinstance(get(node.op).form, (Composite, Region)):
        return None
    size = int(np.prod(node.shape, dtype=np.int64))
    if size > max(SMALL, sum(i.value.size for i in node.inputs)):
        return None
    return evaluate_node(node)


def evaluate_node(node: Node) -> Node:
    """The value of a node over constants: computed in float64, rounded once.

    What is only moved stays where it is in memory: a transposed weight is a view of the weight. A
    value has the name of the largest named parameter that it comes from, else its own.
    """
    if _is_view(node):
        array = call_reference(node, [i.value for i in node.inputs], {}).view()
    else:
        wide = [i.value.astype(np.float64) if i.dtype == "float32" else i.value
                for i in node.inputs]
        array = np.array(call_reference(node, wide, {}, "float64"), node.dtype, order="C")
    array.flags.writeable = False
    parameters = [i for i in node.inputs if i.attrs["parameter"] and i.name]
    source = max(parameters, key=lambda n: n.value.size, default=node)
    return replace(source, op="constant", inputs=(), type=TensorType(node.dtype, array.shape),
                   attrs=MappingProxyType({"value": array, "parameter": bool(parameters)}))
