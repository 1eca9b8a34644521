"""Elementwise ops: one row each, with NumPy's broadcasting.

A row names the dtype rule, the NumPy function, and the samples. The scalar function has the
op's own name in `lower/scalar.py`; where operands and result are bool, arithmetic and bit
operations turn into logical ones, as they do in NumPy.
"""

# ruff: noqa: ARG001 - the callables of one op all take all of its attributes
from __future__ import annotations

import importlib.util
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from transpile.errors import ShapeError
from transpile.ir.dims import Dim
from transpile.ir.types import DTYPES, TensorType, broadcast, promote
from transpile.lower.expr import Const, Expr, call, cast
from transpile.lower.polynomials_more import power_reference
from transpile.ops.registry import Accessor, Idx, Op, Pointwise, Sample, register, sample

BOOLEAN = {"add": "logical_or", "mul": "logical_and", "maximum": "logical_or",
           "minimum": "logical_and", "bitwise_and": "logical_and", "bitwise_or": "logical_or",
           "bitwise_xor": "logical_xor", "bitwise_not": "logical_not", "equal": "equal",
           "not_equal": "not_equal", "less": "less", "less_equal": "less_equal",
           "greater": "greater", "greater_equal": "greater_equal"}
"""What an op means where all its operands are bool; any other takes no bool."""


def broadcast_index(index: Idx, shape: tuple[Dim, ...]) -> Idx:
    """The index into an operand of `shape` that meets `index` by right-aligned broadcasting."""
    tail = index[len(index) - len(shape):]
    return tuple(0 if size == 1 else i for i, size in zip(tail, shape, strict=True))


# Dtype rules: from the operands' dtypes to the dtype computed in. The result has it too, except
# after a comparison.

def _numeric(name: str, *dtypes: str) -> str:
    """The common dtype; bool only where NumPy gives the op a meaning on it."""
    kind = promote(*dtypes)
    if kind == "bool" and name not in BOOLEAN:
        raise ShapeError(f"{name} is not defined for bool", fix="cast an operand to int32 first")
    return kind


def _floating(name: str, *dtypes: str) -> str:
    """float32, whatever the operands are."""
    return "float32"


def _integer(name: str, *dtypes: str) -> str:
    """The common dtype, which must be an integer one."""
    kind = promote(*dtypes)
    if kind == "float32":
        raise ShapeError(f"{name} is not defined for float32", fix="cast to int32 first")
    return _numeric(name, *dtypes)


def _logical(name: str, *dtypes: str) -> str:
    """bool: every operand counts as true where it is not zero."""
    return "bool"


def _any(name: str, *dtypes: str) -> str:
    """The common dtype, bool included."""
    return promote(*dtypes)


Rule = Callable[..., str]


def array_dtype(rule: Rule, name: str, *arrays: np.ndarray) -> np.dtype[Any]:
    """The dtype that a reference computes in: the rule's, but float64 stays float64."""
    wide = any(a.dtype == np.float64 for a in arrays)
    kind = rule(name, *("float32" if a.dtype == np.float64 else a.dtype.name for a in arrays))
    return np.dtype("float64" if wide and kind == "float32" else kind)


def elementwise(name: str, function: Callable[..., Any], rule: Rule, *samples: Sample,
                result: str = "", integer: str = "") -> Op:
    """Register a "map" op.

    Args:
        function: the NumPy function; it sees operands of one dtype.
        rule: the dtype that operands are converted to, and that the result has.
        result: the result's dtype where it is another ("bool" for comparisons).
        integer: what the op is on integers, if trivial: "same" (floor) or "false" (isnan).
    """
    def infer(*types: TensorType) -> TensorType:
        kind = rule(name, *(t.dtype for t in types))
        return TensorType(result or kind, broadcast(*(t.shape for t in types)))

    def reference(*arrays: np.ndarray) -> np.ndarray:
        arrays = tuple(map(np.asarray, arrays))
        kind = array_dtype(rule, name, *arrays)
        with np.errstate(all="ignore"):
            value = function(*(a.astype(kind, copy=False) for a in arrays))
        return np.asarray(value, result or kind)

    def at(index: Idx, *operands: Accessor) -> Expr:
        kind = rule(name, *(x.type.dtype for x in operands))
        values = [cast(x(*broadcast_index(index, x.type.shape)), kind) for x in operands]
        if integer and kind != "float32":
            return values[0] if integer == "same" else Const(False, "bool")
        if kind == "uint8" and not result:  # wraps only where it is cast back
            return cast(call(name, *(cast(v, "int32") for v in values)), kind)
        return call(BOOLEAN[name] if kind == "bool" and name in BOOLEAN else name, *values)

    reference.__doc__ = _first_sentence(function)
    return register(Op(name, infer, reference, Pointwise(at), samples))


