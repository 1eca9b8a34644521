"""How far two arrays are apart, and how far they may be."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from transpile.ir.dims import evaluate, product
from transpile.ir.graph import Graph, Node, inner_graphs
from transpile.ops.control import ENDLESS
from transpile.ops.registry import OPS, Composite, Reduction, Routine

UNIT = 2.0**-24
"""The unit roundoff of float32: half the distance from 1 to the next number."""

BASE = 16.0
"""How many times the expected rounding error a result may be off; see `tolerance`."""


@dataclass(frozen=True)
class Tolerance:
    """`|got - expected| <= relative * |expected| + absolute`, for floats; else exact."""

    relative: float
    absolute: float


@dataclass(frozen=True)
class Comparison:
    """The distance of `got` from `expected`.

    Attributes:
        ok: every element is within the tolerance.
        max_abs: the largest absolute difference of the finite elements.
        max_rel: `max_abs` over the largest finite magnitude expected, 0 where both are 0.
        max_ulps: the largest distance in float32 numbers that lie between.
        index: the first element beyond the tolerance, None if there is none.
        got, expected: the values there.
        message: what is wrong, in one line; empty if nothing is.
    """

    ok: bool
    max_abs: float = 0.0
    max_rel: float = 0.0
    max_ulps: int = 0
    index: tuple[int, ...] | None = None
    got: float = 0.0
    expected: float = 0.0
    message: str = ""


def tolerance(length: float, scale: float, noise: float = 0.0) -> Tolerance:
    """What float32 rounding explains for a result behind `length` operations in sequence.

    A sum of K products is off by at most K·u relative to the sum of magnitudes, and by about
    √K·u for independent rounding errors: Higham, "Accuracy and Stability of Numerical
    Algorithms", 2nd ed., sections 2.8 and 3.1. `BASE` times the latter is allowed.

    Args:
        length: additions and functions on the longest path to the result; see `node_lengths`.
        scale: the largest magnitude in the result: cancellation makes errors relative to it.
        noise: the largest error of the same computation by NumPy in float32; eight times this
            is allowed where the model itself is badly conditioned.
    """
    relative = BASE * UNIT * math.sqrt(max(length, 1.0))
    return Tolerance(relative, max(relative * scale, 8.0 * noise))


def node_lengths(graph: Graph, dims: Mapping[str, int]) -> dict[Node, float]:
    """For each node, the operations on its longest path, counting reductions by their length."""
    import transpile.ops  # noqa: F401  (fills the table)
    lengths: dict[Node, float] = {}
    for node in graph.nodes:
        before = max((lengths[i] for i in node.inputs), default=0.0)
        inner = sum(max(node_lengths(g, dims).values()) for g in inner_graphs(node).values())
        lengths[node] = before + _trips(node) * inner + _reduction_length(node, dims)
    return lengths


SOME_TRIPS = 64
"""Of a loop that ends when it ends."""


def _trips(node: Node) -> float:
    """How often the graphs inside run."""
    if node.op != "loop":
        return 1.0
    limit = node.inputs[0]
    known = limit.is_constant and int(limit.value) < ENDLESS
    return float(limit.value) if known else float(SOME_TRIPS)


def _reduction_length(node: Node, dims: Mapping[str, int]) -> float:
    op = OPS.get(node.op)
    if op is None:
        return 0.0
    if isinstance(op.form, Reduction):
        extents = op.form.extents(*(n.type for n in node.inputs), **node.attrs)
        return float(evaluate(product(extents), dims))
    if isinstance(op.form, (Routine, Composite)):
        sizes = [evaluate(product(n.shape), dims) for n in node.inputs]
        return math.sqrt(max(sizes, default=1)) + 8.0
    return 1.0


def ulps(got: np.ndarray, expected: np.ndarray) -> np.ndarray:
    """The distance in float32 numbers, elementwise; finite values only."""
    def ordered(a: np.ndarray) -> np.ndarray:
        bits = np.ascontiguousarray(a, np.float32).view(np.int32).astype(np.int64)
        return np.where(bits < 0, -(bits & 0x7FFFFFFF), bits)
    distance: np.ndarray = np.abs(ordered(got) - ordered(expected))
    return distance


def compare(got: np.ndarray, expected: np.ndarray, allowed: Tolerance,
            single: np.ndarray | None = None) -> Comparison:
    """Compare a float32, integer or bool result with its reference.

    Args:
        got: what the module gave.
        expected: the reference; float64 for floats.
        allowed: the tolerance for floats; NaN and infinities must lie at the same places, and
            integers and bools must be equal.
        single: the reference in float32. Where it differs in kind from `expected` (an overflow,
            a rounding that tips a comparison), either is right.
    """
    single = expected if single is None else single
    if got.shape != expected.shape:
        return Comparison(False, message=f"shape {list(got.shape)} instead of "
                                         f"{list(expected.shape)}")
    if (got.dtype.kind == "f") != (expected.dtype.kind == "f"):
        return Comparison(False, message=f"dtype {got.dtype} instead of {expected.dtype}")
    if got.dtype.kind != "f":
        return _compare_exact(got, expected, single)
    return _compare_floats(got, expected, allowed, single)


def _compare_exact(got: np.ndarray, expected: np.ndarray, single: np.ndarray) -> Comparison:
    bad = (got != expected) & (got != single)
    off = np.abs(got.astype(np.int64) - expected.astype(np.int64))
    return _result(bad, got, expected, float(np.max(off, initial=0, where=bad)), 0)


def _compare_floats(got: np.ndarray, expected: np.ndarray, allowed: Tolerance,
                    single: np.ndarray) -> Comparison:
    with np.errstate(over="ignore", invalid="ignore"):
        wanted = expected.astype(np.float32)
        unclear = _kind(wanted) != _kind(single)
        finite = np.isfinite(got) & np.isfinite(wanted)
        off = np.where(finite, np.abs(got.astype(np.float64) - expected), 0.0)
        bad = np.where(finite, off > allowed.relative * np.abs(expected) + allowed.absolute,
                       _kind(got) != _kind(wanted)) & ~unclear
        distance = ulps(np.where(finite, got, 0), np.where(finite, wanted, 0))
    return _result(bad, got, expected, float(np.max(off, initial=0.0)),
                   int(np.max(distance, initial=0)))


def _kind(values: np.ndarray) -> np.ndarray:
    """0 for finite numbers, 1 and -1 for infinities, 2 for NaN."""
    return np.where(np.isnan(values), 2, np.where(np.isinf(values), np.sign(values), 0))


def _result(bad: np.ndarray, got: np.ndarray, expected: np.ndarray, max_abs: float,
            max_ulps: int) -> Comparison:
    scale = _magnitude(expected)
    max_rel = max_abs / scale if scale else float(max_abs > 0)
    if not bad.any():
        return Comparison(True, max_abs, max_rel, max_ulps)
    index = tuple(int(i) for i in np.argwhere(bad)[0]) if bad.ndim else ()
    return Comparison(False, max_abs, max_rel, max_ulps, index, float(got[index]),
                      float(expected[index]), f"{int(bad.sum())} of {bad.size} elements differ")


def _magnitude(values: np.ndarray) -> float:
    finite = np.abs(values[np.isfinite(values)]) if values.dtype.kind == "f" else np.abs(
        values.astype(np.int64))
    return float(np.max(finite, initial=0))
