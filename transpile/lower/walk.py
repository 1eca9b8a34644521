"""Walking and rebuilding statements: the one place that knows their fields."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace

from transpile.ir.dims import Dim, Opaque, atom, atoms, rebuild
from transpile.ir.dims import names as names_of
from transpile.lower.expr import Call, Expr, Index, Load, Local, Pointer, map_expr
from transpile.lower.stmt import Assign, Declare, For, If, Let, Stmt, Store


def statements(body: Sequence[Stmt]) -> Iterator[Stmt]:
    """Every statement in a body, outer ones first."""
    for stmt in body:
        yield stmt
        yield from statements(children(stmt))


def children(stmt: Stmt) -> tuple[Stmt, ...]:
    if isinstance(stmt, For):
        return stmt.body
    return (*stmt.then, *stmt.otherwise) if isinstance(stmt, If) else ()


def own_exprs(stmt: Stmt) -> tuple[Expr, ...]:
    """The expressions that a statement itself evaluates."""
    if isinstance(stmt, (Store, Assign, Declare, Let)):
        return (stmt.value,)
    return (stmt.condition,) if isinstance(stmt, If) else ()


def evaluated(stmt: Stmt) -> tuple[Expr, ...]:
    """The same, and the place of a store, which may be gathered."""
    return (*own_exprs(stmt), *((Index(stmt.index),) if isinstance(stmt, Store) else ()))


def parts(expr: Expr) -> Iterator[Expr]:
    """An expression and everything in it, gathered indices included."""
    yield expr
    if isinstance(expr, Call):
        for arg in expr.args:
            yield from parts(arg)
    elif isinstance(expr, (Load, Index, Pointer)):
        for a in atoms(expr.index):
            if isinstance(a, Opaque):
                yield from parts(a.expr)


def map_body(body: Sequence[Stmt], change: Callable[[Expr], Expr],
             store: Callable[[Store], Store] = lambda s: s) -> tuple[Stmt, ...]:
    """Every own expression of every statement through `change`, every store through `store`."""
    return tuple(_map_stmt(s, change, store) for s in body)


def _map_stmt(stmt: Stmt, change: Callable[[Expr], Expr], store: Callable[[Store], Store]
              ) -> Stmt:
    if isinstance(stmt, For):
        return replace(stmt, body=map_body(stmt.body, change, store))
    if isinstance(stmt, If):
        return If(change(stmt.condition), map_body(stmt.then, change, store),
                  map_body(stmt.otherwise, change, store))
    if isinstance(stmt, Store):
        return store(replace(stmt, value=change(stmt.value)))
    if isinstance(stmt, (Assign, Declare, Let)):
        return replace(stmt, value=change(stmt.value))
    return stmt


def rename_buffers(body: Sequence[Stmt], names: Mapping[str, str]) -> tuple[Stmt, ...]:
    """Every buffer renamed by table, in gathered indices and in the locals that it lends its name.

    Shared loads of `x` are called `x@0`, `x@1`, ...: see `lower/share.py`.
    """
    def local(name: str) -> str:
        stem, mark, number = name.rpartition("@")
        return names.get(stem, stem) + mark + number if mark else name

    def index(value: Dim) -> Dim:
        return rebuild(value, lambda a: atom(replace(a, expr=change(a.expr)))
                       if isinstance(a, Opaque) else None)

    def visit(e: Expr) -> Expr | None:
        if isinstance(e, (Load, Pointer)):
            return replace(e, buffer=names.get(e.buffer, e.buffer), index=index(e.index))
        if isinstance(e, Local):
            return replace(e, name=local(e.name))
        return replace(e, index=index(e.index)) if isinstance(e, Index) else None

    def change(e: Expr) -> Expr:
        return map_expr(e, visit)

    def store(s: Store) -> Store:
        return replace(s, buffer=names.get(s.buffer, s.buffer), index=index(s.index))
    return _map_lets(map_body(body, change, store), local)


def _map_lets(body: Sequence[Stmt], change: Callable[[str], str]) -> tuple[Stmt, ...]:
    """Every name that a `Let` introduces through `change`."""
    def visit(stmt: Stmt) -> Stmt:
        if isinstance(stmt, For):
            return replace(stmt, body=_map_lets(stmt.body, change))
        if isinstance(stmt, If):
            return replace(stmt, then=_map_lets(stmt.then, change),
                           otherwise=_map_lets(stmt.otherwise, change))
        return replace(stmt, name=change(stmt.name)) if isinstance(stmt, Let) else stmt
    return tuple(map(visit, body))


def indices(body: Sequence[Stmt]) -> Iterator[Dim]:
    """Every index and loop bound in a body."""
    for stmt in statements(body):
        if isinstance(stmt, For):
            yield from (stmt.start, stmt.stop)
        for expr in evaluated(stmt):
            for part in parts(expr):
                if isinstance(part, (Load, Index, Pointer)):
                    yield part.index


def dims_of(body: Sequence[Stmt]) -> set[str]:
    """The named dimensions that a body's code needs."""
    return {n for i in indices(body) for n in names_of(i)}


def uses(expr: Expr) -> Counter[int]:
    """How often each call in an expression is used, by identity."""
    seen: Counter[int] = Counter()

    def visit(e: Expr) -> None:
        if isinstance(e, Call):
            seen[id(e)] += 1
            if seen[id(e)] == 1:
                for arg in e.args:
                    visit(arg)
    visit(expr)
    return seen