def _first_sentence(function: Callable[..., Any]) -> str:
    """What a function does, from its docstring; a ufunc's begins with its signature."""
    paragraphs = (function.__doc__ or "").strip().split("\n\n")
    return " ".join(paragraphs[isinstance(function, np.ufunc)].split())


# What NumPy lacks.

_erf = np.frompyfunc(math.erf, 1, 1)

MANY = 1 << 14
"""Elements from which importing SciPy takes less time than calling a Python function for each."""


def erf(x: np.ndarray) -> np.ndarray:
    """The error function, `2/sqrt(pi) * integral of exp(-t*t) from 0 to x`."""
    if x.size > MANY and importlib.util.find_spec("scipy"):
        from scipy.special import erf as vectorised  # type: ignore[import-untyped]
        return np.asarray(vectorised(x), dtype=x.dtype)
    return np.asarray(_erf(x), dtype=x.dtype)


def sigmoid(x: np.ndarray) -> np.ndarray:
    """The logistic function `1 / (1 + exp(-x))`, without overflow."""
    small = np.exp(-np.abs(x))
    value: np.ndarray = np.where(x >= 0, 1, small) / (1 + small)
    return value


def rsqrt(x: np.ndarray) -> np.ndarray:
    """`1 / sqrt(x)`."""
    return np.asarray(1 / np.sqrt(x))


def _pairs(*dtypes: str, low: float = -2, high: float = 2) -> tuple[Sample, ...]:
    """Two operands: equal shapes, broadcasting both ways, ragged sizes, a scalar."""
    shapes = (("3,5", "3,5"), ("7,1,3", "5,1"), ("1", "7"), ("2,3", ""))
    return tuple(sample(f"{d}[{a}]", f"{d}[{b}]", low=low, high=high)
                 for d in dtypes for a, b in shapes)


def _single(*dtypes: str, low: float = -2, high: float = 2) -> tuple[Sample, ...]:
    return tuple(sample(f"{d}[{s}]", low=low, high=high)
                 for d in dtypes for s in ("3,5", "7", "1,1,3", ""))


def _rows(*rows: tuple[str, Callable[..., Any]]) -> tuple[tuple[str, Callable[..., Any]], ...]:
    """Ops that share a rule and samples."""
    return rows


_F, _I, _U, _B = "float32", "int32", "uint8", "bool"
_MIXED = (sample("float32[3]", "int32[5,1]"), sample("uint8[3]", "int32[3]", high=200))

for _name, _function in _rows(("add", np.add), ("mul", np.multiply), ("maximum", np.maximum),
                              ("minimum", np.minimum)):
    elementwise(_name, _function, _numeric, *_pairs(_F, _I, _B), *_MIXED,
                *_pairs(_U, low=0, high=200))
elementwise("sub", np.subtract, _numeric, *_pairs(_F, _I), *_MIXED, *_pairs(_U, high=200))
elementwise("div", np.divide, _floating, *_pairs(_F, _I, low=1, high=9),
            sample("float32[7]", "int32[7]", low=1, high=5))
elementwise("floor_div", np.floor_divide, _numeric, *_pairs(_F, low=0.3, high=9),
            sample("uint8[5]", "int32[5]", low=1, high=9), *_pairs(_I, low=1, high=99))
for _name, _function in _rows(("mod", np.mod), ("fmod", np.fmod)):
    elementwise(_name, _function, _numeric, *_pairs(_F, low=0.3, high=9),
                *_pairs(_F), *_pairs(_I, low=1, high=99))
elementwise("pow", power_reference, _numeric, *_pairs(_F, low=0.1, high=3),
            *_pairs(_I, low=0, high=5))
elementwise("atan2", np.arctan2, _floating, *_pairs(_F))

elementwise("neg", np.negative, _numeric, *_single(_F, _I), *_single(_U, high=9))
elementwise("abs", np.abs, _numeric, *_single(_F, _I), *_single(_U, high=9))
elementwise("sign", np.sign, _numeric, *_single(_F, _I), *_single(_U, high=9))

for _name, _function in _rows(("exp", np.exp), ("expm1", np.expm1), ("sin", np.sin),
                              ("cos", np.cos), ("tanh", np.tanh), ("sinh", np.sinh),
                              ("cosh", np.cosh), ("atan", np.arctan), ("asinh", np.arcsinh),
                              ("erf", erf), ("sigmoid", sigmoid)):
    elementwise(_name, _function, _floating, *_single(_F, _I), *_single(_F, low=-6, high=6))
