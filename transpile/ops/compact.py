"""Weights in fewer bytes, and the operators that expand them again when a module loads.

float16 is stored as two planes of bytes, the high and the low half of every number: bytes need no
dtype of their own in the IR, and planes compress better. int8 is symmetric with one scale for each
index of one axis (Jacob et al., arXiv 1712.05877, section 2.1, without a zero point); a byte holds
the integer plus 128.
"""

from __future__ import annotations

import numpy as np

from transpile.errors import ShapeError
from transpile.ir.dims import Dim
from transpile.ir.types import TensorType, broadcast
from transpile.lower.expr import Expr, call, cast
from transpile.ops.elementwise import broadcast_index
from transpile.ops.registry import Accessor, Idx, Op, Pointwise, register, sample

OFFSET = 128
"""What is added to an int8 so that it is a byte."""

EXPANSIONS = frozenset({"expand_half", "expand_int8"})
"""The operators of this file: they run at load, or inside the gather that alone reads them."""


def _infer_half(high: TensorType, low: TensorType) -> TensorType:
    if {high.dtype, low.dtype} != {"uint8"}:
        raise ShapeError(f"expand_half of {high} and {low}", why="both are uint8")
    return TensorType("float32", broadcast(high.shape, low.shape))


def expand_half(high: np.ndarray, low: np.ndarray) -> np.ndarray:
    """The float32 numbers whose IEEE half precision has these bytes; finite ones only."""
    bits = high.astype(np.uint16) << 8 | low
    numbers: np.ndarray = bits.view(np.float16).astype(np.float32)
    return numbers


def _half_at(index: Idx, high: Accessor, low: Accessor) -> Expr:
    upper, lower = (cast(plane(*broadcast_index(index, _shape(plane))), "int32")
                    for plane in (high, low))
    return call("from_half", call("bitwise_or", call("shift_left", upper, 8), lower))


def halves(value: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The high and low bytes of `value` in half precision, rounded to nearest."""
    with np.errstate(over="ignore"):
        bits = value.astype(np.float16).view(np.uint16)
    return (bits >> 8).astype(np.uint8), (bits & 255).astype(np.uint8)


def _infer_int8(stored: TensorType, scale: TensorType) -> TensorType:
    if stored.dtype != "uint8" or scale.dtype != "float32" or broadcast(
            stored.shape, scale.shape) != stored.shape:
        raise ShapeError(f"expand_int8 of {stored} by {scale}",
                         why="it takes uint8 and float32 scales that broadcast to its shape")
    return stored.with_dtype("float32")


def expand_int8(stored: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """`(stored - 128) * scale`."""
    result: np.ndarray = (stored.astype(np.int32) - OFFSET).astype(scale.dtype) * scale
    return result


def _int8_at(index: Idx, stored: Accessor, scale: Accessor) -> Expr:
    whole = call("sub", cast(stored(*index), "int32"), OFFSET)
    factor = scale(*broadcast_index(index, _shape(scale)))
    return call("mul", cast(whole, "float32"), factor)


def _shape(operand: Accessor) -> tuple[Dim, ...]:
    return operand.type.shape


def quantised(value: np.ndarray, axis: int) -> tuple[np.ndarray, np.ndarray]:
    """`value` as bytes, and its scales, of shape 1 on every axis but `axis`.

    The largest magnitude along the other axes becomes 127; a channel of zeros has the scale 1.
    """
    others = tuple(i for i in range(value.ndim) if i != axis % value.ndim)
    largest = np.abs(value).max(axis=others, keepdims=True)
    scale = np.where(largest > 0, largest / 127, 1).astype(np.float32)
    whole = np.clip(np.rint(value / scale), -127, 127)
    return (whole + OFFSET).astype(np.uint8), scale


register(Op("expand_half", _infer_half, expand_half, Pointwise(_half_at), (
    sample("uint8[3,5]", "uint8[3,5]", high=124), sample("uint8[7]", "uint8[7]", high=4),
    sample("uint8[1,9]", "uint8[1,9]", high=124), sample("uint8[64]", "uint8[64]", high=124))))
register(Op("expand_int8", _infer_int8, expand_int8, Pointwise(_int8_at), (
    sample("uint8[3,5]", "float32[1,5]", high=256), sample("uint8[4,3]", "float32[4,1]", high=256),
    sample("uint8[2,1,16]", "float32[16]", high=256))))
