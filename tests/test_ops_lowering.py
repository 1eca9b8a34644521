"""Every primitive op's lowering, evaluated scalar by scalar, gives what its reference gives.

The evaluator here is the plainest there can be: Python's own functions on single numbers. Indices
are built over loop variables first, as in a kernel, so that their simplification is tested too.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import product as box
from typing import Any

import numpy as np
import pytest

from transpile.ir import dims
from transpile.ir.dims import Dim, Opaque
from transpile.ir.types import TensorType
from transpile.lower.expr import Call, Const, Expr, Index, Load
from transpile.ops import registry
from transpile.ops.registry import Op, Pointwise, Reduction, Sample
from transpile.ops.view import ravel

Number = Any


def wrap(value: int) -> int:
    """To 32 bits, two's complement."""
    return (value + 2**31) % 2**32 - 2**31


def pair(low: int, high: int) -> int:
    """Two integers of 16 bits in one."""
    packed: int = struct.unpack("<i", struct.pack("<hh", low, high))[0]
    return packed


def integral(whole: Callable[..., int], real: Callable[..., float]) -> Callable[..., Number]:
    return lambda *a: wrap(whole(*a)) if all(isinstance(x, int) for x in a) else real(*a)


def same(f: Callable[..., Number]) -> Callable[..., Number]:
    return integral(f, f)


