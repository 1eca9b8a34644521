"""Compact weights: every half-precision number, and the bound of int8, on every Node target."""

from __future__ import annotations

import numpy as np
import pytest
from lowering import NODE_TARGETS, Case, array_graph, run_batch

from transpile.compile import lower_graph
from transpile.ops.compact import expand_half, expand_int8, halves, quantised


def run(op: str, *arrays: np.ndarray) -> list[np.ndarray]:
    """The op's result on every target that runs in Node."""
    graph, inputs = array_graph(op, *arrays)
    found = run_batch([Case(lower_graph(graph, target), inputs) for target in NODE_TARGETS])
    assert not [f for f in found if isinstance(f, str)], found
    return [f["out"] for f in found if not isinstance(f, str)]


def test_every_finite_half_is_exact() -> None:
    bits = np.arange(1 << 16).astype(np.uint16)
    bits = bits[np.isfinite(bits.view(np.float16))]  # denormals and both zeros included
    high, low = (bits >> 8).astype(np.uint8), (bits & 255).astype(np.uint8)
    expected = bits.view(np.float16).astype(np.float32)
    for found in [expand_half(high, low), *run("expand_half", high, low)]:
        np.testing.assert_array_equal(found.view(np.uint32), expected.view(np.uint32))


def test_halves_round_as_numpy_does() -> None:
    values = np.random.default_rng(0).standard_normal((40, 25)).astype(np.float32)
    np.testing.assert_array_equal(expand_half(*halves(values)),
                                  values.astype(np.float16).astype(np.float32))


@pytest.mark.parametrize("axis", [-1, 0])
def test_int8_is_within_half_a_step_of_each_channel(axis: int) -> None:
    rng = np.random.default_rng(1)
    values = (rng.standard_normal((30, 21)) * rng.uniform(0.01, 9, (1, 21))).astype(np.float32)
    values[:, 3] = 0
    stored, scale = quantised(values, axis)
    assert stored.dtype == np.uint8
    step = np.broadcast_to(scale, values.shape)
    for found in [expand_int8(stored, scale), *run("expand_int8", stored, scale)]:
        assert np.all(np.abs(found - values) <= step * 0.5001)
        np.testing.assert_array_equal(found[:, 3], 0)
