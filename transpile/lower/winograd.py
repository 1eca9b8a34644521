"""The transforms of Winograd convolutions as loop IR (see `ops/winograd.py`)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from transpile.ir.dims import Axis, Dim, axis
from transpile.lower.bilinear import (
    Planes,
    Read,
    Write,
    inside,
    point_products,
    row_groups,
    transform_both,
)
from transpile.lower.expr import Expr
from transpile.lower.routine import RoutineContext, loops
from transpile.lower.stmt import Stmt
from transpile.ops.registry import Accessor
from transpile.ops.winograd import Matrix, matrices, points, tiles


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
class _Tile:
    """One tile of an image as loop variables: where it lies, and its number in a buffer."""

    n: Dim
    row: Dim
    col: Dim
    number: Dim


def _input(context: RoutineContext, x: Accessor, by: _Filtering, at: _Tile, write: Write
           ) -> tuple[Stmt, ...]:
    """One tile of the image, transformed; `write(point, tile, channel, value)`."""
    channel = Axis("c", x.type.shape[3])
    c = axis("c", channel.extent)
    step = by.tile * by.stride
    return transform_both(context, by.matrices[0], channel,
                          lambda i, j: x(at.n, at.row * step + i, at.col * step + j, c),
                          lambda i, j, value: write(by.side * i + j, at.number, c, value),
                          by.stride)


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
    """Numbers of the rows in groups of up to two: opposite points first, then the others."""
    alike: dict[tuple[float, ...], list[int]] = {}
    for i, row in enumerate(matrix):
        alike.setdefault(tuple(map(abs, row)), []).append(i)
    pairs = [rows[k:k + 2] for rows in alike.values() for k in range(0, len(rows) - 1, 2)]
    others = [rows[-1] for rows in alike.values() if len(rows) % 2]
    return [others[k:k + 2] for k in range(0, len(others), 2)] + pairs


def _output(context: RoutineContext, by: _Filtering, shape: tuple[Dim, ...], at: _Tile,
            channel: Axis, first: Dim, read: Read) -> tuple[Stmt, ...]:
    """One tile of products transformed back; what lies beyond the image is left out.

    Args:
        channel: the channels that are written, from `first` on.
        read: `read(point, tile, channel)`.
    """
    c = axis(channel.name, channel.extent)

    def write(i: Dim, j: Dim, value: Expr) -> Stmt:
        y, x = at.row * by.tile + i, at.col * by.tile + j
        return inside(context.store((at.n, y, x, first + c), value), (y, shape[1]), (x, shape[2]))
    return transform_both(context, by.matrices[2], channel,
                          lambda i, j: read(by.side * i + j, at.number, c), write)


def build_winograd_input(context: RoutineContext, x: Accessor, *, tile: int, taps: int,
                         stride: int = 1) -> tuple[Stmt, ...]:
    """Every window of the image, transformed."""
    outer, at = _tile_loops(tiles(x.type.shape, tile, taps, stride))
    return loops(outer, _input(context, x, _Filtering(tile, taps, stride), at,
                               lambda p, t, c, value: context.store((p, t, c), value)))


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
    outer, at = _tile_loops(_grid(shape, tile))
    return loops(outer, _output(context, _Filtering(tile, taps, stride), shape, at,
                                Axis("c", shape[3]), 0, m))


def build_winograd_bands(context: RoutineContext, x: Accessor, w: Accessor, *, tile: int,
                         taps: int, rows: int, shape: tuple[Dim, ...], stride: int = 1
                         ) -> tuple[Stmt, ...]:
    """A convolution, `rows` rows of tiles at a time, whose transforms stay in the cache."""
    batch, height, cols = tiles(x.type.shape, tile, taps, stride)
    inputs, outputs = w.type.shape[1:]
    by = _Filtering(tile, taps, stride)
    count, planes = rows * cols, by.side**2
    outer = [Axis("n", batch), Axis("band", height // rows)]
    n, band = (axis(a.name, a.extent) for a in outer)
    inner = [Axis("y", rows), Axis("x", cols)]
    y, col = (axis(a.name, a.extent) for a in inner)
    at = _Tile(n, band * rows + y, col, y * cols + col)
    left = Planes.of(context, planes, count, inputs)
    made = Planes.of(context, planes, count, outputs)
    nest = point_products(planes, count, inputs, outputs, left.load, w, made)
    return loops(outer, [
        *loops(inner, _input(context, x, by, at, left.store)),
        *context.nested(nest, w),
        *loops(inner, _output(context, by, shape, at, Axis("c", outputs), 0, made.load))])


def build_winograd_panels(context: RoutineContext, x: Accessor, w: Accessor, *, tile: int,
                          shape: tuple[Dim, ...], stride: int = 1) -> tuple[Stmt, ...]:
    """Products and output, one panel of columns at a time.

    Transformed weights are several times as large as what they are made of. Where they would come
    from memory, and few tiles use them, making them anew in the cache costs less.
    """
    height = x.type.shape[1]
    taps, _, inputs, outputs = w.type.shape
    width = w.panel or outputs
    assert isinstance(width, int) and isinstance(taps, int)
    by = _Filtering(tile, taps, stride)
    count = by.side**2
    panel = Axis("panel", outputs // width)
    at_panel, k = axis(panel.name, panel.extent), axis("k", inputs)
    right = Planes.of(context, count, inputs, width)
    made = Planes.of(context, count, height, width)
    nest = point_products(count, height, inputs, width, x, right.load, made)
    outer, at = _tile_loops(_grid(shape, tile))
    return loops([panel], [
        *loops([Axis("k", inputs)], _weight_groups(
            w, by, k, at_panel, width, lambda p, c, value: right.store(p, k, c, value))),
        *context.nested(nest),
        *loops(outer, _output(context, by, shape, at, Axis("c", width), at_panel * width,
                              made.load))])


def _grid(shape: tuple[Dim, ...], tile: int) -> tuple[Dim, Dim, Dim]:
    """The batch, and how many tiles an image takes."""
    batch, height, width, _ = shape
    return batch, -(-height // tile), -(-width // tile)


def _tile_loops(shape: tuple[Dim, Dim, Dim]) -> tuple[list[Axis], _Tile]:
    axes = [Axis(name, extent) for name, extent in zip("nyx", shape, strict=True)]
    n, y, x = (axis(a.name, a.extent) for a in axes)
    return axes, _Tile(n, y, x, (n * shape[1] + y) * shape[2] + x)
