"""Transcendental functions in float32 arithmetic, for targets that lack them.

Each is written once over the loop IR and serves a scalar and four lanes alike: no branches, only
arithmetic, bits and selections. Errors are the largest measured against float64 over the whole
range, in units of the last place (see `tests/test_wasm_functions.py`).
"""

from __future__ import annotations

import math

from transpile.lower.expr import Call, Const, Expr, call

INFINITY, NAN = math.inf, math.nan


def number(value: float, like: Expr) -> Const:
    """A constant of the dtype of `like`."""
    return Const(value, like.dtype)


def integers(like: Expr) -> str:
    """The integer dtype with as many lanes as `like`."""
    return "int32x4" if like.dtype.endswith("x4") else "int32"


def horner(x: Expr, *coefficients: float) -> Expr:
    """A polynomial, highest power first."""
    result: Expr = number(coefficients[0], x)
    for c in coefficients[1:]:
        result = call("add", call("mul", result, x), c)
    return result


def by_pairs(x: Expr, *coefficients: float) -> Expr:
    """The same as `horner` over x^2 with linear parts: half the chain, for a product more."""
    square = mul(x, x)
    first = 2 - len(coefficients) % 2
    result = horner(x, *coefficients[:first])
    for at in range(first, len(coefficients), 2):
        result = add(mul(result, square), horner(x, *coefficients[at:at + 2]))
    return result


def add(*terms: Expr | float) -> Expr:
    result = terms[0]
    for term in terms[1:]:
        result = call("add", result, term)
    assert not isinstance(result, (int, float))
    return result


def mul(*factors: Expr | float) -> Expr:
    result = factors[0]
    for factor in factors[1:]:
        result = call("mul", result, factor)
    assert not isinstance(result, (int, float))
    return result


def sub(a: Expr, b: Expr | float) -> Expr:
    return call("sub", a, b)


def div(a: Expr | float, b: Expr) -> Expr:
    return call("div", a if not isinstance(a, (int, float)) else number(a, b), b)


def select(condition: Expr, yes: Expr | float, no: Expr) -> Expr:
    return call("select", condition, number(yes, no) if isinstance(yes, (int, float)) else yes, no)


def bits(x: Expr) -> Expr:
    return Call("float_bits", (x,), integers(x))


def from_bits(x: Expr) -> Expr:
    return Call("from_bits", (x,), "float32x4" if x.dtype.endswith("x4") else "float32")


def whole(x: Expr) -> Expr:
    return Call("to_int32", (x,), integers(x))


def real(x: Expr) -> Expr:
    return Call("to_float32", (x,), "float32x4" if x.dtype.endswith("x4") else "float32")


def shift(fn: str, x: Expr, count: int) -> Expr:
    return Call(fn, (x, Const(count, "int32")), x.dtype)


def with_sign_of(magnitude: Expr, x: Expr) -> Expr:
    """`magnitude`, which is not negative, with the sign bit of `x`."""
    sign = call("bitwise_and", bits(x), number(-2**31, bits(x)))
    return from_bits(call("bitwise_or", bits(magnitude), sign))


def power_of_two(n: Expr) -> Expr:
    """2**n for an integer n in -126..127."""
    return from_bits(shift("shift_left", call("add", n, number(127, n)), 23))


LN2_HIGH, LN2_LOW = 0.693359375, -2.12194440e-4
"""ln 2 in two parts, of which the first has so few bits that a product with an integer is exact."""


LOG2_E = 1.44269504088896341

INTEGERS = 1.5 * 2**23
"""Beside it the spacing of float32 is 1: a sum with it is rounded to an integer, a tie to the even
one, which then stands in the last bits. Cheaper than a rounding and a conversion."""

INTEGERS_BITS = 0x4B400000


def exp_parts(x: Expr) -> tuple[Expr, Expr]:
    """`p`, `n` with exp(x) = (1 + p) * 2**n for |x| <= 104."""
    beside = add(mul(x, LOG2_E), INTEGERS)
    n = sub(beside, INTEGERS)
    r = sub(sub(x, mul(n, LN2_HIGH)), mul(n, LN2_LOW))
    whole_n = sub(bits(beside), number(INTEGERS_BITS, bits(beside)))
    return add(mul(by_pairs(r, *EXP), mul(r, r)), r), whole_n


