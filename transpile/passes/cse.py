"""Merges nodes that compute the same."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Hashable
from dataclasses import replace

import numpy as np

from transpile.ir.graph import Graph, Node, attributes_key
from transpile.passes.tools import rewrite


def cse(graph: Graph) -> Graph:
    """Merge nodes of one op with the same operands and attributes, and equal constants."""
    kinds = {n: (n.type, _own_name(n)) for n in graph.constants}
    counts = Counter(kinds.values())
    first: dict[Hashable, Node] = {}
    # Large weights have names of their own: their bytes are not looked at.
    twin = {n: first.setdefault((kind, _digest(n)), n) for n, kind in kinds.items()
            if counts[kind] > 1}
    seen: dict[Hashable, Node] = {}

    def merge(node: Node, _uses: object) -> Node | None:
        inputs = tuple(twin.get(i, i) for i in node.inputs)
        key = (node.op, inputs, node.type, attributes_key(node))
        changed = any(a is not b for a, b in zip(inputs, node.inputs, strict=True))
        return seen.setdefault(key, replace(node, inputs=inputs) if changed else node)

    return rewrite(graph, merge)


def _own_name(node: Node) -> str:
    """Parameters of more than one element must share their name to be merged."""
    return node.name if node.attrs["parameter"] and node.value.size > 1 else ""


def _digest(node: Node) -> bytes:
    return hashlib.blake2b(np.ascontiguousarray(node.value).data, digest_size=16).digest()
