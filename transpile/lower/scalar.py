"""The table of scalar functions: one row each, a column per target.

A column holds a template and the precedence of what it prints. **An empty cell means
"decompose"**: the row's `decompose` gives an equal expression over other rows, so this table is
the list of what a target can do, too.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from transpile.lower import half, packed, polynomials, polynomials_more
from transpile.lower.expr import Call, Const, Expr, call, lanes_of
from transpile.lower.scalar_wasm import RELAXED, WASM
from transpile.lower.walk import parts

ATOM, UNARY, PRODUCT, SUM, SHIFT, COMPARE, EQUAL = 20, 15, 13, 12, 11, 10, 9
BIT_AND, BIT_XOR, BIT_OR, AND, OR, TERNARY = 8, 7, 6, 5, 4, 3


@dataclass(frozen=True)
class Cell:
    """How a target writes a function: a template over operands and the result's precedence.

    An operand is bracketed where its own precedence is below the one in `needs`.
    """

    template: str
    precedence: int = ATOM
    needs: tuple[int, ...] = ()


Column = Mapping[str, Any]


def function(name: str, arity: int = 1) -> Cell:
    """`name(a, b)`."""
    return Cell(f"{name}({', '.join(f'{{{i}}}' for i in range(arity))})")


def infix(sign: str, precedence: int, *, commutes: bool = True) -> Cell:
    """`a sign b`, left-associative."""
    return Cell(f"{{0}} {sign} {{1}}", precedence,
                (precedence, precedence if commutes else precedence + 1))


def integer(cell: Cell) -> Cell:
    """The same, wrapped to 32 bits as int32 arithmetic does."""
    inner = cell.template if cell.precedence > BIT_OR else f"({cell.template})"
    return Cell(f"{inner} | 0", BIT_OR, cell.needs)


@dataclass(frozen=True)
class Scalar:
    """One scalar function.

    Attributes:
        evaluate: the same on NumPy values, for the loop-IR interpreter.
        result: the result's dtype: "same" as the first operand, or a dtype.
        js, wasm: cells by operand dtype; "" serves all other dtypes.
        relaxed: the cells of wasm with relaxed SIMD that differ.
        decompose: an equal expression over other rows, where a cell is empty.
        cost: rough work in multiplications; fusion duplicates cheap ones only.
    """

    name: str
    evaluate: Callable[..., Any]
    result: str = "same"
    js: Column = field(default_factory=dict)
    wasm: Column = field(default_factory=dict)
    relaxed: Column = field(default_factory=dict)
    decompose: Callable[..., Expr] | None = None
    cost: int = 1

    def cell(self, column: str, dtype: str) -> Any:
        """The cell of a target's column for operands of `dtype`; None means decompose."""
        if column == "relaxed" and dtype not in self.relaxed:
            column = "wasm"
        cells: Column = getattr(self, column)
        exact = dtype.endswith("x4") or (column == "wasm" and "float" in dtype)
        return cells.get(dtype, None if exact else cells.get(""))


def _round_even(x: Expr) -> Expr:
    """Half to even: a tie goes through half the value, whose rounding is even when doubled."""
    tie = call("equal", call("sub", x, call("floor", x)), 0.5)
    even = call("mul", call("round_up", call("mul", x, 0.5)), 2.0)
    return call("select", tie, even, call("round_up", x))


def _floor_mod(x: Expr, y: Expr) -> Expr:
    rest = call("fmod", x, y)
    wrong_sign = call("logical_xor", call("less", rest, 0), call("less", y, 0))
    return call("select", call("logical_and", call("not_equal", rest, 0), wrong_sign),
                call("add", rest, y), rest)


def _erf_numpy(x: Any) -> Any:
    return np.vectorize(math.erf, otypes=[np.float64])(x)


def _sqrt_inverse(x: Expr) -> Expr:
    return call("div", Const(1.0, x.dtype), call("sqrt", x))


def _sign(x: Expr) -> Expr:
    """0 and NaN stay as they are."""
    if "float" not in x.dtype:
        return call("sub", call("to_int32", call("greater", x, 0)),
                    call("to_int32", call("less", x, 0)))
    one = polynomials.with_sign_of(Const(1.0, x.dtype), x)
    return call("select", call("greater", call("abs", x), 0.0), one, x)


def _divisor(x: Expr, y: Expr) -> tuple[Expr, Expr]:
    """Operands of an integer division that give 0 where `y` is 0, as NumPy does."""
    zero = call("equal", y, 0)
    return call("select", zero, Const(0, x.dtype), x), call("select", zero, Const(1, y.dtype), y)


