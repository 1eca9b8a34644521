"""The graph IR: immutable nodes, each with one output, and graphs of them."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from types import MappingProxyType
from typing import Any

import numpy as np

from transpile.ir.types import TensorType


@dataclass(frozen=True)
class Where:
    """Where a node came from: `file:line`, the text of that line, and the layer's path.

    `part_of` names the composite op (softmax, ...) that a node was expanded from.
    """

    file: str = ""
    line: int = 0
    text: str = ""
    scope: str = ""
    part_of: str = ""

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}" if self.file else ""
        return " ".join(filter(None, (place, self.scope and f"({self.scope})")))


NOWHERE = Where()


@dataclass(frozen=True, eq=False)
class Node:
    """One operation and its one result. Identity is equality; structure lives in the graph.

    Two ops are known to the graph itself: `input`, and `constant`, whose attribute `value` is
    an array; a constant with a name is a parameter of the model (`attrs["parameter"]`).
    """

    op: str
    inputs: tuple[Node, ...]
    type: TensorType
    attrs: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))
    name: str = ""
    where: Where = NOWHERE

    @property
    def shape(self) -> tuple[Any, ...]:
        return self.type.shape

    @property
    def dtype(self) -> str:
        return self.type.dtype

    @property
    def value(self) -> np.ndarray:
        """The array of a constant."""
        array: np.ndarray = self.attrs["value"]
        return array

    @property
    def is_constant(self) -> bool:
        return self.op == "constant"

    def __repr__(self) -> str:
        return f"<{self.op} {self.name or '?'}: {self.type}>"

    def named(self, name: str) -> Node:
        return replace(self, name=name)


def constant(value: object, name: str = "", where: Where = NOWHERE, *,
             parameter: bool = False, copy: bool = True) -> Node:
    """A constant node; a parameter if it has a name that the user gave.

    Args:
        copy: False where nobody will change `value`.
    """
    from transpile.ir.types import narrow_array
    array = narrow_array(value, name or "constant", copy=copy)
    array = array.view()
    array.flags.writeable = False
    return Node("constant", (), TensorType(array.dtype.name, array.shape),
                MappingProxyType({"value": array, "parameter": parameter}), name, where)


def input_node(name: str, type: TensorType) -> Node:
    return Node("input", (), type, name=name)


@dataclass(frozen=True)
class Graph:
    """A model: named inputs, named outputs, and all that lies between.

    Attributes:
        name: the model's name.
        inputs: `input` nodes in call order.
        outputs: pairs of output name and node.
        origin: `file.py:line` of the model, or a file name; for headers.
    """

    name: str
    inputs: tuple[Node, ...]
    outputs: tuple[tuple[str, Node], ...]
    origin: str = ""

    @cached_property
    def nodes(self) -> tuple[Node, ...]:
        """Every node that the outputs need, and every input, each after its operands."""
        return tuple(topological([*self.inputs, *(n for _, n in self.outputs)]))

    @cached_property
    def users(self) -> Mapping[Node, tuple[Node, ...]]:
        """The nodes that read each node, once for each use."""
        table: dict[Node, list[Node]] = {n: [] for n in self.nodes}
        for node in self.nodes:
            for operand in node.inputs:
                table[operand].append(node)
        return {n: tuple(u) for n, u in table.items()}

    @property
    def constants(self) -> tuple[Node, ...]:
        return tuple(n for n in self.nodes if n.is_constant)

    @property
    def dim_names(self) -> tuple[str, ...]:
        """The named dimensions of the inputs, in order of appearance."""
        from transpile.ir.dims import atoms
        found = {a.name: None for n in self.inputs for d in n.shape for a in atoms(d)
                 if hasattr(a, "name")}
        return tuple(found)

    def rewrite(self, change: Callable[[Node], Node | None]) -> Graph:
        """Rebuild bottom-up: `change(node)` sees new operands and gives a node, or None to keep.

        Inputs are never replaced. Nodes that nothing reads any more fall away by themselves.
        """
        done: dict[Node, Node] = {}
        for node in self.nodes:
            inputs = tuple(done[i] for i in node.inputs)
            same = all(a is b for a, b in zip(inputs, node.inputs, strict=True))
            fresh = node if same else replace(node, inputs=inputs)
            done[node] = fresh if node.op == "input" else change(fresh) or fresh
        return replace(self, outputs=tuple((name, done[n]) for name, n in self.outputs))

    def __str__(self) -> str:
        from transpile.ir.text import format_graph
        return format_graph(self)


def inner_graphs(node: Node) -> dict[str, Graph]:
    """The graphs inside a node (the body of a loop, the sides of a branch), by attribute."""
    return {key: value for key, value in node.attrs.items() if isinstance(value, Graph)}


def all_graphs(graph: Graph) -> Iterator[Graph]:
    """A graph and, in order of their nodes, the graphs inside it."""
    yield graph
    for node in graph.nodes:
        for inner in inner_graphs(node).values():
            yield from all_graphs(inner)


def map_graphs(graph: Graph, change: Callable[[Graph], Graph]) -> Graph:
    """`change` applied to the graphs inside first, then to `graph`; the same one if all stay."""
    def inside(node: Node) -> Node | None:
        old = inner_graphs(node)
        new = {key: map_graphs(inner, change) for key, inner in old.items()}
        if all(new[key] is old[key] for key in old):
            return None
        return replace(node, attrs=MappingProxyType({**node.attrs, **new}))
    if any(inner_graphs(n) for n in graph.nodes):
        graph = _unless_same(graph, graph.rewrite(inside))
    return _unless_same(graph, change(graph))


def _unless_same(old: Graph, new: Graph) -> Graph:
    # Nodes are equal only if they are the same: then nothing was rebuilt.
    same = (new.outputs, new.inputs, new.name) == (old.outputs, old.inputs, old.name)
    return old if same else new


def attributes_key(node: Node) -> Hashable:
    """What tells a node's attributes from others': 0, 0.0, -0.0 and False differ."""
    return tuple(sorted((name, exact(value)) for name, value in node.attrs.items()))


def exact(value: Any) -> Any:
    """An attribute as a key."""
    if isinstance(value, np.ndarray):
        return value.tobytes(), value.dtype.str, value.shape
    if isinstance(value, tuple):
        return tuple(map(exact, value))
    return repr(value) if isinstance(value, (bool, int, float)) else value


def topological(roots: Iterable[Node]) -> Iterator[Node]:
    """Every node reachable from `roots`, operands first, in a stable order."""
    seen: set[int] = set()
    for root in roots:
        stack: list[tuple[Node, Iterator[Node]]] = []
        if id(root) not in seen:
            seen.add(id(root))
            stack.append((root, iter(root.inputs)))
        while stack:
            node, pending = stack[-1]
            child = next((c for c in pending if id(c) not in seen), None)
            if child is None:
                yield node
                stack.pop()
            else:
                seen.add(id(child))
                stack.append((child, iter(child.inputs)))
