"""Winograd's minimal filtering for square convolutions with stride 1 or 2.

F(m x m, r x r) computes an m x m tile of outputs of a convolution with r x r taps from n x n
inputs, n = m + r - 1, with n^2 products per channel pair instead of m^2 r^2: transform inputs and
weights, multiply matrices at each of the n^2 points, transform back (Lavin and Gray, arXiv
1509.09308). The matrices follow from the interpolation points (Toom-Cook), of which there are n in
each direction. Six use 0, +-sqrt(1/2), +-sqrt(2), which lose two to three times less accuracy than
+-1, +-2.

With stride s every s-th pixel meets every s-th tap: each of these s phases has minimal filtering
of its own, and their points stand side by side in block diagonal matrices, n = s (m - 1) + r in
all. A phase of one tap needs no transform. A 3 x 3 window with stride 2 takes 25 products for a
tile of 2 x 2, of 36; as two taps need few points, the error is that of a direct convolution.

Some points, infinity among them, add to the last output of a tile alone: a tile with one output
less takes the products at the others, and is the same otherwise. So a side of 7 is 4 + 3 outputs
with 6 + 5 points, one of 14 is 4 + 4 + 3 + 3 with 22 instead of 24.
"""

# ruff: noqa: ARG001 - the callables of one op all take all of its attributes
from __future__ import annotations

import math
from functools import lru_cache
from itertools import product

import numpy as np

from transpile.errors import ShapeError
from transpile.ir.dims import Dim, nonnegative
from transpile.ir.graph import Node
from transpile.ir.types import TensorType
from transpile.ops.registry import Columns, Op, register, sample
from transpile.ops.scan import routine

POINTS: dict[int, tuple[float, ...]] = {
    3: (0.0, 1.0),
    4: (0.0, 1.0, -1.0),
    6: (0.0, math.sqrt(0.5), -math.sqrt(0.5), math.sqrt(2.0), -math.sqrt(2.0)),
}
"""The finite interpolation points by their number, in which infinity counts as the last."""


Matrix = tuple[tuple[float, ...], ...]


def points(tile: int, taps: int, stride: int = 1) -> int:
    """Points in each direction, which are as many as the pixels that a tile is made of."""
    return stride * (tile - 1) + taps


@lru_cache
def matrices(tile: int, taps: int, stride: int = 1) -> tuple[Matrix, Matrix, Matrix]:
    """`(input, weight, output)` transforms of F(tile, taps): [n, n], [n, taps] and [tile, n].

    The last `stride` points are those of the last output.
    """
    n = points(tile, taps, stride)
    inputs, weights, outputs = np.zeros((n, n)), np.zeros((n, taps)), np.zeros((tile, n))
    first = 0
    for phase in range(stride):
        pixels, weighed, back = _toom_cook(tile, len(range(phase, taps, stride)))
        own = slice(first, first + len(pixels))
        inputs[own, phase::stride], weights[own, phase::stride] = pixels, weighed
        outputs[:, own] = back
        first = own.stop
    order = sorted(range(n), key=lambda p: not outputs[:-1, p].any())
    def frozen(matrix: np.ndarray) -> Matrix:
        return tuple(tuple(float(v) for v in row) for row in matrix.round(12))
    return frozen(inputs[order]), frozen(weights[order]), frozen(outputs[:, order])


