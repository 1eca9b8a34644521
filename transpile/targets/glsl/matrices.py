"""Sums of columns, each times a lane of one texel, become products of matrices and vectors.

`sum += v.x * w0; sum += v.y * w1; ...` are four steps of a contraction. As `sum += m * v` a driver
adds the four products before it touches the sum, which then need not wait in memory between them.
Two functions exist only here and in the printer: `matrix(w0, w1, w2, w3)` and `product(m, v)`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from transpile.lower.expr import Call, Const, Expr, Local
from transpile.lower.stmt import Assign, For, If, Let, Stmt
from transpile.lower.walk import own_exprs, parts

MATRIX = "mat4"
"""The dtype of a matrix, which only a local has."""


@dataclass(frozen=True)
class _Term:
    """`total += vector[lane] * column`."""

    total: str
    vector: Local
    lane: int
    column: Local


_Sum = tuple[str, Local, tuple[Local, ...]]
"""A total, the vector whose lanes its steps take, and their columns in order."""


def with_matrices(body: Sequence[Stmt]) -> tuple[Stmt, ...]:
    """The body with products of matrices wherever sums share their columns."""
    result: list[Stmt] = []
    straight: list[Stmt] = []
    for stmt in body:
        if isinstance(stmt, (For, If)):
            result += [*_gathered(straight), _inside(stmt)]
            straight = []
        else:
            straight.append(stmt)
    return (*result, *_gathered(straight))


def _inside(stmt: For | If) -> Stmt:
    if isinstance(stmt, For):
        return replace(stmt, body=with_matrices(stmt.body))
    return replace(stmt, then=with_matrices(stmt.then), otherwise=with_matrices(stmt.otherwise))


def _gathered(block: Sequence[Stmt]) -> Iterator[Stmt]:
    """Each four steps of a sum as one, where the last of them stood."""
    sums = _sums(block)
    last = {max(places): one for places, one in sums.items()}
    dropped = {place for places in sums for place in places}
    names: dict[tuple[Local, ...], Local] = {}
    for place, stmt in enumerate(block):
        if place not in dropped:
            yield stmt
        elif place in last:
            total, vector, columns = last[place]
            if columns not in names:
                names[columns] = Local(f"matrix@{columns[0].name}", MATRIX)
                yield Let(names[columns].name, Call("matrix", columns, MATRIX))
            product = Call("product", (names[columns], vector), "float32x4")
            yield Assign(total, Call("add", (Local(total, "float32x4"), product), "float32x4"))


def _sums(block: Sequence[Stmt]) -> dict[tuple[int, ...], _Sum]:
    """Four steps by the lanes of one texel, by their places, where sums share the columns."""
    terms = {place: t for place, s in enumerate(block) if (t := _term(s)) is not None}
    other = {p.name for place, s in enumerate(block) if place not in terms
             for e in own_exprs(s) for p in parts(e) if isinstance(p, Local)}
    found: dict[tuple[str, Local], dict[int, int]] = {}
    for place, term in terms.items():
        if term.total not in other:  # nothing looks at the sum between the steps
            found.setdefault((term.total, term.vector), {}).setdefault(term.lane, place)
    sums: dict[tuple[int, ...], _Sum] = {}
    for (total, vector), lanes in found.items():
        if len(lanes) == 4:
            places = tuple(lanes[n] for n in range(4))
            sums[places] = total, vector, tuple(terms[p].column for p in places)
    uses = Counter(columns for _, _, columns in sums.values())
    return {places: one for places, one in sums.items() if uses[one[2]] > 1}


def _term(stmt: Stmt) -> _Term | None:
    if not isinstance(stmt, Assign) or not isinstance(stmt.value, Call):
        return None
    total, product = (*stmt.value.args, None)[:2]
    if (stmt.value.fn != "add" or not isinstance(total, Local) or total.name != stmt.name
            or not isinstance(product, Call) or product.fn != "mul"):
        return None
    for splat, column in (product.args, product.args[::-1]):
        lane = _lane(splat)
        if lane is not None and isinstance(column, Local) and column.dtype == "float32x4":
            return _Term(stmt.name, *lane, column)
    return None


def _lane(value: Expr) -> tuple[Local, int] | None:
    """The local and the lane of it that all four lanes hold."""
    if not (isinstance(value, Call) and value.fn == "splat"):
        return None
    lane = value.args[0]
    if not (isinstance(lane, Call) and lane.fn == "lane"):
        return None
    vector, number = lane.args
    if not (isinstance(vector, Local) and isinstance(number, Const)):
        return None
    return vector, int(number.value)
