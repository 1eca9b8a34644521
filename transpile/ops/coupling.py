"""Class probabilities from those of pairs of classes (Wu, Lin, Weng 2004, algorithm 2).

LIBSVM stops at a tolerance, and what it gives differs from the limit in the third digit: the same
sweeps are made here.
"""

from __future__ import annotations

from itertools import combinations

import numpy as np

from transpile.errors import ShapeError
from transpile.ir.types import TensorType
from transpile.ops.registry import Op, register, sample
from transpile.ops.scan import routine

SWEEPS = 100
"""The most that LIBSVM makes (for up to 100 classes)."""

TOLERANCE = 0.005
"""Over the number of classes."""


def _infer(pairs: TensorType, classes: int) -> TensorType:
    if pairs.dtype != "float32" or pairs.rank != 2 or pairs.shape[1] != classes * (
            classes - 1) // 2:
        raise ShapeError(f"couple_pairs of {pairs} for {classes} classes",
                         why="it needs float32[rows, classes * (classes - 1) / 2]")
    return TensorType("float32", (pairs.shape[0], width(classes)))


def width(classes: int) -> int:
    """The columns of the result: probabilities, Q @ p, and Q itself as working space."""
    return classes * (classes + 2)


def couple_pairs(pairs: np.ndarray, classes: int) -> np.ndarray:
    """Probabilities p[rows, classes] that fit those of pairs best, then Q @ p and Q.

    Args:
        pairs: the probability of i against j for i < j, in the order (0, 1), (0, 2), ...
    """
    k = classes
    r = np.zeros((len(pairs), k, k), pairs.dtype)
    for column, (i, j) in enumerate(combinations(range(k), 2)):
        r[:, i, j], r[:, j, i] = pairs[:, column], 1 - pairs[:, column]
    q = -np.swapaxes(r, 1, 2) * r
    q[:, np.arange(k), np.arange(k)] = (np.swapaxes(r, 1, 2) ** 2).sum(axis=2)
    p = np.full((len(pairs), k), 1 / k, pairs.dtype)
    done = np.zeros(len(pairs), bool)
    for _ in range(SWEEPS):
        qp = np.einsum("nij,nj->ni", q, p)
        total = np.einsum("ni,ni->n", p, qp)
        done |= np.abs(qp - total[:, None]).max(axis=1) < TOLERANCE / k
        if done.all():
            break
        for t in range(k):
            own = q[:, t, t]
            step = np.where(done, 0, (total - qp[:, t]) / own)
            p[:, t] += step
            total = (total + step * (step * own + 2 * qp[:, t])) / (1 + step) ** 2
            qp = (qp + step[:, None] * q[:, t]) / (1 + step)[:, None]
            p = p / (1 + step)[:, None]
    final = np.einsum("nij,nj->ni", q, p)
    return np.concatenate([p, final, q.reshape(len(pairs), -1)], axis=1)


register(Op("couple_pairs", _infer, couple_pairs, routine("build_coupling", module="coupling"), (
    sample("float32[5,1]", low=0.01, high=0.99, classes=2),
    sample("float32[3,3]", low=0.01, high=0.99, classes=3),
    sample("float32[2,10]", low=0.01, high=0.99, classes=5))))
