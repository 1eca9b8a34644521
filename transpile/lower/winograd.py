"""The transforms of Winograd convolutions as loop IR (see `ops/winograd.py`)."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from transpile.ir.dims import Axis, Dim, axis, in_range
from transpile.lower.expr import Const, Expr, Index, Load, call
from transpile.lower.routine import RoutineContext, loops
from transpile.lower.share import share
from transpile.lower.stmt import If, Stmt, Store
from transpile.ops.registry import Accessor
from transpile.ops.winograd import Matrix, matrices, tiles


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


def _dot(row: Sequence[float], values: Sequence[Expr]) -> Expr:
    """A row of a transform times a vector: even and odd positions apart, then together."""
    parts = [_sum_of(list(zip(row, values, strict=True))[start::2]) for start in (0, 1)]
    (even_sign, even), (odd_sign, odd) = parts
    if even is None or odd is None:
        sign, only = (even_sign, even) if odd is None else (odd_sign, odd)
        assert only is not None
        return only if sign > 0 else call("neg", only)
    if even_sign < 0 and odd_sign > 0:
        return call("sub", odd, even)
    both = call("add" if even_sign == odd_sign else "sub", even, odd)
    return both if even_sign > 0 else call("neg", both)


def _half(matrix: Matrix, channel: Axis, outer: Axis, read: Callable[[Dim, Dim], Expr],
          write: Callable[[Dim, Dim, Expr], Stmt]) -> tuple[Stmt, ...]:
    """`matrix` applied to every row (or column) of a tile, channels innermost.

    Args:
        outer: which row; `read(row, k)` and `write(row, i, value)` know what a row is.
    """
    row = axis(outer.name, outer.extent)
    values = [read(row, k) for k in range(len(matrix[0]))]
    stores = [write(row, i, _dot(coefficients, values)) for i, coefficients in enumerate(matrix)]
    return loops([outer, channel], share(stores))


def _both(context: RoutineContext, matrix: Matrix, channel: Axis, read: Callable[[Dim, Dim], Expr],
          write: Callable[[Dim, Dim, Expr], Stmt]) -> tuple[Stmt, ...]:
    """`matrix @ tile @ matrix.T`: rows into a scratch buffer, then its columns.

    The buffer keeps code and register pressure small: one row at a time, all channels of it.
    """
    size, made = len(matrix[0]), len(matrix)
    assert isinstance(channel.extent, int)
    width, c = channel.extent, axis(channel.name, channel.extent)
    scratch = context.scratch(size * made * width)

    def at(row: Dim, col: Dim) -> Dim:
        return (row * made + col) * width + c
    rows = _half(matrix, channel, Axis("i", size), read,
                 lambda i, j, value: Store(scratch, at(i, j), value))
    cols = _half(matrix, channel, Axis("j", made),
                 lambda j, i: Load(scratch, at(i, j)),
                 lambda j, i, value: write(i, j, value))
    return (*rows, *cols)


def build_winograd_input(context: RoutineContext, x: Accessor, *, tile: int) -> tuple[Stmt, ...]:
    """Every (tile+2)^2 window of the image, transformed."""
    shape = tiles(x.type.shape, tile)
    outer, n, row, col = _tile_loops(shape)
    channel = Axis("c", x.type.shape[3])
    c = axis("c", channel.extent)
    number = (n * shape[1] + row) * shape[2] + col
    size = tile + 2
    return loops(outer, _both(
        context, matrices(tile)[0], channel,
        lambda i, j: x(n, row * tile + i, col * tile + j, c),
        lambda i, j, value: context.store((size * i + j, number, c), value)))


PANEL = 16
"""Weights are transformed so many columns at a time: a multiple of every panel's width."""


def build_winograd_weight(context: RoutineContext, w: Accessor, *, tile: int) -> tuple[Stmt, ...]:
    """Every 3x3 window of weights, transformed."""
    inputs, outputs = w.type.shape[2:]
    width = PANEL if outputs % PANEL == 0 else outputs
    axes = [Axis("k", inputs), Axis("panel", outputs // width)]
    k, panel = (axis(a.name, a.extent) for a in axes)
    channel = Axis("c", width)
    o = panel * width + axis("c", width)
    size = tile + 2
    return loops(axes, _both(
        context, matrices(tile)[1], channel, lambda a, b: w(a, b, k, o),
        lambda a, b, value: context.store((size * a + b, k, o), value)))


def build_winograd_output(context: RoutineContext, m: Accessor, *, tile: int,
                          shape: tuple[Dim, ...]) -> tuple[Stmt, ...]:
    """Every tile of products transformed back; what lies beyond the image is left out."""
    batch, height, width, channels = shape
    grid = (batch, -(-height // tile), -(-width // tile))
    outer, n, row, col = _tile_loops(grid)
    c = axis("c", channels)
    number = (n * grid[1] + row) * grid[2] + col
    size = tile + 2

    def write(i: Dim, j: Dim, value: Expr) -> Stmt:
        y, x = row * tile + i, col * tile + j
        return _inside(context.store((n, y, x, c), value), y, height, x, width)
    return loops(outer, _both(
        context, matrices(tile)[2], Axis("c", channels),
        lambda i, j: m(size * i + j, number, c), write))


def _tile_loops(shape: tuple[Dim, Dim, Dim]) -> tuple[list[Axis], Dim, Dim, Dim]:
    axes = [Axis(name, extent) for name, extent in zip("nyx", shape, strict=True)]
    n, y, x = (axis(a.name, a.extent) for a in axes)
    return axes, n, y, x


def _inside(store: Store, row: Dim, height: Dim, col: Dim, width: Dim) -> Stmt:
    """The store, under a condition where its place may lie beyond the image."""
    checks = [call("less", Index(at), Const(size, "int32") if isinstance(size, int)
                   else Index(size)) for at, size in ((row, height), (col, width))
              if not in_range(at, size)]
    if not checks:
        return store
    return If(checks[0] if len(checks) == 1 else call("logical_and", *checks), (store,))
