"""Divisions of divisions, as sizes behind several strided layers have them."""

from __future__ import annotations

import time

import pytest

from transpile.ir.dims import dim, evaluate, floordiv


@pytest.mark.parametrize("shift", [-3, -1, 0, 1, 2, 7])
@pytest.mark.parametrize(("a", "b"), [(2, 2), (2, 3), (3, 2), (4, 5)])
def test_a_constant_between_two_divisions_moves_inside(a: int, b: int, shift: int) -> None:
    size = dim("n")
    nested = floordiv(floordiv(size + 5, a) + shift, b)
    assert str(nested).count("//") == 1
    for n in range(1, 60):
        assert evaluate(nested, {"n": n}) == ((n + 5) // a + shift) // b


def test_sizes_behind_many_strided_layers_are_found_quickly() -> None:
    size, start = dim("h") * 3, time.perf_counter()
    value = size
    for k in range(24):
        value = floordiv(value + 2 - (k % 3), 2) + 1
    assert time.perf_counter() - start < 2
    number = 3 * 100
    for k in range(24):
        number = (number + 2 - (k % 3)) // 2 + 1
    assert evaluate(value, {"h": 100}) == number
