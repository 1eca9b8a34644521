"""Address arithmetic moves out of loops: what a loop does not change becomes a pointer before it.

`x[(row + 1)*784 + k]` inside the loop over `k` becomes `x0 = x + row*784` before it and
`x0[k + 784]` inside; all points of a tile share the pointer and differ by a literal.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from transpile.ir.dims import Axis, Dim, Opaque, Poly, atoms
from transpile.lower.expr import Expr, Load, Local, Pointer, map_expr
from transpile.lower.stmt import Assign, Declare, For, Let, Stmt, Store
from transpile.lower.walk import map_body, parts, statements


def hoist(body: Sequence[Stmt]) -> tuple[Stmt, ...]:
    """The same statements with pointers before innermost loops and before groups of accesses."""
    return tuple(_Hoister().block(body))


@dataclass
class _Hoister:
    count: Counter[str] = field(default_factory=Counter)

    def block(self, body: Sequence[Stmt]) -> list[Stmt]:
        result: list[Stmt] = []
        for stmt in body:
            if not isinstance(stmt, For):
                result.append(stmt)
                continue
            if any(isinstance(s, For) for s in stmt.body):
                result.append(replace(stmt, body=tuple(self.block(stmt.body))))
            else:
                result += self.innermost(stmt)
        return result

    def innermost(self, loop: For) -> list[Stmt]:
        inside = {s.name for s in statements(loop.body) if isinstance(s, (Let, Declare, Assign))}
        pointers: dict[tuple[str, Dim, str], str] = {}

        def split(buffer: str, index: Dim, dtype: str) -> tuple[str, Dim]:
            fixed, moving = _split(index, loop.axis, inside)
            if fixed == 0 or buffer in inside:
                return buffer, index
            key = (buffer, fixed, dtype)
            if key not in pointers:
                pointers[key] = f"{buffer}At{self.count[buffer] or ''}"
                self.count[buffer] += 1
            return pointers[key], moving

        body = _map_addresses(loop.body, split)
        lets = [Let(name, Pointer(buffer, fixed, dtype))
                for (buffer, fixed, dtype), name in pointers.items()]
        return [*lets, replace(loop, body=body)]


def _split(index: Dim, over: Axis, inside: set[str]) -> tuple[Dim, Dim]:
    """An index as a part that the loop does not change, and the rest with the constant."""
    if isinstance(index, int):
        return 0, index
    moving: list[tuple[tuple[object, ...], int]] = []
    fixed: list[tuple[tuple[object, ...], int]] = []
    for monomial, coef in index.terms:
        changes = not monomial or any(_changes(a, over, inside) for a in monomial)
        (moving if changes else fixed).append((monomial, coef))
    return _poly(fixed), _poly(moving)


def _poly(terms: list[tuple[tuple[object, ...], int]]) -> Dim:
    return Poly(tuple(terms)) + 0 if terms else 0  # type: ignore[arg-type]


def _changes(a: object, over: Axis, inside: set[str]) -> bool:
    if isinstance(a, Axis):
        return a.name == over.name
    if isinstance(a, Opaque):
        return any(_expr_changes(p, over, inside) for p in parts(a.expr))
    value, divisor = getattr(a, "value", 0), getattr(a, "divisor", 0)
    return any(_changes(x, over, inside) for d in (value, divisor) for x in atoms(d))


def _expr_changes(expr: Expr, over: Axis, inside: set[str]) -> bool:
    if isinstance(expr, Local):
        return expr.name in inside
    index = getattr(expr, "index", 0)
    return any(_changes(x, over, inside) for x in atoms(index)) or isinstance(expr, Load) and (
        expr.buffer in inside)


def _map_addresses(body: Sequence[Stmt], split: object) -> tuple[Stmt, ...]:
    assert callable(split)

    def change(expr: Expr) -> Expr:
        def visit(e: Expr) -> Expr | None:
            if not isinstance(e, Load):
                return None
            buffer, index = split(e.buffer, e.index, e.dtype)
            return replace(e, buffer=buffer, index=index)
        return map_expr(expr, visit)

    def store(stmt: Store) -> Store:
        buffer, index = split(stmt.buffer, stmt.index, stmt.value.dtype)
        return replace(stmt, buffer=buffer, index=index)
    return map_body(body, change, store)


