"""Activations, softmax, dropout."""

from __future__ import annotations

from typing import Any

import numpy as np

from transpile.frontends.onnx_ops import onnx_op
from transpile.frontends.onnx_values import Site, Tensor, f32
from transpile.frontends.tracer import apply
from transpile.ir.dims import product

_SELU_ALPHA, _SELU_GAMMA = 1.67326319217681884765625, 1.05070102214813232421875


onnx_op("Relu")(lambda n: apply("relu", n[0]) if n[0].dtype.kind == "f" else np.maximum(n[0], 0))
onnx_op("Sigmoid")(lambda n: apply("sigmoid", n[0]))
onnx_op("Softplus")(lambda n: apply("softplus", n[0]))
onnx_op("HardSwish")(lambda n: apply("hardswish", n[0]))
onnx_op("Mish")(lambda n: apply("mish", n[0]))
onnx_op("Softsign")(lambda n: n[0] / (f32(1) + np.abs(n[0])))


@onnx_op("LeakyRelu")
def leaky_relu(n: Site) -> Any:
    return apply("leaky_relu", n[0], negative_slope=n.attr("alpha", 0.01))


@onnx_op("PRelu")
def prelu(n: Site) -> Any:
    x, slope = n[0], n[1]
    if n.version < 7 and slope.ndim == 1 and slope.shape[0] != 1:
        slope = slope.reshape((*slope.shape, *(1,) * (x.ndim - 2)))
    return np.where(x < 0, slope * x, x)


@onnx_op("Elu")
def elu(n: Site) -> Any:
    return apply("elu", n[0], alpha=n.attr("alpha", 1.0))


@onnx_op("Celu")
def celu(n: Site) -> Any:
    x, alpha = n[0], f32(n.attr("alpha", 1.0))
    return np.maximum(x, f32(0)) + np.minimum(f32(0), alpha * np.expm1(x / alpha))


@onnx_op("Selu")
def selu(n: Site) -> Any:
    alpha, gamma = n.attr("alpha", _SELU_ALPHA), n.attr("gamma", _SELU_GAMMA)
    if n.version < 6:
        alpha, gamma = n.attr("alpha", 1.6732), n.attr("gamma", 1.0507)
    return apply("elu", n[0], alpha=alpha) * f32(gamma)


@onnx_op("ThresholdedRelu")
def thresholded_relu(n: Site) -> Any:
    return np.where(n[0] > f32(n.attr("alpha", 1.0)), n[0], f32(0))


@onnx_op("Gelu")
def gelu(n: Site) -> Any:
    return apply("gelu", n[0], approximate=n.attr("approximate", "none"))


@onnx_op("Swish")
def swish(n: Site) -> Any:
    return n[0] * apply("sigmoid", n[0] * f32(n.attr("alpha", 1.0)))


@onnx_op("HardSigmoid")
def hard_sigmoid(n: Site) -> Any:
    y = n[0] * f32(n.attr("alpha", 0.2)) + f32(n.attr("beta", 0.5))
    return np.clip(y, f32(0), f32(1))


def flattened(n: Site, x: Tensor, function: Any) -> Tensor:
    """Before opset 13 softmax and its kin work on all axes from `axis` (1) on together."""
    if n.version >= 13:
        return function(x, int(n.attr("axis", -1)) % x.ndim)
    axis = int(n.attr("axis", 1)) % x.ndim
    rows = x.reshape((product(x.shape[:axis]), product(x.shape[axis:])))
    return function(rows, 1).reshape(x.shape)


@onnx_op("Softmax")
def softmax(n: Site) -> Any:
    return flattened(n, n[0], lambda x, axis: apply("softmax", x, axis=axis))


@onnx_op("LogSoftmax")
def log_softmax(n: Site) -> Any:
    return flattened(n, n[0], lambda x, axis: apply("log_softmax", x, axis=axis))


@onnx_op("Hardmax")
def hardmax(n: Site) -> Any:
    def one_hot(x: Tensor, axis: int) -> Tensor:
        best = apply("argmax", x, axis=axis, keepdims=True)
        places = apply("iota", shape=x.shape, axis=axis, dtype="int32")
        return (places == best).astype(np.float32)
    return n[0] if 0 in n[0].shape else flattened(n, n[0], one_hot)


@onnx_op("Dropout")
def dropout(n: Site) -> Any:
    """At inference the identity, with a mask of ones."""
    if n.version >= 12 and n.has(2) and bool(n.array(2, "whether it trains").item()):
        ratio = n.array(1, "the ratio").item() if n.has(1) else 0.5
        if ratio:
            raise n.refuse("training mode draws random numbers")
    mask = apply("broadcast_to", np.bool_(True), shape=n[0].shape)
    return n[0], mask if n.version >= 10 else mask.astype(np.float32)
