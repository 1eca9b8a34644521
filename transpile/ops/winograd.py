"""Winograd's minimal filtering for 3x3 convolutions with stride 1.

F(m x m, 3 x 3) computes an m x m tile of outputs from an (m+2) x (m+2) tile of inputs with
(m+2)^2 products per channel pair instead of 9 m^2: transform inputs and weights, multiply
matrices at each of the (m+2)^2 points, transform back (Lavin and Gray, arXiv 1509.09308). The
matrices follow from the interpolation points (Toom-Cook). F(4x4) uses 0, +-sqrt(1/2), +-sqrt(2),
which lose two to three times less accuracy than +-1, +-2.
"""

# ruff: noqa: ARG001 - the callables of one op all take all of its attributes
from __future__ import annotations

import math
from functools import lru_cache

import numpy as np

from transpile.errors import ShapeError
from transpile.ir.dims import Dim
from transpile.ir.types import TensorType
from transpile.ops.registry import Op, register, sample
from transpile.ops.scan import routine

POINTS: dict[int, tuple[float, ...]] = {
    2: (0.0, 1.0, -1.0),
    4: (0.0, math.sqrt(0.5), -math.sqrt(0.5), math.sqrt(2.0), -math.sqrt(2.0)),
}
"""The finite interpolation points by tile size; infinity is always one more."""

Matrix = tuple[tuple[float, ...], ...]


@lru_cache
def matrices(tile: int) -> tuple[Matrix, Matrix, Matrix]:
    """`(input, weight, output)` transforms of F(tile, 3): [n, n], [n, 3] and [tile, n]."""
    points = POINTS[tile]
    n = tile + 2
    inputs, weights = np.zeros((n, n)), np.zeros((n, 3))
    for j, p in enumerate(points):
        others = [q for q in points if q != p]
        inputs[j, :n - 1] = np.poly(others)[::-1]
        weights[j] = [p**k / math.prod(p - q for q in others) for k in range(3)]
    inputs[n - 1] = np.poly(points)[::-1]
    weights[n - 1, 2] = 1
    outputs = np.array([[p**i for p in points] + [float(i == tile - 1)] for i in range(tile)])
    def frozen(matrix: np.ndarray) -> Matrix:
        return tuple(tuple(float(v) for v in row) for row in matrix.round(12))
    return frozen(inputs), frozen(weights), frozen(outputs)


def tiles(shape: tuple[Dim, ...], tile: int) -> tuple[Dim, Dim, Dim]:
    """Batch and tile counts of a padded image [N, H, W, C]; H - 2 and W - 2 divide by `tile`."""
    batch, height, width, _ = shape
    for size in (height, width):
        if (size - 2) % tile != 0:
            raise ShapeError(f"winograd: an image of {size} does not hold whole tiles of {tile}",
                             fix=f"pad it to a multiple of {tile}, plus 2")
    return batch, (height - 2) // tile, (width - 2) // tile


def _infer_input(x: TensorType, tile: int) -> TensorType:
    batch, rows, cols = tiles(x.shape, tile)
    return x.with_shape(((tile + 2)**2, batch * rows * cols, x.shape[3]))


def winograd_input(x: np.ndarray, tile: int) -> np.ndarray:
    """Tiles of a padded image, transformed: [N, H, W, C] to [points, tiles, C]."""
    matrix, n = np.array(matrices(tile)[0]), tile + 2
    windows = np.lib.stride_tricks.sliding_window_view(x, (n, n), (1, 2))[:, ::tile, ::tile]
    result: np.ndarray = np.einsum("ia,jb,nyxcab->ijnyxc", matrix, matrix, windows)
    return result.reshape(n * n, -1, x.shape[3]).astype(x.dtype)


def _infer_weight(w: TensorType, tile: int) -> TensorType:
    if w.rank != 4 or w.shape[:2] != (3, 3):
        raise ShapeError(f"winograd: the weight {w} is not [3, 3, C, O]")
    return w.with_shape(((tile + 2)**2, *w.shape[2:]))


def winograd_weight(w: np.ndarray, tile: int) -> np.ndarray:
    """Weights [3, 3, C, O], transformed: [points, C, O]."""
    matrix = np.array(matrices(tile)[1])
    result: np.ndarray = np.einsum("ia,jb,abco->ijco", matrix, matrix, w)
    return result.reshape(-1, *w.shape[2:]).astype(w.dtype)


def _infer_output(m: TensorType, tile: int, shape: tuple[Dim, ...]) -> TensorType:
    return m.with_shape(shape)


def winograd_output(m: np.ndarray, tile: int, shape: tuple[int, ...]) -> np.ndarray:
    """Products at all points back to an image: [points, tiles, O] to `shape` [N, H, W, O]."""
    matrix, n = np.array(matrices(tile)[2]), tile + 2
    batch, height, width, channels = shape
    rows, cols = -(-height // tile), -(-width // tile)
    grid = m.reshape(n, n, batch, rows, cols, channels)
    result = np.einsum("ia,jb,abnyxo->nyixjo", matrix, matrix, grid)
    result = result.reshape(batch, rows * tile, cols * tile, channels)
    return np.ascontiguousarray(result[:, :height, :width]).astype(m.dtype)


register(Op("winograd_input", _infer_input, winograd_input,
            routine("build_winograd_input", module="winograd", parallel=True), (
                sample("float32[1,6,6,3]", tile=4), sample("float32[2,10,6,1]", tile=4),
                sample("float32[2,4,8,5]", tile=2))))
register(Op("winograd_weight", _infer_weight, winograd_weight,
            routine("build_winograd_weight", module="winograd"), (
                sample("float32[3,3,2,3]", tile=4), sample("float32[3,3,1,5]", tile=2))))
register(Op("winograd_output", _infer_output, winograd_output,
            routine("build_winograd_output", module="winograd", epilogue=True, parallel=True), (
                sample("float32[36,2,3]", tile=4, shape=(1, 4, 8, 3)),
                sample("float32[36,4,2]", tile=4, shape=(1, 5, 7, 2)),
                sample("float32[16,6,1]", tile=2, shape=(3, 2, 3, 1)))))
