"""Reductions over axes, extremes' positions, and sliding windows."""

# ruff: noqa: ARG001 - the callables of one op all take all of its attributes
from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import product as box
from typing import Any

import numpy as np

from transpile.errors import ShapeError
from transpile.ir.dims import Dim, floordiv
from transpile.ir.types import TensorType
from transpile.lower.expr import Expr, cast
from transpile.ops.registry import Accessor, Idx, Op, Reduction, Sample, register, sample

Axes = tuple[int, ...]


def accumulator(dtype: str) -> str:
    """The dtype of a sum or product: integers and bool add up in int32."""
    return "float32" if dtype == "float32" else "int32"


def _same(dtype: str) -> str:
    return dtype


def _kept(x: TensorType, axes: Axes, keepdims: bool) -> tuple[Dim, ...]:
    if any(not 0 <= a < x.rank for a in axes) or list(axes) != sorted(set(axes)):
        raise ShapeError(f"cannot reduce {x} over the axes {list(axes)}",
                         why=f"it has {x.rank} dimensions")
    if keepdims:
        return tuple(1 if k in axes else d for k, d in enumerate(x.shape))
    return tuple(d for k, d in enumerate(x.shape) if k not in axes)


def _source(index: Idx, red: Idx, rank: int, axes: Axes, keepdims: bool) -> Idx:
    """The operand's index from the result's index and the reduction variables."""
    outer = iter(i for k, i in enumerate(index) if not (keepdims and k in axes))
    inner = iter(red)
    return tuple(next(inner) if k in axes else next(outer) for k in range(rank))


def reduction(name: str, combine: str, function: Callable[..., Any],
              result: Callable[[str], str], *samples: Sample) -> Op:
    """Register a reduction over `axes` with `keepdims`.

    Args:
        combine: how elements combine, see `Reduction`.
        function: the NumPy function.
        result: the dtype of the result, from the operand's.
    """
    def infer(x: TensorType, axes: Axes, keepdims: bool = False) -> TensorType:
        shape = _kept(x, axes, keepdims)
        if combine in ("max", "min") and any(x.shape[a] == 0 for a in axes):
            raise ShapeError(f"{name} of {x}: no elements to take the extreme of")
        return TensorType(result(x.dtype), shape)

    def reference(x: np.ndarray, axes: Axes, keepdims: bool = False) -> np.ndarray:
        kind = x.dtype if x.dtype == np.float64 else np.dtype(result(x.dtype.name))
        return np.asarray(function(x.astype(kind, copy=False), axis=axes, keepdims=keepdims), kind)

    def extents(x: TensorType, axes: Axes, keepdims: bool = False) -> Idx:
        return tuple(x.shape[a] for a in axes)

    def body(index: Idx, red: Idx, x: Accessor, axes: Axes, keepdims: bool = False) -> Expr:
        return cast(x(*_source(index, red, x.type.rank, axes, keepdims)), result(x.type.dtype))

    reference.__doc__ = f"The {name} over axes."
    return register(Op(name, infer, reference, Reduction(combine, extents, body), samples))


_SHAPES: tuple[tuple[str, dict[str, Any]], ...] = (
    ("3,5", {"axes": (0,)}), ("7,3", {"axes": (1,), "keepdims": True}),
    ("2,3,1,5", {"axes": (1, 3)}), ("5", {"axes": (0,)}), ("3,2", {"axes": ()}),
    ("3,1,5", {"axes": (0, 2), "keepdims": True}))


def _samples(*dtypes: str) -> tuple[Sample, ...]:
    return tuple(sample(f"{d}[{s}]", low=-3, high=4, **{"keepdims": False, **attrs})
                 for d in dtypes for s, attrs in _SHAPES)


_ALL = ("float32", "int32", "uint8", "bool")
reduction("sum", "sum", np.sum, accumulator, *_samples(*_ALL))
reduction("prod", "prod", np.prod, accumulator, *_samples(*_ALL))
reduction("max", "max", np.max, _same, *_samples(*_ALL))
reduction("min", "min", np.min, _same, *_samples(*_ALL))


def _extreme_position(name: str, function: Callable[..., Any]) -> Op:
    """Register argmax or argmin: the first position of the extreme along one axis."""
    def infer(x: TensorType, axis: int, keepdims: bool = False) -> TensorType:
        shape = _kept(x, (axis,), keepdims)
        if x.shape[axis] == 0:
            raise ShapeError(f"{name} of {x}: no elements to take the extreme of")
        return TensorType("int32", shape)

    def reference(x: np.ndarray, axis: int, keepdims: bool = False) -> np.ndarray:
        return np.asarray(function(x, axis=axis, keepdims=keepdims), np.int32)

    def extents(x: TensorType, axis: int, keepdims: bool = False) -> Idx:
        return (x.shape[axis],)

    def body(index: Idx, red: Idx, x: Accessor, axis: int, keepdims: bool = False) -> Expr:
        return x(*_source(index, red, x.type.rank, (axis,), keepdims))

    reference.__doc__ = f"The position of the first {name[3:]}imum along an axis."
    return register(Op(name, infer, reference, Reduction(name, extents, body), (
        sample("float32[3,5]", axis=1, keepdims=False),
        sample("float32[7]", axis=0, keepdims=True),
        sample("int32[5,1,7]", axis=2, keepdims=False),
        sample("uint8[3,7]", high=5, axis=0, keepdims=True),
        sample("bool[5,3]", axis=0, keepdims=False))))


