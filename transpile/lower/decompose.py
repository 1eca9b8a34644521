"""Functions that a target lacks are replaced by their parts, each part computed once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from transpile.lower.scalar import decomposed
from transpile.lower.share import share
from transpile.lower.stmt import Assign, Declare, For, If, Let, Stmt, Store
from transpile.lower.walk import statements


def decompose(body: Sequence[Stmt], column: str) -> tuple[Stmt, ...]:
    """`body` in functions that the scalar table's `column` has.

    What a decomposition repeats (the argument, its square) becomes a local before the statement.
    """
    lets: list[Stmt] = [s for s in statements(body) if isinstance(s, Let)]
    return _block(body, column, lets)


def _block(body: Sequence[Stmt], column: str, lets: list[Stmt]) -> tuple[Stmt, ...]:
    result: list[Stmt] = []
    for stmt in body:
        if isinstance(stmt, For):
            result.append(replace(stmt, body=_block(stmt.body, column, lets)))
        elif isinstance(stmt, If):
            result.append(If(decomposed(stmt.condition, column),
                             _block(stmt.then, column, lets),
                             _block(stmt.otherwise, column, lets)))
        elif isinstance(stmt, (Let, Declare, Assign, Store)):
            result += _simple(stmt, column, lets)
        else:
            result.append(stmt)
    return tuple(result)


def _simple(stmt: Let | Declare | Assign | Store, column: str, lets: list[Stmt]
            ) -> Sequence[Stmt]:
    value = decomposed(stmt.value, column)
    if value == stmt.value:
        return [stmt]
    shared = share([replace(stmt, value=value)], lets, eager=True)
    lets += shared[:-1]
    return shared
