"""NumPy's ufuncs (and a few of SciPy's) as builders of nodes, by the ufunc's name."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from transpile.frontends.tracer import (
    Tracer,
    apply,
    as_tracer,
    cast,
    common_dtype,
    is_weak,
    promoted,
    unsupported,
)

Builder = Callable[..., Any]


def _float_unary(op: str) -> Builder:
    """A function of reals: integers become float32."""
    return lambda x: apply(op, cast(x, "float32"))


def _number_unary(op: str) -> Builder:
    def build(x: Any) -> Tracer:
        if as_tracer(x).dtype == bool:
            unsupported(f"np.{op} is not defined for bool", fix="use ~ or np.logical_not")
        return apply(op, x)
    return build


def _rounding(op: str) -> Builder:
    """Integers are whole already."""
    return lambda x: apply(op, x) if as_tracer(x).dtype == np.float32 else as_tracer(x)


def _arithmetic(op: str, for_bool: str = "") -> Builder:
    """Operands meet in their common dtype; on bool, NumPy means a logical operator."""
    def build(a: Any, b: Any) -> Tracer:
        dtype = common_dtype((a, b))
        if dtype == "bool" and not for_bool:
            unsupported(f"{op} of two bool arrays is not supported",
                        fix="cast one: x.astype(np.int32)")
        return apply(for_bool if dtype == "bool" else op, *promoted(a, b, dtype=dtype))
    return build


def _comparison(op: str) -> Builder:
    def build(a: Any, b: Any) -> Tracer:
        dtype = common_dtype((a, b))
        if dtype == "uint8" and any(is_weak(v) and not 0 <= v < 256 for v in (a, b)):
            dtype = "int32"
        if dtype == "bool" and op not in ("equal", "not_equal"):
            dtype = "int32"
        return apply(op, *promoted(a, b, dtype=dtype))
    return build


def _logical(op: str) -> Builder:
    return lambda *xs: apply(op, *(cast(x, "bool") for x in xs))


def _bitwise(op: str, for_bool: str) -> Builder:
    def build(*xs: Any) -> Tracer:
        dtype = common_dtype(xs)
        if dtype == "float32":
            unsupported(f"{op} of float arrays is not defined",
                        fix="cast to an integer or bool: x.astype(np.int32)")
        return apply(for_bool if dtype == "bool" else op, *promoted(*xs, dtype=dtype))
    return build


def _shift(op: str) -> Builder:
    def build(a: Any, b: Any) -> Tracer:
        dtype = common_dtype((a, b))
        return apply(op, *promoted(a, b, dtype="int32" if dtype == "bool" else dtype))
    return build


def _divide(a: Any, b: Any) -> Tracer:
    return apply("div", *promoted(a, b, dtype="float32"))


def _power(a: Any, b: Any) -> Tracer:
    """`a**b`; small constant exponents as products, as NumPy itself does for squares."""
    if isinstance(b, (int, float)) and not isinstance(b, bool) and isinstance(a, Tracer):
        exact = _power_of_constant(a, b)
        if exact is not None:
            return exact
    dtype = common_dtype((a, b))
    return apply("pow", *promoted(a, b, dtype="int32" if dtype == "bool" else dtype))


def _power_of_constant(a: Tracer, exponent: float) -> Tracer | None:
    base = cast(a, common_dtype((a, exponent)))
    if exponent == 1:
        return base
    if exponent == 2:
        return apply("mul", base, base)
    if exponent == 3:
        return apply("mul", apply("mul", base, base), base)
    if exponent == 0.5:
        return apply("sqrt", cast(a, "float32"))
    if exponent in (-1, -0.5) and base.dtype == np.float32:
        root = base if exponent == -1 else apply("sqrt", base)
        return _divide(1.0, root)
    return None


def _float_power(a: Any, b: Any) -> Tracer:
    return _power(cast(a, "float32"), b)


def _absolute(x: Any) -> Tracer:
    value = as_tracer(x)
    return value if value.dtype in (np.bool_, np.uint8) else apply("abs", value)


def _isfinite(x: Any) -> Any:
    return ~(np.isnan(x) | np.isinf(x))


def _is_special(op: str) -> Builder:
    return lambda x: apply(op, cast(x, "float32"))


def _logaddexp(a: Any, b: Any) -> Any:
    """`log(exp(a) + exp(b))` without overflow."""
    top = np.maximum(a, b)
    return top + np.log1p(np.exp(-np.abs(np.subtract(a, b))))


def _skip_nan(choose: np.ufunc) -> Builder:
    """fmax and fmin: the other operand where one is NaN."""
    def build(a: Any, b: Any) -> Any:
        return np.where(np.isnan(a), b, np.where(np.isnan(b), a, choose(a, b)))
    return build


def _float(x: Any) -> Any:
    return cast(x, "float32")


_FLOAT_UNARY = ("exp", "log", "log1p", "expm1", "sqrt", "sin", "cos", "tan", "sinh", "cosh",
                "tanh")
_INVERSE = {f"arc{f}{h}": f"a{f}{h}" for f in ("sin", "cos", "tan") for h in ("", "h")}
_COMPARISONS = ("equal", "not_equal", "less", "less_equal", "greater", "greater_equal")

ELEMENTWISE_UFUNCS: dict[str, Builder] = {
    **{name: _float_unary(name) for name in _FLOAT_UNARY},
    **{name: _float_unary(op) for name, op in _INVERSE.items()},
    **{name: _comparison(name) for name in _COMPARISONS},
    **{name: _rounding(name) for name in ("floor", "ceil", "trunc")},
    **{f"logical_{op}": _logical(f"logical_{op}") for op in ("and", "or", "xor", "not")},
    "rint": _float_unary("round"),
    "negative": _number_unary("neg"),
    "positive": as_tracer,
    "sign": _number_unary("sign"),
    "absolute": _absolute,
    "fabs": lambda x: apply("abs", _float(x)),
    "conjugate": as_tracer,
    "add": _arithmetic("add", "logical_or"),
    "subtract": _arithmetic("sub"),
    "multiply": _arithmetic("mul", "logical_and"),
    "maximum": _arithmetic("maximum", "logical_or"),
    "minimum": _arithmetic("minimum", "logical_and"),
    "divide": _divide,
    "floor_divide": _arithmetic("floor_div"),
    "remainder": _arithmetic("mod"),
    "fmod": _arithmetic("fmod"),
    "divmod": lambda a, b: (np.floor_divide(a, b), np.remainder(a, b)),
    "modf": lambda x: (_float(x) - np.trunc(_float(x)), np.trunc(_float(x))),
    "power": _power,
    "float_power": _float_power,
    "bitwise_and": _bitwise("bitwise_and", "logical_and"),
    "bitwise_or": _bitwise("bitwise_or", "logical_or"),
    "bitwise_xor": _bitwise("bitwise_xor", "logical_xor"),
    "invert": _bitwise("bitwise_not", "logical_not"),
    "left_shift": _shift("shift_left"),
    "right_shift": _shift("shift_right"),
    "arctan2": lambda a, b: apply("atan2", _float(a), _float(b)),
    "isnan": _is_special("isnan"),
    "isinf": _is_special("isinf"),
    "isfinite": _isfinite,
    "fmax": _skip_nan(np.maximum),
    "fmin": _skip_nan(np.minimum),
    "square": lambda x: _power(as_tracer(x), 2),
    "reciprocal": lambda x: 1.0 / _float(x),
    "cbrt": lambda x: np.sign(_float(x)) * np.abs(_float(x)) ** (1 / 3),
    "hypot": lambda a, b: np.sqrt(_float(a) ** 2 + _float(b) ** 2),
    "log2": lambda x: np.log(x) * (1 / math.log(2)),
    "log10": lambda x: np.log(x) * (1 / math.log(10)),
    "exp2": lambda x: 2.0 ** _float(x),
    "deg2rad": lambda x: _float(x) * (math.pi / 180),
    "radians": lambda x: _float(x) * (math.pi / 180),
    "rad2deg": lambda x: _float(x) * (180 / math.pi),
    "degrees": lambda x: _float(x) * (180 / math.pi),
    "logaddexp": _logaddexp,
    "logaddexp2": lambda a, b: _logaddexp(np.multiply(a, math.log(2)), np.multiply(b, math.log(2))
                                          ) * (1 / math.log(2)),
    "heaviside": lambda x, half: np.where(np.equal(x, 0), half, cast(np.greater(x, 0), "float32")),
    "expit": lambda x: apply("sigmoid", _float(x)),
    "erf": lambda x: apply("erf", _float(x)),
    "erfc": lambda x: 1.0 - apply("erf", _float(x)),
}

REDUCE: dict[str, Builder] = {
    "add": np.sum, "multiply": np.prod, "maximum": np.max, "minimum": np.min,
    "logical_and": np.all, "logical_or": np.any}

ACCUMULATE: dict[str, Builder] = {"add": np.cumsum, "multiply": np.cumprod}