_extreme_position("argmax", np.argmax)
_extreme_position("argmin", np.argmin)


def window_size(size: Dim, window: int, stride: int, dilation: int) -> Dim:
    """How many windows fit: `(size - dilation*(window-1) - 1) // stride + 1`."""
    return floordiv(size - dilation * (window - 1) - 1, stride) + 1


def window_shape(name: str, x: TensorType, window: Sequence[int], stride: Sequence[int],
                 dilation: Sequence[int]) -> tuple[Dim, ...]:
    """The spatial sizes after sliding a window over the axes between the first and the last."""
    spatial = x.shape[1:-1]
    if not len(spatial) == len(window) == len(stride) == len(dilation):
        raise ShapeError(f"{name} of {x}: window {list(window)}, stride {list(stride)} and "
                         f"dilation {list(dilation)} need one entry for each of "
                         f"{len(spatial)} spatial dimensions")
    sizes = tuple(map(window_size, spatial, window, stride, dilation))
    if any(isinstance(s, int) and s < 1 for s in sizes):
        raise ShapeError(f"{name}: a window of {list(window)} with dilation {list(dilation)} "
                         f"does not fit into {x}", fix="pad the operand, or use a smaller window")
    return sizes


def taps(x: np.ndarray, window: Axes, stride: Axes, dilation: Axes
         ) -> list[tuple[Axes, np.ndarray]]:
    """Each position in the window with the part of `x` that it meets, over all windows."""
    sizes = tuple(map(window_size, x.shape[1:-1], window, stride, dilation))
    result = []
    for tap in box(*map(range, window)):
        cut = (slice(None), *(slice(t * d, t * d + (n - 1) * s + 1, s)
                              for t, d, n, s in zip(tap, dilation, sizes, stride, strict=True)))
        result.append((tap, x[cut]))
    return result


def _window(name: str, combine: str, function: np.ufunc, result: Callable[[str], str]) -> Op:
    """Register a reduction over a sliding window of x[N, *S, C]."""
    def infer(x: TensorType, window: Axes, stride: Axes, dilation: Axes) -> TensorType:
        sizes = window_shape(name, x, window, stride, dilation)
        return TensorType(result(x.dtype), (x.shape[0], *sizes, x.shape[-1]))

    def reference(x: np.ndarray, window: Axes, stride: Axes, dilation: Axes) -> np.ndarray:
        kind = x.dtype if x.dtype == np.float64 else np.dtype(result(x.dtype.name))
        parts = [part for _, part in taps(x.astype(kind, copy=False), window, stride, dilation)]
        total: np.ndarray = parts[0].copy()
        for part in parts[1:]:
            function(total, part, out=total)
        return total

    def extents(x: TensorType, window: Axes, stride: Axes, dilation: Axes) -> Idx:
        return window

    def body(index: Idx, red: Idx, x: Accessor, window: Axes, stride: Axes, dilation: Axes
             ) -> Expr:
        spatial = window_index(index[1:-1], red, stride, dilation)
        return cast(x(index[0], *spatial, index[-1]), result(x.type.dtype))

    reference.__doc__ = f"The {name[7:]} over a sliding window, channels last."
    return register(Op(name, infer, reference, Reduction(combine, extents, body), (
        sample("float32[1,5,7,3]", window=(2, 3), stride=(1, 1), dilation=(1, 1)),
        sample("float32[2,7,5,1]", window=(3, 2), stride=(2, 3), dilation=(1, 2)),
        sample("float32[3,7,5]", window=(3,), stride=(2,), dilation=(2,)),
        sample("int32[1,7,3]", window=(7,), stride=(1,), dilation=(1,)),
        sample("uint8[1,3,3,2]", high=99, window=(2, 2), stride=(1, 1), dilation=(1, 1)))))


def window_index(index: Idx, red: Idx, stride: Sequence[int], dilation: Sequence[int]) -> Idx:
    """`index*stride + red*dilation`, axis by axis."""
    return tuple(i * s + r * d for i, r, s, d in zip(index, red, stride, dilation, strict=True))


_window("window_max", "max", np.maximum, _same)
_window("window_sum", "sum", np.add, accumulator)
