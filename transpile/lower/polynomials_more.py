"""Powers, inverse trigonometric and hyperbolic functions; see `polynomials`."""

from __future__ import annotations

import math

import numpy as np

from transpile.lower.expr import Call, Const, Expr, call
from transpile.lower.polynomials import (
    INFINITY,
    NAN,
    add,
    bits,
    div,
    from_bits,
    horner,
    mul,
    number,
    real,
    scaled,
    select,
    shift,
    sub,
    with_sign_of,
)

HALF_PI = math.pi / 2


def _fn(name: str, x: Expr) -> Expr:
    return Call(name, (x,), x.dtype)


def tan(x: Expr) -> Expr:
    """2.8 ulp away from its poles, where the error of the reduction grows."""
    return div(_fn("sin", x), _fn("cos", x))


def _atan_positive(a: Expr) -> Expr:
    """For a >= 0; the polynomial and the three ranges of Cephes `atanf`."""
    large, medium = call("greater", a, 2.414213562373095), call("greater", a, 0.4142135623730950)
    top = select(large, -1.0, select(medium, sub(a, 1.0), a))
    bottom = select(large, a, select(medium, add(a, 1.0), number(1.0, a)))
    t = div(top, bottom)
    base = select(large, HALF_PI, select(medium, HALF_PI / 2, number(0.0, a)))
    square = mul(t, t)
    p = horner(square, 8.05374449538e-2, -1.38776856032e-1, 1.99777106478e-1, -3.33329491539e-1)
    return add(base, add(mul(p, square, t), t))


def atan(x: Expr) -> Expr:
    """2.7 ulp."""
    return with_sign_of(_atan_positive(call("abs", x)), x)


def atan2(y: Expr, x: Expr) -> Expr:
    """2.8 ulp; signed zeros and infinities count, as in C."""
    ax, ay = call("abs", x), call("abs", y)
    steep = call("greater", ay, ax)
    large, small = select(steep, ay, ax), select(steep, ax, ay)
    ratio = select(call("equal", small, large), 1.0, div(small, large))
    ratio = select(call("equal", small, 0.0), 0.0, ratio)
    angle = _atan_positive(ratio)
    angle = select(steep, sub(number(HALF_PI, x), angle), angle)
    negative = call("less", bits(x), number(0, bits(x)))
    angle = select(negative, sub(number(math.pi, x), angle), angle)
    invalid = call("logical_or", call("isnan", x), call("isnan", y))
    return select(invalid, NAN, with_sign_of(angle, y))


def _asin_core(t: Expr) -> Expr:
    """asin on [0, 1/2]; the polynomial of Cephes `asinf`."""
    square = mul(t, t)
    p = horner(square, 4.2163199048e-2, 2.4181311049e-2, 4.5470025998e-2, 7.4953002686e-2,
               1.6666752422e-1)
    return add(mul(p, square, t), t)


def asin(x: Expr) -> Expr:
    """2.2 ulp; the ranges of Cephes `asinf`."""
    a = call("abs", x)
    far = call("greater", a, 0.5)
    half = call("sqrt", mul(sub(number(1.0, a), a), 0.5))
    core = _asin_core(select(far, half, a))
    return with_sign_of(select(far, sub(number(HALF_PI, x), mul(core, 2.0)), core), x)


def acos(x: Expr) -> Expr:
    """1.3 ulp."""
    a = call("abs", x)
    far = call("greater", a, 0.5)
    half = call("sqrt", mul(sub(number(1.0, a), a), 0.5))
    core = _asin_core(select(far, half, a))
    negative = call("less", x, 0.0)
    outside = select(negative, sub(number(math.pi, x), mul(core, 2.0)), mul(core, 2.0))
    inside = sub(number(HALF_PI, x), with_sign_of(core, x))
    return select(far, outside, inside)


def sinh(x: Expr) -> Expr:
    """3.2 ulp."""
    a = call("abs", x)
    square = mul(x, x)
    near = add(mul(horner(square, 2.03721912945e-4, 8.33028376239e-3, 1.66667160211e-1), square,
                   x), x)
    e = _fn("exp", mul(a, 0.5))
    far = sub(mul(e, e, 0.5), div(0.5, mul(e, e)))
    large = mul(mul(e, 0.5), e)
    far = select(call("greater", a, 20.0), large, far)
    return select(call("less", a, 1.0), near, with_sign_of(far, x))


def cosh(x: Expr) -> Expr:
    """2.9 ulp."""
    e = _fn("exp", mul(call("abs", x), 0.5))
    return add(mul(mul(e, 0.5), e), div(0.5, mul(e, e)))


def asinh(x: Expr) -> Expr:
    """1.8 ulp."""
    a = call("abs", x)
    square = mul(a, a)
    near = _fn("log1p", add(a, div(square, add(call("sqrt", add(square, 1.0)), 1.0))))
    far = add(_fn("log", a), math.log(2))
    return with_sign_of(select(call("less", a, 1e9), near, far), x)


