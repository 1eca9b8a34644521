"""Ops that decide what is computed, and how often: branches and loops with graphs inside.

A `branch` or `loop` node stands for all that happens inside it; a `result` node is one of the
values that come out. What the graphs inside read from around them are operands like all others.

`branch(condition, *captured)` runs one of two graphs over the captured values.

`loop(limit, *states, *captured)` runs `body(i, *states, *captured)` for i = 0, 1, ... while i is
less than the limit and the first state, a bool, is true; what the body gives are the next states.
Rows that a scan collects are a state into which the body scatters a row.
"""

# ruff: noqa: ARG001 - the callables of one op all take all of its attributes
from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from transpile.errors import InternalError, ShapeError
from transpile.ir.graph import Graph
from transpile.ir.types import TensorType
from transpile.ops.registry import Op, Region, register

ENDLESS = 2**31 - 1
"""The limit of a loop that only its condition ends."""


def _types(graph: Graph) -> list[TensorType]:
    return [n.type for _, n in graph.outputs]


def _require(name: str, what: str, given: Sequence[TensorType], wanted: Sequence[TensorType]
             ) -> None:
    if list(given) != list(wanted):
        raise ShapeError(f"{name}: {what} are {', '.join(map(str, given))}",
                         why=f"the graph inside has {', '.join(map(str, wanted))}")


def _infer_branch(condition: TensorType, *captured: TensorType, then: Graph, otherwise: Graph
                  ) -> TensorType:
    if condition != TensorType("bool", ()):
        raise ShapeError(f"a branch on {condition}", why="it needs one bool")
    for side in (then, otherwise):
        _require("branch", "captured values", captured, [n.type for n in side.inputs])
    _require("branch", "results", _types(then), _types(otherwise))
    return condition


def _infer_loop(limit: TensorType, *operands: TensorType, body: Graph, carried: int) -> TensorType:
    states = operands[:carried]
    if limit != TensorType("int32", ()) or states[:1] != (TensorType("bool", ()),):
        raise ShapeError(f"a loop up to {limit} while {', '.join(map(str, states[:1]))}",
                         why="it needs one int32 and one bool")
    _require("loop", "operands", (limit, *operands), [n.type for n in body.inputs])
    _require("loop", "states", states, _types(body))
    return limit


def _infer_result(region: TensorType, index: int, dtype: str, shape: tuple[Any, ...]
                  ) -> TensorType:
    return TensorType(dtype, shape)


def _no_reference(*_: Any, **__: Any) -> np.ndarray:
    """Run by `ir/control.py`, which knows the graphs inside."""
    raise InternalError("a node with graphs inside has no reference of its own")


for _name, _infer in (("branch", _infer_branch), ("loop", _infer_loop), ("result", _infer_result)):
    register(Op(_name, _infer, _no_reference, Region(), ()))
