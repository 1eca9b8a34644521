"""The transforms of Winograd convolutions as loop IR (see `ops/winograd.py`)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import product

from transpile.ir.dims import Axis, Dim, axis, floordiv
from transpile.lower.bilinear import (
    Planes,
    below,
    point_products,
    row_groups,
    transform_both,
    where,
)
from transpile.lower.expr import Expr, call
from transpile.lower.nest import Nest
from transpile.lower.routine import RoutineContext, loops
from transpile.lower.stmt import Stmt, Store
from transpile.ops.registry import Accessor
from transpile.ops.winograd import Cut, Matrix, matrices, points, tiles

Write = Callable[[Dim, Dim, Dim, Expr], Store]
Read = Callable[[Dim, Dim, Dim], Expr]


@dataclass(frozen=True)
class _Filtering:
    """F(tile, taps) with a stride."""

    tile: int
    taps: int
    stride: int

    @property
    def side(self) -> int:
        """Points, and pixels that a tile is made of, in each direction."""
        return points(self.tile, self.taps, self.stride)

    @property
    def matrices(self) -> tuple[Matrix, Matrix, Matrix]:
        return matrices(self.tile, self.taps, self.stride)


@dataclass(frozen=True)
class _Direction:
    """The tiles along one side of an image, the last `cut` of which have an output less."""

    by: _Filtering
    count: Dim
    cut: int = 0

    @property
    def common(self) -> int:
        """Points that all tiles need; the others come behind them."""
        return self.by.side - self.by.stride

    @property
    def whole(self) -> Dim:
        """Tiles that need all points."""
        return self.count - self.cut

    @property
    def rows(self) -> Dim:
        """Tiles at all points together."""
        return self.before(self.by.side)

    def needing(self, point: Dim) -> Dim:
        """How many tiles need a point."""
        return self.count - self.cut * floordiv(point, self.common) if self.cut else self.count

    def before(self, point: Dim) -> Dim:
        """Tiles at all points before one."""
        rows = self.count * point
        for other in range(self.common + 1, self.by.side + 1) if self.cut else ():
            rows = rows - (self.cut * (point >= other) if isinstance(point, int)
                           else self.cut * floordiv(point, other))
        return rows

    def start(self, number: Dim) -> Dim:
        """The first output of a tile."""
        shorter: Dim = 0
        for k in range(1, self.cut):  # each quotient is 0 or 1: see `cut_of`
            shorter = shorter + floordiv(number, self.whole + k)
        return number * self.by.tile - shorter

    def needs(self, number: Dim, point: Dim) -> list[Expr]:
        """That a tile needs a point."""
        return self._unless_cut(number, point, self.common)

    def has(self, number: Dim, output: Dim, size: Dim) -> list[Expr]:
        """That an output of a tile is its own, and lies in the image."""
        checks = self._unless_cut(number, output, self.by.tile - 1)
        place = self.start(number) + output
        covered = self.count * self.by.tile - self.cut == size
        return checks if self.cut and covered else checks + below(place, size)

    def _unless_cut(self, number: Dim, index: Dim, common: int) -> list[Expr]:
        if not self.cut or (isinstance(index, int) and index < common):
            return []
        whole = below(number, self.whole)
        if isinstance(index, int):
            return whole
        return [call("logical_or", *below(index, common), *whole)]


@dataclass(frozen=True)
class _Grid:
    """All tiles of some images; at each point those that need it lie row by row."""

    y: _Direction
    x: _Direction
    batch: Dim = 1

    @staticmethod
    def of(by: _Filtering, counts: tuple[Dim, Dim, Dim], cut: Cut = (0, 0)) -> _Grid:
        batch, rows, cols = counts
        return _Grid(_Direction(by, rows, cut[0]), _Direction(by, cols, cut[1]), batch)

    @property
    def count(self) -> Dim:
        """All tiles."""
        return self.batch * self.y.count * self.x.count

    def first(self, i: Dim, j: Dim) -> Dim:
        """Tiles at all points before (i, j)."""
        return self.batch * (self.y.before(i) * self.x.rows + self.y.needing(i) * self.x.before(j))

    def place(self, j: Dim, at: _Tile) -> Dim:
        """The place of a tile among those that need a point (i, j), whichever i."""
        return (at.n * self.y.count + at.row) * self.x.needing(j) + at.col

    def loops(self) -> tuple[list[Axis], _Tile]:
        axes = [Axis(n, e) for n, e in zip("nyx", (self.batch, self.y.count, self.x.count),
                                           strict=True)]
        return axes, _Tile(*(axis(a.name, a.extent) for a in axes))


@dataclass(frozen=True)
class _Tile:
    """One tile of an image as loop variables."""

    n: Dim
    row: Dim
    col: Dim


def _input(context: RoutineContext, x: Accessor, grid: _Grid, at: _Tile, write: Write
           ) -> tuple[Stmt, ...]:
    """One tile of the image, transformed; `write(i, j, channel, value)` for each point (i, j)."""
    by, channel = grid.y.by, Axis("c", x.type.shape[3])
    c = axis("c", channel.extent)
    y, x_ = (d.start(n) * by.stride for d, n in ((grid.y, at.row), (grid.x, at.col)))

    def store(i: Dim, j: Dim, value: Expr) -> Stmt:
        needed = [*grid.y.needs(at.row, i), *grid.x.needs(at.col, j)]
        return where(write(i, j, c, value), needed)
    return transform_both(context, by.matrices[0], channel,
                          lambda i, j: x(at.n, y + i, x_ + j, c), store, by.stride)


def _weight(context: RoutineContext, w: Accessor, by: _Filtering, k: Dim, panel: Dim, width: int,
            write: Callable[[Dim, Dim, Expr], Stmt]) -> tuple[Stmt, ...]:
    """A panel of `width` columns of one input channel's weights, transformed.

    `write(point, column of the panel, value)`.
    """
    channel = Axis("c", width)
    c = axis("c", width)
    return transform_both(context, by.matrices[1], channel,
                          lambda a, b: w(a, b, k, panel * width + c),
                          lambda a, b, value: write(by.side * a + b, c, value), by.stride)


def _weight_groups(w: Accessor, by: _Filtering, k: Dim, panel: Dim, width: int,
                   write: Callable[[Dim, Dim, Expr], Stmt]) -> tuple[Stmt, ...]:
    """The same without a buffer, opposite points at a time: longer code, which is faster."""
    matrix, c = by.matrices[1], axis("c", width)
    return row_groups(matrix, opposites(matrix), Axis("c", width),
                      lambda a, b: w(a, b, k, panel * width + c),
                      lambda i, j, value: write(by.side * i + j, c, value), by.stride)


def opposites(matrix: Matrix) -> list[list[int]]:
    """Numbers of the rows in groups of up to two, those of opposite points together."""
    alike: dict[tuple[float, ...], list[int]] = {}
    for i, row in enumerate(matrix):
        alike.setdefault(tuple(map(abs, row)), []).append(i)
    pairs = [rows[k:k + 2] for rows in alike.values() for k in range(0, len(rows) - 1, 2)]
    others = [rows[-1] for rows in alike.values() if len(rows) % 2]
    return [others[k:k + 2] for k in range(0, len(others), 2)] + pairs


def _output(context: RoutineContext, grid: _Grid, shape: tuple[Dim, ...], at: _Tile,
            channel: Axis, first: Dim, made: Read) -> tuple[Stmt, ...]:
    """One tile of products transformed back; what lies beyond the image is left out.

    Args:
        channel: the channels that are written, from `first` on.
        made: `made(point, place, channel)`.
    """
    by, c = grid.y.by, axis(channel.name, channel.extent)

    def write(i: Dim, j: Dim, value: Expr) -> Stmt:
        checks = [*grid.y.has(at.row, i, shape[1]), *grid.x.has(at.col, j, shape[2])]
        return where(context.store((at.n, grid.y.start(at.row) + i, grid.x.start(at.col) + j,
                                    first + c), value), checks)
    return transform_both(context, by.matrices[2], channel,
                          lambda i, j: made(by.side * i + j, grid.place(j, at), c), write)


def build_winograd_input(context: RoutineContext, x: Accessor, *, tile: int, taps: int,
                         stride: int = 1, cut: Cut = (0, 0)) -> tuple[Stmt, ...]:
    """Every window of the image, transformed."""
    grid = _Grid.of(_Filtering(tile, taps, stride), tiles(x.type.shape, tile, taps, stride), cut)
    outer, at = grid.loops()
    return loops(outer, _input(
        context, x, grid, at, lambda i, j, c, value: context.store(
            (grid.first(i, j) + grid.place(j, at), c), value)))


PANEL = 16
"""Weights are transformed so many columns at a time: a multiple of every panel's width."""


