"""Activations and softmax: one line of maths each, and one NumPy reference each."""

from __future__ import annotations

import math

import numpy as np

from transpile.ops.composite import Value, apply, as_float, composite, floating, normalise_axes
from transpile.ops.registry import sample

SELU_ALPHA, SELU_SCALE = 1.6732632423543772, 1.0507009873554805
"""Klambauer et al. 2017, "Self-Normalizing Neural Networks", equation 14."""

_TYPES = sample("float32[3,5]", low=-6.0, high=6.0)


def _relu(x: Value) -> Value:
    return np.maximum(x, 0)


def _relu6(x: Value) -> Value:
    return np.minimum(np.maximum(x, 0), 6)


def _silu(x: Value) -> Value:
    return x * apply("sigmoid", x)


def _gelu(x: Value, *, approximate: str = "none") -> Value:
    if approximate == "tanh":
        return 0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x * x * x)))
    return 0.5 * x * (1 + apply("erf", x * math.sqrt(0.5)))


def _elu(x: Value, *, alpha: float = 1.0) -> Value:
    return np.where(x > 0, x, alpha * np.expm1(np.minimum(x, 0)))


def _selu(x: Value) -> Value:
    return SELU_SCALE * _elu(x, alpha=SELU_ALPHA)


def _leaky_relu(x: Value, *, negative_slope: float = 0.01) -> Value:
    return np.where(x > 0, x, negative_slope * x)


def _prelu(x: Value, weight: Value) -> Value:
    slope = weight if weight.ndim != 1 or x.ndim < 2 else weight.reshape(
        (-1,) + (1,) * (x.ndim - 2))
    return np.where(x > 0, x, slope * x)


def _hardsigmoid(x: Value) -> Value:
    return np.minimum(np.maximum(x * (1 / 6) + 0.5, 0), 1)


def _hardswish(x: Value) -> Value:
    return x * _hardsigmoid(x)


def _softplus(x: Value) -> Value:
    x = as_float(x)
    return np.maximum(x, 0) + np.log1p(np.exp(-abs(x)))


def _mish(x: Value) -> Value:
    return x * np.tanh(_softplus(x))


def _along(name: str, x: Value, axis: int) -> Value:
    return apply(name, x, axes=normalise_axes(axis, x.ndim), keepdims=True)


def _softmax(x: Value, *, axis: int = -1) -> Value:
    x = as_float(x)
    e = np.exp(x - _along("max", x, axis))
    return e / _along("sum", e, axis)


def _log_softmax(x: Value, *, axis: int = -1) -> Value:
    x = as_float(x)
    shifted = x - _along("max", x, axis)
    return shifted - np.log(_along("sum", np.exp(shifted), axis))


def relu(x: np.ndarray) -> np.ndarray:
    """max(x, 0)"""
    return np.where(x < 0, x.dtype.type(0), x)


def relu6(x: np.ndarray) -> np.ndarray:
    """min(max(x, 0), 6)"""
    return np.asarray(np.clip(x, x.dtype.type(0), x.dtype.type(6)))


def sigmoid(x: np.ndarray) -> np.ndarray:
    """1 / (1 + exp(-x)), without overflow."""
    x = floating(x)
    e = np.exp(-np.abs(x))
    return np.asarray(np.where(x < 0, e, 1) / (1 + e))


def silu(x: np.ndarray) -> np.ndarray:
    """x * sigmoid(x), also called swish."""
    return np.asarray(floating(x) * sigmoid(x))


def erf(x: np.ndarray) -> np.ndarray:
    """The error function, by the C library's double precision."""
    x = floating(x)
    flat = np.fromiter(map(math.erf, x.ravel().tolist()), np.float64, x.size)
    return flat.reshape(x.shape).astype(x.dtype)


