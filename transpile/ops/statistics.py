"""Means, variances and the like: reductions that are made of sums and extremes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from transpile.ops.composite import (
    Value,
    apply,
    as_float,
    composite,
    floating,
    normalise_axes,
    size_of,
)
from transpile.ops.registry import sample

Axes = int | Sequence[int] | None


def _reduced(name: str, x: Value, axes: Axes, keepdims: bool) -> Value:
    return apply(name, x, axes=normalise_axes(axes, x.ndim), keepdims=keepdims)


def _mean(x: Value, *, axes: Axes = None, keepdims: bool = False) -> Value:
    count = size_of([x.shape[a] for a in normalise_axes(axes, x.ndim)])
    total = _reduced("sum", as_float(x), axes, keepdims)
    return total * (1 / count) if isinstance(count, int) and count else total / count


def _var(x: Value, *, axes: Axes = None, keepdims: bool = False, ddof: int = 0) -> Value:
    x = as_float(x)
    centred = x - _mean(x, axes=axes, keepdims=True)
    if not ddof:
        return _mean(centred * centred, axes=axes, keepdims=keepdims)
    count = size_of([x.shape[a] for a in normalise_axes(axes, x.ndim)])
    return _reduced("sum", centred * centred, axes, keepdims) / (count - float(ddof))


def _std(x: Value, *, axes: Axes = None, keepdims: bool = False, ddof: int = 0) -> Value:
    return np.sqrt(_var(x, axes=axes, keepdims=keepdims, ddof=ddof))


def _logsumexp(x: Value, *, axes: Axes = None, keepdims: bool = False) -> Value:
    x = as_float(x)
    top = _reduced("max", x, axes, True)
    top = np.where(abs(top) == np.inf, 0.0, top)
    total = np.log(_reduced("sum", np.exp(x - top), axes, True)) + top
    return total if keepdims else _reduced("sum", total, axes, False)


def _truth(x: Value) -> Value:
    return x if x.dtype == np.bool_ else x != 0


def _all(x: Value, *, axes: Axes = None, keepdims: bool = False) -> Value:
    return _reduced("min", _truth(x), axes, keepdims)


def _any(x: Value, *, axes: Axes = None, keepdims: bool = False) -> Value:
    return _reduced("max", _truth(x), axes, keepdims)


def _square(x: Value) -> Value:
    return x * x


def _tuple(axes: Axes) -> int | tuple[int, ...] | None:
    return axes if axes is None or isinstance(axes, int) else tuple(axes)


def mean(x: np.ndarray, *, axes: Axes = None, keepdims: bool = False) -> np.ndarray:
    """The arithmetic mean over axes."""
    return np.asarray(np.mean(floating(x), _tuple(axes), keepdims=keepdims))


def var(x: np.ndarray, *, axes: Axes = None, keepdims: bool = False,
        ddof: int = 0) -> np.ndarray:
    """The variance over axes, with divisor count - ddof."""
    return np.asarray(np.var(floating(x), _tuple(axes), ddof=ddof, keepdims=keepdims))


def std(x: np.ndarray, *, axes: Axes = None, keepdims: bool = False,
        ddof: int = 0) -> np.ndarray:
    """The standard deviation over axes, with divisor count - ddof."""
    return np.asarray(np.std(floating(x), _tuple(axes), ddof=ddof, keepdims=keepdims))


def logsumexp(x: np.ndarray, *, axes: Axes = None, keepdims: bool = False) -> np.ndarray:
    """log(sum(exp(x))) over axes, without overflow."""
    x = floating(x)
    for axis in normalise_axes(axes, x.ndim):
        x = np.logaddexp.reduce(x, axis, keepdims=True)
    return x if keepdims else np.squeeze(x, normalise_axes(axes, x.ndim))


def all_(x: np.ndarray, *, axes: Axes = None, keepdims: bool = False) -> np.ndarray:
    """True where every element over axes is not zero."""
    return np.asarray(np.all(x, _tuple(axes), keepdims=keepdims))


def any_(x: np.ndarray, *, axes: Axes = None, keepdims: bool = False) -> np.ndarray:
    """True where some element over axes is not zero."""
    return np.asarray(np.any(x, _tuple(axes), keepdims=keepdims))


def square(x: np.ndarray) -> np.ndarray:
    """x * x"""
    return np.asarray(np.square(x))


_SAMPLES = [sample("float32[3,4]", axes=(1,), keepdims=False),
            sample("float32[2,3,4]", axes=(0, 2), keepdims=True),
            sample("int32[3,4]", axes=(0, 1), keepdims=False)]
_BOOL = [sample("bool[3,4]", axes=(1,), keepdims=False),
         sample("int32[2,3]", axes=(0,), keepdims=True, low=0, high=2)]

composite("mean", _mean, mean, _SAMPLES)
composite("var", _var, var, [*_SAMPLES, sample("float32[5,2]", axes=(0,), ddof=1)])
composite("std", _std, std, [*_SAMPLES, sample("float32[5,2]", axes=(0,), ddof=1)])
composite("logsumexp", _logsumexp, logsumexp, _SAMPLES[:2])
composite("all", _all, all_, _BOOL)
composite("any", _any, any_, _BOOL)
composite("square", _square, square, [sample("float32[3,4]"), sample("int32[5]")])