def acosh(x: Expr) -> Expr:
    """1.2 ulp; NaN below 1."""
    t = sub(x, 1.0)
    near = _fn("log1p", add(t, call("sqrt", add(mul(t, 2.0), mul(t, t)))))
    far = add(_fn("log", x), math.log(2))
    return select(call("less", x, 1.0), NAN, select(call("greater", x, 1e9), far, near))


def atanh(x: Expr) -> Expr:
    """1.8 ulp."""
    a = call("abs", x)
    value = mul(_fn("log1p", div(mul(a, 2.0), sub(number(1.0, a), a))), 0.5)
    return with_sign_of(value, x)


def _double(x: Expr) -> Expr:
    return Call("to_float64", (x,), "float64")


def _log2(a: Expr) -> Expr:
    """log2 of a positive float32 in float64, to 1e-12."""
    small = call("less", a, 1.1754943508222875e-38)
    raw = bits(select(small, mul(a, 2.0**25), a))
    lifted = call("sub", raw, number(0x3F3504F3, raw))
    exponent = shift("shift_right", lifted, 23)
    mantissa = _double(from_bits(call("sub", raw, shift("shift_left", exponent, 23))))
    s = div(sub(mantissa, 1.0), add(mantissa, 1.0))
    series = horner(mul(s, s), *(2 / math.log(2) / k for k in range(13, 0, -2)))
    e = _double(sub(real(exponent), select(small, 25.0, number(0.0, a))))
    return add(e, mul(s, series))


def pow_float(x: Expr, y: Expr) -> Expr:
    """0.5 ulp: exp2(y log2 |x|), the product in float64; negative bases take whole exponents."""
    a = call("abs", x)
    log2 = select(call("equal", a, 0.0), -INFINITY, _log2(a))
    log2 = select(call("less", a, INFINITY), log2, _double(a))
    t = mul(_double(y), log2)
    inside = call("at_most", call("at_least", t, -200.0), 200.0)
    n = call("round", inside)
    f = sub(inside, n)
    power = horner(f, *(math.log(2)**k / math.factorial(k) for k in range(9, -1, -1)))
    value = scaled(Call("to_float32", (power,), "float32"), Call("to_int32", (n,), "int32"))
    value = select(call("isnan", t), NAN, value)
    return _pow_sign(x, y, a, value)


def _pow_sign(x: Expr, y: Expr, a: Expr, value: Expr) -> Expr:
    is_whole = call("equal", call("floor", y), y)
    half = mul(y, 0.5)
    odd = call("logical_and", is_whole, call("not_equal", call("floor", half), half))
    negative = call("less", bits(x), Const(0, "int32"))
    value = select(call("logical_and", negative, odd), call("neg", value), value)
    bad = call("logical_and", call("less", x, 0.0), call("logical_not", is_whole))
    bad = call("logical_and", bad, call("less", call("abs", y), INFINITY))
    bad = call("logical_and", bad, call("less", a, INFINITY))
    value = select(bad, NAN, value)
    one = call("logical_or", call("equal", y, 0.0), call("equal", x, 1.0))
    at_infinity = call("logical_and", call("equal", a, 1.0), call("isinf", y))
    return select(call("logical_or", one, at_infinity), 1.0, value)


def power(x: Expr, y: Expr) -> Expr:
    """`pow_float`, or for integers products of squares (wrapping; exponents count modulo 32).

    Below an exponent of 0 the quotient is cut to an integer: 0, unless x is 1 or -1.
    """
    if x.dtype == "float32":
        return pow_float(x, y)
    result: Expr = number(1, x)
    square = x
    for bit in range(5):
        odd = call("not_equal", call("bitwise_and", y, number(1 << bit, y)), number(0, y))
        result = call("mul", result, select(odd, square, number(1, x)))
        square = call("mul", square, square)
    zero = call("logical_and", call("equal", x, number(0, x)), call("greater", y, number(0, y)))
    if y.dtype.startswith("int32"):  # or lanes of it
        unit = call("equal", call("mul", x, x), number(1, x))
        negative = call("less", y, number(0, y))
        result = select(negative, select(unit, result, number(0, x)), result)
    return select(zero, 0, result)


def power_reference(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """`np.power`, and for negative exponents of integers what `power` gives."""
    if not all(np.issubdtype(np.asarray(v).dtype, np.integer) for v in (x, y)) or np.all(
            np.asarray(y) >= 0):
        return np.asarray(np.power(x, y))
    unit = np.where(np.asarray(y) % 2 == 1, x, 1)  # 1 or -1 to any power
    whole = np.power(x, np.maximum(y, 0))
    return np.asarray(np.where(np.asarray(y) >= 0, whole, np.where(np.abs(x) == 1, unit, 0)))