def gelu(x: np.ndarray, *, approximate: str = "none") -> np.ndarray:
    """x * Phi(x), Phi the normal distribution function; or its tanh approximation."""
    x = floating(x)
    if approximate == "tanh":
        return np.asarray(x * sigmoid(2 * math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))
    return x * (0.5 + 0.5 * erf(x / math.sqrt(2)))


def elu(x: np.ndarray, *, alpha: float = 1.0) -> np.ndarray:
    """x where positive, alpha * (exp(x) - 1) elsewhere."""
    x = floating(x)
    return np.asarray(np.maximum(x, 0) + alpha * np.expm1(np.minimum(x, 0)))


def selu(x: np.ndarray) -> np.ndarray:
    """scale * elu(x, alpha) with the constants of self-normalising networks."""
    return SELU_SCALE * elu(x, alpha=SELU_ALPHA)


def leaky_relu(x: np.ndarray, *, negative_slope: float = 0.01) -> np.ndarray:
    """x where positive, negative_slope * x elsewhere."""
    x = floating(x)
    return np.asarray(np.maximum(x, 0) + negative_slope * np.minimum(x, 0))


def prelu(x: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """leaky_relu with a learned slope for each channel (axis 1), or one for all."""
    if weight.ndim == 1 and x.ndim > 2:
        weight = np.expand_dims(weight, tuple(range(1, x.ndim - 1)))
    return np.asarray(np.maximum(x, 0) + weight * np.minimum(x, 0))


def hardsigmoid(x: np.ndarray) -> np.ndarray:
    """clip(x / 6 + 1/2, 0, 1)"""
    return np.clip(floating(x) / 6 + 0.5, 0, 1)


def hardswish(x: np.ndarray) -> np.ndarray:
    """x * hardsigmoid(x)"""
    return np.asarray(floating(x) * np.clip(floating(x) + 3, 0, 6) / 6)


def softplus(x: np.ndarray) -> np.ndarray:
    """log(1 + exp(x))"""
    x = floating(x)
    return np.asarray(np.logaddexp(x, x.dtype.type(0)))


def mish(x: np.ndarray) -> np.ndarray:
    """x * tanh(softplus(x))"""
    return np.asarray(floating(x) * np.tanh(softplus(x)))


def softmax(x: np.ndarray, *, axis: int = -1) -> np.ndarray:
    """exp(x) over its sum along an axis."""
    x = floating(x)
    powers = np.exp(x - np.max(x, axis, keepdims=True))
    return np.asarray(powers / np.sum(powers, axis, keepdims=True))


def log_softmax(x: np.ndarray, *, axis: int = -1) -> np.ndarray:
    """The logarithm of softmax."""
    x = floating(x)
    return x - np.logaddexp.reduce(x, axis, keepdims=True)


composite("relu", _relu, relu, [_TYPES, sample("int32[4]", low=-3, high=4)])
composite("relu6", _relu6, relu6, [_TYPES])
composite("silu", _silu, silu, [_TYPES])
composite("gelu", _gelu, gelu, [_TYPES, sample("float32[7]", approximate="tanh")])
composite("elu", _elu, elu, [_TYPES, sample("float32[7]", alpha=0.5)])
composite("selu", _selu, selu, [_TYPES])
composite("leaky_relu", _leaky_relu, leaky_relu,
          [_TYPES, sample("float32[7]", negative_slope=0.2)])
composite("prelu", _prelu, prelu, [sample("float32[2,3,4]", "float32[3]"),
                                   sample("float32[5]", "float32[1]")])
composite("hardsigmoid", _hardsigmoid, hardsigmoid, [_TYPES])
composite("hardswish", _hardswish, hardswish, [_TYPES])
composite("softplus", _softplus, softplus, [_TYPES, sample("float32[4]", low=-90, high=90)])
composite("mish", _mish, mish, [_TYPES])
composite("softmax", _softmax, softmax, [_TYPES, sample("float32[2,3,4]", axis=1)])
composite("log_softmax", _log_softmax, log_softmax, [_TYPES, sample("float32[2,3,4]", axis=0)])
