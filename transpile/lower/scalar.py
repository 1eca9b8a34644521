"""The table of scalar functions: one row each, a column per target.

A column holds a template and the precedence of what it prints. **An empty cell means
"decompose"**: the row's `decompose` gives an equal expression over other rows, so this table is
the list of what a target can do, too.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from transpile.lower.expr import Call, Const, Expr, call

ATOM, UNARY, POWER, PRODUCT, SUM, SHIFT, COMPARE, EQUAL = 20, 15, 14, 13, 12, 11, 10, 9
BIT_AND, BIT_XOR, BIT_OR, AND, OR, TERNARY = 8, 7, 6, 5, 4, 3


@dataclass(frozen=True)
class Cell:
    """How a target writes a function: a template over operands and the result's precedence.

    An operand is bracketed where its own precedence is below the one in `needs`.
    """

    template: str
    precedence: int = ATOM
    needs: tuple[int, ...] = ()


Column = Mapping[str, Cell]


def function(name: str, arity: int = 1) -> Cell:
    """`name(a, b)`."""
    return Cell(f"{name}({', '.join('{%d}' % i for i in range(arity))})")


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
        js: cells by operand dtype; "" serves all other dtypes.
        decompose: an equal expression over other rows, where a cell is empty.
        cost: rough work in multiplications; fusion duplicates cheap ones only.
    """

    name: str
    evaluate: Callable[..., Any]
    result: str = "same"
    js: Column = field(default_factory=dict)
    decompose: Callable[..., Expr] | None = None
    cost: int = 1

    def cell(self, column: str, dtype: str) -> Cell | None:
        """The cell of a target's column for operands of `dtype`; None means decompose."""
        cells: Column = getattr(self, column, {})
        return cells.get(dtype, cells.get(""))


def _horner(x: Expr, coefficients: tuple[float, ...]) -> Expr:
    """A polynomial, lowest power first."""
    result: Expr = Const(coefficients[-1])
    for c in reversed(coefficients[:-1]):
        result = call("add", call("mul", result, x), c)
    return result


def _sigmoid(x: Expr) -> Expr:
    return call("div", Const(1.0), call("add", call("exp", call("neg", x)), 1.0))


# erf(x) = x P(x^2) on [-1, 1]; least squares on Chebyshev nodes, relative error below 2e-10.
ERF_NEAR = (1.1283791671, -0.3761263848, 0.1128378262, -0.0268654383, 0.0052210534,
            -0.0008484397, 0.0001126825, -0.0000096736)
# erfc(x) exp(x^2) as a polynomial in t = 1 / (1 + x / 2), x >= 0. Numerical Recipes, 6.2
# (erfccheb): the exponent's polynomial, relative error below 1.2e-7 everywhere.
ERFC_FAR = (-1.26551223, 1.00002368, 0.37409196, 0.09678418, -0.18628806, 0.27886807,
            -1.13520398, 1.48851587, -0.82215223, 0.17087277)


def _erf(x: Expr) -> Expr:
    square = call("mul", x, x)
    near = call("mul", x, _horner(square, ERF_NEAR))
    t = call("div", Const(1.0), call("add", call("mul", call("abs", x), 0.5), 1.0))
    tail = call("mul", t, call("exp", call("sub", _horner(t, ERFC_FAR), square)))
    far = call("mul", call("sign", x), call("sub", Const(1.0), tail))
    return call("select", call("less", square, 1.0), near, far)


def _round_even(x: Expr) -> Expr:
    """Half to even: a tie goes through half the value, whose rounding is even when doubled."""
    tie = call("equal", call("sub", x, call("floor", x)), 0.5)
    even = call("mul", call("round_up", call("mul", x, 0.5)), 2.0)
    return call("select", tie, even, call("round_up", x))


def _floor_mod(x: Expr, y: Expr) -> Expr:
    if x.dtype == "float32":
        return call("sub", x, call("mul", y, call("floor", call("div", x, y))))
    rest = call("fmod", x, y)
    wrong_sign = call("less", call("bitwise_xor", rest, y), Const(0, "int32"))
    return call("select", call("logical_and", call("not_equal", rest, Const(0, "int32")),
                               wrong_sign), call("add", rest, y), rest)


def _erf_numpy(x: Any) -> Any:
    return np.vectorize(math.erf, otypes=[np.float64])(x)


def _sqrt_inverse(x: Expr) -> Expr:
    return call("div", Const(1.0), call("sqrt", x))


_INT_ADD, _INT_SUB = integer(infix("+", SUM)), integer(infix("-", SUM, commutes=False))


