"""Arithmetic, comparison and bit operators, and functions of one number."""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce
from typing import Any

import numpy as np

from transpile.frontends.onnx_ops import onnx_op
from transpile.frontends.onnx_protos import inner_dtype
from transpile.frontends.onnx_values import Site, Tensor
from transpile.frontends.tracer import apply, cast

UNARY: dict[str, Callable[[Any], Any]] = {
    "Abs": np.abs, "Neg": np.negative, "Sqrt": np.sqrt, "Exp": np.exp, "Log": np.log,
    "Sign": np.sign, "Floor": np.floor, "Ceil": np.ceil, "Round": np.rint, "Sin": np.sin,
    "Cos": np.cos, "Tan": np.tan, "Asin": np.arcsin, "Acos": np.arccos, "Atan": np.arctan,
    "Sinh": np.sinh, "Cosh": np.cosh, "Asinh": np.arcsinh, "Acosh": np.arccosh,
    "Atanh": np.arctanh, "Tanh": np.tanh, "IsNaN": np.isnan, "Not": np.logical_not,
    "BitwiseNot": np.invert}
BINARY: dict[str, Callable[[Any, Any], Any]] = {
    "Add": np.add, "Sub": np.subtract, "Mul": np.multiply, "And": np.logical_and,
    "Or": np.logical_or, "Xor": np.logical_xor, "Equal": np.equal, "Greater": np.greater,
    "GreaterOrEqual": np.greater_equal, "Less": np.less, "LessOrEqual": np.less_equal,
    "BitwiseAnd": np.bitwise_and, "BitwiseOr": np.bitwise_or, "BitwiseXor": np.bitwise_xor}
VARIADIC: dict[str, Callable[[Any, Any], Any]] = {
    "Max": np.maximum, "Min": np.minimum, "Sum": np.add}


def aligned(n: Site, a: Tensor, b: Tensor) -> Tensor:
    """The second operand, broadcast as opsets before 7 say: from `axis` on."""
    if n.version >= 7 or not n.attr("broadcast", 0) or b.ndim == 0:
        return b
    axis = n.attr("axis")
    start = a.ndim - b.ndim if axis is None else int(axis) % a.ndim
    return b.reshape((*b.shape, *(1,) * (a.ndim - start - b.ndim)))


def _unary(function: Callable[[Any], Any]) -> Callable[[Site], Any]:
    return lambda n: function(n[0])


def _binary(function: Callable[[Any, Any], Any]) -> Callable[[Site], Any]:
    return lambda n: function(n[0], aligned(n, n[0], n[1]))


def _variadic(function: Callable[[Any, Any], Any]) -> Callable[[Site], Any]:
    return lambda n: reduce(function, n.all())


for _name, _function in UNARY.items():
    onnx_op(_name)(_unary(_function))
for _name, _pair in BINARY.items():
    onnx_op(_name)(_binary(_pair))
for _name, _pair in VARIADIC.items():
    onnx_op(_name)(_variadic(_pair))
onnx_op("Erf")(lambda n: apply("erf", n[0]))


@onnx_op("Mean")
def mean(n: Site) -> Any:
    return reduce(np.add, n.all()) / np.float32(len(n))


@onnx_op("Reciprocal")
def reciprocal(n: Site) -> Any:
    return np.float32(1) / n[0]


def truncated_quotient(a: Tensor, b: Tensor) -> Any:
    """Division of integers as C has it: the quotient rounds towards zero."""
    return (a - apply("fmod", a, b)) // b


@onnx_op("Div")
def div(n: Site) -> Any:
    a, b = n[0], n[1]
    b = aligned(n, a, b)
    integers = a.dtype.kind in "iub" and b.dtype.kind in "iub"
    return truncated_quotient(a, b) if integers else a / b


@onnx_op("Mod")
def mod(n: Site) -> Any:
    return apply("fmod" if n.attr("fmod", 0) else "mod", n[0], n[1])


@onnx_op("Pow")
def power(n: Site) -> Any:
    """The result has the base's type."""
    base, exponent = n[0], aligned(n, n[0], n[1])
    result = np.power(base, exponent)
    return cast(result, base.node.dtype)


@onnx_op("BitShift")
def bit_shift(n: Site) -> Any:
    """Shifts by the width or more, and by negative amounts, leave nothing but the sign."""
    x, count, left = n[0], n[1], n.required("direction") == "LEFT"
    width = 8 if x.dtype == np.uint8 else 32
    inside = (count >= 0) & (count < width)
    near = np.where(inside, count, 0)
    if left:
        return np.where(inside, np.left_shift(x, near), np.zeros((), x.dtype))
    return np.where(inside, np.right_shift(x, near), np.where(x < 0, -1, 0).astype(x.dtype))


@onnx_op("IsInf")
def is_inf(n: Site) -> Any:
    x = n[0]
    if not n.attr("detect_negative", 1):
        return x == np.float32(np.inf) if n.attr("detect_positive", 1) else np.isinf(x) & np.False_
    return np.isinf(x) if n.attr("detect_positive", 1) else x == np.float32(-np.inf)


@onnx_op("Where")
def where(n: Site) -> Any:
    return np.where(n[0], n[1], n[2])


@onnx_op("Clip")
def clip_attributes(n: Site) -> Any:
    low, high = n.attr("min"), n.attr("max")
    x = n[0] if low is None else np.maximum(n[0], np.float32(low))
    return x if high is None else np.minimum(x, np.float32(high))


@onnx_op("Clip", since=11)
def clip(n: Site) -> Any:
    x = n[0] if not n.has(1) else np.maximum(n[0], n[1])
    return x if not n.has(2) else np.minimum(x, n[2])


@onnx_op("Cast")
def cast_to(n: Site) -> Any:
    target = n.attr("to", 1)
    if isinstance(target, str):
        from onnx import TensorProto
        target = TensorProto.DataType.Value(target)
    return cast(n[0], inner_dtype(target, "the result of Cast"))


@onnx_op("CastLike")
def cast_like(n: Site) -> Any:
    return cast(n[0], inner_dtype(n.elems[1], "the result of CastLike"))


@onnx_op("Shrink")
def shrink(n: Site) -> Any:
    x, lambd, bias = n[0], np.float32(n.attr("lambd", 0.5)), np.float32(n.attr("bias", 0.0))
    kept = np.where(x > lambd, x - bias, np.float32(0))
    return cast(np.where(x < -lambd, x + bias, kept), x.node.dtype)