EXP = (1.3814540579915047e-3, 8.36874544620514e-3, 4.166838899254799e-2, 1.666652113199234e-1,
       4.999999403953552e-1)
"""exp(r) = 1 + r + r^2 EXP(r) for |r| <= ln(2) / 2: least largest relative error, 3.1e-9."""


def scaled(value: Expr, n: Expr) -> Expr:
    """`value * 2**n` in two steps, so that neither overflow nor subnormals come too early."""
    half = shift("shift_right", n, 1)
    return mul(value, power_of_two(half), power_of_two(sub(n, half)))


def exp(x: Expr) -> Expr:
    """0.9 ulp; inf above 88.73, subnormal below -87.34, 0 below -103.98."""
    inside = call("at_most", call("at_least", x, -104.0), 89.0)
    p, n = exp_parts(inside)
    return scaled(add(p, 1.0), n)


def expm1(x: Expr) -> Expr:
    """1.4 ulp."""
    inside = call("at_most", call("at_least", x, -20.0), 89.0)
    p, n = exp_parts(inside)
    half = shift("shift_right", n, 1)
    a, b = power_of_two(half), power_of_two(sub(n, half))
    near = add(mul(p, power_of_two(n)), sub(power_of_two(n), 1.0))
    far = sub(mul(add(p, 1.0), a, b), 1.0)
    value = select(call("less", inside, 60.0), near, far)
    return select(call("equal", x, 0.0), x, value)


def log(x: Expr) -> Expr:
    """0.8 ulp; -inf at 0, NaN below. The polynomial of Cephes `logf`."""
    small = call("less", x, 1.1754943508222875e-38)
    scaled_up = select(small, mul(x, 2.0**25), x)
    raw = bits(scaled_up)
    lifted = call("sub", raw, number(0x3F3504F3, raw))  # sqrt(1/2): the mantissa's lower bound
    exponent = shift("shift_right", lifted, 23)
    mantissa = from_bits(call("sub", raw, shift("shift_left", exponent, 23)))
    e = sub(real(exponent), select(small, 25.0, number(0.0, x)))
    return _log_ends(x, _log_sum(sub(mantissa, 1.0), e))


def _log_sum(m: Expr, e: Expr) -> Expr:
    """log(1 + m) + e ln 2 for m in [sqrt(1/2) - 1, sqrt(2) - 1]."""
    square = mul(m, m)
    p = horner(m, 7.0376836292e-2, -1.1514610310e-1, 1.1676998740e-1, -1.2420140846e-1,
               1.4249322787e-1, -1.6668057665e-1, 2.0000714765e-1, -2.4999993993e-1,
               3.3333331174e-1)
    tail = add(mul(p, m, square), mul(e, LN2_LOW), mul(square, -0.5))
    return add(m, tail, mul(e, LN2_HIGH))


def _log_ends(x: Expr, value: Expr) -> Expr:
    value = select(call("less", x, INFINITY), value, x)  # inf and NaN
    value = select(call("equal", x, 0.0), -INFINITY, value)
    return select(call("less", x, 0.0), NAN, value)


def log1p(x: Expr) -> Expr:
    """1.4 ulp: log(u) corrected by what rounding u = 1 + x lost (Kahan)."""
    u = add(x, 1.0)
    lost = sub(x, sub(u, 1.0))
    correction = select(call("greater", u, 0.0), div(lost, u), number(0.0, u))
    value = add(Call("log", (u,), u.dtype), correction)
    value = select(call("less", call("abs", x), 2.0**-24), x, value)
    return select(call("less", u, INFINITY), value, u)


def tanh(x: Expr) -> Expr:
    """5.2 ulp: a rational function up to 9, where it is 1."""
    bounded = call("at_most", call("at_least", x, -9.0), 9.0)
    square = mul(bounded, bounded)
    return div(mul(bounded, by_pairs(square, *TANH_TOP)), by_pairs(square, *TANH_BOTTOM))


# tanh(x) = x P(x^2) / Q(x^2) on [-9, 9] with the least largest relative error, 2.1e-8.
TANH_TOP = (1.3354655159503181e-8, 2.0609077182598412e-5, 3.495587734505534e-3,
            0.13381025195121765, 1.0)