elementwise("tan", np.tan, _floating, *_single(_F, low=-1.2, high=1.2))
for _name, _function in _rows(("log", np.log), ("sqrt", np.sqrt), ("rsqrt", rsqrt)):
    elementwise(_name, _function, _floating, *_single(_F, low=0.1, high=9),
                *_single(_I, low=1, high=9))
elementwise("log1p", np.log1p, _floating, *_single(_F, low=-0.8, high=9))
for _name, _function in _rows(("asin", np.arcsin), ("acos", np.arccos), ("atanh", np.arctanh)):
    elementwise(_name, _function, _floating, *_single(_F, low=-0.95, high=0.95))
elementwise("acosh", np.arccosh, _floating, *_single(_F, low=1.05, high=9))

for _name, _function in _rows(("floor", np.floor), ("ceil", np.ceil), ("round", np.rint),
                              ("trunc", np.trunc)):
    elementwise(_name, _function, _numeric, *_single(_F, low=-6, high=6), *_single(_I),
                integer="same")
for _name, _function in _rows(("isnan", np.isnan), ("isinf", np.isinf)):
    elementwise(_name, _function, _any, *_single(_F, _I, _B), result="bool",
                integer="false")

for _name in ("equal", "not_equal", "less", "less_equal", "greater", "greater_equal"):
    elementwise(_name, getattr(np, _name), _numeric, *_pairs(_F, _I, _U, _B), *_MIXED,
                result="bool")
for _name in ("logical_and", "logical_or", "logical_xor"):
    elementwise(_name, getattr(np, _name), _logical, *_pairs(_B, _I),
                sample("float32[3]", "bool[3]"))
elementwise("logical_not", np.logical_not, _logical, *_single(_B, _I, _F))

for _name in ("bitwise_and", "bitwise_or", "bitwise_xor"):
    elementwise(_name, getattr(np, _name), _integer, *_pairs(_I, low=-99, high=99), *_pairs(_B),
                *_pairs(_U, high=200))
elementwise("bitwise_not", np.invert, _integer, *_single(_I, _B), *_single(_U, high=200))
elementwise("shift_left", np.left_shift, _integer, *_pairs(_I, low=0, high=9),
            *_pairs(_U, high=7))
elementwise("shift_right", np.right_shift, _integer, *_pairs(_I, low=0, high=31),
            *_pairs(_U, high=7))


# Two whose operands have different dtypes.

def _infer_where(condition: TensorType, a: TensorType, b: TensorType) -> TensorType:
    return TensorType(promote(a.dtype, b.dtype), broadcast(condition.shape, a.shape, b.shape))


def where(condition: np.ndarray, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """`a` where the condition is not zero, else `b`."""
    kind = array_dtype(_any, "where", a, b)
    return np.where(condition, a, b).astype(kind, copy=False)


def _where_at(index: Idx, condition: Accessor, a: Accessor, b: Accessor) -> Expr:
    kind = promote(a.type.dtype, b.type.dtype)
    test, yes, no = (x(*broadcast_index(index, x.type.shape)) for x in (condition, a, b))
    return call("select", cast(test, "bool"), cast(yes, kind), cast(no, kind))


register(Op("where", _infer_where, where, Pointwise(_where_at), (
    sample("bool[3,5]", "float32[3,5]", "float32[5]"),
    sample("bool[7,1]", "int32[1,3]", "int32[]"),
    sample("int32[7]", "float32[1]", "int32[7]"),
    sample("bool[1]", "uint8[3]", "uint8[3]", high=200),
    sample("bool[3]", "bool[3]", "bool[2,1]"))))


def _infer_cast(x: TensorType, dtype: str) -> TensorType:
    if dtype not in DTYPES:
        raise ShapeError(f"cannot cast to {dtype}", fix=f"use one of {', '.join(DTYPES)}")
    return x.with_dtype(dtype)


def convert(x: np.ndarray, dtype: str) -> np.ndarray:
    """Another dtype; floats truncate towards zero, and anything but zero is True."""
    if dtype == "float32" and x.dtype == np.float64:
        return x
    if dtype == "uint8" and x.dtype.kind == "f":
        x = x.astype(np.int32)  # defined, where the direct conversion of negatives is not
    return x.astype(dtype)


def _cast_at(index: Idx, x: Accessor, dtype: str) -> Expr:
    return cast(x(*index), dtype)


register(Op("cast", _infer_cast, convert, Pointwise(_cast_at), tuple(
    sample(f"{a}[3,5]", high=99, dtype=b) for a in DTYPES for b in DTYPES)))
