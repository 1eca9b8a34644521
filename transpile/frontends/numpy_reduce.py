"""NumPy's reductions, scans and sorts as builders of nodes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from transpile.frontends.tracer import Tracer, apply, as_tracer, cast, fail, unsupported
from transpile.ir.dims import Dim
from transpile.ir.types import narrow_dtype


def axes_of(x: Tracer, axis: Any) -> tuple[int, ...]:
    """`axis` as a sorted tuple of non-negative axes; None means all."""
    if axis is None:
        return tuple(range(x.ndim))
    given = axis if isinstance(axis, (tuple, list)) else (axis,)
    return tuple(sorted(axis_of(x.ndim, a) for a in given))


def axis_of(rank: int, axis: Any) -> int:
    """One axis, counted from the front."""
    number = int(axis)
    if not -rank <= number < rank:
        fail(f"axis {number} does not exist in an array of {rank} dimensions")
    return number % rank


def size_of(x: Tracer, axes: tuple[int, ...]) -> Dim:
    """The number of elements along `axes`."""
    total: Dim = 1
    for axis in axes:
        total = total * x.shape[axis]
    return total


def _wide(x: Any, dtype: Any) -> Tracer:
    """What sums accumulate in: bool and uint8 become int32, as NumPy widens them."""
    value = as_tracer(x)
    if dtype is not None:
        return cast(value, narrow_dtype(dtype))
    return cast(value, "int32") if value.dtype in (np.bool_, np.uint8) else value


def _sum_like(op: str) -> Callable[..., Tracer]:
    def build(a: Any, axis: Any = None, dtype: Any = None, *, keepdims: Any = False) -> Tracer:
        x = _wide(a, dtype)
        return apply(op, x, axes=axes_of(x, axis), keepdims=bool(keepdims))
    return build


def _extreme(op: str) -> Callable[..., Tracer]:
    def build(a: Any, axis: Any = None, *, keepdims: Any = False) -> Tracer:
        x = as_tracer(a)
        return apply(op, x, axes=axes_of(x, axis), keepdims=bool(keepdims))
    return build


def _truth(op: str) -> Callable[..., Tracer]:
    def build(a: Any, axis: Any = None, *, keepdims: Any = False) -> Tracer:
        x = cast(a, "bool")
        return apply(op, x, axes=axes_of(x, axis), keepdims=bool(keepdims))
    return build


def _position(op: str) -> Callable[..., Tracer]:
    def build(a: Any, axis: Any = None, *, keepdims: Any = False) -> Tracer:
        x = as_tracer(a)
        if axis is not None:
            return apply(op, x, axis=axis_of(x.ndim, axis), keepdims=bool(keepdims))
        flat = apply(op, x.ravel(), axis=0, keepdims=False)
        return cast(flat.reshape((1,) * x.ndim), "int32") if keepdims else flat
    return build


def _reals(a: Any, dtype: Any) -> Tracer:
    """What means are taken of; another dtype= than a float would round."""
    if dtype is not None and narrow_dtype(dtype) != "float32":
        unsupported(f"a mean with dtype={dtype} is not supported", fix="use .astype afterwards")
    return cast(a, "float32")


def _mean(a: Any, axis: Any = None, dtype: Any = None, *, keepdims: Any = False) -> Tracer:
    x = _reals(a, dtype)
    return apply("mean", x, axes=axes_of(x, axis), keepdims=bool(keepdims))


def _spread(op: str) -> Callable[..., Tracer]:
    def build(a: Any, axis: Any = None, dtype: Any = None, *, ddof: float = 0,
              keepdims: Any = False, correction: float | None = None) -> Tracer:
        x = _reals(a, dtype)
        return apply(op, x, axes=axes_of(x, axis), keepdims=bool(keepdims),
                     ddof=ddof if correction is None else correction)
    return build


def _average(a: Any, axis: Any = None, weights: Any = None, *, keepdims: Any = False) -> Any:
    if weights is None:
        return np.mean(a, axis=axis, keepdims=keepdims)
    if np.ndim(weights) != np.ndim(a):
        if axis is None or isinstance(axis, (tuple, list)):
            fail("np.average: weights of another shape need one axis",
                 fix="give weights the shape of the array")
        shape = [1] * np.ndim(a)
        shape[axis_of(len(shape), axis)] = -1
        weights = np.reshape(weights, shape)
    full = np.broadcast_to(weights, np.shape(a))
    return np.sum(a * full, axis=axis, keepdims=keepdims) / np.sum(full, axis=axis,
                                                                  keepdims=keepdims)


def _ptp(a: Any, axis: Any = None, *, keepdims: Any = False) -> Any:
    return np.max(a, axis=axis, keepdims=keepdims) - np.min(a, axis=axis, keepdims=keepdims)


def _count_nonzero(a: Any, axis: Any = None, *, keepdims: Any = False) -> Any:
    return np.sum(cast(a, "bool"), axis=axis, keepdims=keepdims)


def _norm(x: Any, ord: Any = None, axis: Any = None, keepdims: Any = False) -> Any:
    """Vector norms, and the Frobenius norm of a whole array."""
    value = cast(x, "float32")
    pair = isinstance(axis, tuple) and len(axis) == 2
    matrix = pair or (axis is None and value.ndim == 2)
    if ord is None or (ord == 2 and not matrix) or (ord == "fro" and matrix):
        return np.sqrt(np.sum(value * value, axis=axis, keepdims=keepdims))
    if matrix or isinstance(ord, str):
        unsupported(f"np.linalg.norm: ord={ord!r} of a matrix is not supported",
                    fix="use ord=None or ord='fro', or give one axis for vector norms")
    size = np.abs(value)
    if ord in (np.inf, -np.inf):
        return (np.max if ord > 0 else np.min)(size, axis=axis, keepdims=keepdims)
    if ord == 0:
        return cast(np.count_nonzero(value, axis=axis, keepdims=keepdims), "float32")
    total = np.sum(size ** ord if ord != 1 else size, axis=axis, keepdims=keepdims)
    return total if ord == 1 else total ** (1.0 / ord)


def _scan(op: str) -> Callable[..., Tracer]:
    def build(a: Any, axis: Any = None, dtype: Any = None) -> Tracer:
        x = _wide(a, dtype)
        if axis is None:
            x, axis = x.ravel(), 0
        return apply(op, x, axis=axis_of(x.ndim, axis), exclusive=False, reverse=False)
    return build


def _cumulative(op: str) -> Callable[..., Tracer]:
    scan = _scan(op)

    def build(x: Any, /, *, axis: Any = None, dtype: Any = None) -> Tracer:
        return scan(x, axis, dtype)
    return build


def _sorted(op: str) -> Callable[..., Tracer]:
    def build(a: Any, axis: Any = -1) -> Tracer:
        x = as_tracer(a)
        if axis is None:
            x, axis = x.ravel(), 0
        return apply(op, x, axis=axis_of(x.ndim, axis), descending=False)
    return build


def _median(a: Any, axis: Any = None, *, keepdims: Any = False) -> Any:
    """The middle of the sorted values, or the mean of the two middle ones."""
    x = cast(a, "float32")
    if isinstance(axis, (tuple, list)):
        unsupported("np.median over several axes is not supported",
                    fix="reshape them into one axis first")
    position = 0 if axis is None else axis_of(x.ndim, axis)
    ordered = np.sort(x, axis=axis)
    count = ordered.shape[position]
    if not isinstance(count, int):
        fail("np.median needs a fixed size along its axis", why=f"the size {count} is symbolic")
    middle = np.take(ordered, range((count - 1) // 2, count // 2 + 1), axis=position)
    result = np.mean(middle, axis=position, keepdims=bool(keepdims))
    return result.reshape((1,) * x.ndim) if keepdims and axis is None else result


def _diff(a: Any, n: int = 1, axis: int = -1) -> Any:
    x = as_tracer(a)
    at = axis_of(x.ndim, axis)
    before: tuple[slice, ...] = (slice(None),) * at
    for _ in range(n):
        minus = np.not_equal if x.dtype == bool else np.subtract
        later, earlier = (*before, slice(1, None)), (*before, slice(None, -1))
        x = minus(x[later], x[earlier])
    return x


def _without_nan(function: Callable[..., Any], instead: float) -> Callable[..., Any]:
    def build(a: Any, axis: Any = None, *, keepdims: Any = False) -> Any:
        return function(np.where(np.isnan(a), instead, a), axis=axis, keepdims=keepdims)
    return build


def _nanmean(a: Any, axis: Any = None, *, keepdims: Any = False) -> Any:
    count = np.sum(~np.isnan(a), axis=axis, keepdims=keepdims)
    return np.nansum(a, axis=axis, keepdims=keepdims) / count


REDUCTIONS: dict[Callable[..., Any], Callable[..., Any]] = {
    np.sum: _sum_like("sum"), np.prod: _sum_like("prod"),
    np.max: _extreme("max"), np.min: _extreme("min"),
    np.amax: _extreme("max"), np.amin: _extreme("min"),
    np.any: _truth("any"), np.all: _truth("all"),
    np.argmax: _position("argmax"), np.argmin: _position("argmin"),
    np.mean: _mean, np.var: _spread("var"), np.std: _spread("std"),
    np.average: _average, np.median: _median, np.ptp: _ptp,
    np.count_nonzero: _count_nonzero, np.linalg.norm: _norm,
    np.cumsum: _scan("cumsum"), np.cumprod: _scan("cumprod"),
    np.sort: _sorted("sort"), np.argsort: _sorted("argsort"), np.diff: _diff,
    np.nansum: _without_nan(np.sum, 0.0), np.nanprod: _without_nan(np.prod, 1.0),
    np.nanmax: _without_nan(np.max, -np.inf), np.nanmin: _without_nan(np.min, np.inf),
    np.nanmean: _nanmean,
}

for _name, _op in (("cumulative_sum", "cumsum"), ("cumulative_prod", "cumprod")):
    if hasattr(np, _name):  # NumPy 2.1
        REDUCTIONS[getattr(np, _name)] = _cumulative(_op)
