"""Replaces composites (softmax, layer norm, ...) by the primitives that they are written in."""

from __future__ import annotations

from dataclasses import replace

from transpile.ir.graph import Graph, Node, input_node, topological
from transpile.ops.registry import Composite, get
from transpile.passes.tools import Uses, rewrite


def expand(graph: Graph) -> Graph:
    """Write composites out in primitives."""
    return rewrite(graph, _expand)


def _expand(node: Node, uses: Uses) -> Node | None:
    """The primitives of one composite; they keep its place, and the last its name."""
    form = get(node.op).form
    if not isinstance(form, Composite):
        return None
    stubs = tuple(input_node(n.name, n.type) for n in node.inputs)
    result = form.expand(*stubs, **node.attrs)
    where = replace(node.where, part_of=node.where.part_of or node.op)
    done: dict[Node, Node] = dict(zip(stubs, node.inputs, strict=True))
    for inner in topological([result]):
        if inner not in done:
            fresh = replace(inner, inputs=tuple(done[i] for i in inner.inputs), where=where,
                            name=node.name if inner is result else "")
            done[inner] = fresh if inner.is_constant else _expand(fresh, uses) or fresh
    return done[result]
