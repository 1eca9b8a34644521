"""The transforms of Winograd convolutions as loop IR (see `ops/winograd.py`)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from transpile.ir.dims import Axis, Dim, axis, in_range
from transpile.lower.expr import Const, Expr, Index, Load, call
from transpile.lower.nest import RESULT, Nest, without_reduction
from transpile.lower.routine import RoutineContext, loops
from transpile.lower.share import share
from transpile.lower.stmt import Argument, If, Stmt, Store
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


@dataclass(frozen=True)
class _Tile:
    """One tile of an image as loop variables: where it lies, and its number in a buffer."""

    n: Dim
    row: Dim
    col: Dim
    number: Dim


@dataclass(frozen=True)
class _Planes:
    """A scratch buffer with a plane [rows, columns] for each point.

    Planes lie a cache line further apart than they are long: a tile's values at all points, which
    are used together, would else share few sets of the cache.
    """

    buffer: str
    rows: Dim
    columns: int

    @staticmethod
    def of(context: RoutineContext, points: int, rows: Dim, columns: Dim) -> _Planes:
        assert isinstance(columns, int)
        return _Planes(context.scratch(points * (rows * columns + LINE)), rows, columns)

    def at(self, point: Dim, row: Dim, column: Dim) -> Dim:
        return point * (self.rows * self.columns + LINE) + row * self.columns + column

    def load(self, point: Dim, row: Dim, column: Dim) -> Expr:
        return Load(self.buffer, self.at(point, row, column))

    def store(self, point: Dim, row: Dim, column: Dim, value: Expr) -> Store:
        return Store(self.buffer, self.at(point, row, column), value)


LINE = 16
"""Elements of a cache line."""

Write = Callable[[Dim, Dim, Dim, Expr], Stmt]
Read = Callable[[Dim, Dim, Dim], Expr]


def _input(context: RoutineContext, x: Accessor, tile: int, taps: int, at: _Tile, write: Write
           ) -> tuple[Stmt, ...]:
    """One tile of the image, transformed; `write(point, tile, channel, value)`."""
    channel = Axis("c", x.type.shape[3])
    c = axis("c", channel.extent)
    size = tile + taps - 1
    return _both(context, matrices(tile, taps)[0], channel,
                 lambda i, j: x(at.n, at.row * tile + i, at.col * tile + j, c),
                 lambda i, j, value: write(size * i + j, at.number, c, value))


def _weight(context: RoutineContext, w: Accessor, tile: int, k: Dim, panel: Dim, width: int,
            write: Callable[[Dim, Dim, Expr], Stmt]) -> tuple[Stmt, ...]:
    """A panel of `width` columns of one input channel's weights, transformed.

    `write(point, column of the panel, value)`.
    """
    taps = w.type.shape[0]
    assert isinstance(taps, int)
    channel = Axis("c", width)
    c = axis("c", width)
    size = tile + taps - 1
    return _both(context, matrices(tile, taps)[1], channel,
                 lambda a, b: w(a, b, k, panel * width + c),
                 lambda a, b, value: write(size * a + b, c, value))


def _output(context: RoutineContext, tile: int, taps: int, shape: tuple[Dim, ...], at: _Tile,
            channel: Axis, first: Dim, read: Read) -> tuple[Stmt, ...]:
    """One tile of products transformed back; what lies beyond the image is left out.

    Args:
        channel: the channels that are written, from `first` on.
        read: `read(point, tile, channel)`.
    """
    c = axis(channel.name, channel.extent)
    size = tile + taps - 1

    def write(i: Dim, j: Dim, value: Expr) -> Stmt:
        y, x = at.row * tile + i, at.col * tile + j
        return _inside(context.store((at.n, y, x, first + c), value), y, shape[1], x, shape[2])
    return _both(context, matrices(tile, taps)[2], channel,
                 lambda i, j: read(size * i + j, at.number, c), write)


def _product(points: int, tiles: Dim, inputs: Dim, outputs: Dim, left: Read, right: Read,
             out: _Planes) -> Nest:
    """The matrix products at all points, from `left(point, tile, input)` and
    `right(point, input, output)`."""
    axes = tuple(Axis(n, e) for n, e in (("p", points), ("t", tiles), ("o", outputs)) if e != 1)
    p, t, o = axis("p", points), axis("t", tiles), axis("o", outputs)
    red = Axis("k", inputs)
    k = axis("k", inputs)
    argument = Argument(out.buffer, "float32", 0, written=True)
    nest = Nest(axes, (red,) if inputs != 1 else (), "sum",
                call("mul", left(p, t, k), right(p, k, o)), RESULT, argument, out.at(p, t, o), ())
    return nest if nest.reds else without_reduction(nest)


def build_winograd_input(context: RoutineContext, x: Accessor, *, tile: int, taps: int
                         ) -> tuple[Stmt, ...]:
    """Every window of the image, transformed."""
    outer, at = _tile_loops(tiles(x.type.shape, tile, taps))
    return loops(outer, _input(context, x, tile, taps, at,
                               lambda p, t, c, value: context.store((p, t, c), value)))


PANEL = 16
"""Weights are transformed so many columns at a time: a multiple of every panel's width."""


