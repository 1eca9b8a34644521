"""Checks that hold for every graph: a pass that breaks one is defective."""

from __future__ import annotations

from transpile.errors import InternalError
from transpile.ir.graph import Graph, Node, all_graphs
from transpile.ops.registry import get


def verify_graph(graph: Graph) -> None:
    """Every node's type is what its op infers, and every input node is one of the graph's.

    Raises:
        InternalError: names the first node that breaks this.
    """
    for one in all_graphs(graph):
        _verify_one(one)


def _verify_one(graph: Graph) -> None:
    for node in graph.nodes:
        if node.op == "input":
            if node not in graph.inputs:
                raise _broken(node, "it is not among the inputs of the graph")
        elif node.is_constant:
            if (node.value.dtype.name, node.value.shape) != (node.dtype, node.shape):
                raise _broken(node, f"its array is {node.value.dtype}{list(node.value.shape)}")
        else:
            inferred = get(node.op).infer(*(i.type for i in node.inputs), **node.attrs)
            if inferred != node.type:
                raise _broken(node, f"its op infers {inferred}")


def _broken(node: Node, why: str) -> InternalError:
    return InternalError(f"the node {node!r} is not well-formed", why=why,
                         where=str(node.where) or node.name)
