"""Half precision by arithmetic, for targets that cannot look at a number's bits."""

from __future__ import annotations

from typing import Any

import numpy as np

from transpile.lower.expr import Const, Expr, call, cast

HIDDEN = 1 << 10
"""The leading bit of a normal number's significand; the exponent starts there, too."""

SIGN = 1 << 15


def half_value(bits: Any) -> Any:
    """What the lowest 16 bits of integers stand for in IEEE half precision."""
    return np.asarray(bits).astype(np.uint16).view(np.float16).astype(np.float64)


def from_half(bits: Expr) -> Expr:
    """A finite number: its significand times a power of two, which is a one shifted."""
    exponent = call("bitwise_and", call("shift_right", bits, 10), 31)
    normal = call("not_equal", exponent, 0)
    significand = call("bitwise_or", call("bitwise_and", bits, HIDDEN - 1),
                       call("select", normal, _whole(HIDDEN), _whole(0)))
    power = call("shift_left", _whole(1), call("select", normal, exponent, _whole(1)))
    negative = call("not_equal", call("bitwise_and", bits, SIGN), 0)
    unit = call("select", negative, Const(-2.0**-25), Const(2.0**-25))
    return call("mul", call("mul", cast(significand, "float32"), cast(power, "float32")), unit)


def _whole(value: int) -> Expr:
    return Const(value, "int32")
