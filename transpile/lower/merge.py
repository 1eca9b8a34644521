"""Two loops that walk memory as one become one, after statements are built."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from transpile.ir.dims import Axis, Dim, axis, substitute_axes
from transpile.lower.nest import map_index, walks_as_one
from transpile.lower.stmt import For, Stmt, Store
from transpile.lower.walk import indices, map_body


def merge_loops(body: Sequence[Stmt]) -> tuple[Stmt, ...]:
    """Every perfectly nested pair of plain loops merged where all indices allow it."""
    return tuple(_merged(s) for s in body)


def _merged(stmt: Stmt) -> Stmt:
    if not isinstance(stmt, For):
        return stmt
    stmt = replace(stmt, body=merge_loops(stmt.body))
    inner = stmt.body[0] if len(stmt.body) == 1 else None
    if not isinstance(inner, For) or not (_plain(stmt) and _plain(inner)):
        return stmt
    if not all(walks_as_one(i, stmt.axis, inner.axis) for i in indices(inner.body)):
        return stmt
    merged = Axis(inner.axis.name, stmt.axis.extent * inner.axis.extent)
    return For(merged, placed(inner.body, {
        stmt.axis.name: 0, inner.axis.name: axis(merged.name, merged.extent)}), 0, merged.extent)


def _plain(loop: For) -> bool:
    return loop.start == 0 and loop.step == 1 and loop.stop == loop.axis.extent


def placed(body: Sequence[Stmt], values: Mapping[str, Dim]) -> tuple[Stmt, ...]:
    """The body with loop variables replaced by name."""
    def change(index: Dim) -> Dim:
        return substitute_axes(index, values)

    def store(stmt: Store) -> Store:
        return replace(stmt, index=change(stmt.index))
    renamed = map_body(body, lambda e: map_index(e, change), store)
    return tuple(_bounds(s, change) for s in renamed)


def _bounds(stmt: Stmt, change: object) -> Stmt:
    assert callable(change)
    if not isinstance(stmt, For):
        return stmt
    return replace(stmt, start=change(stmt.start), stop=change(stmt.stop),
                   body=tuple(_bounds(s, change) for s in stmt.body))
