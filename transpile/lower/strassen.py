"""Strassen's matrix product as loop IR (see `ops/strassen.py`)."""

from __future__ import annotations

from collections.abc import Callable

from transpile.ir.dims import Axis, axis
from transpile.lower.bilinear import Planes, inside, point_products, row_groups
from transpile.lower.expr import Expr
from transpile.lower.routine import RoutineContext, loops
from transpile.lower.stmt import Stmt
from transpile.ops.registry import Accessor
from transpile.ops.strassen import LEFT, POINTS, RESULT, RIGHT, SIDE
from transpile.ops.winograd import Matrix

COUNT = len(RESULT[0])
"""Products at each level."""


def _block(outer: int, inner: int) -> tuple[int, int]:
    """Row and column of a block, from its quarter of the matrix and that of the quarter."""
    return outer // 2 * 2 + inner // 2, outer % 2 * 2 + inner % 2


def _transformed(transform: Matrix, lane: Axis, read: Callable[[int, int], Expr],
                 write: Callable[[int, int, Expr], Stmt]) -> tuple[Stmt, ...]:
    """A transform at both levels, row by row of the level of the first index."""
    return row_groups(transform, [[i] for i in range(len(transform))], lane, read, write)


def build_strassen_input(context: RoutineContext, x: Accessor) -> tuple[Stmt, ...]:
    """Sums of the left matrix's blocks, row by row."""
    rows, columns = (d // SIDE for d in x.type.shape)
    m, c = axis("m", rows), axis("c", columns)

    def read(outer: int, inner: int) -> Expr:
        i, j = _block(outer, inner)
        return x(i * rows + m, j * columns + c)
    return loops([Axis("m", rows)], _transformed(
        LEFT, Axis("c", columns), read,
        lambda p, q, value: context.store((COUNT * p + q, m, c), value)))


def build_strassen_product(context: RoutineContext, points: Accessor, w: Accessor, *, rows: int
                           ) -> tuple[Stmt, ...]:
    """Weights, products and the result, one panel of columns at a time.

    Sums of a weight's blocks are three times as large as the weight. Making those of a panel just
    before they are used costs no more than reading them from memory would.
    """
    _, height, inputs = points.type.shape
    columns = w.type.shape[5]
    width = w.panel or columns
    assert isinstance(width, int)
    panel, lane = Axis("panel", columns // width), Axis("c", width)
    first, k, c = axis("panel", panel.extent) * width, axis("k", inputs), axis("c", width)
    m, p = axis("m", height), axis("p", POINTS)
    right = Planes.of(context, POINTS, inputs, width)
    made = Planes.of(context, POINTS, height, width)

    def write(inner: int, outer: int, value: Expr) -> Stmt:
        i, j = _block(outer, inner)
        at = i * height + m
        return inside(context.store((at, j * columns + first + c), value), (at, rows))
    return loops([panel], [
        *loops([Axis("k", inputs)], _transformed(
            RIGHT, lane, lambda outer, inner: w(k, *divmod(outer, 2), *divmod(inner, 2),
                                                first + c),
            lambda q, r, value: right.store(COUNT * q + r, k, c, value))),
        *context.nested(point_products([Axis("p", POINTS)], p, (height, inputs, width),
                                       lambda t, k: points(p, t, k), right, made)),
        *loops([Axis("m", height)], _transformed(
            RESULT, lane, lambda q, r: made.load(COUNT * r + q, m, c), write))])
