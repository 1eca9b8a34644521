"""Gathers: ops that choose among operands, or compute indices from data."""

# ruff: noqa: ARG001 - the callables of one op all take all of its attributes
from __future__ import annotations

from itertools import accumulate
from typing import Any

import numpy as np

from transpile.errors import ShapeError
from transpile.ir.dims import Dim, Opaque, atom
from transpile.ir.fitting import equal_sizes
from transpile.ir.types import TensorType, broadcast, promote
from transpile.lower.expr import Const, Expr, Index, call, cast
from transpile.ops.elementwise import broadcast_index
from transpile.ops.registry import Accessor, Idx, Op, Pointwise, Sample, register, sample
from transpile.ops.view import size_expr


def check_axis(name: str, x: TensorType, axis: int) -> None:
    """Raise ShapeError unless `axis` counts from 0 to rank - 1."""
    if not 0 <= axis < x.rank:
        raise ShapeError(f"{name} of {x} along axis {axis}: it has {x.rank} dimensions")


def check_indices(name: str, indices: TensorType) -> None:
    """Raise ShapeError unless `indices` are integers."""
    if indices.dtype not in ("int32", "uint8"):
        raise ShapeError(f"{name} with indices of type {indices}",
                         why="indices are integers", fix="cast them to int32")


def gathered(value: Expr, size: Dim) -> Dim:
    """An index computed at run time: negative ones count from the end, then clamped."""
    if size == 1:
        return 0
    signed = cast(value, "int32")
    if value.dtype != "uint8":
        signed = call("select", call("less", signed, Const(0, "int32")),
                      call("add", signed, size_expr(size)), signed)
        signed = call("maximum", signed, Const(0, "int32"))
    return atom(Opaque(call("minimum", signed, size_expr(size - 1)), 0, size - 1))


def wrapped(indices: np.ndarray, size: int) -> np.ndarray:
    """The same for arrays."""
    indices = indices.astype(np.int64)
    return np.clip(np.where(indices < 0, indices + size, indices), 0, size - 1)


# concat

def _infer_concat(*xs: TensorType, axis: int) -> TensorType:
    if not xs:
        raise ShapeError("concat needs at least one operand")
    check_axis("concat", xs[0], axis)
    rest = {(*x.shape[:axis], *x.shape[axis + 1:]) for x in xs}
    if len({x.rank for x in xs}) > 1 or len(rest) > 1:
        raise ShapeError(f"concat of {', '.join(map(str, xs))} along axis {axis}",
                         why="all other dimensions must be equal",
                         **equal_sizes(map(set, zip(*rest, strict=False))))
    first = xs[0].shape
    total: Dim = 0
    for x in xs:
        total = total + x.shape[axis]
    return TensorType(promote(*(x.dtype for x in xs)), (*first[:axis], total, *first[axis + 1:]))


def concat(*xs: np.ndarray, axis: int) -> np.ndarray:
    """The operands one after the other along an axis."""
    kind = promote(*("float32" if x.dtype == np.float64 else x.dtype.name for x in xs))
    wide = any(x.dtype == np.float64 for x in xs)
    return np.concatenate(xs, axis=axis, dtype=np.float64 if wide else kind, casting="unsafe")


def _concat_at(index: Idx, *xs: Accessor, axis: int) -> Expr:
    kind = promote(*(x.type.dtype for x in xs))
    sizes = [x.type.shape[axis] for x in xs]
    starts: list[Dim] = [0, *accumulate(sizes, lambda a, b: a + b)]

    def part(k: int) -> Expr:
        moved = (*index[:axis], index[axis] - starts[k], *index[axis + 1:])
        return cast(xs[k](*moved), kind)

    full = [k for k, x in enumerate(xs) if x.type.shape[axis] != 0] or [0]
    value = part(full[-1])
    for k in reversed(full[:-1]):
        here = call("less", Index(index[axis]), size_expr(starts[k + 1]))
        value = call("select", here, part(k), value)
    return value


register(Op("concat", _infer_concat, concat, Pointwise(_concat_at, "gather"), (
    sample("float32[3,5]", "float32[3,2]", axis=1), sample("float32[7]", axis=0),
    sample("float32[1,3]", "float32[5,3]", "float32[2,3]", axis=0),
    sample("int32[2,3]", "float32[2,1]", axis=1), sample("bool[3]", "bool[1]", axis=0),
    sample("uint8[1,7,2]", "uint8[1,1,2]", high=200, axis=1))))


# take, take_along_axis, gather_nd

def _infer_take(x: TensorType, indices: TensorType, axis: int) -> TensorType:
    check_axis("take", x, axis)
    check_indices("take", indices)
    return x.with_shape((*x.shape[:axis], *indices.shape, *x.shape[axis + 1:]))


def take(x: np.ndarray, indices: np.ndarray, axis: int) -> np.ndarray:
    """Slices of `x` by their indices along an axis; negative ones count from the end."""
    return np.take(x, wrapped(indices, x.shape[axis]), axis=axis)