PYTHON: dict[str, Callable[..., Number]] = {
    "add": same(lambda a, b: a + b), "sub": same(lambda a, b: a - b),
    "mul": same(lambda a, b: a * b), "div": lambda a, b: a / b,
    "floor_div": same(lambda a, b: a // b), "mod": same(lambda a, b: a % b),
    "fmod": integral(lambda a, b: int(math.fmod(a, b)), math.fmod),
    "pow": same(lambda a, b: a ** b), "maximum": max, "minimum": min, "neg": same(lambda a: -a),
    "abs": abs, "sign": lambda a: type(a)((a > 0) - (a < 0)), "exp": math.exp, "log": math.log,
    "log1p": math.log1p, "expm1": math.expm1, "sqrt": math.sqrt, "rsqrt": lambda a: a ** -0.5,
    "sin": math.sin, "cos": math.cos, "tan": math.tan, "asin": math.asin, "acos": math.acos,
    "atan": math.atan, "sinh": math.sinh, "cosh": math.cosh, "asinh": math.asinh,
    "acosh": math.acosh, "atanh": math.atanh, "tanh": math.tanh, "atan2": math.atan2,
    "sigmoid": lambda a: 1 / (1 + math.exp(-a)), "erf": math.erf, "floor": math.floor,
    "ceil": math.ceil, "round": round, "trunc": math.trunc, "isnan": math.isnan,
    "isinf": math.isinf, "equal": lambda a, b: a == b, "not_equal": lambda a, b: a != b,
    "less": lambda a, b: a < b, "less_equal": lambda a, b: a <= b,
    "greater": lambda a, b: a > b, "greater_equal": lambda a, b: a >= b,
    "logical_and": lambda a, b: a and b, "logical_or": lambda a, b: a or b,
    "logical_xor": lambda a, b: a != b, "logical_not": lambda a: not a,
    "bitwise_and": lambda a, b: a & b, "bitwise_or": lambda a, b: a | b,
    "bitwise_xor": lambda a, b: a ^ b, "bitwise_not": lambda a: ~a,
    "shift_left": lambda a, b: wrap(a << b), "shift_right": lambda a, b: a >> b,
    "to_float32": float, "to_int32": lambda a: wrap(int(a)), "to_uint8": lambda a: int(a) % 256,
    "to_bool": bool, "from_half": lambda a: struct.unpack("<e", struct.pack("<H", a))[0],
    "dot_i16": lambda a, b: wrap(sum(x * y for x, y in zip(*(
        struct.unpack("<hh", struct.pack("<i", n)) for n in (a, b)), strict=True))),
    "round_i16": round,
    "even_bytes": lambda a: pair(*struct.unpack("<bbbb", struct.pack("<i", a))[::2]),
    "odd_bytes": lambda a: pair(*struct.unpack("<bbbb", struct.pack("<i", a))[1::2]),
}


@dataclass
class Evaluator:
    """Values of loop variables and the operands' elements."""

    axes: Mapping[str, int]
    buffers: Mapping[str, list[Number]]

    def index(self, index: Dim) -> int:
        def change(a: dims.Atom) -> Dim | None:
            if isinstance(a, Opaque):
                value = self.value(a.expr)
                assert a.low <= value <= self.index(a.high)
                return int(value)
            return self.axes.get(a.name) if isinstance(a, (dims.Axis, dims.Name)) else None
        result = dims.rebuild(index, change)
        assert isinstance(result, int)
        return result

    def value(self, expr: Expr) -> Number:
        if isinstance(expr, Const):
            return expr.value
        if isinstance(expr, Index):
            return self.index(expr.index)
        if isinstance(expr, Load):
            position = self.index(expr.index)
            assert position >= 0, "read before the buffer"
            return self.buffers[expr.buffer][position]
        assert isinstance(expr, Call)
        if expr.fn == "select":  # lazy, as targets print it
            return self.value(expr.args[1 if self.value(expr.args[0]) else 2])
        return PYTHON[expr.fn](*map(self.value, expr.args))


@dataclass(frozen=True)
class Operand:
    """An accessor that loads from a buffer, row by row."""

    name: str
    type: TensorType
    panel: int = 0

    def __call__(self, *index: Dim) -> Expr:
        assert len(index) == self.type.rank
        return Load(self.name, ravel(list(index), list(self.type.shape)), self.type.dtype)


COMBINE: dict[str, Callable[[list[Number]], Number]] = {
    "sum": lambda v: sum(v), "prod": lambda v: math.prod(v), "max": max, "min": min,
    "argmax": lambda v: v.index(max(v)), "argmin": lambda v: v.index(min(v)),
}


def lowered(op: Op, example: Sample, arrays: list[np.ndarray]) -> tuple[TensorType, np.ndarray]:
    """The result's type, and the result computed from the lowering alone."""
    types = [TensorType(a.dtype.name, a.shape) for a in arrays]
    operands = [Operand(f"x{k}", t) for k, t in enumerate(types)]
    buffers = {f"x{k}": a.ravel().tolist() for k, a in enumerate(arrays)}
    result = op.infer(*types, **example.attrs)
    index = tuple(dims.axis(f"i{k}", d) for k, d in enumerate(result.shape))
    sizes: tuple[Any, ...] = ()
    if isinstance(op.form, Pointwise):
        expr = op.form.at(index, *operands, **example.attrs)
    else:
        assert isinstance(op.form, Reduction)
        sizes = op.form.extents(*types, **example.attrs)
        red = tuple(dims.axis(f"r{k}", d) for k, d in enumerate(sizes))
        expr = op.form.body(index, red, *operands, **example.attrs)
    values = []
    for point in box(*map(range, result.shape)):  # type: ignore[arg-type]
        fixed = {f"i{k}": v for k, v in enumerate(point)}
        inner = [Evaluator({**fixed, **{f"r{k}": v for k, v in enumerate(r)}}, buffers).value(expr)
                 for r in box(*map(range, sizes))]
        values.append(COMBINE[op.form.combine](inner) if isinstance(op.form, Reduction)
                      else inner[0])
    return result, np.array(values, dtype=np.float64).reshape(result.shape)


def primitives() -> list[tuple[str, int]]:
    return [(name, k) for name in registry.names()
            if isinstance(registry.get(name).form, (Pointwise, Reduction))
            for k in range(len(registry.get(name).samples))]


@pytest.mark.parametrize(("name", "number"), primitives())
def test_lowering_matches_reference(name: str, number: int) -> None:
    op = registry.get(name)
    example = op.samples[number]
    arrays = example.arrays(seed=number)
    type_, found = lowered(op, example, arrays)
    expected = op.reference(*arrays, **example.attrs)
    if type_.dtype == "int32":  # sums and products wrap as in 32 bits
        found = (found + 2**31) % 2**32 - 2**31
    assert expected.shape == found.shape
    np.testing.assert_allclose(found, expected.astype(np.float64), rtol=2e-5, atol=2e-6)


def test_reshape_needs_no_division_where_dimensions_only_merge_or_vanish() -> None:
    batch = dims.dim("batch")
    x = Operand("x", TensorType("float32", (batch, 4, 1, 6)))
    op = registry.get("reshape")
    assert isinstance(op.form, Pointwise)
    i, j = dims.axis("i", batch), dims.axis("j", 24)
    expr = op.form.at((i, j), x, shape=(batch, 24))
    assert isinstance(expr, Load)
    assert expr.index == i * 24 + j


def test_what_can_be_proved_is_not_tested_at_run_time() -> None:
    op = registry.get("pad")
    assert isinstance(op.form, Pointwise)
    batch = dims.dim("batch")
    x = Operand("x", TensorType("float32", (batch, 5)))
    i, j = dims.axis("i", batch), dims.axis("j", 7)
    expr = op.form.at((i, j), x, low=(0, 0), high=(0, 2))
    assert expr == Call("select", (Call("less", (Index(j), Const(5, "int32")), "bool"),
                                   Load("x", i * 5 + j), Const(0.0)))
