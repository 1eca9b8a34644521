"""Sorting in emitted code against NumPy: stable, NaN last, any size and axis."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

import transpile
from transpile.compile import lower_graph
from transpile.lower.stmt import For
from transpile.lower.walk import statements

VALUES = {"float32": st.sampled_from([0.0, -0.5, 1.5, 3.0, np.inf, -np.inf, np.nan]),
          "int32": st.integers(-2**31, 2**31 - 1) | st.integers(-2, 2)}


def both(x: Any) -> dict[str, Any]:
    return {"values": np.sort(x, axis=0), "order": np.argsort(x, axis=0)}


@lru_cache
def module(dtype: str, size: int | str, width: int) -> transpile.Module:
    model = transpile.model(x=transpile.spec(dtype, (size, width)))(both)
    return transpile.compile(model, targets=["js", "wasm"])


def check(size: int | str, x: np.ndarray) -> None:
    for target in ("js", "wasm"):
        found = module(x.dtype.name, size, x.shape[1]).run({"x": x}, target)
        np.testing.assert_array_equal(found["values"], np.sort(x, axis=0))
        np.testing.assert_array_equal(found["order"], np.argsort(x, axis=0, kind="stable"))


@pytest.mark.parametrize("dtype", VALUES)
@settings(max_examples=12, deadline=None)
@given(data=st.data())
def test_sorts_are_those_of_numpy(dtype: str, data: st.DataObject) -> None:
    shape = (data.draw(st.integers(1, 40)), 2)
    check("size", data.draw(arrays(np.dtype(dtype), shape, elements=VALUES[dtype])))


@pytest.mark.parametrize("size", [1, 2, 5, 8, 100])
def test_sizes_that_are_known(size: int) -> None:
    check(size, np.random.default_rng(size).integers(0, 9, (size, 3)).astype(np.float32))


def test_passes_grow_with_the_logarithm() -> None:
    def passes(size: int) -> Any:
        model = transpile.model(x=transpile.spec("float32", (size,)))(lambda x: np.sort(x))
        graph = transpile.trace(model)
        loops = [s for s in statements(lower_graph(graph).kernels[0].body) if isinstance(s, For)]
        return next(loop.stop for loop in loops if loop.axis.name == "level")
    assert [passes(n) for n in (2, 8, 9, 1024)] == [1, 3, 4, 10]
