"""Normalisations, with the channel at axis 1 where PyTorch has it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from transpile.ops.composite import Value, as_float, composite, floating, normalise_axes, static
from transpile.ops.registry import sample


def _centre_scale(x: Value, axes: tuple[int, ...], eps: float) -> Value:
    centred = x - x.mean(axis=axes, keepdims=True)
    return centred / np.sqrt((centred * centred).mean(axis=axes, keepdims=True) + eps)


def _affine(x: Value, weight: Value | None, bias: Value | None) -> Value:
    x = x if weight is None else x * weight
    return x if bias is None else x + bias


def _per_channel(value: Value | None, rank: int) -> Value | None:
    """`[C]` as `[C, 1, ...]`, which broadcasts along axis 1 of a tensor of that rank."""
    return None if value is None else value.reshape((-1,) + (1,) * (rank - 2))


def _layer_norm(x: Value, weight: Value | None = None, bias: Value | None = None, *,
                axes: int | Sequence[int] = -1, eps: float = 1e-5) -> Value:
    return _affine(_centre_scale(x, normalise_axes(axes, x.ndim), eps), weight, bias)


def _rms_norm(x: Value, weight: Value | None = None, *, axes: int | Sequence[int] = -1,
              eps: float = 1e-6) -> Value:
    x = as_float(x)
    power = (x * x).mean(axis=normalise_axes(axes, x.ndim), keepdims=True)
    return _affine(x / np.sqrt(power + eps), weight, None)


def _group_norm(x: Value, weight: Value | None = None, bias: Value | None = None, *,
                groups: int, eps: float = 1e-5) -> Value:
    channels = static(x.shape[1], "group_norm") // groups
    split = x.reshape((x.shape[0], groups, channels, *x.shape[2:]))
    y = _centre_scale(split, tuple(range(2, x.ndim + 1)), eps).reshape(x.shape)
    return _affine(y, _per_channel(weight, x.ndim), _per_channel(bias, x.ndim))


def _instance_norm(x: Value, weight: Value | None = None, bias: Value | None = None, *,
                   eps: float = 1e-5) -> Value:
    y = _centre_scale(x, tuple(range(2, x.ndim)), eps)
    return _affine(y, _per_channel(weight, x.ndim), _per_channel(bias, x.ndim))


def _batch_norm(x: Value, mean: Value, var: Value, weight: Value | None = None,
                bias: Value | None = None, *, eps: float = 1e-5) -> Value:
    # scale and shift are constants at inference, so that a pass can move them into a convolution.
    scale = 1 / np.sqrt(var + eps)
    scale = scale if weight is None else weight * scale
    shift = -mean * scale if bias is None else bias - mean * scale
    return x * _per_channel(scale, x.ndim) + _per_channel(shift, x.ndim)


def _normalised(x: np.ndarray, axes: tuple[int, ...], eps: float) -> np.ndarray:
    return np.asarray((x - x.mean(axes, keepdims=True)) / np.sqrt(x.var(axes, keepdims=True) + eps))


def _along_channel(x: np.ndarray, weight: np.ndarray | None,
                   bias: np.ndarray | None) -> np.ndarray:
    y = np.moveaxis(x, 1, -1)
    y = y if weight is None else y * weight
    y = y if bias is None else y + bias
    return np.moveaxis(y, -1, 1)


def layer_norm(x: np.ndarray, weight: np.ndarray | None = None, bias: np.ndarray | None = None,
               *, axes: int | Sequence[int] = -1, eps: float = 1e-5) -> np.ndarray:
    """(x - mean) / sqrt(var + eps) over axes, then weight and bias."""
    x = floating(x)
    y = _normalised(x, normalise_axes(axes, x.ndim), eps)
    y = y if weight is None else y * weight
    return y if bias is None else y + bias


def rms_norm(x: np.ndarray, weight: np.ndarray | None = None, *,
             axes: int | Sequence[int] = -1, eps: float = 1e-6) -> np.ndarray:
    """x / sqrt(mean(x^2) + eps) over axes, then weight."""
    x = floating(x)
    y = x / np.sqrt(np.mean(np.square(x), normalise_axes(axes, x.ndim), keepdims=True) + eps)
    return np.asarray(y if weight is None else y * weight)


def group_norm(x: np.ndarray, weight: np.ndarray | None = None, bias: np.ndarray | None = None,
               *, groups: int, eps: float = 1e-5) -> np.ndarray:
    """Layer norm over each group of channels (axis 1), then weight and bias per channel."""
    x = floating(x)
    parts = [_normalised(part, tuple(range(1, x.ndim)), eps)
             for part in np.split(x, groups, axis=1)]
    return _along_channel(np.concatenate(parts, axis=1), weight, bias)


def instance_norm(x: np.ndarray, weight: np.ndarray | None = None,
                  bias: np.ndarray | None = None, *, eps: float = 1e-5) -> np.ndarray:
    """Normalise each channel of each sample over its positions, then weight and bias."""
    x = floating(x)
    return _along_channel(_normalised(x, tuple(range(2, x.ndim)), eps), weight, bias)


def batch_norm(x: np.ndarray, mean: np.ndarray, var: np.ndarray,
               weight: np.ndarray | None = None, bias: np.ndarray | None = None, *,
               eps: float = 1e-5) -> np.ndarray:
    """(x - mean) / sqrt(var + eps) per channel (axis 1), then weight and bias."""
    x = floating(x)
    y = (np.moveaxis(x, 1, -1) - mean) / np.sqrt(var.astype(x.dtype) + eps)
    return _along_channel(np.moveaxis(y, -1, 1), weight, bias)


composite("layer_norm", _layer_norm, layer_norm, [
    sample("float32[3,5]"), sample("float32[2,3,4]", "float32[4]", "float32[4]"),
    sample("float32[2,3,4]", "float32[3,4]", axes=(1, 2), eps=1e-3),
    sample("float32[3,5]", "float32[5]", operands=("bias",))])
composite("rms_norm", _rms_norm, rms_norm, [
    sample("float32[3,5]"), sample("float32[2,3,4]", "float32[4]", eps=1e-5)])
composite("group_norm", _group_norm, group_norm, [
    sample("float32[2,4,3]", groups=2),
    sample("float32[2,6,3,2]", "float32[6]", "float32[6]", groups=3)])
composite("instance_norm", _instance_norm, instance_norm, [
    sample("float32[2,3,5]"), sample("float32[2,3,4,2]", "float32[3]", "float32[3]")])
composite("batch_norm", _batch_norm, batch_norm, [
    sample("float32[4,3]", "float32[3]", "float32[3]", low=0.1),
    sample("float32[2,3,4,5]", *["float32[3]"] * 4, low=0.1),
    sample("float32[2,3,4]", *["float32[3]"] * 3, operands=("bias",), low=0.1)])
