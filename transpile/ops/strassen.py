"""Strassen's matrix product (Numer. Math. 13, 1969): seven products of quarters, not eight.

Both matrices are cut into quarters, and these again: 49 products of sums of sixteenths make what
64 products of sixteenths would. A block is numbered by its quarter and that of the quarter. Of the
known forms with seven products this one has the smallest error (Higham, Accuracy and Stability of
Numerical Algorithms, section 23.2.2).
"""

from __future__ import annotations

import numpy as np

from transpile.errors import ShapeError
from transpile.ir.dims import nonnegative
from transpile.ir.types import TensorType
from transpile.ops.registry import Columns, Op, register, sample
from transpile.ops.scan import routine
from transpile.ops.winograd import Matrix

LEFT = ((1.0, 0.0, 0.0, 1.0), (0.0, 0.0, 1.0, 1.0), (1.0, 0.0, 0.0, 0.0), (0.0, 0.0, 0.0, 1.0),
        (1.0, 1.0, 0.0, 0.0), (-1.0, 0.0, 1.0, 0.0), (0.0, 1.0, 0.0, -1.0))
"""What each product takes of the left matrix's blocks 11, 12, 21, 22."""

RIGHT = ((1.0, 0.0, 0.0, 1.0), (1.0, 0.0, 0.0, 0.0), (0.0, 1.0, 0.0, -1.0), (-1.0, 0.0, 1.0, 0.0),
         (0.0, 0.0, 0.0, 1.0), (1.0, 1.0, 0.0, 0.0), (0.0, 0.0, 1.0, 1.0))
"""What each product takes of the right matrix's blocks."""

RESULT = ((1.0, 0.0, 0.0, 1.0, -1.0, 0.0, 1.0), (0.0, 0.0, 1.0, 0.0, 1.0, 0.0, 0.0),
          (0.0, 1.0, 0.0, 1.0, 0.0, 0.0, 0.0), (1.0, -1.0, 1.0, 0.0, 0.0, 1.0, 0.0))
"""What each block of the result takes of the seven products."""

SIDE = 4
"""Blocks along each side of a matrix, at both levels. One level saves an eighth of the
multiplications, two 15/64; the third would save less than its sums cost."""

POINTS = len(LEFT)**2
"""Products of blocks."""


def _infer_input(x: TensorType) -> TensorType:
    if x.rank != 2 or any(d % SIDE != 0 for d in x.shape):
        raise ShapeError(f"strassen: the matrix {x} does not have {SIDE} x {SIDE} blocks")
    return x.with_shape((POINTS, *(d // SIDE for d in x.shape)))


def strassen_input(x: np.ndarray) -> np.ndarray:
    """Sums of blocks of the left matrix: [M, K] to [points, M/4, K/4]."""
    rows, columns = (d // SIDE for d in x.shape)
    split = x.reshape(2, 2, rows, 2, 2, columns)  # of the matrix, of a quarter, its own
    blocks = split.transpose(0, 3, 1, 4, 2, 5).reshape(SIDE**2, rows, columns)
    return np.tensordot(_both_levels(LEFT, x), blocks, 1)


def _both_levels(form: Matrix, like: np.ndarray) -> np.ndarray:
    return np.kron(form, form).astype(like.dtype)


def _infer_product(points: TensorType, w: TensorType, rows: int) -> TensorType:
    if points.rank != 3 or w.rank != 6 or points.shape[0] != POINTS or (
            w.shape[:5] != (points.shape[2], 2, 2, 2, 2)) or not nonnegative(
            SIDE * points.shape[1] - rows):
        raise ShapeError(f"strassen: {points} by {w} does not give {rows} rows")
    return points.with_shape((rows, SIDE * w.shape[5]))


def strassen_product(points: np.ndarray, w: np.ndarray, rows: int) -> np.ndarray:
    """Sums of the right matrix's blocks, the products, and what they make of the result's blocks.

    Args:
        points: [points, M/4, K/4], as `strassen_input` gives them.
        w: the right matrix by blocks, [K/4, 2, 2, 2, 2, N/4]: row and column of the quarter, then
            of the block in it. A row of all blocks lies together.
        rows: how many of the M rows there are; the others were padding.

    Returns:
        [rows, N].
    """
    _, height, inputs = points.shape
    sums = _both_levels(RIGHT, w) @ w.reshape(inputs, SIDE**2, -1)
    products = points @ sums.transpose(1, 0, 2)
    blocks = np.tensordot(_both_levels(RESULT, w), products, 1)
    split = blocks.reshape(2, 2, 2, 2, height, -1)  # row and column of the quarter, of the block
    whole: np.ndarray = split.transpose(0, 2, 4, 1, 3, 5).reshape(SIDE * height, -1)
    return whole[:rows]


register(Op("strassen_input", _infer_input, strassen_input,
            routine("build_strassen_input", module="strassen", parallel=True), (
                sample("float32[4,4]"), sample("float32[8,12]"), sample("float32[20,32]"))))
register(Op("strassen_product", _infer_product, strassen_product,
            routine("build_strassen_product", module="strassen", epilogue=True, parallel=True), (
                sample("float32[49,1,1]", "float32[1,2,2,2,2,1]", rows=4),
                sample("float32[49,2,3]", "float32[3,2,2,2,2,5]", rows=8),
                sample("float32[49,4,8]", "float32[8,2,2,2,2,16]", rows=13)),
            columns=Columns(rows=lambda node: node.inputs[0].shape[1])))