def _toom_cook(tile: int, taps: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The transforms for stride 1."""
    if taps == 1:
        return np.eye(tile), np.ones((tile, 1)), np.eye(tile)
    n = tile + taps - 1
    finite = POINTS[n]
    inputs, weights = np.zeros((n, n)), np.zeros((n, taps))
    for j, p in enumerate(finite):
        others = [q for q in finite if q != p]
        inputs[j, :n - 1] = np.poly(others)[::-1]
        weights[j] = [p**k / math.prod(p - q for q in others) for k in range(taps)]
        if weights[j, 0] < 0:  # a product's two signs may be anything: these need no negation
            inputs[j], weights[j] = -inputs[j], -weights[j]
    inputs[n - 1] = np.poly(finite)[::-1]
    weights[n - 1, taps - 1] = 1
    outputs = np.array([[p**i for p in finite] + [float(i == tile - 1)] for i in range(tile)])
    return inputs, weights, outputs


def tiles(shape: tuple[Dim, ...], tile: int, taps: int, stride: int = 1) -> tuple[Dim, Dim, Dim]:
    """Batch and tile counts of a padded image [N, H, W, C].

    H and W hold whole tiles and the `taps - stride` pixels that the last one reads beyond; with
    stride 2 they may have a pixel more, which no window reaches.
    """
    batch, height, width, _ = shape
    beyond, step = taps - stride, tile * stride
    for size in (height, width):
        if not nonnegative(stride - 1 - (size - beyond) % step):
            raise ShapeError(f"winograd: an image of {size} does not hold whole tiles of {tile}",
                             fix=f"pad it to a multiple of {step}, plus {beyond}")
    return batch, (height - beyond) // step, (width - beyond) // step


Cut = tuple[int, int]
"""How many of the last rows and columns of tiles have an output less; of one image only."""


def cut_of(size: int, tile: int) -> int:
    """How many of the last tiles may have an output less, where `size` outputs are computed."""
    over = -size % tile
    return over if -(-size // tile) > over else min(over, 1)


def starts(count: int, tile: int, cut: int) -> list[int]:
    """The first outputs of `count` tiles of which the last `cut` are one shorter."""
    return [tile * r - max(0, r - (count - cut)) for r in range(count)]


def heights(count: Dim, side: int, stride: int, cut: int) -> list[Dim]:
    """How many of `count` tiles need each of the `side` points of a direction."""
    return [count] * (side - stride) + [count - cut] * stride


def _infer_input(x: TensorType, tile: int, taps: int, stride: int = 1, cut: Cut = (0, 0)
                 ) -> TensorType:
    batch, *counts = tiles(x.shape, tile, taps, stride)
    side = points(tile, taps, stride)
    rows, cols = (sum(heights(n, side, stride, c), 0) for n, c in zip(counts, cut, strict=True))
    return x.with_shape((batch * rows * cols, x.shape[3]))


def winograd_input(x: np.ndarray, tile: int, taps: int, stride: int = 1, cut: Cut = (0, 0)
                   ) -> np.ndarray:
    """Tiles of a padded image, transformed: [N, H, W, C] to [rows, C].

    Point after point, the rows are the tiles that need it.
    """
    matrix = np.array(matrices(tile, taps, stride)[0])
    side = len(matrix)
    windows = np.lib.stride_tricks.sliding_window_view(x, (side, side), (1, 2))
    counts = [(size - taps + stride) // (tile * stride) for size in x.shape[1:3]]
    for axis, (count, short) in enumerate(zip(counts, cut, strict=True), 1):
        windows = windows.take([stride * at for at in starts(count, tile, short)], axis)
    values = np.einsum("ia,jb,nyxcab->ijnyxc", matrix, matrix, windows).astype(x.dtype)
    return np.concatenate([values[i, j, :, :h, :w].reshape(-1, x.shape[3])
                           for i, h in enumerate(heights(counts[0], side, stride, cut[0]))
                           for j, w in enumerate(heights(counts[1], side, stride, cut[1]))])


def _infer_weight(w: TensorType, tile: int, stride: int = 1) -> TensorType:
    taps = w.shape[0]
    if w.rank != 4 or taps != w.shape[1] or not isinstance(taps, int):
        raise ShapeError(f"winograd: the weight {w} is not [taps, taps, C, O]")
    return w.with_shape((points(tile, taps, stride)**2, *w.shape[2:]))


def winograd_weight(w: np.ndarray, tile: int, stride: int = 1) -> np.ndarray:
    """Weights [taps, taps, C, O], transformed: [points, C, O]."""
    matrix = np.array(matrices(tile, w.shape[0], stride)[1])
    result: np.ndarray = np.einsum("ia,jb,abco->ijco", matrix, matrix, w)
    return result.reshape(-1, *w.shape[2:]).astype(w.dtype)


def _infer_output(m: TensorType, tile: int, taps: int, shape: tuple[Dim, ...], stride: int = 1
                  ) -> TensorType:
    return m.with_shape(shape)


def winograd_output(m: np.ndarray, tile: int, taps: int, shape: tuple[int, ...], stride: int = 1
                    ) -> np.ndarray:
    """Products at all points back to an image: [points, tiles, O] to `shape` [N, H, W, O]."""
    return _image(m, tile, taps, shape, stride, (0, 0))


def _image(m: np.ndarray, tile: int, taps: int, shape: tuple[int, ...], stride: int, cut: Cut
           ) -> np.ndarray:
    """The same for tiles that may have an output less."""
    matrix = np.array(matrices(tile, taps, stride)[2])
    n = matrix.shape[1]
    batch, *sizes, channels = shape
    counts = [-(-size // tile) for size in sizes]
    grid = m.reshape(n, n, batch, *counts, channels)
    result = np.einsum("ia,jb,abnyxo->nyixjo", matrix, matrix, grid)
    result = result.reshape(batch, *(count * tile for count in counts), channels)
    for axis, (count, short, size) in enumerate(zip(counts, cut, sizes, strict=True), 1):
        kept = [r * tile + i for r in range(count) for i in range(tile - (r >= count - short))]
        result = result.take(kept[:size], axis)
    return np.ascontiguousarray(result).astype(m.dtype)


def _infer_bands(x: TensorType, w: TensorType, tile: int, taps: int, rows: int,
                 shape: tuple[Dim, ...], stride: int = 1) -> TensorType:
    count = tiles(x.shape, tile, taps, stride)[1]
    if count % rows != 0:
        raise ShapeError(f"winograd: {count} rows of tiles are no whole bands of {rows}",
                         fix="take a divisor")
    return x.with_shape(shape)


def winograd_bands(x: np.ndarray, w: np.ndarray, tile: int, taps: int, rows: int,
                   shape: tuple[int, ...], stride: int = 1) -> np.ndarray:
    """A whole convolution, `rows` rows of tiles at a time.

    Args:
        x: a padded image [N, H, W, C].
        w: weights [points, C, O], as `winograd_weight` gives them.
    """
    transformed = winograd_input(x, tile, taps, stride).reshape(len(w), -1, x.shape[3])
    return winograd_output(transformed @ w, tile, taps, shape, stride)


def _infer_panels(x: TensorType, w: TensorType, tile: int, shape: tuple[Dim, ...],
                  stride: int = 1, cut: Cut = (0, 0)) -> TensorType:
    if _infer_weight(w, tile, stride).shape[1] != x.shape[1]:
        raise ShapeError(f"winograd: the weight {w} does not fit the tiles {x}")
    return x.with_shape(shape)


def winograd_panels(x: np.ndarray, w: np.ndarray, tile: int, shape: tuple[int, ...],
                    stride: int = 1, cut: Cut = (0, 0)) -> np.ndarray:
    """Products and output, some columns of weights at a time, which are transformed just before.

    Args:
        x: [rows, C], as `winograd_input` gives them for the same `cut`.
        w: weights [taps, taps, C, O].
    """
    taps, batch, first = len(w), shape[0], 0
    counts = [-(-size // tile) for size in shape[1:3]]
    side = points(tile, taps, stride)
    weights = winograd_weight(w, tile, stride)
    grid = np.zeros((side**2, batch, *counts, w.shape[3]), x.dtype)
    for p, (y, x_) in enumerate(product(*(
            heights(n, side, stride, c) for n, c in zip(counts, cut, strict=True)))):
        rows = batch * int(y * x_)
        grid[p, :, :y, :x_] = (x[first:first + rows] @ weights[p]).reshape(batch, y, x_, -1)
        first += rows
    return _image(grid, tile, taps, shape, stride, cut)


def _most_tiles(node: Node) -> Dim:
    """Tiles that the points of all of them have."""
    batch, height, width, _ = node.shape
    tile: int = node.attrs["tile"]
    count: Dim = batch * -(-height // tile) * -(-width // tile)
    return count


register(Op("winograd_input", _infer_input, winograd_input,
            routine("build_winograd_input", module="winograd", parallel=True), (
                sample("float32[1,6,6,3]", tile=4, taps=3),
                sample("float32[2,10,6,1]", tile=4, taps=3),
                sample("float32[1,6,9,5]", tile=3, taps=4),
                sample("float32[2,4,8,5]", tile=2, taps=3),
                sample("float32[2,9,14,5]", tile=2, taps=3, stride=2),
                sample("float32[1,10,18,3]", tile=4, taps=3, cut=(1, 3)),
                sample("float32[1,9,13,3]", tile=2, taps=3, stride=2, cut=(1, 0)))))
register(Op("winograd_weight", _infer_weight, winograd_weight,
            routine("build_winograd_weight", module="winograd"), (
                sample("float32[3,3,2,3]", tile=4), sample("float32[4,4,2,3]", tile=3),
                sample("float32[5,5,2,1]", tile=2), sample("float32[3,3,1,5]", tile=2),
                sample("float32[3,3,3,2]", tile=2, stride=2))))
register(Op("winograd_output", _infer_output, winograd_output,
            routine("build_winograd_output", module="winograd", epilogue=True, parallel=True), (
                sample("float32[36,2,3]", tile=4, taps=3, shape=(1, 4, 8, 3)),
                sample("float32[36,4,2]", tile=4, taps=3, shape=(1, 5, 7, 2)),
                sample("float32[36,4,2]", tile=2, taps=5, shape=(1, 3, 4, 2)),
                sample("float32[16,6,1]", tile=2, taps=3, shape=(3, 2, 3, 1)),
                sample("float32[25,8,3]", tile=2, taps=3, stride=2, shape=(2, 3, 4, 3)))))
register(Op("winograd_bands", _infer_bands, winograd_bands,
            routine("build_winograd_bands", module="winograd", epilogue=True, parallel=True), (
                sample("float32[1,10,6,3]", "float32[36,3,5]", tile=4, taps=3, rows=1,
                       shape=(1, 7, 3, 5)),
                sample("float32[2,15,9,4]", "float32[36,4,8]", tile=3, taps=4, rows=2,
                       shape=(2, 11, 6, 8)),
                sample("float32[2,9,17,3]", "float32[25,3,4]", tile=2, taps=3, stride=2, rows=1,
                       shape=(2, 4, 7, 4))), columns=Columns()))
register(Op("winograd_panels", _infer_panels, winograd_panels,
            routine("build_winograd_panels", module="winograd", epilogue=True, parallel=True), (
                sample("float32[72,3]", "float32[3,3,3,5]", tile=4, shape=(1, 4, 7, 5)),
                sample("float32[96,4]", "float32[3,3,4,16]", tile=2, shape=(3, 2, 3, 16)),
                sample("float32[100,3]", "float32[3,3,3,5]", tile=2, stride=2,
                       shape=(1, 3, 4, 5)),
                sample("float32[242,3]", "float32[3,3,3,5]", tile=4, cut=(1, 2),
                       shape=(1, 7, 14, 5)),
                sample("float32[234,3]", "float32[3,3,3,16]", tile=2, stride=2, cut=(1, 1),
                       shape=(1, 5, 7, 16))),
            columns=Columns(rows=_most_tiles)))