def _floor_div(x: Expr, y: Expr) -> Expr:
    if "float" in x.dtype:
        return call("floor", call("div", x, y))
    return call("quotient", *_divisor(x, y))


def _fmod(x: Expr, y: Expr) -> Expr:
    """In float64, where the quotient's product is exact below 2**28."""
    if x.dtype != "float32":
        return call("remainder", *_divisor(x, y))
    a, b = (call("to_float64", e) for e in (x, y))
    rest = call("sub", a, call("mul", call("trunc", call("div", a, b)), b))
    rest = call("copysign", call("to_float32", rest), x)
    whole = call("logical_and", call("isinf", y), call("less", call("abs", x), math.inf))
    return call("select", whole, x, rest)


def _one_or_zero(condition: Expr) -> Expr:
    dtype = vector_dtype("float32") if condition.dtype.endswith("x4") else "float32"
    return call("select", condition, Const(1.0, dtype), Const(0.0, dtype))


def _limit(fn: str) -> Callable[[Expr, Expr], Expr]:
    """The larger or smaller of two integers, or of lanes of floats, where NaN counts as both."""
    def limit(x: Expr, y: Expr) -> Expr:
        if "float" not in x.dtype:
            return call("select", call(fn, x, y), x, y)
        found = call("at_least" if fn == "greater" else "at_most", x, y)
        return call("select", call("not_equal", y, y), y, found)
    return limit


_INT_ADD, _INT_SUB = integer(infix("+", SUM)), integer(infix("-", SUM, commutes=False))


def _rows() -> list[Scalar]:
    """Functions that are called alike everywhere: of mathematics, comparisons, bits."""
    math_fn = {name: {"": function(f"Math.{name}")} for name in
               ("exp", "log", "log1p", "expm1", "sqrt", "sin", "cos", "tan", "asin", "acos",
                "atan", "sinh", "cosh", "asinh", "acosh", "atanh", "tanh", "floor", "ceil",
                "trunc")}
    numpy_name = {"asin": "arcsin", "acos": "arccos", "atan": "arctan", "asinh": "arcsinh",
                  "acosh": "arccosh", "atanh": "arctanh"}
    costs = {"sqrt": 4, "floor": 1, "ceil": 1, "trunc": 1}
    rows = [Scalar(name, getattr(np, numpy_name.get(name, name)), js=column,
                   decompose=getattr(polynomials, name, None) or getattr(
                       polynomials_more, name, None), cost=costs.get(name, 20))
            for name, column in math_fn.items()]
    compare = [("equal", "==="), ("not_equal", "!=="), ("less", "<"), ("less_equal", "<="),
               ("greater", ">"), ("greater_equal", ">=")]
    rows += [Scalar(name, getattr(np, name), "bool",
                    {"": infix(sign, EQUAL if len(sign) == 3 else COMPARE, commutes=False)})
             for name, sign in compare]
    bits = [("bitwise_and", "&", BIT_AND), ("bitwise_or", "|", BIT_OR),
            ("bitwise_xor", "^", BIT_XOR)]
    rows += [Scalar(name, getattr(np, name), js={"": infix(sign, level)})
             for name, sign, level in bits]
    return rows


def _arithmetic_rows() -> list[Scalar]:
    return [
        Scalar("add", np.add, js={"": infix("+", SUM), "int32": _INT_ADD}),
        Scalar("sub", np.subtract,
               js={"": infix("-", SUM, commutes=False), "int32": _INT_SUB}),
        Scalar("mul", np.multiply,
               js={"": infix("*", PRODUCT), "int32": function("Math.imul", 2)}),
        Scalar("div", np.divide, js={"": infix("/", PRODUCT, commutes=False)}, cost=4),
        Scalar("floor_div", np.floor_divide, js={
            "": Cell("Math.floor({0} / {1})", ATOM, (PRODUCT, UNARY)),
            # A division by zero gives 0, as in NumPy: NaN and infinity become 0.
            "int32": Cell("Math.floor({0} / {1}) | 0", BIT_OR, (PRODUCT, UNARY))},
               decompose=_floor_div, cost=6),
        Scalar("fmod", np.fmod, js={"": infix("%", PRODUCT, commutes=False),
                                    "int32": integer(infix("%", PRODUCT, commutes=False))},
               decompose=_fmod, cost=8),
        Scalar("mod", np.mod, decompose=_floor_mod, cost=8),
        Scalar("pow", polynomials_more.power_reference, js={"": function("Math.pow", 2),
                                    "int32": integer(function("Math.pow", 2))},
               decompose=polynomials_more.power, cost=30),
        Scalar("atan2", np.arctan2, js={"": function("Math.atan2", 2)},
               decompose=polynomials_more.atan2, cost=30),
        Scalar("maximum", np.maximum, js={"": function("Math.max", 2)},
               decompose=_limit("greater")),
        Scalar("minimum", np.minimum, js={"": function("Math.min", 2)}, decompose=_limit("less")),
        Scalar("neg", np.negative, js={"": Cell("-{0}", UNARY, (UNARY + 1,)),
                                       "int32": Cell("-{0} | 0", BIT_OR, (UNARY + 1,))},
               decompose=lambda x: call("sub", Const(0, x.dtype), x)),
        Scalar("abs", np.abs, js={"": function("Math.abs")},
               decompose=lambda x: call("select", call("less", x, 0), call("neg", x), x)),
        Scalar("sign", np.sign, js={"": function("Math.sign")}, decompose=_sign),
        Scalar("rsqrt", lambda x: 1 / np.sqrt(x), decompose=_sqrt_inverse, cost=6),
        Scalar("sigmoid", lambda x: 1 / (1 + np.exp(-x)),
               js={"": Cell("1 / (1 + Math.exp(-{0}))", PRODUCT, (UNARY + 1,))},
               decompose=polynomials.sigmoid, cost=24),
        Scalar("erf", _erf_numpy, decompose=polynomials.erf, cost=30),
        Scalar("round_up", lambda x: np.floor(x + 0.5), js={"": function("Math.round")}),
        Scalar("round", np.rint, decompose=_round_even, cost=3),
    ]


