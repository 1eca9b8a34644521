"""Decision trees as tables: which leaf of each tree every row falls into.

Inner nodes of all trees are numbered from 0, leaves too. A child, and a tree's root, is an inner
node's number, or `~leaf` (negative) for a leaf. A row goes left where its feature is at most the
node's threshold; every other kind of split is brought into this form by `frontends/onnx_ops`.
"""

# ruff: noqa: ARG001 - the callables of one op all take all of its attributes
from __future__ import annotations

import numpy as np

from transpile.errors import ShapeError
from transpile.ir.types import TensorType
from transpile.ops.registry import Op, register, sample
from transpile.ops.scan import routine


def _infer(x: TensorType, feature: TensorType, threshold: TensorType, left: TensorType,
           right: TensorType, roots: TensorType, depth: int, missing: bool = False) -> TensorType:
    nodes = {t.shape for t in (feature, threshold, left, right)}
    kinds = [t.dtype for t in (x, threshold, feature, left, right, roots)]
    if x.rank != 2 or len(nodes) > 1 or feature.rank != 1 or roots.rank != 1:
        raise ShapeError(f"tree_leaves of {x} with {feature} nodes and {roots} roots",
                         why="it needs x[rows, features], alike tables [nodes], and roots [trees]")
    if kinds != ["float32"] * 2 + ["int32"] * 4:
        raise ShapeError(f"tree_leaves of {', '.join(kinds)}",
                         why="x and thresholds are float32, all else is int32")
    return TensorType("int32", (x.shape[0], roots.shape[0]))


def tree_leaves(x: np.ndarray, feature: np.ndarray, threshold: np.ndarray, left: np.ndarray,
                right: np.ndarray, roots: np.ndarray, depth: int, missing: bool = False
                ) -> np.ndarray:
    """The leaf of each tree, int32[rows, trees], that every row of x[rows, features] falls into.

    Args:
        depth: how many splits there are at most on a path.
        missing: a feature of `~f` stands for f with NaN going left; elsewhere NaN goes right.
    """
    rows = np.arange(len(x))[:, None]
    place = np.broadcast_to(roots, (len(x), len(roots))).astype(np.int64)
    for _ in range(depth):
        inner = np.maximum(place, 0)
        column = feature[inner].astype(np.int64)
        left_if_nan = (column < 0) & missing
        value = x[rows, np.where(column < 0, ~column, column)]
        goes_left = (value <= threshold[inner]) | (np.isnan(value) & left_if_nan)
        place = np.where(place < 0, place, np.where(goes_left, left[inner], right[inner]))
    return (~place).astype(np.int32)


def _tables(nodes: int, trees: int) -> tuple[str, ...]:
    return (f"int32[{nodes}]", f"float32[{nodes}]", f"int32[{nodes}]", f"int32[{nodes}]",
            f"int32[{trees}]")


register(Op("tree_leaves", _infer, tree_leaves, routine("build_leaves", module="trees"), (
    sample("float32[5,3]", *_tables(3, 2), low=-3, high=3, depth=4, missing=True),
    sample("float32[1,7]", *_tables(7, 1), low=-7, high=7, depth=3, missing=True),
    sample("float32[3,4]", *_tables(4, 5), low=0, high=4, depth=0, missing=False),
    sample("float32[3,4]", *_tables(4, 5), low=0, high=4, depth=3, missing=False))))
