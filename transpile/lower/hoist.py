"""Address arithmetic moves out of loops: what a loop does not change becomes a pointer before it.

`x[(row + 1)*784 + k]` inside the loop over `k` becomes `x0 = x + row*784` before it and
`x0[k + 784]` inside; all points of a tile share the pointer and differ by a literal.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from transpile.ir.dims import Axis, Dim, Opaque, Poly, atoms
from transpile.lower.expr import Expr, Load, Local, Pointer, map_expr
from transpile.lower.stmt import Assign, Declare, For, If, Let, Stmt, Store
from transpile.lower.walk import children, evaluated, map_body, parts, statements


def hoist(body: Sequence[Stmt]) -> tuple[Stmt, ...]:
    """The same statements with pointers before innermost loops and before groups of accesses."""
    return tuple(_Hoister().block(body))


@dataclass
class _Hoister:
    count: Counter[str] = field(default_factory=Counter)

    def block(self, body: Sequence[Stmt]) -> list[Stmt]:
        result: list[Stmt] = []
        for stmt in self.grouped(body):
            if isinstance(stmt, If) and _loops_inside(stmt):
                result.append(replace(stmt, then=tuple(self.block(stmt.then)),
                                      otherwise=tuple(self.block(stmt.otherwise))))
                continue
            if not isinstance(stmt, For):
                result.append(stmt)
                continue
            if _loops_inside(stmt):
                result.append(replace(stmt, body=tuple(self.block(stmt.body))))
            else:
                result += self.innermost(stmt)
        return result

    def grouped(self, body: Sequence[Stmt]) -> list[Stmt]:
        """Straight-line accesses that differ by a number only share a pointer."""
        inside = {s.name for s in body if isinstance(s, (Let, Declare, Assign))}
        straight = [s for s in body if not _has_loop(s)]
        seen: Counter[tuple[str, Dim, str]] = Counter()

        def note(buffer: str, index: Dim, dtype: str) -> tuple[str, Dim]:
            if isinstance(index, Poly) and not any(_changes(a, NO_AXIS, inside)
                                                   for a in atoms(index)):
                seen[buffer, index - index.const, dtype] += 1
            return buffer, index
        map_addresses(straight, note)
        pointers = {key: self.fresh(key[0]) for key, n in seen.items() if n > 2}

        def point(buffer: str, index: Dim, dtype: str) -> tuple[str, Dim]:
            if isinstance(index, Poly):
                name = pointers.get((buffer, index - index.const, dtype))
                return (name, index.const) if name else (buffer, index)
            return buffer, index
        return self._with_pointers(body, pointers, point)

    def _with_pointers(self, body: Sequence[Stmt], pointers: dict[tuple[str, Dim, str], str],
                       point: Callable[[str, Dim, str], tuple[str, Dim]]) -> list[Stmt]:
        """The body with each pointer just before the first statement that uses it."""
        result: list[Stmt] = []
        waiting = dict(pointers)
        for stmt in body:
            new = stmt if _has_loop(stmt) else map_addresses([stmt], point)[0]
            used = set() if _has_loop(stmt) else _buffers(new)
            for key, name in list(waiting.items()):
                if name in used:
                    result.append(Let(name, Pointer(*key)))
                    del waiting[key]
            result.append(new)
        return result

    def fresh(self, buffer: str) -> str:
        name = f"{buffer}At{self.count[buffer] or ''}"
        self.count[buffer] += 1
        return name

    def innermost(self, loop: For) -> list[Stmt]:
        inside = {s.name for s in statements(loop.body) if isinstance(s, (Let, Declare, Assign))}
        pointers: dict[tuple[str, Dim, str], str] = {}

        def split(buffer: str, index: Dim, dtype: str) -> tuple[str, Dim]:
            fixed, moving = _split(index, loop.axis, inside)
            if fixed == 0 or buffer in inside:
                return buffer, index
            key = (buffer, fixed, dtype)
            if key not in pointers:
                pointers[key] = self.fresh(buffer)
            return pointers[key], moving

        body = map_addresses(loop.body, split)
        lets = [Let(name, Pointer(buffer, fixed, dtype))
                for (buffer, fixed, dtype), name in pointers.items()]
        return [*lets, replace(loop, body=body)]


def _loops_inside(stmt: Stmt) -> bool:
    return any(isinstance(s, For) for s in statements(children(stmt)))


def _has_loop(stmt: Stmt) -> bool:
    return isinstance(stmt, For) or _loops_inside(stmt)


NO_AXIS = Axis("", 1)


def _buffers(stmt: Stmt) -> set[str]:
    found = {s.buffer for s in statements([stmt]) if isinstance(s, Store)}
    return found | {p.buffer for s in statements([stmt]) for e in evaluated(s) for p in parts(e)
                    if isinstance(p, Load)}


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
    return any(_changes(x, over, inside) for x in atoms(index)) or (isinstance(expr, Load) and (
        expr.buffer in inside))


def map_addresses(body: Sequence[Stmt], split: Callable[[str, Dim, str], tuple[str, Dim]]
                   ) -> tuple[Stmt, ...]:
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


