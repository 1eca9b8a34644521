"""Normalisations."""

from __future__ import annotations

from typing import Any

import numpy as np

from transpile.frontends.onnx_ops import onnx_op
from transpile.frontends.onnx_ops.pools import lp_norm
from transpile.frontends.onnx_values import Site, Tensor
from transpile.frontends.tracer import apply
from transpile.ops.window import channels_first, channels_last


def per_channel(x: Tensor, rank: int) -> Tensor:
    """`[C]` so that it broadcasts along axis 1 of a tensor of that rank."""
    return x.reshape((-1,) + (1,) * max(rank - 2, 0))


@onnx_op("BatchNormalization")
def batch_norm(n: Site) -> Any:
    x, scale, bias, mean, var = (n[i] for i in range(5))
    eps = n.attr("epsilon", 1e-5)
    if not n.attr("spatial", 1):  # before opset 9: statistics of each position
        return (x - mean) / np.sqrt(var + np.float32(eps)) * scale + bias
    if not n.attr("training_mode", 0):
        return apply("batch_norm", x, mean, var, scale, bias, eps=eps)
    axes = (0, *range(2, x.ndim))
    now_mean, now_var = x.mean(axis=axes), x.var(axis=axes)
    y = apply("batch_norm", x, now_mean, now_var, scale, bias, eps=eps)
    keep = np.float32(n.attr("momentum", 0.9))
    rest = np.float32(1) - keep
    return y, mean * keep + now_mean * rest, var * keep + now_var * rest


@onnx_op("InstanceNormalization")
def instance_norm(n: Site) -> Any:
    return apply("instance_norm", n[0], n[1], n[2], eps=n.attr("epsilon", 1e-5))


@onnx_op("LayerNormalization")
def layer_norm(n: Site) -> Any:
    x, scale, bias = n[0], n[1], n.get(2)
    eps, first = n.attr("epsilon", 1e-5), int(n.attr("axis", -1)) % x.ndim
    axes = tuple(range(first, x.ndim))
    operands = [x, scale] if bias is None else [x, scale, bias]
    y = apply("layer_norm", *operands, axes=axes, eps=eps)
    if not (n.wants(1) or n.wants(2)):
        return y
    mean = x.mean(axis=axes, keepdims=True)
    centred = x - mean
    variance = (centred * centred).mean(axis=axes, keepdims=True)
    return y, mean, np.float32(1) / np.sqrt(variance + np.float32(eps))


@onnx_op("RMSNormalization")
def rms_norm(n: Site) -> Any:
    x = n[0]
    axes = tuple(range(int(n.attr("axis", -1)) % x.ndim, x.ndim))
    return apply("rms_norm", x, n[1], axes=axes, eps=n.attr("epsilon", 1e-5))


@onnx_op("GroupNormalization", since=18)
def group_norm(n: Site) -> Any:
    """Before opset 21 scale and bias have one element for each group."""
    x, groups = n[0], int(n.required("num_groups"))
    scale, bias = n[1], n[2]
    if scale.shape != (x.shape[1],):
        scale, bias = (np.repeat(v, x.shape[1] // groups) for v in (scale, bias))
    return apply("group_norm", x, scale, bias, groups=groups, eps=n.attr("epsilon", 1e-5))


@onnx_op("MeanVarianceNormalization")
def mean_variance(n: Site) -> Any:
    x = n[0]
    axes = tuple(int(a) % x.ndim for a in n.attr("axes", (0, 2, 3)))
    if "axes" not in n.attrs and n.attr("across_channels", 0):
        axes = (0, 1, 2, 3)
    mean = x.mean(axis=axes, keepdims=True)
    deviation = np.sqrt((x * x).mean(axis=axes, keepdims=True) - mean * mean)
    return (x - mean) / (deviation + np.float32(1e-9))


@onnx_op("LpNormalization")
def lp_normalise(n: Site) -> Any:
    x = n[0]
    norm = lp_norm(x, n.attr("p", 2), (int(n.attr("axis", -1)) % x.ndim,))
    return np.where(norm == np.float32(0), np.float32(0), x / norm)


@onnx_op("LRN")
def local_response(n: Site) -> Any:
    """x / (bias + alpha/size * sum of squares over near channels)^beta (AlexNet, 2012)."""
    x, size = n[0], int(n.required("size"))
    before, after = (size - 1) // 2, size - 1 - (size - 1) // 2
    columns = x.reshape((x.shape[0], x.shape[1], -1))
    square = channels_last(columns * columns)
    # The window slides over the channels: they take the place of the spatial axis.
    lanes = apply("pad", square.transpose((0, 2, 1)), low=(0, before, 0), high=(0, after, 0),
                  mode="constant", value=0.0)
    total = apply("window_sum", lanes, window=(size,), stride=(1,), dilation=(1,))
    near = channels_first(total.transpose((0, 2, 1))).reshape(x.shape)
    scale = np.float32(n.attr("alpha", 1e-4) / size)
    base = near * scale + np.float32(n.attr("bias", 1.0))
    return x / np.power(base, np.float32(n.attr("beta", 0.75)))
