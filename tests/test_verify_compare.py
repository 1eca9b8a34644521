"""The comparison against NumPy's own nextafter, and what a tolerance lets through."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from transpile.verify.compare import Tolerance, compare, tolerance, ulps

EXACT = Tolerance(0.0, 0.0)
F32 = st.floats(width=32, allow_nan=False, allow_infinity=False)


@given(F32, st.integers(0, 20))
def test_ulps_counts_steps_of_nextafter(start: float, steps: int) -> None:
    value = np.float32(start)
    for _ in range(steps):
        value = np.nextafter(value, np.float32(np.inf))
    if np.isfinite(value):
        assert ulps(np.array([value]), np.array([start], np.float32))[0] == steps


def test_the_first_difference_is_named() -> None:
    expected = np.arange(12.0).reshape(3, 4)
    got = expected.astype(np.float32)
    got[1, 2] = 7
    got[2, 3] = 0
    result = compare(got, expected, Tolerance(1e-6, 1e-6))
    assert (result.ok, result.index, result.got, result.expected) == (False, (1, 2), 7, 6)
    assert result.message == "2 of 12 elements differ"
    assert result.max_abs == 11


@pytest.mark.parametrize(("got", "expected", "ok"), [
    ([np.nan], [np.nan], True),
    ([np.nan], [1.0], False),
    ([np.inf], [np.inf], True),
    ([np.inf], [-np.inf], False),
    ([np.inf], [1e300], True),          # overflows float32
    ([-0.0], [0.0], True),
    ([1.0], [1.0 + 1e-9], True),        # what float32 cannot tell apart is within the tolerance
    ([1.0], [1.001], False),
])
def test_special_values(got: list[float], expected: list[float], ok: bool) -> None:
    assert compare(np.array(got, np.float32), np.array(expected),
                   tolerance(1, 1.0)).ok is ok


def test_either_side_of_a_tipped_comparison_is_right() -> None:
    expected, single = np.array([True, False]), np.array([True, True])
    for got in ([True, True], [True, False]):
        assert compare(np.array(got), expected, EXACT, single).ok
    assert not compare(np.array([False, False]), expected, EXACT, single).ok


def test_an_overflow_in_single_precision_only_is_not_held_against_the_module() -> None:
    single = np.array([np.nan, 1.0], np.float32)
    for got in ([1.0, 1.0], [np.nan, 1.0]):
        assert compare(np.array(got, np.float32), np.ones(2), EXACT, single).ok


@pytest.mark.parametrize(("got", "message"), [
    (np.zeros((2, 3), np.float32), "shape [2, 3] instead of [3]"),
    (np.zeros(3, np.int32), "dtype int32 instead of float64"),
])
def test_a_wrong_shape_or_dtype_is_told(got: np.ndarray, message: str) -> None:
    assert compare(got, np.zeros(3), EXACT).message == message


def test_integers_are_exact() -> None:
    assert compare(np.array([1, 2], np.int32), np.array([1, 2]), tolerance(1e6, 100.0)).ok
    result = compare(np.array([1, 2], np.int32), np.array([1, 3]), tolerance(1e6, 100.0))
    assert (result.ok, result.index, result.max_abs) == (False, (1,), 1)


def test_empty_and_scalar_arrays() -> None:
    assert compare(np.zeros((0, 2), np.float32), np.zeros((0, 2)), EXACT).ok
    result = compare(np.float32(2).reshape(()), np.array(1.0), EXACT)
    assert (result.ok, result.index) == (False, ())


@pytest.mark.parametrize("length", [16, 1024, 65536])
def test_the_tolerance_fits_sums_of_that_length(length: int) -> None:
    """Sequential float32 sums pass; an error of the size of one term does not."""
    rng = np.random.default_rng(length)
    values = rng.uniform(-1, 1, (50, length)).astype(np.float32)
    got = np.cumsum(values, axis=1, dtype=np.float32)[:, -1]
    expected = values.astype(np.float64).sum(axis=1)
    allowed = tolerance(length, float(np.abs(expected).max()))
    assert compare(got, expected, allowed).ok
    got[3] += 0.1 * np.sqrt(length)
    assert not compare(got, expected, allowed).ok
