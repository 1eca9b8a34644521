"""Common subexpressions of straight-line code become locals: loads first of all."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType

from transpile.lower.expr import Call, Expr, Load, Local
from transpile.lower.scalar import SCALARS
from transpile.lower.stmt import Assign, Declare, If, Let, Stmt, Store

LAZY = {"select": 1, "logical_and": 1, "logical_or": 1}
"""Functions whose operands from this position on may not be evaluated at all."""


def share(block: Sequence[Stmt], before: Sequence[Stmt] = (), *, eager: bool = False,
          lazy: Mapping[str, int] = LAZY) -> tuple[Stmt, ...]:
    """Bind what occurs more than once to a local, just before its first use.

    Only what is certain to be evaluated is bound, since an operand behind a condition may load
    from a place that does not exist. Nothing that the block itself changes is bound.

    Args:
        before: statements that come first in the same scope; their names are taken.
        eager: also bind arithmetic behind a condition if it occurs three times and loads nothing.
        lazy: as `LAZY`; nothing where a load from any place does no harm.
    """
    changed = {s.name for s in _all(block) if isinstance(s, (Assign, Declare))}
    written = {s.buffer for s in _all(block) if isinstance(s, Store)}
    certain = _parts((e for stmt in block for e in _evaluated(stmt)), lazy)
    every = _occurrences([e for stmt in block for e in _exprs(stmt)])
    wanted = {e for e in certain if every[e] > 1 and _worth(e) and _stable(e, changed, written)}
    if eager:
        wanted |= {e for e, n in every.items() if n > 2 and _worth(e) and _loads_nothing(e)
                   and _stable(e, changed, written)}
    wanted -= {e for e in wanted if _only_inside(e, wanted, every)}
    taken = {s.name for s in before if isinstance(s, Let)}
    return tuple(_Binder(wanted, taken, eager, lazy).run(block))


class _Binder:
    def __init__(self, wanted: set[Expr], taken: set[str], eager: bool,
                 lazy: Mapping[str, int]) -> None:
        self.wanted, self.taken, self.eager, self.lazy = wanted, taken, eager, lazy
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
            lazy_from = self.lazy.get(expr.fn, len(expr.args))
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


def _parts(roots: Iterable[Expr], lazy: Mapping[str, int] = MappingProxyType({})) -> list[Expr]:
    """Each distinct part once, operands first: expressions share parts, and as a tree are huge.

    Args:
        lazy: functions whose operands from that position on are left out.
    """
    found: dict[Expr, None] = {}

    def visit(expr: Expr) -> None:
        if expr in found:
            return
        if isinstance(expr, Call):
            for arg in expr.args[:lazy.get(expr.fn, len(expr.args))]:
                visit(arg)
        found[expr] = None

    for root in roots:
        visit(root)
    return list(found)


def _occurrences(roots: Sequence[Expr]) -> Counter[Expr]:
    """How often each part occurs in expressions written out as trees."""
    counts = Counter(roots)
    for expr in reversed(_parts(roots)):
        if isinstance(expr, Call):
            for arg in expr.args:
                counts[arg] += counts[expr]
    return counts


def _worth(expr: Expr) -> bool:
    return isinstance(expr, Load) or (isinstance(expr, Call) and any(
        SCALARS[p.fn].cost > 0 for p in _parts([expr]) if isinstance(p, Call)))


def _loads_nothing(expr: Expr) -> bool:
    return not any(isinstance(p, Load) for p in _parts([expr]))


def _stable(expr: Expr, changed: set[str], written: set[str]) -> bool:
    parts = _parts([expr])
    return not any(isinstance(p, Local) and p.name in changed for p in parts) and not any(
        isinstance(p, Load) and p.buffer in written for p in parts)


def _only_inside(expr: Expr, wanted: set[Expr], every: Counter[Expr]) -> bool:
    """True if each occurrence of `expr` lies in one larger bound expression, bound just once."""
    return any(every[outer] == every[expr] and isinstance(outer, Call) and outer != expr
               and _occurrences([outer])[expr] == 1 for outer in wanted)


