"""Traced branches and loops: what was traced is cut at what lies outside.

A value from outside becomes an operand of the branch or loop, and an input of the graph inside.
Constants, and what is made of them alone, stay inside; what a loop computes from outer values alone
moves out of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence, Set
from dataclasses import dataclass, field, replace

import numpy as np

from transpile.errors import ShapeError
from transpile.frontends.tracer import Tracer, make_node
from transpile.ir.graph import Graph, Node, constant, input_node, topological
from transpile.ir.types import TensorType


@dataclass
class Cut:
    """Rebuilds traced nodes over inputs that stand for values from outside.

    Attributes:
        is_outer: True for a node that lies outside.
        captured: the inputs made so far, by the node that each stands for.
    """

    is_outer: Callable[[Node], bool]
    captured: dict[Node, Node] = field(default_factory=dict)

    def graph(self, name: str, inputs: Sequence[Node], outputs: Sequence[Node]) -> Graph:
        """The graph from `inputs` to `outputs`; those for captured values are not listed yet."""
        done: dict[Node, Node] = {n: n for n in inputs}
        for node in topological(outputs):
            if node not in done and not self.is_outer(node):
                operands = tuple(done[i] if i in done else self.capture(i) for i in node.inputs)
                same = all(a is b for a, b in zip(operands, node.inputs, strict=True))
                done[node] = node if same else replace(node, inputs=operands)
        results = [done[n] if n in done else self.capture(n) for n in outputs]
        return Graph(name, tuple(inputs), tuple((f"{name}{k}", n) for k, n in enumerate(results)))

    def capture(self, node: Node) -> Node:
        if node not in self.captured:
            self.captured[node] = input_node(node.name or node.op, node.type)
        return self.captured[node]


def from_constants(nodes: Iterable[Node]) -> set[Node]:
    """Those of `nodes`, operands first, that follow from constants and have a fixed size."""
    found: set[Node] = set()
    for node in nodes:
        if node.op not in ("input", "result") and not node.type.names and all(
                i in found for i in node.inputs):
            found.add(node)
    return found


def depending(nodes: Iterable[Node], on: Sequence[Node]) -> set[Node]:
    """Those of `nodes`, operands first, that are computed from `on`."""
    found = set(on)
    for node in nodes:
        if any(i in found for i in node.inputs):
            found.add(node)
    return found


def traced_loop(limit: Node, first: Sequence[Node], inputs: Sequence[Node],
                following: Sequence[Node]) -> list[Tracer]:
    """The last states of a loop.

    Args:
        limit: how often it runs at most, int32[].
        first: the first states; the first one is a bool that says whether there is another trip.
        inputs: input nodes of the trip's number (int32[]) and of the states.
        following: the next states, computed from `inputs`.

    Raises:
        ShapeError: a state's type is not the same in every trip.
    """
    for state, node in zip(inputs[1:], following, strict=True):
        if state.type != node.type:
            raise ShapeError(f"a loop turns the state {state.name!r}, {state.type}, into "
                             f"{node.type}", why="memory is planned before the loop runs")
    order = list(topological(following))
    inside = depending(order, inputs) | from_constants(order)
    cut = Cut(lambda n: n not in inside)
    body = cut.graph("next", inputs, following)
    body = replace(body, inputs=(*body.inputs, *cut.captured.values()))
    node = make_node("loop", limit, *first, *cut.captured, body=body, carried=len(first)).named("")
    return results(node, [n.type for n in first])


def traced_branch(condition: Node, then: Sequence[Node], otherwise: Sequence[Node],
                  outer: Set[Node]) -> list[Tracer]:
    """The results of a branch; `outer` are all nodes that exist without it."""
    fixed = from_constants(topological([*then, *otherwise]))
    cut = Cut(lambda n: n in outer and n not in fixed)
    sides = [cut.graph("result", (), side) for side in (then, otherwise)]
    captured = tuple(cut.captured.values())
    # The two sides have inputs of their own: each names its values for itself.
    twin = {n: input_node(n.name, n.type) for n in captured}

    def swapped(node: Node) -> Node | None:
        inputs = tuple(twin.get(i, i) for i in node.inputs)
        return replace(node, inputs=inputs) if inputs != node.inputs else None
    other = sides[1].rewrite(swapped)
    other = replace(other, inputs=tuple(twin.values()),
                    outputs=tuple((k, twin.get(n, n)) for k, n in other.outputs))
    node = make_node("branch", condition, *cut.captured, otherwise=other,
                     then=replace(sides[0], inputs=captured)).named("")
    return results(node, [n.type for n in then])


def results(node: Node, types: Sequence[TensorType]) -> list[Tracer]:
    """What comes out of a branch or loop."""
    return [Tracer(make_node("result", node, index=k, dtype=t.dtype, shape=t.shape))
            for k, t in enumerate(types)]


def empty_rows(count: object, row: TensorType) -> Node:
    """Where the rows of a scan will lie."""
    zero = constant(np.zeros((), row.dtype))
    return make_node("broadcast_to", zero, shape=(count, *row.shape))


def with_row(rows: Node, row: Node, trip: Node) -> Node:
    """`rows` with the one of this trip set."""
    at = make_node("reshape", trip, shape=(1, 1))
    return make_node("scatter_nd", rows, at, make_node("reshape", row, shape=(1, *row.shape)))
