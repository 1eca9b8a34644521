"""The transforms of Winograd convolutions as straight-line loop IR (see `ops/winograd.py`)."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from transpile.ir.dims import Axis, Dim, axis, in_range
from transpile.lower.expr import Const, Expr, Index, Local, call
from transpile.lower.routine import RoutineContext, loops
from transpile.lower.share import share
from transpile.lower.stmt import If, Let, Stmt, Store
from transpile.ops.registry import Accessor
from transpile.ops.winograd import Matrix, matrices, tiles

Cell = Callable[[int, int], Expr]


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


def transform(matrix: Matrix, size: int, cell: Cell) -> tuple[list[Stmt], list[list[Expr]]]:
    """`matrix @ tile @ matrix.T` for a square tile given by `cell(row, col)`.

    Returns:
        statements that bind the intermediate values, and the result's cells.
    """
    half: list[list[Expr]] = []
    body: list[Stmt] = []
    for i, row in enumerate(matrix):
        half.append([])
        for col in range(size):
            name = f"h{i}_{col}"
            body.append(Let(name, _dot(row, [cell(k, col) for k in range(size)])))
            half[-1].append(Local(name))
    return body, [[_dot(row, values) for row in matrix] for values in half]


def _tile_loops(shape: tuple[Dim, Dim, Dim], channels: Dim
                ) -> tuple[list[Axis], Dim, Dim, Dim, Dim]:
    batch, rows, cols = shape
    axes = [Axis("n", batch), Axis("y", rows), Axis("x", cols), Axis("c", channels)]
    n, y, x, c = (axis(a.name, a.extent) for a in axes)
    return axes, n, y, x, c


def build_winograd_input(context: RoutineContext, x: Accessor, *, tile: int) -> tuple[Stmt, ...]:
    """Every (tile+2)^2 window of the image, transformed, one channel at a time."""
    shape = tiles(x.type.shape, tile)
    axes, n, row, col, c = _tile_loops(shape, x.type.shape[3])
    number = (n * shape[1] + row) * shape[2] + col
    size = tile + 2
    body, cells = transform(matrices(tile)[0], size,
                            lambda i, j: x(n, row * tile + i, col * tile + j, c))
    stores = [context.store((i * size + j, number, c), cells[i][j])
              for i in range(size) for j in range(size)]
    return loops(axes, share([*body, *stores]))


def build_winograd_weight(context: RoutineContext, w: Accessor, *, tile: int) -> tuple[Stmt, ...]:
    """Every 3x3 window of weights, transformed."""
    axes = [Axis("i", w.type.shape[2]), Axis("o", w.type.shape[3])]
    i, o = (axis(a.name, a.extent) for a in axes)
    size = tile + 2
    body, cells = transform(matrices(tile)[1], 3, lambda a, b: w(a, b, i, o))
    stores = [context.store((a * size + b, i, o), cells[a][b])
              for a in range(size) for b in range(size)]
    return loops(axes, share([*body, *stores]))


def build_winograd_output(context: RoutineContext, m: Accessor, *, tile: int,
                          shape: tuple[Dim, ...]) -> tuple[Stmt, ...]:
    """Every tile of products transformed back; what lies beyond the image is left out."""
    batch, height, width, channels = shape
    grid = (batch, -(-height // tile), -(-width // tile))
    axes, n, row, col, c = _tile_loops(grid, channels)
    number = (n * grid[1] + row) * grid[2] + col
    size = tile + 2
    body, cells = transform(matrices(tile)[2], size, lambda i, j: m(i * size + j, number, c))
    stores = [_inside(context.store((n, row * tile + i, col * tile + j, c), cells[i][j]),
                      row * tile + i, height, col * tile + j, width)
              for i in range(tile) for j in range(tile)]
    return loops(axes, share([*body, *stores]))


def _inside(store: Store, row: Dim, height: Dim, col: Dim, width: Dim) -> Stmt:
    """The store, under a condition where its place may lie beyond the image."""
    checks = [call("less", Index(at), Const(size, "int32") if isinstance(size, int)
                   else Index(size)) for at, size in ((row, height), (col, width))
              if not in_range(at, size)]
    if not checks:
        return store
    return If(checks[0] if len(checks) == 1 else call("logical_and", *checks), (store,))
