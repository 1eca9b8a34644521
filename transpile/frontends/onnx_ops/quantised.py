"""Quantised operators: integers with a scale and a zero point, computed in int32 or float32."""

from __future__ import annotations

from typing import Any

import numpy as np

from transpile.frontends import onnx_protos as protos
from transpile.frontends.onnx_ops import onnx_op
from transpile.frontends.onnx_ops.linear import convolved
from transpile.frontends.onnx_values import Site, Tensor
from transpile.frontends.tracer import cast

RANGES = {protos.UINT8: (0, 255), protos.INT8: (-128, 127), protos.UINT16: (0, 65535),
          protos.INT16: (-32768, 32767)}


def along(n: Site, value: Tensor, x: Tensor) -> Any:
    """A scale or zero point for each slice along `axis`, or for each block of it."""
    if value.ndim == 0 or value.shape == (1,):
        return value.reshape(())
    axis, block = int(n.attr("axis", 1)) % x.ndim, int(n.attr("block_size", 0))
    if value.ndim == 1:
        return value.reshape((-1,) + (1,) * (x.ndim - 1 - axis))
    wide = np.repeat(value, block, axis=axis)
    return wide[tuple(slice(0, d) for d in x.shape)]


def quantised(n: Site, real: Any, zero: Any, elem: int) -> Tensor:
    """Rounded half to even, moved by the zero point, and cut to the range of the type."""
    if elem not in RANGES:
        raise n.refuse(f"the quantised type {protos.elem_name(elem)} is not supported")
    low, high = RANGES[elem]
    moved = np.rint(real) if zero is None else np.rint(real) + cast(zero, "float32")
    result = cast(np.clip(moved, np.float32(low), np.float32(high)), protos.INNER[elem])
    n.importer.note(result, elem)
    return result


def target(n: Site, index: int) -> int:
    """The quantised type: that of the zero point, else the attribute, else uint8."""
    if n.has(index):
        return n.elems[index]
    return int(n.attr("output_dtype", 0)) or protos.UINT8


@onnx_op("QuantizeLinear")
def quantize(n: Site) -> Any:
    x = cast(n[0], "float32")
    zero = along(n, n[2], x) if n.has(2) else None
    return quantised(n, x / along(n, n[1], x), zero, target(n, 2))


@onnx_op("DequantizeLinear")
def dequantize(n: Site) -> Any:
    x = n[0]
    return centred(n, 0, 2, x) * along(n, n[1], x)


def centred(n: Site, index: int, zero: int, like: Tensor | None = None) -> Any:
    """An operand less its zero point, as float32."""
    x = cast(n[index], "float32")
    if not n.has(zero):
        return x
    point = n[zero]
    return x - cast(along(n, point, x) if like is not None else point, "float32")


@onnx_op("DynamicQuantizeLinear")
def dynamic_quantize(n: Site) -> Any:
    x = n[0]
    low, high = np.minimum(x.min(), np.float32(0)), np.maximum(x.max(), np.float32(0))
    scale = (high - low) / np.float32(255)
    safe = np.where(scale == np.float32(0), np.float32(1), scale)
    zero = np.clip(np.rint(-low / safe), np.float32(0), np.float32(255))
    return quantised(n, x / safe, zero, protos.UINT8), safe, cast(zero, "uint8")


def _rows(n: Site, index: int) -> Any:
    """A zero point for each row of the left operand."""
    zero = cast(n[index], "float32")
    return zero if zero.ndim == 0 else zero[..., None] if zero.shape != (1,) else zero.reshape(())


@onnx_op("MatMulInteger")
def matmul_integer(n: Site) -> Any:
    a, b = cast(n[0], "float32"), centred(n, 1, 3)
    a = a - _rows(n, 2) if n.has(2) else a
    result = cast(a @ b, "int32")
    n.importer.note(result, protos.INT32)
    return result


@onnx_op("QLinearMatMul")
def qlinear_matmul(n: Site) -> Any:
    a = (cast(n[0], "float32") - _column(n[2])) * _column(n[1])
    b = (cast(n[3], "float32") - cast(n[5], "float32")) * n[4]
    return quantised(n, (a @ b) / n[6], n[7], n.elems[7])


def _column(value: Tensor) -> Any:
    value = cast(value, "float32")
    return value if value.ndim == 0 or value.shape == (1,) else np.expand_dims(value, -1) if (
        value.ndim == 1) else value


@onnx_op("ConvInteger")
def conv_integer(n: Site) -> Any:
    x, weight = centred(n, 0, 2), cast(n[1], "float32")
    weight = weight if not n.has(3) else weight - _per_output(n[3], weight)
    result = cast(convolved(n, x, weight, None), "int32")
    n.importer.note(result, protos.INT32)
    return result


def _per_output(value: Tensor, weight: Tensor) -> Any:
    value = cast(value, "float32")
    return value.reshape((-1,) + (1,) * (weight.ndim - 1)) if value.ndim else value


@onnx_op("QLinearConv")
def qlinear_conv(n: Site) -> Any:
    x = (cast(n[0], "float32") - cast(n[2], "float32")) * n[1]
    weight = (cast(n[3], "float32") - _per_output(n[5], n[3])) * _per_output(n[4], n[3])
    bias = cast(n[8], "float32") * n[1] * n[4] if n.has(8) else None
    return quantised(n, convolved(n, x, weight, bias) / n[6], n[7], n.elems[7])
