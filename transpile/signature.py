"""What a group's kernel follows from, as a key: equal layers of a network are lowered once."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

from transpile.fuse import Group
from transpile.ir.graph import Node, attributes_key, exact
from transpile.lower.storage import Storage


class Signature:
    """A group with its nodes numbered in the order in which they are found from its output.

    Groups with equal keys have equal kernels, if node number n of the one stands for number n of
    the other.

    Attributes:
        nodes: by number.
    """

    def __init__(self, group: Group, storage: Storage) -> None:
        self.nodes: list[Node] = []
        self._numbers: dict[Node, int] = {}
        self._storage = storage
        self._members = group.members
        self._number(group.output)
        position = 0
        entries: list[Hashable] = []
        while position < len(self.nodes):  # grows on the way
            entries.append(self._entry(self.nodes[position]))
            position += 1
        anchor = None if group.anchor is None else self._number(group.anchor)
        epilogue = frozenset(map(self._number, group.epilogue))
        self.key: Hashable = (group.kind, anchor, epilogue, group.pads_inside, tuple(entries))

    def nodes_of(self, numbers: Sequence[int]) -> tuple[Node, ...]:
        return tuple(self.nodes[n] for n in numbers)

    def numbers_of(self, nodes: Sequence[Node]) -> tuple[int, ...]:
        return tuple(self._numbers[n] for n in nodes)

    def _number(self, node: Node) -> int:
        if node not in self._numbers:
            self._numbers[node] = len(self.nodes)
            self.nodes.append(node)
        return self._numbers[node]

    def _entry(self, node: Node) -> Hashable:
        lies = self._lies(node)
        if node not in self._members:
            small = node.is_constant and node.type.size == 1
            return node.type, lies, exact(node.value) if small else None
        inputs = tuple(map(self._number, node.inputs))
        return node.op, attributes_key(node), node.type, lies, inputs

    def _lies(self, node: Node) -> Hashable:
        """Where its elements are: its buffer, and how it lies there."""
        storage, chain = self._storage, []
        root = storage.root(node)
        while node in storage.places:
            place = storage.places[node]
            chain.append((place.low, place.parent.type, self._number(place.parent)))
            node = place.parent
        return storage.panels.get(node), tuple(chain), root.type, self._number(root)
