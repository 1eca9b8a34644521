"""The GLSL column of the scalar table, and the functions that a shader defines for it.

Templates are keyed by operand dtype, `x4` for vectors; "" serves all others, and what is missing
is decomposed by the row. A template that names a function of `functions.py` brings its definition.

Own functions stand where drivers are worse than 1e-5 or differ from NumPy: SwiftShader's sin and
cos are off by 1.9e-4, its `max(NaN, 0)` is 0, and `pow` of a negative number is undefined.
"""

from __future__ import annotations

from collections.abc import Mapping

from transpile.lower.scalar import (
    ATOM,
    BIT_AND,
    BIT_OR,
    BIT_XOR,
    COMPARE,
    EQUAL,
    PRODUCT,
    SUM,
    UNARY,
    Cell,
    Column,
    function,
    infix,
)

CONDITION = 3
"""The precedence of `a ? b : c`."""


def _both(cell: Cell) -> Column:
    """The same for scalars and vectors."""
    return {"": cell}


def _compare(sign: str, name: str, level: int) -> Column:
    vector = function(name, 2)
    return {"": infix(sign, level, commutes=False), "float32x4": vector, "int32x4": vector,
            "uint8x4": vector, "boolx4": vector}


def _logical(name: str) -> Column:
    return {"bool": function(name, 2), "boolx4": function(name, 2)}


def _integers(name: str, cell: Cell, arity: int = 2) -> Column:
    """One cell for floats; a function for integers and vectors of them."""
    whole = function(name, arity)
    return {"": cell, "int32": whole, "uint8": whole, "int32x4": whole, "uint8x4": whole}


_FLOAT_TO = {"float32": function("int"), "float32x4": function("ivec4")}

GLSL: dict[str, Mapping[str, Cell]] = {
    "add": _both(infix("+", SUM)), "sub": _both(infix("-", SUM, commutes=False)),
    "mul": _both(infix("*", PRODUCT)), "div": _both(infix("/", PRODUCT, commutes=False)),
    "neg": _both(Cell("-{0}", UNARY, (UNARY + 1,))), "abs": _both(function("abs")),
    "sign": _integers("sign", function("sign_"), 1), "floor": _both(function("floor")),
    "ceil": _both(function("ceil")), "trunc": _both(function("trunc")),
    "round": _both(function("roundEven")), "sqrt": _both(function("sqrt")),
    "exp": _both(function("exp_")), "log": _both(function("log_")),
    "expm1": _both(function("expm1_")), "log1p": _both(function("log1p_")),
    "sigmoid": _both(Cell("1.0 / (1.0 + exp_(-{0}))", PRODUCT, (UNARY + 1,))),
    "sin": _both(function("sin_")), "cos": _both(function("cos_")),
    "tan": _both(function("tan_")), "asin": _both(function("asin_")),
    "acos": _both(function("acos_")), "atan": _both(function("atan_")),
    "atan2": _both(function("atan2_", 2)), "sinh": _both(function("sinh_")),
    "cosh": _both(function("cosh_")), "tanh": _both(function("tanh_")),
    "asinh": _both(function("asinh_")), "acosh": _both(function("acosh_")),
    "atanh": _both(function("atanh_")), "pow": _integers("ipow", function("pow_", 2)),
    "floor_div": _integers("idiv", Cell("floor({0} / {1})", ATOM, (PRODUCT, UNARY))),
    "fmod": _integers("irem", function("fmod_", 2)),
    "maximum": _integers("max", function("maxNaN", 2)),
    "minimum": _integers("min", function("minNaN", 2)),
    "at_least": _both(function("atLeast", 2)), "at_most": _both(function("atMost", 2)),
    "copysign": _both(function("copySign", 2)),
    "float_bits": _both(function("floatBitsToInt")),
    "from_bits": _both(function("intBitsToFloat")),
    "quotient": _both(function("idiv", 2)), "remainder": _both(function("irem", 2)),
    "isnan": _both(function("isnan")),
    "isinf": _both(function("isinf")),
    "equal": _compare("==", "equal", EQUAL), "not_equal": _compare("!=", "notEqual", EQUAL),
    "less": _compare("<", "lessThan", COMPARE), "greater": _compare(">", "greaterThan", COMPARE),
    "less_equal": _compare("<=", "lessThanEqual", COMPARE),
    "greater_equal": _compare(">=", "greaterThanEqual", COMPARE),
    "logical_and": _logical("both"), "logical_or": _logical("either"),
    "logical_xor": {"bool": infix("!=", EQUAL, commutes=False), "boolx4": function("notEqual", 2)},
    "logical_not": {"bool": Cell("!{0}", UNARY, (UNARY,)), "boolx4": function("not")},
    "bitwise_and": {**_logical("both"), "": infix("&", BIT_AND)},
    "bitwise_or": {**_logical("either"), "": infix("|", BIT_OR)},
    "bitwise_xor": {"bool": infix("!=", EQUAL), "boolx4": function("notEqual", 2),
                    "": infix("^", BIT_XOR)},
    "bitwise_not": {"bool": Cell("!{0}", UNARY, (UNARY,)), "boolx4": function("not"),
                    "": Cell("~{0}", UNARY, (UNARY,))},
    "shift_left": _both(function("shiftLeft", 2)),
    "shift_right": _both(function("shiftRight", 2)),
    "to_float32": {"": function("float"), "float32": Cell("{0}"), "float32x4": Cell("{0}"),
                   "int32x4": function("vec4"), "uint8x4": function("vec4"),
                   "boolx4": function("vec4")},
    "to_int32": {**_FLOAT_TO, "": Cell("{0}"), "bool": function("int"),
                 "boolx4": function("ivec4")},
    "to_uint8": {"float32": Cell("int({0}) & 255", BIT_AND),
                 "float32x4": Cell("ivec4({0}) & 255", BIT_AND), "bool": function("int"),
                 "boolx4": function("ivec4"), "": Cell("{0} & 255", BIT_AND, (BIT_AND,))},
    "to_bool": {"bool": Cell("{0}"), "boolx4": Cell("{0}"),
                "float32": Cell("{0} != 0.0", EQUAL, (EQUAL,)),
                "float32x4": Cell("notEqual({0}, vec4(0))"),
                "int32x4": Cell("notEqual({0}, ivec4(0))"),
                "uint8x4": Cell("notEqual({0}, ivec4(0))"),
                "": Cell("{0} != 0", EQUAL, (EQUAL,))},
}
"""Templates by function and operand dtype; `select`, `splat`, `lane` and `lanes` are the
printer's own."""
