"""NumPy's elementwise functions that are not ufuncs, and its constructors, as builders."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from transpile.frontends.tracer import (
    Tracer,
    apply,
    as_tracer,
    cast,
    common_dtype,
    fail,
    promoted,
    unsupported,
)
from transpile.ir.types import narrow_dtype


def _where(condition: Any, x: Any = None, y: Any = None) -> Tracer:
    if x is None or y is None:
        unsupported("np.where with one argument is not supported",
                    why="the shape of its result depends on values",
                    fix="give both alternatives: np.where(condition, a, b)")
    return apply("where", cast(condition, "bool"), *promoted(x, y))


def _select(condlist: Sequence[Any], choicelist: Sequence[Any], default: Any = 0) -> Any:
    result = default
    for condition, choice in zip(reversed(condlist), reversed(choicelist), strict=True):
        result = np.where(condition, choice, result)
    return result


def _clip(a: Any, a_min: Any = None, a_max: Any = None, *, min: Any = None,
          max: Any = None) -> Any:
    low, high = (a_min if min is None else min), (a_max if max is None else max)
    result = as_tracer(a)
    if low is not None:
        result = np.maximum(result, low)
    return result if high is None else np.minimum(result, high)


def _round(a: Any, decimals: int = 0) -> Any:
    x = as_tracer(a)
    if x.dtype != np.float32:
        if decimals < 0:
            unsupported("np.round of integers to tens is not supported", fix="divide and multiply")
        return x
    if decimals == 0:
        return apply("round", x)
    return apply("round", x * 10.0 ** decimals) / 10.0 ** decimals


def _nan_to_num(x: Any, *, nan: float = 0.0, posinf: float | None = None,
                neginf: float | None = None) -> Any:
    value = as_tracer(x)
    if value.dtype != np.float32:
        return value
    top = float(np.finfo(np.float32).max)
    high, low = (top if posinf is None else posinf), (-top if neginf is None else neginf)
    finite = np.where(np.isinf(value), np.where(value > 0, high, low), value)
    return np.where(np.isnan(value), nan, finite)


def _isclose(a: Any, b: Any, rtol: float = 1e-5, atol: float = 1e-8,
             equal_nan: bool = False) -> Any:
    near = np.equal(a, b) | (np.isfinite(b) & (
        np.abs(np.subtract(a, b)) <= atol + rtol * np.abs(b)))
    return near | (np.isnan(a) & np.isnan(b)) if equal_nan else near


def _filled(value: float) -> Callable[..., Tracer]:
    def build(a: Any, dtype: Any = None, *, shape: Any = None) -> Tracer:
        return _full_like(a, value, dtype, shape=shape)
    return build


def _full_like(a: Any, fill_value: Any, dtype: Any = None, *, shape: Any = None) -> Tracer:
    x = as_tracer(a)
    kind = narrow_dtype(x.dtype if dtype is None else dtype)
    size = x.shape if shape is None else shape
    target = tuple(size) if isinstance(size, (tuple, list)) else (size,)
    return apply("broadcast_to", cast(fill_value, kind), shape=target)


def _triangle(keep: Callable[..., Any]) -> Callable[..., Any]:
    """triu and tril: a constant mask, so the last two sizes are numbers."""
    def build(m: Any, k: int = 0) -> Any:
        x = as_tracer(m)
        rows, columns = x.shape[-2:]
        if not (isinstance(rows, int) and isinstance(columns, int)):
            fail(f"np.{keep.__name__} needs fixed sizes", why=f"{rows} x {columns} is symbolic",
                 fix="compare positions: np.cumsum(np.ones_like(x), axis=-1)")
        mask = keep(np.ones((rows, columns), bool), k)
        return apply("where", mask, x, cast(0, x.node.dtype))
    return build


def _polyval(p: Any, x: Any) -> Any:
    """Horner's rule, the highest power first."""
    value = as_tracer(x)
    result: Any = np.zeros_like(value)
    for coefficient in p:
        result = result * value + coefficient
    return result


def _searchsorted(a: Any, v: Any, side: str = "left", sorter: Any = None) -> Any:
    """How many of the sorted values lie before `v`."""
    if sorter is not None:
        unsupported("np.searchsorted: sorter= is not supported", fix="sort the array before")
    before = np.less if side == "left" else np.less_equal
    return np.sum(before(a, as_tracer(v)[..., None]), axis=-1)


def _digitize(x: Any, bins: Any, right: bool = False) -> Any:
    return _searchsorted(bins, x, "left" if right else "right")


def _sinc(x: Any) -> Any:
    scaled = cast(x, "float32") * np.pi
    safe = np.where(scaled == 0, 1.0, scaled)
    return np.where(scaled == 0, 1.0, np.sin(safe) / safe)


def _astype(x: Any, dtype: Any, /) -> Tracer:
    return cast(x, narrow_dtype(dtype))


def _result_type(*values: Any) -> np.dtype[Any]:
    known = [v for v in values if not isinstance(v, (type, np.dtype, str))]
    dtypes = [np.empty(0, narrow_dtype(v)) for v in values if isinstance(v, (type, np.dtype, str))]
    return np.dtype(common_dtype([*known, *dtypes]))


def _size(a: Any, axis: Any = None) -> Any:
    x = as_tracer(a)
    return x.size if axis is None else x.shape[axis]


def _fix(x: Any) -> Any:
    return np.trunc(x)


ELEMENTWISE: dict[Callable[..., Any], Callable[..., Any]] = {
    np.where: _where, np.select: _select, np.clip: _clip,
    np.round: _round, np.around: _round, np.fix: _fix,
    np.nan_to_num: _nan_to_num, np.isclose: _isclose,
    np.zeros_like: _filled(0), np.ones_like: _filled(1), np.empty_like: _filled(0),
    np.full_like: _full_like, np.copy: as_tracer, np.real: as_tracer,
    np.triu: _triangle(np.triu), np.tril: _triangle(np.tril),
    np.polyval: _polyval, np.searchsorted: _searchsorted, np.digitize: _digitize,
    np.sinc: _sinc, np.size: _size, np.result_type: _result_type,
    np.shape: lambda a: as_tracer(a).shape, np.ndim: lambda a: as_tracer(a).ndim,
    np.iscomplexobj: lambda _: False,
}

if hasattr(np, "astype"):  # NumPy 2.1
    ELEMENTWISE[np.astype] = _astype