def _logic_rows() -> list[Scalar]:
    """Tests, bits, choices and conversions."""
    return [
        Scalar("isnan", np.isnan, "bool", {"": function("Number.isNaN")},
               decompose=lambda x: call("not_equal", x, x)),
        Scalar("isinf", np.isinf, "bool", decompose=lambda x: call(
            "equal", call("abs", x), math.inf)),
        Scalar("logical_and", np.logical_and, "bool", {"": infix("&&", AND)}),
        Scalar("logical_or", np.logical_or, "bool", {"": infix("||", OR)}),
        Scalar("logical_xor", np.logical_xor, "bool",
               {"": infix("!==", EQUAL, commutes=False)}),
        Scalar("logical_not", np.logical_not, "bool", {"": Cell("!{0}", UNARY, (UNARY,))}),
        Scalar("bitwise_not", np.invert, js={"": Cell("~{0}", UNARY, (UNARY,))},
               decompose=lambda x: call("bitwise_xor", x, -1)),
        Scalar("shift_left", np.left_shift, js={"": infix("<<", SHIFT, commutes=False)}),
        Scalar("shift_right", np.right_shift, js={"": infix(">>", SHIFT, commutes=False)}),
        Scalar("select", np.where,
               js={"": Cell("{0} ? {1} : {2}", TERNARY, (TERNARY + 1, TERNARY, TERNARY))}),
        Scalar("to_float32", lambda x: np.float32(x), "float32",
               {"": Cell("{0}", UNARY, (0,)), "bool": Cell("+{0}", UNARY, (UNARY,))},
               decompose=_one_or_zero, cost=0),
        Scalar("to_int32", lambda x: np.asarray(x).astype(np.int32), "int32",
               {"": Cell("{0} | 0", BIT_OR, (BIT_OR,)), "bool": Cell("+{0}", UNARY, (UNARY,))}),
        Scalar("to_uint8", lambda x: np.asarray(x).astype(np.uint8), "uint8",
               {"": Cell("{0} & 255", BIT_AND, (BIT_AND,)),
                "bool": Cell("+{0}", UNARY, (UNARY,))}),
        Scalar("to_bool", lambda x: np.asarray(x) != 0, "bool",
               {"": Cell("{0} !== 0", EQUAL, (EQUAL,))}),
    ]


def _lanes_of(*lanes: int) -> Callable[[Any, Any], Any]:
    return lambda a, b: np.concatenate([a, b], axis=-1)[..., lanes]


