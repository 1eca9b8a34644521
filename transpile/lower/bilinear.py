"""What fast bilinear algorithms are made of: transforms of blocks, and products at each point.

Winograd's convolutions and Strassen's products have one shape: small matrices of numbers are
applied to blocks of both operands, the transformed blocks are multiplied point by point, and a
third matrix makes blocks of the result.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial, reduce
from itertools import combinations

from transpile.ir.dims import Axis, Dim, axis, in_range
from transpile.lower.expr import Const, Expr, Index, Load, call
from transpile.lower.nest import RESULT, Nest, without_reduction
from transpile.lower.routine import RoutineContext, loops
from transpile.lower.share import share
from transpile.lower.stmt import Argument, For, If, Stmt, Store
from transpile.ops.registry import Accessor
from transpile.ops.winograd import Matrix


def _sum_of(terms: Sequence[tuple[float, Expr]]) -> tuple[float, Expr | None]:
    """A linear combination as sign times expression, its first factor made positive.

    Rows of opposite points then hold equal expressions, which are computed once.
    """
    kept = [(f, e) for f, e in terms if f]
    if not kept:
        return 1.0, None
    sign = 1.0 if kept[0][0] > 0 else -1.0
    total: Expr | None = None
    for factor, expr in kept:
        value = expr if abs(factor) == 1 else call("mul", expr, abs(factor))
        fn = "add" if factor * sign > 0 else "sub"
        total = value if total is None else call(fn, total, value)
    return sign, total


def _dot(row: Sequence[float], values: Sequence[Expr], step: int = 1) -> Expr:
    """A row of a transform times a vector: even and odd positions apart, then together.

    Args:
        step: how many positions lie between neighbours of a phase (see `ops/winograd.py`).
    """
    terms = list(enumerate(zip(row, values, strict=True)))
    parts = [_sum_of([t for k, t in terms if k // step % 2 == odd]) for odd in (0, 1)]
    (even_sign, even), (odd_sign, odd) = parts
    if even is None or odd is None:
        sign, only = (even_sign, even) if odd is None else (odd_sign, odd)
        assert only is not None
        return only if sign > 0 else call("neg", only)
    if even_sign < 0 and odd_sign > 0:
        return call("sub", odd, even)
    both = call("add" if even_sign == odd_sign else "sub", even, odd)
    return both if even_sign > 0 else call("neg", both)


def _paired(matrix: Matrix, values: Sequence[Expr]) -> tuple[list[list[float]], list[Expr]]:
    """The same transform of sums and differences of what has factors of equal magnitude.

    Products at opposite points do in every output: each row then needs one of the two.
    """
    rows, mixed = [list(row) for row in matrix], list(values)
    columns = list(zip(*matrix, strict=True))
    alone = list(range(len(columns)))
    for j, k in combinations(range(len(columns)), 2):
        same = all(abs(a) == abs(b) for a, b in zip(columns[j], columns[k], strict=True))
        if same and j in alone and k in alone:
            alone = [c for c in alone if c not in (j, k)]
            mixed[j], mixed[k] = (call(fn, values[j], values[k]) for fn in ("add", "sub"))
            for row in rows:
                row[j], row[k] = (row[j], 0.0) if row[j] == row[k] else (0.0, row[j])
    return rows, mixed


def row_groups(matrix: Matrix, groups: Sequence[Sequence[int]], lane: Axis,
               read: Callable[[int, int], Expr], write: Callable[[int, int, Expr], Stmt],
               step: int = 1) -> tuple[Stmt, ...]:
    """`matrix @ block @ matrix.T` without a buffer between: a loop for each group of rows.

    Few rows at a time need few registers; those of opposite points share half of their work.

    Args:
        groups: numbers of the rows that are made together.
        read: `read(k, j)` along the first and the second index of a block.
        write: `write(i, j, value)` stores what rows i and j make.
    """
    result: list[Stmt] = []
    for group in groups:
        stores: list[Stmt] = []
        for i in group:
            values = [_dot(matrix[i], [read(k, j) for k in range(len(matrix[0]))], step)
                      for j in range(len(matrix[0]))]
            stores += [write(i, j, _dot(row, values, step)) for j, row in enumerate(matrix)]
        # A loop even for one lane: what groups share have the same names.
        result.append(For(lane, share(stores), 0, lane.extent))
    return tuple(result)


def _half(matrix: Matrix, channel: Axis, outer: Axis, read: Callable[[Dim, Dim], Expr],
          write: Callable[[Dim, Dim, Expr], Stmt], step: int) -> tuple[Stmt, ...]:
    """`matrix` applied to every row (or column) of a tile, channels innermost.

    Args:
        outer: which row; `read(row, k)` and `write(row, i, value)` know what a row is.
    """
    row = axis(outer.name, outer.extent)
    rows, values = _paired(matrix, [read(row, k) for k in range(len(matrix[0]))])
    stores = [write(row, i, _dot(factors, values, step)) for i, factors in enumerate(rows)]
    return loops([outer, channel], share(stores))


def transform_both(context: RoutineContext, matrix: Matrix, channel: Axis,
                   read: Callable[[Dim, Dim], Expr], write: Callable[[Dim, Dim, Expr], Stmt],
                   step: int = 1) -> tuple[Stmt, ...]:
    """`matrix @ tile @ matrix.T`: rows into a scratch buffer, then its columns.

    The buffer keeps code and register pressure small: one row at a time, all channels of it.

    Args:
        step: from one pixel of a phase to the next.
    """
    size, made = len(matrix[0]), len(matrix)
    assert isinstance(channel.extent, int)
    width, c = channel.extent, axis(channel.name, channel.extent)
    scratch = context.scratch(size * made * width)

    def at(row: Dim, col: Dim) -> Dim:
        return (row * made + col) * width + c
    rows = _half(matrix, channel, Axis("i", size), read,
                 lambda i, j, value: Store(scratch, at(i, j), value), step)
    cols = _half(matrix, channel, Axis("j", made),
                 lambda j, i: Load(scratch, at(i, j)),
                 lambda j, i, value: write(i, j, value), step)
    return (*rows, *cols)


@dataclass(frozen=True)
class Planes:
    """A scratch buffer with a plane [rows, columns] for each point.

    Planes lie a cache line further apart than they are long: a tile's values at all points, which
    are used together, would else share few sets of the cache.
    """

    buffer: str
    rows: Dim
    columns: int

    @staticmethod
    def of(context: RoutineContext, points: int, rows: Dim, columns: Dim) -> Planes:
        assert isinstance(columns, int)
        return Planes(context.scratch(points * (rows * columns + LINE)), rows, columns)

    def at(self, point: Dim, row: Dim, column: Dim) -> Dim:
        return point * (self.rows * self.columns + LINE) + row * self.columns + column

    def load(self, point: Dim, row: Dim, column: Dim) -> Expr:
        return Load(self.buffer, self.at(point, row, column))

    def store(self, point: Dim, row: Dim, column: Dim, value: Expr) -> Store:
        return Store(self.buffer, self.at(point, row, column), value)


LINE = 16
"""Elements of a cache line."""

def point_products(points: Sequence[Axis], number: Dim, sizes: tuple[Dim, Dim, Dim],
                   left: Callable[[Dim, Dim], Expr], right: Planes | Accessor, out: Planes) -> Nest:
    """The matrix products at some points.

    Args:
        points: what goes through them.
        number: of a point in `right` and `out`.
        sizes: tiles, inputs and outputs.
        left: `left(tile, input)` at a point.
        right: its elements by point, input and output.
    """
    axes = (*points, *(Axis(n, e) for n, e in zip("tko", sizes, strict=True)))
    t, k, o = (axis(a.name, a.extent) for a in axes[-3:])
    value = right.load(number, k, o) if isinstance(right, Planes) else right(number, k, o)
    argument = Argument(out.buffer, "float32", 0, written=True)
    nest = Nest(tuple(a for a in axes if a.extent != 1 and a.name != "k"),
                tuple(a for a in axes if a.extent != 1 and a.name == "k"), "sum",
                call("mul", left(t, k), value), RESULT, argument, out.at(number, t, o), ())
    return nest if nest.reds else without_reduction(nest)


def below(at: Dim, size: Dim) -> list[Expr]:
    """That a place lies within a size, unless it always does."""
    if in_range(at, size):
        return []
    return [call("less", Index(at), Const(size, "int32") if isinstance(size, int)
                 else Index(size))]


def inside(store: Store, *places: tuple[Dim, Dim]) -> Stmt:
    """The store, under a condition where one of its places may lie beyond its size."""
    return where(store, [c for at, size in places for c in below(at, size)])


def where(store: Store, checks: Sequence[Expr]) -> Stmt:
    """The store, under a condition for each check."""
    return If(reduce(partial(call, "logical_and"), checks), (store,)) if checks else store
