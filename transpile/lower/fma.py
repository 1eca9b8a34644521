"""Sums of a product become one operation where a target has it: `a*b + c` is `fma(a, b, c)`."""

from __future__ import annotations

from collections.abc import Sequence

from transpile.lower.expr import Call, Expr
from transpile.lower.stmt import Stmt
from transpile.lower.walk import map_body, uses

FUSED = "float32x4"
"""What is fused: lanes."""


def fuse_products(body: Sequence[Stmt]) -> tuple[Stmt, ...]:
    """Every expression of a kernel with its products fused."""
    return map_body(body, fused)


def fused(value: Expr) -> Expr:
    """`value` with each product that only a sum reads fused with it; shared parts stay shared."""
    counts = uses(value)
    done: dict[int, Expr] = {}

    def visit(e: Expr) -> Expr:
        if not isinstance(e, Call):
            return e
        if id(e) not in done:
            done[id(e)] = sum_of(e) or rebuilt(e)
        return done[id(e)]

    def rebuilt(e: Call) -> Call:
        args = tuple(map(visit, e.args))
        same = all(a is b for a, b in zip(args, e.args, strict=True))
        return e if same else Call(e.fn, args, e.dtype)

    def sum_of(e: Call) -> Call | None:
        if e.fn != "add" or e.dtype != FUSED:
            return None
        for product, other in (e.args[::-1], e.args):
            if isinstance(product, Call) and product.fn == "mul" and counts[id(product)] == 1:
                return Call("fma", (*map(visit, product.args), visit(other)), FUSED)
        return None
    return visit(value)