def _machine_rows() -> list[Scalar]:
    """Functions that only decompositions and vectors use."""
    def same_bits(dtype: Any) -> Callable[[Any], Any]:
        return lambda x: np.asarray(x).view(dtype)
    return [
        Scalar("at_least", np.maximum, js={"": function("Math.max", 2)}),
        Scalar("at_most", np.minimum, js={"": function("Math.min", 2)}),
        Scalar("copysign", np.copysign),
        Scalar("float_bits", same_bits(np.int32), "int32"),
        Scalar("from_bits", same_bits(np.float32), "float32"),
        Scalar("from_half", half.half_value, "float32", decompose=half.from_half, cost=12),
        # Of two int16, or four bytes, packed into an int32.
        Scalar("dot_i16", packed.dot_numpy, decompose=packed.dot_i16, cost=3),
        Scalar("round_i16", packed.round_numpy, "int32", decompose=packed.round_i16, cost=4),
        Scalar("even_bytes", packed.even_numpy, decompose=packed.even_bytes, cost=2),
        Scalar("odd_bytes", packed.odd_numpy, decompose=packed.odd_bytes),
        Scalar("fma", lambda a, b, c: a * b + c, decompose=lambda a, b, c: call(
            "add", c, call("mul", a, b)), cost=2),
        Scalar("quotient", np.floor_divide), Scalar("remainder", np.fmod),
        Scalar("to_float64", np.float64, "float64"), Scalar("splat", lambda x: x, cost=0),
        # a0 b0 a1 b1, a2 b2 a3 b3, a0 a1 b0 b1, a2 a3 b2 b3
        *(Scalar(name, _lanes_of(*lanes), cost=0) for name, lanes in (
            ("zip_low", (0, 4, 1, 5)), ("zip_high", (2, 6, 3, 7)),
            ("halves_low", (0, 1, 4, 5)), ("halves_high", (2, 3, 6, 7)))),
        *(Scalar(f"lane{i}", lambda x, i=i: x[..., i], cost=0) for i in range(4)),
    ]


SCALARS: dict[str, Scalar] = {
    row.name: replace(row, wasm=WASM.get(row.name, {}), relaxed=RELAXED.get(row.name, {}))
    for row in
    (*_rows(), *_arithmetic_rows(), *_logic_rows(), *_machine_rows())}

LANES = 4
"""Of the native vector; a dtype such as `float32x4` is one value for each of four lanes."""

REGISTERS = 15
"""For vectors on x86; V8 keeps one more for itself. It loads all that a loop's body needs before it
computes, so that totals, loaded vectors and spread numbers all count."""


def rows_in_registers(columns: int) -> int:
    """Rows of a register tile at most: totals, one number of each row, and the columns fit."""
    return (REGISTERS - columns) // (columns + 1)


def vector_dtype(dtype: str) -> str:
    """The dtype of four lanes of `dtype`."""
    return dtype if dtype.endswith("x4") else f"{dtype}x4"


def result_dtype(fn: str, *dtypes: str) -> str:
    """The dtype of a scalar function's result."""
    result = SCALARS[fn].result
    if result == "same":
        return dtypes[1] if fn == "select" else dtypes[0]
    return vector_dtype(result) if dtypes[0].endswith("x4") else result


def cost(value: Expr) -> int:
    """Rough work of an expression in multiplications."""
    if isinstance(value, Call):
        return SCALARS[value.fn].cost + sum(map(cost, value.args))
    return 0


NO_WORK = ("select", "to_float32", "to_int32", "to_uint8", "to_bool", "even_bytes", "odd_bytes")
"""Choices and conversions, which no one counts as arithmetic."""

SEVERAL = {"dot_i16": 3}
"""Functions that are more than one operation."""


def arithmetic(value: Expr) -> int:
    """Arithmetic operations in an expression, each lane's counted; tests and moves are none."""
    return sum(SEVERAL.get(p.fn, 1) * lanes_of(p.dtype) for p in parts(value)
               if isinstance(p, Call) and SCALARS[p.fn].cost and p.fn not in NO_WORK
               and not p.dtype.startswith("bool"))


def decomposed(value: Expr, column: str, known: dict[Expr, Expr] | None = None) -> Expr:
    """`value` with every function that a target's column lacks replaced by its parts.

    Args:
        known: what parts have become already, as they occur more than once.
    """
    known = {} if known is None else known
    if not isinstance(value, Call):
        return value
    if value not in known:
        known[value] = result = _decomposed(value, column, known)
        known[result] = result
    return known[value]


RATIOS = ("sigmoid", "tanh")
"""Functions that decompose into a division, whose operands two of them may share."""


def _is(value: Expr, *functions: str) -> bool:
    return isinstance(value, Call) and value.fn in functions


def _decomposed(value: Call, column: str, known: dict[Expr, Expr]) -> Expr:
    args = tuple(decomposed(a, column, known) for a in value.args)
    if value.fn == "mul" and all(_is(a, *RATIOS) for a in value.args) and all(
            _is(a, "div") for a in args):
        return call("div", *(call("mul", *sides) for sides in zip(
            *(a.args for a in args if isinstance(a, Call)), strict=True)))
    row = SCALARS[value.fn]
    if row.cell(column, args[0].dtype) is not None:
        return value if args == value.args else Call(value.fn, args, value.dtype)
    if row.decompose is None:
        raise KeyError(f"{value.fn} has neither a cell in column {column} nor a decomposition")
    return decomposed(row.decompose(*args), column, known)
