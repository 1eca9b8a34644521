"""Tree ensembles of ai.onnx.ml as tables of one kind of split, `x <= threshold`.

Two numbers of float32 with nothing between them turn the other comparisons into that one:
`x < t` is `x <= previous(t)`, `x >= t` is its opposite, `x == t` is two splits.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from transpile.errors import SourceError
from transpile.frontends.onnx_ops import onnx_op
from transpile.frontends.onnx_ops.ml_scores import class_outputs, post_transform, two_classes
from transpile.frontends.onnx_values import Site
from transpile.frontends.tracer import Tracer, apply

DOMAIN = "ai.onnx.ml"
MODES = ("BRANCH_LEQ", "BRANCH_LT", "BRANCH_GTE", "BRANCH_GT", "BRANCH_EQ", "BRANCH_NEQ",
         "BRANCH_MEMBER")
"""In the order of their numbers in TreeEnsemble."""


@dataclass
class Splits:
    """Inner nodes: what is compared, and children as inner nodes or `~leaf`."""

    feature: list[int] = field(default_factory=list)
    threshold: list[float] = field(default_factory=list)
    left: list[int] = field(default_factory=list)
    right: list[int] = field(default_factory=list)
    lost_left: list[bool] = field(default_factory=list)

    def put(self, place: int, feature: int, threshold: float, left: int, right: int,
            lost_left: bool) -> None:
        self.feature[place], self.threshold[place] = feature, threshold
        self.left[place], self.right[place] = left, right
        self.lost_left[place] = lost_left

    def grow(self, count: int = 1) -> int:
        """Room for more nodes; the number of the first."""
        first = len(self.feature)
        self.feature += [0] * count
        self.threshold += [0.0] * count
        self.left += [-1] * count
        self.right += [-1] * count
        self.lost_left += [False] * count
        return first


def previous(value: float) -> float:
    """The next smaller float32; NaN, which nothing is less than, before minus infinity."""
    if value == -np.inf:
        return float("nan")
    return float(np.nextafter(np.float32(value), np.float32(-np.inf)))


def put_split(splits: Splits, place: int, mode: str, feature: int, value: float,
              true: int, false: int, lost_true: bool) -> None:
    """One node of any mode, written with splits of one kind."""
    if mode == "BRANCH_LEQ":
        splits.put(place, feature, value, true, false, lost_true)
    elif mode == "BRANCH_LT":
        splits.put(place, feature, previous(value), true, false, lost_true)
    elif mode == "BRANCH_GT":
        splits.put(place, feature, value, false, true, not lost_true)
    elif mode == "BRANCH_GTE":
        splits.put(place, feature, previous(value), false, true, not lost_true)
    elif mode == "BRANCH_EQ":
        extra = splits.grow()
        splits.put(place, feature, value, extra, false, lost_true)
        splits.put(extra, feature, previous(value), false, true, False)
    elif mode == "BRANCH_NEQ":  # NaN differs from every number
        put_split(splits, place, "BRANCH_EQ", feature, value, false, true, False)
    else:
        raise SourceError(f"a tree has a node of the unknown mode {mode!r}")


def put_members(splits: Splits, place: int, feature: int, members: Sequence[float],
                true: int, false: int, lost_true: bool) -> None:
    """A node that asks whether the feature is among some values."""
    for k, member in enumerate(members):
        last = k == len(members) - 1
        after = false if last else splits.grow()
        put_split(splits, place, "BRANCH_EQ", feature, member, true, after, lost_true)
        place = after
    if not members:
        splits.put(place, feature, float("nan"), false, false, False)


@dataclass
class Forest:
    """Splits, the roots of the trees, and what the leaves are worth.

    Attributes:
        leaves: (leaf, target, weight) triples.
    """

    splits: Splits
    roots: list[int]
    leaf_count: int
    leaves: list[tuple[int, int, float]]
    targets: int

    def depth(self) -> int:
        """The splits on the longest path; SourceError if trees have cycles."""
        left, right = np.array(self.splits.left), np.array(self.splits.right)
        level, depth = np.array([r for r in self.roots if r >= 0], np.int64), 0
        while level.size:
            depth += 1
            if depth > len(left):
                raise SourceError("a tree has a cycle")
            both = np.concatenate([left[level], right[level]])
            level = np.unique(both[both >= 0])
        return depth

    def leaf_of(self, x: Tracer) -> Any:
        """int32[rows, trees]."""
        s = self.splits
        if not s.feature:
            s.grow()
        missing = any(s.lost_left)
        columns = x.shape[1]
        if isinstance(columns, int) and max(s.feature) >= columns:
            raise SourceError(f"a tree splits feature {max(s.feature)}, and there are {columns}")
        feature = [~f if lost else f for f, lost in zip(s.feature, s.lost_left, strict=True)]
        tables = [np.array(t, np.int32) for t in (feature, s.left, s.right, self.roots)]
        return apply("tree_leaves", x, tables[0], np.array(s.threshold, np.float32), tables[1],
                     tables[2], tables[3], depth=self.depth(), missing=missing)

    def table(self, empty: float = 0.0) -> np.ndarray:
        """float32[leaves, targets]; `empty` where a leaf says nothing of a target."""
        table = np.zeros((max(self.leaf_count, 1), self.targets), np.float64)
        said = np.zeros(table.shape, bool)
        for leaf, target, weight in self.leaves:
            table[leaf, target] += weight
            said[leaf, target] = True
        return np.where(said, table, empty).astype(np.float32)

    def single_targets(self) -> np.ndarray | None:
        """For each tree its only target; None if some tree has several."""
        by_leaf: dict[int, set[int]] = {}
        for leaf, target, _ in self.leaves:
            by_leaf.setdefault(leaf, set()).add(target)
        result = np.zeros(len(self.roots), np.int64)
        for k, root in enumerate(self.roots):
            found = set().union(*(by_leaf.get(leaf, set()) for leaf in self.leaves_below(root)))
            if len(found) > 1:
                return None
            result[k] = next(iter(found), 0)
        return result

    def leaves_below(self, root: int) -> Iterable[int]:
        pending, seen = [root], set()
        while pending:
            node = pending.pop()
            if node < 0:
                yield ~node
            elif node not in seen:
                seen.add(node)
                pending += [self.splits.left[node], self.splits.right[node]]


def scores(forest: Forest, x: Tracer, how: str) -> Any:
    """What the trees say of each target, put together: float32[rows, targets]."""
    leaf = forest.leaf_of(x)
    if how in ("MIN", "MAX"):
        empty = np.inf if how == "MIN" else -np.inf
        said = apply("take", forest.table(empty), leaf, axis=0)
        best = said.min(axis=1) if how == "MIN" else said.max(axis=1)
        return np.where(np.isinf(best), np.float32(0), best)
    total = summed(forest, leaf)
    return total / np.float32(len(forest.roots)) if how == "AVERAGE" else total


def summed(forest: Forest, leaf: Tracer) -> Any:
    """Sums over trees; where each tree has one target, leaves have one number each."""
    targets = forest.single_targets()
    if targets is None:
        return apply("take", forest.table(), leaf, axis=0).sum(axis=1)
    values = forest.table().sum(axis=1)
    said = apply("take", values, leaf, axis=0)
    if forest.targets == 1:
        return said.sum(axis=1, keepdims=True)
    return said @ np.eye(forest.targets, dtype=np.float32)[targets]


def listed(n: Site, name: str) -> list[Any]:
    """A list attribute, which may come as a tensor in a variant of double precision."""
    value = n.attr(name)
    value = n.attr(f"{name}_as_tensor", ()) if value is None else value
    return list(np.asarray(value).tolist()) if isinstance(value, np.ndarray) else list(value)


def forest_by_ids(n: Site, kind: str, targets: int) -> Forest:
    """TreeEnsembleClassifier and TreeEnsembleRegressor: nodes with a tree's and their own id.

    Args:
        kind: "class" or "target", the prefix of the attributes of leaves.
    """
    keys = list(zip(listed(n, "nodes_treeids"), listed(n, "nodes_nodeids"), strict=True))
    modes = n.attr("nodes_modes", ())
    number: dict[tuple[int, int], int] = {}
    counts = [0, 0]
    for key, mode in zip(keys, modes, strict=True):
        leaf = mode == "LEAF"
        number[key] = ~counts[1] if leaf else counts[0]
        counts[leaf] += 1
    splits = Splits()
    splits.grow(counts[0])
    lost = listed(n, "nodes_missing_value_tracks_true") or [0] * len(keys)
    children = set()
    for key, mode, feature, value, true, false, gone in zip(
            keys, modes, listed(n, "nodes_featureids"), listed(n, "nodes_values"),
            listed(n, "nodes_truenodeids"), listed(n, "nodes_falsenodeids"), lost, strict=True):
        if mode == "LEAF":
            continue
        ends = [number[key[0], true], number[key[0], false]]
        children |= {(key[0], true), (key[0], false)}
        put_split(splits, number[key], mode, feature, value, ends[0], ends[1], bool(gone))
    leaves = [(~number[t, i], target, weight) for t, i, target, weight in zip(
        listed(n, f"{kind}_treeids"), listed(n, f"{kind}_nodeids"), listed(n, f"{kind}_ids"),
        listed(n, f"{kind}_weights"), strict=True) if number[t, i] < 0]
    return Forest(splits, [number[k] for k in keys if k not in children], counts[1], leaves,
                  targets)


@onnx_op("TreeEnsembleClassifier", domain=DOMAIN)
def tree_classifier(n: Site) -> Any:
    labels = n.attr("classlabels_int64s") or n.attr("classlabels_strings", ())
    forest = forest_by_ids(n, "class", len(labels))
    base = np.array(listed(n, "base_values"), np.float32)
    how = n.attr("post_transform", "NONE")
    used = {target for _, target, _ in forest.leaves}
    if len(labels) == 2 and len(used) <= 1:
        single = Forest(forest.splits, forest.roots, forest.leaf_count,
                        [(leaf, 0, w) for leaf, _, w in forest.leaves], 1)
        score = scores(single, n[0], "SUM")
        score = score + base[-1] if base.size else score
        positive = all(w >= 0 for _, _, w in forest.leaves)
        return two_classes(n, score, how, 0.5 if positive else 0.0)
    total = scores(forest, n[0], "SUM")
    return class_outputs(n, total + base if base.size else total, how)


@onnx_op("TreeEnsembleRegressor", domain=DOMAIN)
def tree_regressor(n: Site) -> Any:
    forest = forest_by_ids(n, "target", int(n.attr("n_targets", 1)))
    total = scores(forest, n[0], n.attr("aggregate_function", "SUM"))
    base = np.array(listed(n, "base_values"), np.float32)
    return post_transform(total + base if base.size else total, n.attr("post_transform", "NONE"))


@onnx_op("TreeEnsemble", since=5, domain=DOMAIN)
def tree_ensemble(n: Site) -> Any:
    """Inner nodes and leaves in lists of their own."""
    weights, targets = listed(n, "leaf_weights"), listed(n, "leaf_targetids")
    splits = Splits()
    names = ("nodes_modes", "nodes_featureids", "nodes_splits", "nodes_truenodeids",
             "nodes_trueleafs", "nodes_falsenodeids", "nodes_falseleafs")
    columns = [listed(n, name) for name in names]
    lost = listed(n, "nodes_missing_value_tracks_true") or [0] * len(columns[0])
    members = member_sets(listed(n, "membership_values"))
    splits.grow(len(columns[0]))
    for place, (mode, feature, value, true, true_leaf, false, false_leaf, gone) in enumerate(
            zip(*columns, lost, strict=True)):
        ends = ~true if true_leaf else true, ~false if false_leaf else false
        if MODES[int(mode)] == "BRANCH_MEMBER":
            put_members(splits, place, feature, next(members), *ends, bool(gone))
        else:
            put_split(splits, place, MODES[int(mode)], feature, value, *ends, bool(gone))
    leaves = [(k, t, w) for k, (t, w) in enumerate(zip(targets, weights, strict=True))]
    forest = Forest(splits, listed(n, "tree_roots"), len(weights), leaves,
                    int(n.attr("n_targets", 1)))
    how = ("AVERAGE", "SUM", "MIN", "MAX")[int(n.attr("aggregate_function", 1))]
    after = ("NONE", "SOFTMAX", "LOGISTIC", "SOFTMAX_ZERO", "PROBIT")[
        int(n.attr("post_transform", 0))]
    return post_transform(scores(forest, n[0], how), after)


def member_sets(values: Sequence[float]) -> Any:
    """The sets between NaNs."""
    found: list[float] = []
    for value in values:
        if value != value:
            yield found
            found = []
        else:
            found.append(value)
    yield found
