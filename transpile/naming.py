"""Names of nodes: buffers and kernels are called by them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType

from transpile.ir.graph import Graph, Node, all_graphs, inner_graphs, map_graphs
from transpile.ops.compact import EXPANSIONS


def with_unique_names(graph: Graph) -> Graph:
    """Every node named, no two alike: names serve as buffers and as labels in failures.

    The graphs inside nodes are named likewise, their inputs too. Weights keep names that they have,
    since each target names its own graph, and finds the others' weights by them.
    """
    taken = {n.name for n in graph.inputs}
    kept: dict[Node, str] = {}
    for node in _weights(graph):
        if node.name and node.name not in taken:
            taken.add(node.name)
            kept[node] = node.name
    return _all_named(graph, taken, kept)


def with_weight_names(graph: Graph) -> Graph:
    """All constants named, and like no other node; the others stay as they are."""
    named = _all_named(graph, {n.name for n in graph.inputs}, {})
    new = {old: fresh for old, fresh in zip(_weights(graph), _weights(named), strict=True)
           if old.name != fresh.name}
    return map_graphs(graph, lambda one: one.rewrite(new.get)) if new else graph


def _weights(graph: Graph) -> list[Node]:
    """Constants and what expands them, each once."""
    return list(dict.fromkeys(n for one in all_graphs(graph) for n in one.nodes
                              if n.is_constant or n.op in EXPANSIONS))


def _all_named(graph: Graph, taken: set[str], kept: Mapping[Node, str]) -> Graph:
    return _named(graph, taken, {n: n for n in graph.inputs}, kept)


def _named(graph: Graph, taken: set[str], done: dict[Node, Node], kept: Mapping[Node, str]
           ) -> Graph:
    """`done` holds what is named: the model's inputs, and constants that lie in several graphs."""
    new = {n: kept[n] for n in graph.nodes if n in kept}
    # The last node made for a variable bears its name; earlier ones get a suffix.
    for node in reversed([n for n in graph.nodes if n not in done and n not in kept]):
        own = node.name and (node.name not in taken or node.op == "input")
        base = name = node.name if own else _described(node)
        count = 1
        while name in taken:
            count += 1
            name = f"{base}_{count}"
        taken.add(name)
        new[node] = name
    for node in graph.nodes:
        if node not in done:
            inner = {k: _named(g, taken, done, kept) for k, g in inner_graphs(node).items()}
            done[node] = replace(node, inputs=tuple(done[i] for i in node.inputs), name=new[node],
                                 attrs=MappingProxyType({**node.attrs, **inner}))
    return replace(graph, inputs=tuple(done[n] for n in graph.inputs),
                   outputs=tuple((n, done[v]) for n, v in graph.outputs))


def _described(node: Node) -> str:
    """A name for a value without a variable of its own: its layer's path, else what it is."""
    same_line = [n for n in (node, *node.inputs) if n.where.line == node.where.line]
    scope = next((n.where.scope for n in same_line if n.where.scope), "")
    return scope or node.where.part_of or node.op
