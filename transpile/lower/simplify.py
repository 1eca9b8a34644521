"""Simplifies scalar expressions by what is known of indices."""

from __future__ import annotations

from transpile.ir.dims import Dim, Poly, lower, nonnegative, upper
from transpile.lower.expr import Call, Const, Expr, Index, map_expr

COMPARE = {"less": (1, 0, 1), "less_equal": (1, 0, 0), "greater": (0, 1, 1),
           "greater_equal": (0, 1, 0)}
"""Comparisons as `sides[larger] - sides[smaller] - strict >= 0`."""


def simplify(expr: Expr) -> Expr:
    """Comparisons of indices are decided by bounds, or brought to the form `variable < number`."""
    return map_expr(expr, _simplify_call)


def _simplify_call(expr: Expr) -> Expr | None:
    if not isinstance(expr, Call):
        return None
    if expr.fn in COMPARE and _index(expr.args[0]) is not None and (
            _index(expr.args[1]) is not None):
        return _compare(expr)
    if expr.fn == "select" and isinstance(expr.args[0], Const):
        return expr.args[1] if expr.args[0].value else expr.args[2]
    if expr.fn in ("logical_and", "logical_or"):
        return _logical(expr)
    return None


def _index(expr: Expr) -> Dim | None:
    if isinstance(expr, Index):
        return expr.index
    return int(expr.value) if isinstance(expr, Const) and expr.dtype == "int32" else None


def _logical(expr: Call) -> Expr | None:
    neutral = expr.fn == "logical_and"
    for this, other in (expr.args, expr.args[::-1]):
        if isinstance(this, Const):
            return other if bool(this.value) == neutral else this
    return None


def _compare(expr: Call) -> Expr | None:
    sides = (_index(expr.args[0]), _index(expr.args[1]))
    larger, smaller, strict = COMPARE[expr.fn]
    a, b = sides[larger], sides[smaller]
    assert a is not None and b is not None
    gap = a - b - strict
    if nonnegative(lower(gap)):
        return Const(True, "bool")
    top = upper(gap)
    if top is not None and nonnegative(-1 - top):
        return Const(False, "bool")
    return _in_order(gap)


def _in_order(gap: Dim) -> Expr:
    """`gap >= 0` with positive terms on one side and negative ones on the other."""
    terms = gap.terms if isinstance(gap, Poly) else (((), gap),)
    left: Dim = 0
    right: Dim = 0
    for monomial, coef in terms:
        if coef > 0 and monomial:
            left = left + Poly(((monomial, coef),))
        else:
            right = right - (Poly(((monomial, coef),)) if monomial else coef)
    if left == 0:
        return Call("less_equal", (Index(right), Index(left)), "bool") if isinstance(
            right, int) else _flip(right)
    return Call("greater_equal", (Index(left), Index(right)), "bool")


def _flip(value: Dim) -> Expr:
    """`0 >= value` as `variable < number`."""
    assert isinstance(value, Poly)
    return Call("less", (Index(value - value.const), Index(1 - value.const)), "bool")
