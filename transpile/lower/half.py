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
    """A finite number: the significand times a product of powers of two, one per exponent bit."""
    def has(mask: int) -> Expr:
        return call("not_equal", call("bitwise_and", bits, mask), 0)

    def choose(condition: Expr, yes: float, no: float) -> Expr:
        return call("select", condition, Const(yes), Const(no))

    normal = has(31 * HIDDEN)
    significand = call("add", cast(call("bitwise_and", bits, HIDDEN - 1), "float32"),
                       choose(normal, float(HIDDEN), 0.0))
    scale = choose(normal, 2.0**-25, 2.0**-24)
    for bit in range(5):
        scale = call("mul", scale, choose(has(HIDDEN << bit), 2.0**2**bit, 1.0))
    return call("mul", significand, call("mul", scale, choose(has(SIGN), -1.0, 1.0)))
