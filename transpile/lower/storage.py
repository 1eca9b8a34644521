"""Where values lie: aliases, panels of weights, and values that are written where they are needed.

A value that is only padded or concatenated next is stored right inside the larger tensor, so that
the pad has only its border to fill and the concatenation nothing to do.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from transpile.ir.dims import Dim, floordiv, mod, product
from transpile.ir.graph import Node


@dataclass(frozen=True)
class Place:
    """A value is stored in the buffer of `parent`, its first element at index `low` there."""

    parent: Node
    low: tuple[Dim, ...]


@dataclass(frozen=True)
class Storage:
    """Where the elements of each node lie.

    Attributes:
        panels: matrices that lie in panels of columns, and how many columns a panel has:
            `[..., N]` in panels of `P` is stored as `[N/P, ..., P]`.
        places: values that lie inside another one.
        homes: values that have their memory in common with another one: what comes out of a
            branch or loop, or goes in.
    """

    panels: Mapping[Node, int] = field(default_factory=dict)
    places: Mapping[Node, Place] = field(default_factory=dict)
    homes: dict[Node, Node] = field(default_factory=dict)

    def root(self, node: Node) -> Node:
        """The node in whose buffer `node` lies."""
        while True:
            if is_alias(node):
                node = node.inputs[0]
            elif node in self.places:
                node = self.places[node].parent
            elif node in self.homes:
                node = self.homes[node]
            else:
                return node

    def inside(self, node: Node, larger: Node) -> bool:
        """True if `node` is stored in `larger`, for which it was made, and not in another one."""
        return node in self.places and self.places[node].parent is larger

    def offset(self, node: Node, index: Sequence[Dim]) -> Dim:
        """Where an element of `node` lies in its buffer, in elements."""
        while node in self.places:
            place = self.places[node]
            index = [i + low for i, low in zip(index, place.low, strict=True)]
            node = place.parent
        if node in self.panels:
            return panel_offset(index, node.shape, self.panels[node])
        return linear(index, node.shape)


ROW_MAJOR = Storage()
"""Every value in a buffer of its own, row by row."""


def is_alias(node: Node) -> bool:
    """True for a node that is its operand's memory under another shape."""
    return node.op == "reshape"


def linear(index: Sequence[Dim], shape: Sequence[Dim]) -> Dim:
    """The row-major offset of an index."""
    total: Dim = 0
    for i, size in zip(index, shape, strict=True):
        total = total * size + i
    return total


def panel_offset(index: Sequence[Dim], shape: Sequence[Dim], width: int) -> Dim:
    """The offset of an index in a matrix that lies in panels of `width` columns."""
    rows = product(shape[:-1])
    panel, col = floordiv(index[-1], width), mod(index[-1], width)
    return (panel * rows + linear(index[:-1], shape[:-1])) * width + col
