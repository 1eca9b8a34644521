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
from transpile.ops.winograd import matrices, tiles


@dataclass(frozen=True)
class _Tile:
    """One tile of an image as loop variables: where it lies, and its number in a buffer."""

    n: Dim
    row: Dim
    col: Dim
    number: Dim


def _input(context: RoutineContext, x: Accessor, tile: int, taps: int, at: _Tile, write: Write
           ) -> tuple[Stmt, ...]:
    """One tile of the image, transformed; `write(point, tile, channel, value)`."""
    channel = Axis("c", x.type.shape[3])
    c = axis("c", channel.extent)
    size = tile + taps - 1
    return transform_both(context, matrices(tile, taps)[0], channel,
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
    return transform_both(context, matrices(tile, taps)[1], channel,
                          lambda a, b: w(a, b, k, panel * width + c),
                          lambda a, b, value: write(size * a + b, c, value))


def _weight_pairs(w: Accessor, tile: int, k: Dim, panel: Dim, width: int,
                  write: Callable[[Dim, Dim, Expr], Stmt]) -> tuple[Stmt, ...]:
    """The same without a buffer, two opposite points at a time: longer code, which is faster."""
    taps = w.type.shape[0]
    assert isinstance(taps, int)
    matrix, c, size = matrices(tile, taps)[1], axis("c", width), tile + taps - 1
    pairs = [(0, size - 1), *((i, i + 1) for i in range(1, size - 1, 2))]
    return row_groups(matrix, pairs, Axis("c", width),
                      lambda a, b: w(a, b, k, panel * width + c),
                      lambda i, j, value: write(size * i + j, c, value))


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
        return inside(context.store((at.n, y, x, first + c), value), (y, shape[1]), (x, shape[2]))
    return transform_both(context, matrices(tile, taps)[2], channel,
                          lambda i, j: read(size * i + j, at.number, c), write)


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
    left = Planes.of(context, points, count, inputs)
    made = Planes.of(context, points, count, outputs)
    nest = point_products(points, count, inputs, outputs, left.load, w, made)
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
    right = Planes.of(context, count, inputs, width)
    made = Planes.of(context, count, height, width)
    nest = point_products(count, height, inputs, width, points, right.load, made)
    outer, at = _tile_loops(_grid(shape, tile))
    return loops([panel], [
        *loops([Axis("k", inputs)], _weight_pairs(
            w, tile, k, at_panel, width, lambda p, c, value: right.store(p, k, c, value))),
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
