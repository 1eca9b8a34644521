"""Merges nodes that compute the same."""

from __future__ import annotations

import hashlib
from collections.abc import Hashable
from dataclasses import replace

from transpile.ir.graph import Graph, Node
from transpile.passes.tools import rewrite


def cse(graph: Graph) -> Graph:
    """Merge nodes of one op with the same operands and attributes, and equal constants."""
    constants = {n: _constant_key(n) for n in graph.constants}
    first: dict[Hashable, Node] = {}
    twin = {n: first.setdefault(key, n) for n, key in constants.items()}
    seen: dict[Hashable, Node] = {}

    def merge(node: Node, _uses: object) -> Node | None:
        inputs = tuple(twin.get(i, i) for i in node.inputs)
        key = (node.op, inputs, node.type, tuple(sorted(node.attrs.items())))
        changed = any(a is not b for a, b in zip(inputs, node.inputs, strict=True))
        return seen.setdefault(key, replace(node, inputs=inputs) if changed else node)

    return rewrite(graph, merge)


def _constant_key(node: Node) -> Hashable:
    """Content; parameters of more than one element must share their name too."""
    name = node.name if node.attrs["parameter"] and node.value.size > 1 else ""
    digest = hashlib.blake2b(node.value.tobytes(), digest_size=16).digest()
    return node.type, digest, name