TANH_BOTTOM = (7.776555435157206e-7, 3.28563415678218e-4, 2.5876980274915695e-2,
               0.4671434164047241, 1.0)


def sigmoid(x: Expr) -> Expr:
    """2.4 ulp; 0 below -89.07.

    1 / (1 + exp(-x)), where exp(-x) takes one power of two and no more: what would be subnormal is
    lost in the sum.
    """
    inside = call("at_most", call("at_least", x, -89.1), 87.0)
    halved = INTEGERS + 126  # 126 is the bias of 2**(n - 1), which is finite up to the last n
    beside = add(mul(inside, -LOG2_E), halved)
    n = sub(beside, halved)
    r = add(inside, mul(n, LN2_HIGH), mul(n, LN2_LOW))  # exp(-x) is exp(-r) 2**n
    odd_turned = [-c if (len(EXP) - k) % 2 == 0 else c for k, c in enumerate(EXP)]
    value = add(mul(by_pairs(r, *odd_turned), mul(r, r)), sub(number(1.0, r), r))
    power = from_bits(shift("shift_left", bits(beside), 23))
    return div(0.5, add(mul(value, power), 0.5))


# erf(x) = x P(x^2) / Q(x^2) on [-4, 4]: the coefficients of Eigen's and XLA's float32 erf.
ERF_TOP = (-2.72614225801306e-10, 2.77068142495902e-08, -2.10102402082508e-06,
           -5.69250639462346e-05, -7.34990630326855e-04, -2.95459980854025e-03,
           -1.60960333262415e-02)
ERF_BOTTOM = (-1.45660718464996e-05, -2.13374055278905e-04, -1.68282697438203e-03,
              -7.37332916720468e-03, -1.42647390514189e-02)


def erf(x: Expr) -> Expr:
    """6 ulp, 3.6e-7 absolute."""
    bounded = call("at_most", call("at_least", x, -4.0), 4.0)
    square = mul(bounded, bounded)
    value = div(mul(bounded, horner(square, *ERF_TOP)), horner(square, *ERF_BOTTOM))
    return call("at_most", call("at_least", value, -1.0), 1.0)


def sin(x: Expr) -> Expr:
    """1.4 ulp or 7e-8 absolute up to 8000, see `_reduced`."""
    return _circular(x, 0)


def cos(x: Expr) -> Expr:
    """1.4 ulp or 8e-8 absolute up to 8000, see `_reduced`."""
    return _circular(x, 1)


# pi/2 in parts of 11 and fewer bits each, so that n * part is exact for n < 2^13; the last rounded.
HALF_PI = (1.5703125, 4.8351287841796875e-4, 3.13855707645416259765625e-7,
           6.07710050630396597660e-11)


def _reduced(x: Expr) -> tuple[Expr, Expr]:
    """The rest in [-pi/4, pi/4] and the quadrant; only so near pi/2 * 2^13 all bits are right.

    Beyond, the error grows to 1e-4 at 1e6; for huge numbers nothing is left but the bounds.
    """
    n = call("round", mul(x, 2 / math.pi))
    r = x
    for part in HALF_PI:
        r = sub(r, mul(n, part))
    return call("at_most", call("at_least", r, -0.8), 0.8), whole(n)


def _circular(x: Expr, quarter: int) -> Expr:
    """sin(x + quarter * pi/2); the polynomials of Cephes `sinf` and `cosf`."""
    r, n = _reduced(x)
    quadrant = call("add", n, number(quarter, n))
    square = mul(r, r)
    sine = add(mul(horner(square, -1.9515295891e-4, 8.3321608736e-3, -1.6666654611e-1), square, r),
               r)
    cosine = add(mul(horner(square, 2.443315711809948e-5, -1.388731625493765e-3,
                            4.166664568298827e-2), square, square), mul(square, -0.5), 1.0)
    odd = call("not_equal", call("bitwise_and", quadrant, number(1, quadrant)),
               number(0, quadrant))
    flip = shift("shift_left", call("bitwise_and", quadrant, number(2, quadrant)), 30)
    value = select(odd, cosine, sine)
    return from_bits(call("bitwise_xor", bits(value), flip))
