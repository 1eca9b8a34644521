"""Scatters: a copy of a tensor with slices of it replaced, or combined with, by index."""


from __future__ import annotations

from typing import Any

import numpy as np

from transpile.errors import ShapeError
from transpile.ir.dims import Axis, Dim, axis
from transpile.ir.types import TensorType
from transpile.lower.expr import Local, cast
from transpile.ops.index import check_indices, gathered, wrapped
from transpile.ops.registry import Accessor, Op, Routine, register, sample

REDUCTIONS = {"none": "", "add": "sum", "mul": "prod", "max": "max", "min": "min"}
"""How an update combines with what is there: the name in the loop IR."""


def _infer(x: TensorType, indices: TensorType, updates: TensorType, reduction: str = "none"
           ) -> TensorType:
    check_indices("scatter_nd", indices)
    depth = indices.shape[-1] if indices.shape else 0
    if not indices.shape or not isinstance(depth, int) or depth > x.rank:
        raise ShapeError(f"scatter_nd of {x} with {indices}",
                         why="the last dimension of the indices is at most the operand's rank")
    wanted = (*indices.shape[:-1], *x.shape[depth:])
    if updates.shape != wanted or updates.dtype != x.dtype:
        raise ShapeError(f"scatter_nd of {x}: the updates are {updates}",
                         why=f"they must be {x.with_shape(wanted)}")
    if reduction not in REDUCTIONS:
        raise ShapeError(f"scatter_nd has no reduction {reduction!r}",
                         fix=f"use one of {', '.join(REDUCTIONS)}")
    return x


def scatter_nd(x: np.ndarray, indices: np.ndarray, updates: np.ndarray,
               reduction: str = "none") -> np.ndarray:
    """A copy with the slices at tuples of indices set to, or combined with, updates."""
    columns = tuple(wrapped(indices[..., k], x.shape[k]) for k in range(indices.shape[-1]))
    result: np.ndarray = x.copy()
    ufunc = {"add": np.add, "mul": np.multiply, "max": np.maximum, "min": np.minimum}
    if reduction in ufunc:
        ufunc[reduction].at(result, columns, updates)
        return result
    for place in np.ndindex(indices.shape[:-1]):  # in order: the last of equal indices wins
        result[tuple(c[place] for c in columns)] = updates[place]
    return result


def _build(context: Any, x: Accessor, indices: Accessor, updates: Accessor, *,
           reduction: str = "none") -> tuple[Any, ...]:
    from transpile.lower.loops import combine_expr
    from transpile.lower.routine import loops
    from transpile.lower.stmt import Let
    copied = [Axis(f"i{k}", d) for k, d in enumerate(x.type.shape)]
    at = [axis(a.name, a.extent) for a in copied]
    copy = () if context.in_place else loops(copied, [context.store(at, x(*at))])
    split = indices.type.rank - 1
    moved = [Axis(f"u{k}", d) for k, d in enumerate(updates.type.shape)]
    index = [axis(a.name, a.extent) for a in moved]
    body: list[Any] = []
    target: list[Dim] = []
    for k in range(int(indices.type.shape[-1])):
        size = x.type.shape[k]
        body.append(Let(f"at{k}", cast(indices(*index[:split], k), "int32")))
        local = Local(f"at{k}", "int32")
        target.append(gathered(local, size))
    target += index[split:]
    value = updates(*index)
    if REDUCTIONS[reduction]:
        value = combine_expr(REDUCTIONS[reduction], context.load(target), value)
    return (*copy, *loops(moved, [*body, context.store(target, value)]))


register(Op("scatter_nd", _infer, scatter_nd, Routine(_build), (
    sample("float32[5,3]", "int32[2,1]", "float32[2,3]", low=-5, high=5, reduction="none"),
    sample("float32[4,3,2]", "int32[3,2]", "float32[3,2]", low=-3, high=3, reduction="add"),
    sample("int32[7]", "int32[5,1]", "int32[5]", low=-7, high=7, reduction="mul"),
    sample("float32[3,4]", "int32[2,3,2]", "float32[2,3]", low=-3, high=3, reduction="max"),
    sample("float32[3,4]", "int32[6,2]", "float32[6]", low=-3, high=3, reduction="min"),
    sample("float32[5,2,16]", "int32[2,1]", "float32[2,2,16]", low=-5, high=5, reduction="none"),
    sample("uint8[5]", "uint8[3,1]", "uint8[3]", high=5, reduction="none"))))