def build_winograd_weight(context: RoutineContext, w: Accessor, *, tile: int) -> tuple[Stmt, ...]:
    """Every window of weights, transformed."""
    inputs, outputs = w.type.shape[2:]
    width = PANEL if outputs % PANEL == 0 else outputs
    assert isinstance(width, int)
    axes = [Axis("k", inputs), Axis("panel", outputs // width)]
    k, panel = (axis(a.name, a.extent) for a in axes)
    return loops(axes, _weight(
        context, w, tile, k, panel, width,
        lambda p, c, value: context.store((p, k, panel * width + c), value)))


def build_winograd_output(context: RoutineContext, m: Accessor, *, tile: int, taps: int,
                          shape: tuple[Dim, ...]) -> tuple[Stmt, ...]:
    """Every tile of products transformed back."""
    outer, at = _tile_loops(_grid(shape, tile))
    return loops(outer, _output(context, tile, taps, shape, at, Axis("c", shape[3]), 0, m))


def build_winograd_bands(context: RoutineContext, x: Accessor, w: Accessor, *, tile: int,
                         taps: int, rows: int, shape: tuple[Dim, ...]) -> tuple[Stmt, ...]:
    """A convolution, `rows` rows of tiles at a time, whose transforms stay in the cache."""
    batch, height, cols = tiles(x.type.shape, tile, taps)
    inputs, outputs = w.type.shape[1:]
    count, points = rows * cols, (tile + taps - 1)**2
    outer = [Axis("n", batch), Axis("band", height // rows)]
    n, band = (axis(a.name, a.extent) for a in outer)
    inner = [Axis("y", rows), Axis("x", cols)]
    y, col = (axis(a.name, a.extent) for a in inner)
    at = _Tile(n, band * rows + y, col, y * cols + col)
    left = _Planes.of(context, points, count, inputs)
    made = _Planes.of(context, points, count, outputs)
    nest = _product(points, count, inputs, outputs, left.load, w, made)
    return loops(outer, [
        *loops(inner, _input(context, x, tile, taps, at, left.store)),
        *context.nested(nest, w),
        *loops(inner, _output(context, tile, taps, shape, at, Axis("c", outputs), 0, made.load))])


def build_winograd_panels(context: RoutineContext, points: Accessor, w: Accessor, *, tile: int,
                          shape: tuple[Dim, ...]) -> tuple[Stmt, ...]:
    """Products and output, one panel of columns at a time.

    Transformed weights are several times as large as what they are made of. Where they would come
    from memory, and few tiles use them, making them anew in the cache costs less.
    """
    height = points.type.shape[1]
    taps, _, inputs, outputs = w.type.shape
    width = w.panel or outputs
    assert isinstance(width, int) and isinstance(taps, int)
    count = (tile + taps - 1)**2
    panel = Axis("panel", outputs // width)
    at_panel, k = axis(panel.name, panel.extent), axis("k", inputs)
    right = _Planes.of(context, count, inputs, width)
    made = _Planes.of(context, count, height, width)
    nest = _product(count, height, inputs, width, points, right.load, made)
    outer, at = _tile_loops(_grid(shape, tile))
    return loops([panel], [
        *loops([Axis("k", inputs)], _weight(context, w, tile, k, at_panel, width,
                                            lambda p, c, value: right.store(p, k, c, value))),
        *context.nested(nest),
        *loops(outer, _output(context, tile, taps, shape, at, Axis("c", width), at_panel * width,
                              made.load))])


def _grid(shape: tuple[Dim, ...], tile: int) -> tuple[Dim, Dim, Dim]:
    """The batch, and how many tiles an image takes."""
    batch, height, width, _ = shape
    return batch, -(-height // tile), -(-width // tile)


def _tile_loops(shape: tuple[Dim, Dim, Dim]) -> tuple[list[Axis], _Tile]:
    axes = [Axis(name, extent) for name, extent in zip("nyx", shape, strict=True)]
    n, y, x = (axis(a.name, a.extent) for a in axes)
    return axes, _Tile(n, y, x, (n * shape[1] + y) * shape[2] + x)


def _inside(store: Store, row: Dim, height: Dim, col: Dim, width: Dim) -> Stmt:
    """The store, under a condition where its place may lie beyond the image."""
    checks = [call("less", Index(at), Const(size, "int32") if isinstance(size, int)
                   else Index(size)) for at, size in ((row, height), (col, width))
              if not in_range(at, size)]
    if not checks:
        return store
    return If(checks[0] if len(checks) == 1 else call("logical_and", *checks), (store,))
