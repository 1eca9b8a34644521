"""Runs branches and loops on NumPy arrays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from transpile.errors import UnsupportedError
from transpile.ir.graph import Graph, Node

REGIONS = ("branch", "loop")
"""Nodes with graphs inside; their values here are lists of results."""

MOST_TRIPS = 1_000_000
"""A reference that loops more often than this is given up."""


def run_region(node: Node, operands: Sequence[np.ndarray], sizes: Mapping[str, int],
               dtype: str | None) -> list[np.ndarray]:
    """The results of a branch or loop.

    Raises:
        UnsupportedError: a loop does not end within `MOST_TRIPS`.
    """
    if node.op == "branch":
        side = "then" if operands[0] else "otherwise"
        return run_inner(node.attrs[side], operands[1:], sizes, dtype)
    count = node.attrs["carried"]
    limit, states, captured = operands[0], list(operands[1:count + 1]), operands[count + 1:]
    trip = 0
    while trip < limit and states[0]:
        if trip >= MOST_TRIPS:
            raise UnsupportedError(f"a loop does not end after {MOST_TRIPS} trips",
                                   where=str(node.where) or node.name,
                                   why="it was tried on random inputs",
                                   fix="give it a limit, or the inputs a range in which it ends")
        given = [np.array(trip, np.int32), *states, *captured]
        states = run_inner(node.attrs["body"], given, sizes, dtype)
        trip += 1
    return states


def run_inner(graph: Graph, arguments: Sequence[np.ndarray], sizes: Mapping[str, int],
              dtype: str | None) -> list[np.ndarray]:
    """The outputs of a graph inside a node, for a value of each of its inputs."""
    from transpile.ir.interpret import run_nodes
    values: dict[Node, np.ndarray] = dict(zip(graph.inputs, map(np.asarray, arguments),
                                              strict=True))
    values.update(run_nodes(graph, values, sizes, dtype))
    return [values[n] for _, n in graph.outputs]
