"""Quantised operators of the domain com.microsoft: dequantise, compute, quantise again.

Their definitions: github.com/microsoft/onnxruntime, docs/ContribOperators.md.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from transpile.frontends.onnx_ops.activations import softmax
from transpile.frontends.onnx_ops.linear import scaled
from transpile.frontends.onnx_ops.microsoft import microsoft
from transpile.frontends.onnx_ops.pools import average_pool
from transpile.frontends.onnx_ops.quantised import (
    dequantize,
    dynamic_quantize,
    quantised,
    quantize,
)
from transpile.frontends.onnx_ops.recurrent import recurrent
from transpile.frontends.onnx_values import Known, Site, Tensor
from transpile.frontends.tracer import apply, cast
from transpile.ops.window import channels_first, channels_last

microsoft("QuantizeLinear")(quantize)
microsoft("DequantizeLinear")(dequantize)


def real(n: Site, index: int) -> Any:
    """An operand that is followed by its scale and its zero point."""
    return (cast(n[index], "float32") - _zero(n, index + 2)) * _number(n[index + 1])


def _number(x: Tensor) -> Any:
    return x.reshape(()) if x.ndim == 1 and x.shape[0] == 1 else x


def _zero(n: Site, index: int) -> Any:
    return cast(_number(n[index]), "float32") if n.has(index) else np.float32(0)


def again(n: Site, value: Any, scale: int) -> Any:
    """A result in the type of its zero point, which follows its scale, else of an operand."""
    has = n.has(scale + 1)
    elem = n.elems[scale + 1] if has else n.elems[0]
    return quantised(n, value / _number(n[scale]), _number(n[scale + 1]) if has else None, elem)


microsoft("QLinearAdd")(lambda n: again(n, real(n, 0) + real(n, 3), 6))
microsoft("QLinearMul")(lambda n: again(n, real(n, 0) * real(n, 3), 6))
microsoft("QLinearSigmoid")(lambda n: again(n, apply("sigmoid", real(n, 0)), 3))
microsoft("QLinearWhere")(lambda n: again(n, np.where(n[0], real(n, 1), real(n, 4)), 7))


@microsoft("QLinearLeakyRelu")
def leaky_relu(n: Site) -> Any:
    return again(n, apply("leaky_relu", real(n, 0), negative_slope=n.attr("alpha", 0.01)), 3)


def on_real(n: Site, builder: Callable[[Site], Any], **changes: Any) -> Any:
    """What a builder for floats makes of the dequantised operand."""
    return builder(replace(n, inputs=[real(n, 0)], elems=[0], **changes))


@microsoft("QLinearSoftmax")
def qlinear_softmax(n: Site) -> Any:
    return again(n, on_real(n, softmax, version=int(n.required("opset"))), 3)


@microsoft("QLinearAveragePool")
def pool(n: Site) -> Any:
    if n.attr("channels_last", 0):
        raise n.refuse("channels last are not supported")
    return again(n, on_real(n, average_pool), 3)


@microsoft("QLinearGlobalAveragePool")
def global_pool(n: Site) -> Any:
    last = bool(n.attr("channels_last", 0))
    x = channels_first(real(n, 0)) if last else real(n, 0)
    y = x.mean(axis=tuple(range(2, x.ndim)), keepdims=True)
    return again(n, channels_last(y) if last else y, 3)


@microsoft("QLinearReduceMean")
def reduce_mean(n: Site) -> Any:
    x = real(n, 0)
    axes = tuple(int(a) % x.ndim for a in n.attr("axes", range(x.ndim)))
    return again(n, x.mean(axis=axes, keepdims=bool(n.attr("keepdims", 1))), 3)


@microsoft("QLinearConcat")
def concat(n: Site) -> Any:
    parts = [real(n, k) for k in range(2, len(n), 3)]
    return again(n, np.concatenate(parts, axis=int(n.required("axis"))), 0)


@microsoft("QGemm")
def gemm(n: Site) -> Any:
    a, b = cast(n[0], "float32") - _zero(n, 2), cast(n[3], "float32")
    a, b = a.T if n.attr("transA", 0) else a, b.T if n.attr("transB", 0) else b
    y = a @ (b - _zero(n, 5))
    y = y + cast(n[6], "float32") if n.has(6) else y
    y = scaled(y * (_number(n[1]) * _number(n[4])), n.attr("alpha", 1.0))
    return again(n, y, 7) if n.has(7) else y


@microsoft("MatMulIntegerToFloat")
def matmul_to_float(n: Site) -> Any:
    a, b = cast(n[0], "float32") - _zero(n, 4), cast(n[1], "float32") - _zero(n, 5)
    y = (a @ b) * (_number(n[2]) * _number(n[3]))
    return y + n[6] if n.has(6) else y


@microsoft("DynamicQuantizeMatMul")
def dynamic_matmul(n: Site) -> Any:
    a, scale, zero = dynamic_quantize(n)
    b = cast(n[1], "float32") - _zero(n, 3)
    y = ((cast(a, "float32") - cast(zero, "float32")) @ b) * (scale * _number(n[2]))
    return y + n[4] if n.has(4) else y


@microsoft("DynamicQuantizeLSTM")
def dynamic_lstm(n: Site) -> Any:
    """The weights are dequantised, `[D, I, 4*H]`; activations stay float32, more exact."""
    def weights(index: int, scale: int) -> Any:
        each = [x.reshape((x.shape[0], 1, -1)) for x in (n[scale], n[scale + 1])]
        w = cast(n[index], "float32") - cast(each[1], "float32")
        return np.swapaxes(w * each[0], 1, 2)
    inputs = [n.inputs[0], weights(1, 8), weights(2, 10), *n.inputs[3:8]]
    return recurrent(replace(n, op="LSTM", inputs=inputs, elems=[0] * len(inputs)))


@microsoft("MatMulNBits")
def matmul_bits(n: Site) -> Any:
    """Weights `[N, K]` of a few bits each, in blocks with a scale and a zero point."""
    count, depth, bits, block = (int(n.required(k)) for k in ("N", "K", "bits", "block_size"))
    if n.has(4):
        raise n.refuse("an order of groups is not supported")
    codes = unpacked(n.array(1, "the weights").reshape(count, -1), bits)
    blocks = codes.shape[1] // block
    scales = n.array(2, "the scales").astype(np.float32).reshape(count, blocks, 1)
    zeros: Any = np.float32(1 << (bits - 1))
    if n.has(3):
        given = n.array(3, "the zero points").reshape(count, -1)
        given = unpacked(given, bits)[:, :blocks] if given.dtype == np.uint8 else given
        zeros = given.astype(np.float32)[:, :, None]
    weights = ((codes.reshape(count, blocks, block) - zeros) * scales).reshape(count, -1)
    name = n.inputs[1].name if isinstance(n.inputs[1], Known) else ""
    y = n[0] @ Known(np.ascontiguousarray(weights[:, :depth].T), name, True).tracer()
    return y + n[5] if n.has(5) else y


def unpacked(codes: np.ndarray, bits: int) -> np.ndarray:
    """Numbers of 2, 4 or 8 bits from the bytes of each row, the lowest bits first."""
    parts = [(codes >> k) & ((1 << bits) - 1) for k in range(0, 8, bits)]
    return np.stack(parts, axis=-1).reshape(codes.shape[0], -1).astype(np.float32)
