"""Common subexpressions of straight-line code become locals: loads first of all."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from transpile.lower.expr import Call, Expr, Load, Local
from transpile.lower.scalar import cost
from transpile.lower.stmt import Assign, Declare, If, Let, Stmt, Store

LAZY = {"select": 1, "logical_and": 1, "logical_or": 1}
"""Functions whose operands from this position on may not be evaluated at all."""


def share(block: Sequence[Stmt], before: Sequence[Stmt] = (), *,
          eager: bool = False) -> tuple[Stmt, ...]:
    """Bind what occurs more than once to a local, just before its first use.

    Only what is certain to be evaluated is bound, since an operand behind a condition may load
    from a place that does not exist. Nothing that the block itself changes is bound.

    Args:
        before: statements that come first in the same scope; their names are taken.
        eager: also bind arithmetic behind a condition if it occurs three times and loads nothing.
    """
    changed = {s.name for s in _all(block) if isinstance(s, (Assign, Declare))}
    written = {s.buffer for s in _all(block) if isinstance(s, Store)}
    certain: Counter[Expr] = Counter()
    every: Counter[Expr] = Counter()
    for stmt in block:
        for expr in _evaluated(stmt):
            certain.update(set(_certain(expr)))
        for expr in _exprs(stmt):
            every.update(_all_parts(expr))
    wanted = {e for e in certain if every[e] > 1 and _worth(e) and _stable(e, changed, written)}
    if eager:
        wanted |= {e for e, n in every.items() if n > 2 and _worth(e) and _loads_nothing(e)
                   and _stable(e, changed, written)}
    wanted -= {e for e in wanted if _only_inside(e, wanted, every)}
    taken = {s.name for s in before if isinstance(s, Let)}
    return tuple(_Binder(wanted, taken, eager).run(block))


class _Binder:
    def __init__(self, wanted: set[Expr], taken: set[str], eager: bool) -> None:
        self.wanted, self.taken, self.eager = wanted, taken, eager
        self.names: dict[Expr, Local] = {}
        self.count: Counter[str] = Counter()
        self.out: list[Stmt] = []

    def run(self, block: Sequence[Stmt]) -> list[Stmt]:
        for stmt in block:
            self.out.append(_with_exprs(stmt, self))
        return self.out

    def bind(self, expr: Expr, *, here: bool) -> Expr:
        """`expr` with bound parts replaced; `here` tells that it is certain to be evaluated."""
        if expr in self.names:
            return self.names[expr]
        inner = expr
        if isinstance(expr, Call):
            lazy_from = LAZY.get(expr.fn, len(expr.args))
            inner = Call(expr.fn, tuple(self.bind(a, here=here and i < lazy_from)
                                        for i, a in enumerate(expr.args)), expr.dtype)
        here = here or (self.eager and _loads_nothing(inner))
        if not here or expr not in self.wanted:
            return inner
        stem = expr.buffer if isinstance(expr, Load) else "t"
        local = Local(self._fresh(stem), expr.dtype)
        self.names[expr] = local
        self.out.append(Let(local.name, inner))
        return local

    def _fresh(self, stem: str) -> str:
        """A name that nobody else makes: buffers may be called like accumulators."""
        while True:
            name = f"{stem}@{self.count[stem]}"
            self.count[stem] += 1
            if name not in self.taken:
                return name


def _with_exprs(stmt: Stmt, binder: _Binder) -> Stmt:
    if isinstance(stmt, Store):
        return Store(stmt.buffer, stmt.index, binder.bind(stmt.value, here=True))
    if isinstance(stmt, (Assign, Declare, Let)):
        return type(stmt)(stmt.name, binder.bind(stmt.value, here=True))
    if isinstance(stmt, If):
        condition = binder.bind(stmt.condition, here=True)
        return If(condition, tuple(_inside(s, binder) for s in stmt.then),
                  tuple(_inside(s, binder) for s in stmt.otherwise))
    return stmt


def _inside(stmt: Stmt, binder: _Binder) -> Stmt:
    if isinstance(stmt, Assign):
        return Assign(stmt.name, binder.bind(stmt.value, here=False))
    return stmt


def _all(block: Sequence[Stmt]) -> Iterator[Stmt]:
    for stmt in block:
        yield stmt
        if isinstance(stmt, If):
            yield from _all((*stmt.then, *stmt.otherwise))


def _evaluated(stmt: Stmt) -> Iterator[Expr]:
    """Expressions that a statement certainly evaluates."""
    if isinstance(stmt, If):
        yield stmt.condition
    elif isinstance(stmt, (Store, Assign, Declare, Let)):
        yield stmt.value


def _exprs(stmt: Stmt) -> Iterator[Expr]:
    for s in _all((stmt,)):
        yield from _evaluated(s)


def _certain(expr: Expr) -> Iterator[Expr]:
    yield expr
    if isinstance(expr, Call):
        for arg in expr.args[:LAZY.get(expr.fn, len(expr.args))]:
            yield from _certain(arg)


def _all_parts(expr: Expr) -> Iterator[Expr]:
    yield expr
    if isinstance(expr, Call):
        for arg in expr.args:
            yield from _all_parts(arg)


def _worth(expr: Expr) -> bool:
    return isinstance(expr, Load) or (isinstance(expr, Call) and cost(expr) > 0)


def _loads_nothing(expr: Expr) -> bool:
    return not any(isinstance(p, Load) for p in _all_parts(expr))


def _stable(expr: Expr, changed: set[str], written: set[str]) -> bool:
    if isinstance(expr, Local):
        return expr.name not in changed
    if isinstance(expr, Load):
        return expr.buffer not in written
    return not isinstance(expr, Call) or all(_stable(a, changed, written) for a in expr.args)


def _only_inside(expr: Expr, wanted: set[Expr], every: Counter[Expr]) -> bool:
    """True if each occurrence of `expr` lies in one larger bound expression, bound just once."""
    for outer in wanted:
        if outer is not expr and outer != expr and isinstance(outer, Call):
            inside = sum(1 for p in _all_parts(outer) if p == expr)
            if inside == 1 and every[outer] == every[expr]:
                return True
    return False