def build_winograd_weight(context: RoutineContext, w: Accessor, *, tile: int, stride: int = 1
                          ) -> tuple[Stmt, ...]:
    """Every window of weights, transformed."""
    taps, _, inputs, outputs = w.type.shape
    width = PANEL if outputs % PANEL == 0 else outputs
    assert isinstance(width, int) and isinstance(taps, int)
    axes = [Axis("k", inputs), Axis("panel", outputs // width)]
    k, panel = (axis(a.name, a.extent) for a in axes)
    return loops(axes, _weight(
        context, w, _Filtering(tile, taps, stride), k, panel, width,
        lambda p, c, value: context.store((p, k, panel * width + c), value)))


def build_winograd_output(context: RoutineContext, m: Accessor, *, tile: int, taps: int,
                          shape: tuple[Dim, ...], stride: int = 1) -> tuple[Stmt, ...]:
    """Every tile of products transformed back."""
    grid = _Grid.of(_Filtering(tile, taps, stride), _counts(shape, tile))
    outer, at = grid.loops()
    return loops(outer, _output(context, grid, shape, at, Axis("c", shape[3]), 0, m))


def build_winograd_bands(context: RoutineContext, x: Accessor, w: Accessor, *, tile: int,
                         taps: int, rows: int, shape: tuple[Dim, ...], stride: int = 1
                         ) -> tuple[Stmt, ...]:
    """A convolution, `rows` rows of tiles at a time, whose transforms stay in the cache."""
    batch, height, cols = tiles(x.type.shape, tile, taps, stride)
    inputs, outputs = w.type.shape[1:]
    by = _Filtering(tile, taps, stride)
    grid, band_grid = (_Grid.of(by, (1, n, cols)) for n in (height, rows))
    outer, inner = [Axis("n", batch), Axis("band", height // rows)], band_grid.loops()[0]
    n, band = (axis(a.name, a.extent) for a in outer)
    y, col = (axis(a.name, a.extent) for a in inner[1:])
    at, inside_band = _Tile(n, band * rows + y, col), _Tile(0, y, col)
    p, count = axis("p", by.side**2), band_grid.count
    left = Planes.of(context, by.side**2, count, inputs)
    made = Planes.of(context, by.side**2, count, outputs)
    nest = point_products([Axis("p", by.side**2)], p, (count, inputs, outputs),
                          lambda t, k: left.load(p, t, k), w, made)
    return loops(outer, [
        *loops(inner, _input(
            context, x, grid, at, lambda i, j, c, value: left.store(
                by.side * i + j, band_grid.place(j, inside_band), c, value))),
        *context.nested(nest, w),
        *loops(inner, _output(
            context, grid, shape, at, Axis("c", outputs), 0,
            lambda p, _, c: made.load(p, band_grid.place(0, inside_band), c)))])


def build_winograd_panels(context: RoutineContext, x: Accessor, w: Accessor, *, tile: int,
                          shape: tuple[Dim, ...], stride: int = 1, cut: Cut = (0, 0)
                          ) -> tuple[Stmt, ...]:
    """Products and output, one panel of columns at a time.

    Transformed weights are several times as large as what they are made of. Where they would come
    from memory, and few tiles use them, making them anew in the cache costs less.
    """
    taps, _, inputs, outputs = w.type.shape
    width = w.panel or outputs
    assert isinstance(width, int) and isinstance(taps, int)
    by = _Filtering(tile, taps, stride)
    grid = _Grid.of(by, _counts(shape, tile), cut)
    panel = Axis("panel", outputs // width)
    at_panel, k = axis(panel.name, panel.extent), axis("k", inputs)
    right = Planes.of(context, by.side**2, inputs, width)
    made = Planes.of(context, by.side**2, grid.count, width)
    outer, at = grid.loops()
    return loops([panel], [
        *loops([Axis("k", inputs)], _weight_groups(
            w, by, k, at_panel, width, lambda p, c, value: right.store(p, k, c, value))),
        *(s for nest in _products(grid, x, right, made) for s in context.nested(nest)),
        *loops(outer, _output(context, grid, shape, at, Axis("c", width), at_panel * width,
                              made.load))])


def _products(grid: _Grid, x: Accessor, right: Planes, made: Planes) -> Iterator[Nest]:
    """The products at all points, those together that as many tiles need."""
    side = grid.y.by.side
    inputs, outputs = right.rows, right.columns
    for y, x_ in product(*(_alike(d) for d in (grid.y, grid.x))):
        axes = [Axis("i", len(y)), Axis("j", len(x_))]
        i, j = (r.start + axis(a.name, a.extent) for r, a in zip((y, x_), axes, strict=True))
        count = grid.batch * grid.y.needing(y.start) * grid.x.needing(x_.start)
        # What lies before is the same number for each further point.
        first = (grid.first(y.start, x_.start)
                 + (i - y.start) * grid.batch * grid.y.needing(y.start) * grid.x.rows
                 + (j - x_.start) * count)
        yield point_products(axes, side * i + j, (count, inputs, outputs),
                             partial(_at_row, x, first), right, made)


def _at_row(x: Accessor, first: Dim, row: Dim, column: Dim) -> Expr:
    return x(first + row, column)


def _alike(direction: _Direction) -> list[range]:
    """Points in runs that as many tiles need."""
    side = direction.by.side
    if not direction.cut:
        return [range(side)]
    return [range(direction.common), range(direction.common, side)]


def _counts(shape: tuple[Dim, ...], tile: int) -> tuple[Dim, Dim, Dim]:
    """The batch, and how many tiles an image takes."""
    batch, height, width, _ = shape
    return batch, -(-height // tile), -(-width // tile)