def _take_at(index: Idx, x: Accessor, indices: Accessor, axis: int) -> Expr:
    end = axis + indices.type.rank
    chosen = gathered(indices(*index[axis:end]), x.type.shape[axis])
    return x(*index[:axis], chosen, *index[end:])


register(Op("take", _infer_take, take, Pointwise(_take_at, "gather"), (
    sample("float32[5,3]", "int32[7]", low=-5, high=5, axis=0),
    sample("float32[2,3,5]", "int32[2,2]", low=-9, high=9, axis=1),
    sample("int32[7]", "uint8[3]", high=9, axis=0), sample("float32[3,5]", "int32[]", axis=1),
    sample("uint8[1,3]", "int32[5]", low=-1, high=1, axis=0))))


def _infer_take_along(x: TensorType, indices: TensorType, axis: int) -> TensorType:
    check_axis("take_along_axis", x, axis)
    check_indices("take_along_axis", indices)
    if x.rank != indices.rank:
        raise ShapeError(f"take_along_axis of {x} with {indices}: ranks differ")
    one = (*x.shape[:axis], 1, *x.shape[axis + 1:])
    many = (*indices.shape[:axis], 1, *indices.shape[axis + 1:])
    shape = broadcast(one, many)
    return x.with_shape((*shape[:axis], indices.shape[axis], *shape[axis + 1:]))


def take_along_axis(x: np.ndarray, indices: np.ndarray, axis: int) -> np.ndarray:
    """Elements of `x` by their indices along an axis, other axes paired up."""
    return np.take_along_axis(x, wrapped(indices, x.shape[axis]), axis)


def _take_along_at(index: Idx, x: Accessor, indices: Accessor, axis: int) -> Expr:
    chosen = gathered(indices(*broadcast_index(index, indices.type.shape)), x.type.shape[axis])
    source = broadcast_index(index, x.type.shape)
    return x(*source[:axis], chosen, *source[axis + 1:])


register(Op("take_along_axis", _infer_take_along, take_along_axis,
            Pointwise(_take_along_at, "gather"), (
                sample("float32[3,5]", "int32[3,2]", low=-5, high=5, axis=1),
                sample("float32[5,3]", "int32[7,1]", low=-5, high=5, axis=0),
                sample("int32[1,7]", "uint8[3,2]", high=7, axis=1))))


def _infer_gather_nd(x: TensorType, indices: TensorType) -> TensorType:
    check_indices("gather_nd", indices)
    depth = indices.shape[-1] if indices.shape else 0
    if not indices.shape or not isinstance(depth, int) or depth > x.rank:
        raise ShapeError(f"gather_nd of {x} with {indices}",
                         why="the last dimension of the indices is at most the operand's rank")
    return x.with_shape((*indices.shape[:-1], *x.shape[depth:]))


def gather_nd(x: np.ndarray, indices: np.ndarray) -> np.ndarray:
    """Slices of `x` by tuples of indices, which lie along the last axis of `indices`."""
    columns = tuple(wrapped(indices[..., k], x.shape[k]) for k in range(indices.shape[-1]))
    return x[columns] if columns else np.broadcast_to(x, (*indices.shape[:-1], *x.shape))


def _gather_nd_at(index: Idx, x: Accessor, indices: Accessor) -> Expr:
    split = indices.type.rank - 1
    depth = indices.type.shape[-1]
    assert isinstance(depth, int)
    chosen = (gathered(indices(*index[:split], k), x.type.shape[k]) for k in range(depth))
    return x(*chosen, *index[split:])


register(Op("gather_nd", _infer_gather_nd, gather_nd, Pointwise(_gather_nd_at, "gather"), (
    sample("float32[3,5]", "int32[7,2]", low=-3, high=3),
    sample("float32[5,2,3]", "int32[2,3,1]", low=-5, high=5),
    sample("int32[3,1,5]", "uint8[3]", high=3))))


# iota

def _infer_iota(*, shape: Idx, axis: int, dtype: str) -> TensorType:
    result = TensorType(dtype, shape)
    check_axis("iota", result, axis)
    return result


def iota(*, shape: tuple[int, ...], axis: int, dtype: str) -> np.ndarray:
    """The index along one axis, as a value."""
    counts: np.ndarray = np.indices(shape, sparse=True)[axis]
    return np.broadcast_to(counts, shape).astype(dtype)


def _iota_at(index: Idx, *, shape: Idx, axis: int, dtype: str) -> Expr:
    return cast(Index(index[axis]), dtype)


def _counted(dtype: str, axis: int, *shape: int) -> Sample:
    attrs: dict[str, Any] = {"shape": shape, "axis": axis, "dtype": dtype}
    return Sample((), attrs)


register(Op("iota", _infer_iota, iota, Pointwise(_iota_at, "gather"), (
    _counted("int32", 0, 7), _counted("float32", 1, 3, 5), _counted("uint8", 0, 3, 1),
    _counted("bool", 1, 1, 3))))
