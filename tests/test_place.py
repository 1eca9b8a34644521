"""Values stored inside what is made of them, that others read, too."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import transpile


def padded(x: Any, low: int, high: int) -> Any:
    return np.pad(x, ((0, 0), (low, high), (high, low)))


def two_pads(x: Any) -> Any:
    y = np.exp(x).sum(axis=0)
    return padded(y, 1, 2), padded(y, 3, 1)


def pad_and_its_inside(x: Any) -> Any:
    y = np.exp(x).sum(axis=0)
    z = padded(y, 1, 2)
    return padded(z, 2, 2), padded(y, 0, 3)


def two_joins(x: Any) -> Any:
    a, b = np.exp(x).sum(axis=0), np.cos(x).sum(axis=0)
    return np.concatenate([a, b], 1), np.concatenate([b, a], 1)


def joins_in_a_join(x: Any) -> Any:
    a, b = np.exp(x).sum(axis=0), np.cos(x).sum(axis=0)
    first, second = np.concatenate([a, b], 1), np.concatenate([b, a], 1)
    return np.concatenate([first, second], 2), padded(a, 2, 1)


@pytest.mark.parametrize("target", ["js", "wasm"])
@pytest.mark.parametrize("fn", [two_pads, pad_and_its_inside, two_joins, joins_in_a_join])
def test_a_value_lies_inside_one_of_its_readers_only(fn: Callable[[Any], Any],
                                                     target: str) -> None:
    x = np.random.default_rng(0).normal(size=(2, 3, 4, 5)).astype(np.float32)
    model = transpile.model(fn, x=transpile.spec("float32", (2, 3, 4, "n")))
    got = transpile.compile(model, targets=[target]).run({"x": x}, target)
    for found, want in zip(got.values(), fn(x), strict=True):
        np.testing.assert_allclose(found, want, rtol=1e-5)
