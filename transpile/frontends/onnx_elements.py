"""ONNX element types of values: inside there are four dtypes, and ONNX has twenty.

The difference shows in three places: a cast or a sum of 8 or 16 bit integers wraps around,
functions are chosen by type, and a known int64 is exact.
"""

from __future__ import annotations

import numpy as np

from transpile.frontends import onnx_protos as protos
from transpile.frontends.onnx_values import Known, Site, Value
from transpile.frontends.tracer import Tracer, apply

_BY_DTYPE = {"float32": protos.FLOAT, "int32": protos.INT64, "uint8": protos.UINT8,
             "bool": protos.BOOL, "object": protos.INT64, "int64": protos.INT64,
             "float64": protos.DOUBLE, "int8": protos.INT8, "int16": protos.INT16,
             "uint16": protos.UINT16, "uint32": protos.UINT32, "uint64": protos.UINT64}

WRAPPING = {protos.INT8: (24, "signed"), protos.INT16: (16, "signed"),
            protos.UINT16: (16, "unsigned")}
"""Integer types that are wider inside: how many of the 32 bits are surplus."""

ARITHMETIC = {"Add", "Sub", "Mul", "Div", "Neg", "Abs", "Pow", "Cast", "CastLike", "BitShift",
              "BitwiseNot", "Sum", "CumSum", "CumProd", "ReduceSum", "ReduceProd"}
"""Operators whose result may leave the range of their type."""


def dtype_of(value: Value) -> str:
    """The name of the dtype of a tensor's elements as held during import."""
    if isinstance(value, Known):
        return str(value.array.dtype.name)
    return value.node.dtype if isinstance(value, Tracer) else ""


def default_elem(value: Value) -> int:
    """The element type that a value has if nothing says otherwise."""
    return _BY_DTYPE.get(dtype_of(value), 0)


def result_elem(site: Site, value: Value, index: int) -> int:
    """The element type of a result: of a cast its target, else that of an operand like it."""
    if site.op == "Cast":
        return int(site.attr("to", protos.FLOAT))
    if site.op == "CastLike" and len(site.elems) > 1:
        return site.elems[1]
    own = default_elem(value)
    inner = protos.INNER.get(own)
    if site.op in ("Shape", "Size", "ArgMax", "ArgMin", "NonZero") or index > 0:
        return own
    alike = [e for e in site.elems if e and protos.INNER.get(e) == inner]
    return alike[0] if alike else own


def narrowed(value: Tracer, elem: int, site: Site) -> Tracer:
    """The result of integer arithmetic, wrapped to the width of its ONNX type."""
    if elem not in WRAPPING or site.op not in ARITHMETIC or value.node.dtype != "int32":
        return value
    surplus, kind = WRAPPING[elem]
    if kind == "unsigned":
        return apply("bitwise_and", value, np.int32((1 << (32 - surplus)) - 1))
    shifted = apply("shift_left", value, np.int32(surplus))
    return apply("shift_right", shifted, np.int32(surplus))