def _rows() -> list[Scalar]:
    math_fn = {name: {"": function(f"Math.{name}")} for name in
               ("exp", "log", "log1p", "expm1", "sqrt", "sin", "cos", "tan", "asin", "acos",
                "atan", "sinh", "cosh", "asinh", "acosh", "atanh", "tanh", "floor", "ceil",
                "trunc")}
    numpy_name = {"asin": "arcsin", "acos": "arccos", "atan": "arctan", "asinh": "arcsinh",
                  "acosh": "arccosh", "atanh": "arctanh"}
    costs = {"sqrt": 4, "floor": 1, "ceil": 1, "trunc": 1}
    rows = [Scalar(name, getattr(np, numpy_name.get(name, name)), js=column,
                   cost=costs.get(name, 20)) for name, column in math_fn.items()]
    compare = [("equal", "==="), ("not_equal", "!=="), ("less", "<"), ("less_equal", "<="),
               ("greater", ">"), ("greater_equal", ">=")]
    rows += [Scalar(name, getattr(np, name), "bool",
                    {"": infix(sign, EQUAL if len(sign) == 3 else COMPARE, commutes=False)})
             for name, sign in compare]
    bits = [("bitwise_and", "&", BIT_AND), ("bitwise_or", "|", BIT_OR),
            ("bitwise_xor", "^", BIT_XOR)]
    rows += [Scalar(name, getattr(np, name), js={"": infix(sign, level)})
             for name, sign, level in bits]
    return rows + [
        Scalar("add", np.add, js={"": infix("+", SUM), "int32": _INT_ADD}),
        Scalar("sub", np.subtract,
               js={"": infix("-", SUM, commutes=False), "int32": _INT_SUB}),
        Scalar("mul", np.multiply,
               js={"": infix("*", PRODUCT), "int32": function("Math.imul", 2)}),
        Scalar("div", np.divide, js={"": infix("/", PRODUCT, commutes=False)}, cost=4),
        Scalar("floor_div", np.floor_divide, js={
            "": Cell("Math.floor({0} / {1})", ATOM, (PRODUCT, UNARY)),
            # A division by zero gives 0, as in NumPy: NaN and infinity become 0.
            "int32": Cell("Math.floor({0} / {1}) | 0", BIT_OR, (PRODUCT, UNARY))}, cost=6),
        Scalar("fmod", np.fmod, js={"": infix("%", PRODUCT, commutes=False),
                                    "int32": integer(infix("%", PRODUCT, commutes=False))},
               cost=8),
        Scalar("mod", np.mod, decompose=_floor_mod, cost=8),
        Scalar("pow", np.power, js={"": function("Math.pow", 2),
                                    "int32": integer(function("Math.pow", 2))}, cost=30),
        Scalar("atan2", np.arctan2, js={"": function("Math.atan2", 2)}, cost=30),
        Scalar("maximum", np.maximum, js={"": function("Math.max", 2)}),
        Scalar("minimum", np.minimum, js={"": function("Math.min", 2)}),
        Scalar("neg", np.negative, js={"": Cell("-{0}", UNARY, (UNARY + 1,)),
                                       "int32": Cell("-{0} | 0", BIT_OR, (UNARY + 1,))}),
        Scalar("abs", np.abs, js={"": function("Math.abs")}),
        Scalar("sign", np.sign, js={"": function("Math.sign")}),
        Scalar("rsqrt", lambda x: 1 / np.sqrt(x), decompose=_sqrt_inverse, cost=6),
        Scalar("sigmoid", lambda x: 1 / (1 + np.exp(-x)), decompose=_sigmoid, cost=24),
        Scalar("erf", _erf_numpy, decompose=_erf, cost=30),
        Scalar("round_up", lambda x: np.floor(x + 0.5), js={"": function("Math.round")}),
        Scalar("round", np.rint, decompose=_round_even, cost=3),
        Scalar("isnan", np.isnan, "bool", {"": function("Number.isNaN")}),
        Scalar("isinf", np.isinf, "bool", decompose=lambda x: call(
            "equal", call("abs", x), Const(math.inf))),
        Scalar("logical_and", np.logical_and, "bool", {"": infix("&&", AND)}),
        Scalar("logical_or", np.logical_or, "bool", {"": infix("||", OR)}),
        Scalar("logical_xor", np.logical_xor, "bool",
               {"": infix("!==", EQUAL, commutes=False)}),
        Scalar("logical_not", np.logical_not, "bool", {"": Cell("!{0}", UNARY, (UNARY,))}),
        Scalar("bitwise_not", np.invert, js={"": Cell("~{0}", UNARY, (UNARY,))}),
        Scalar("shift_left", np.left_shift, js={"": infix("<<", SHIFT, commutes=False)}),
        Scalar("shift_right", np.right_shift, js={"": infix(">>", SHIFT, commutes=False)}),
        Scalar("select", np.where,
               js={"": Cell("{0} ? {1} : {2}", TERNARY, (TERNARY + 1, TERNARY, TERNARY))}),
        Scalar("to_float32", lambda x: np.float32(x), "float32",
               {"": Cell("{0}", UNARY, (0,)), "bool": Cell("+{0}", UNARY, (UNARY,))}, cost=0),
        Scalar("to_int32", lambda x: np.asarray(x).astype(np.int32), "int32",
               {"": Cell("{0} | 0", BIT_OR, (BIT_OR,)), "bool": Cell("+{0}", UNARY, (UNARY,))}),
        Scalar("to_uint8", lambda x: np.asarray(x).astype(np.uint8), "uint8",
               {"": Cell("{0} & 255", BIT_AND, (BIT_AND,)),
                "bool": Cell("+{0}", UNARY, (UNARY,))}),
        Scalar("to_bool", lambda x: np.asarray(x) != 0, "bool",
               {"": Cell("{0} !== 0", EQUAL, (EQUAL,))}),
    ]


SCALARS: dict[str, Scalar] = {row.name: row for row in _rows()}


def result_dtype(fn: str, *dtypes: str) -> str:
    """The dtype of a scalar function's result."""
    result = SCALARS[fn].result
    if result != "same":
        return result
    return dtypes[1] if fn == "select" else dtypes[0]


def cost(value: Expr) -> int:
    """Rough work of an expression in multiplications."""
    if isinstance(value, Call):
        return SCALARS[value.fn].cost + sum(map(cost, value.args))
    return 0


def decomposed(value: Expr, column: str) -> Expr:
    """`value` with every function that a target's column lacks replaced by its parts."""
    if not isinstance(value, Call):
        return value
    args = tuple(decomposed(a, column) for a in value.args)
    row = SCALARS[value.fn]
    dtype = args[0].dtype
    if row.cell(column, dtype) is not None:
        return value if args == value.args else Call(value.fn, args, value.dtype)
    if row.decompose is None:
        raise KeyError(f"{value.fn} has neither a cell in column {column} nor a decomposition")
    return decomposed(row.decompose(*args), column)
