"""Divisions of divisions, as sizes behind several strided layers have them."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transpile.ir.dims import FloorDiv, atoms, axis, dim, evaluate, floordiv, mod, substitute_axes


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


@given(st.lists(st.tuples(st.integers(-40, 40), st.integers(1, 6)), min_size=1, max_size=3),
       st.integers(-30, 30), st.sampled_from([2, 3, 4, 6, 8, 12, 24, 36]), st.data())
def test_divisions_of_sums_agree_with_integers(
        terms: list[tuple[int, int]], constant: int, by: int, data: st.DataObject) -> None:
    axes = [axis(f"i{n}", extent) for n, (_, extent) in enumerate(terms)]
    value = sum((c * i for (c, _), i in zip(terms, axes, strict=True)), constant)
    at = {f"i{n}": data.draw(st.integers(0, e - 1)) for n, (_, e) in enumerate(terms)}
    number = sum((c * at[f"i{n}"] for n, (c, _) in enumerate(terms)), constant)
    assert substitute_axes(floordiv(value, by), at) == number // by
    assert substitute_axes(mod(value, by), at) == number % by
    assert floordiv(value, by) * by + mod(value, by) == value


def test_what_is_smaller_than_a_common_factor_leaves_a_division() -> None:
    row, k = axis("row", 8), axis("k", 288)
    assert floordiv(288 * row + k, 576) == floordiv(row, 2)
    assert mod(288 * row + k, 576) == 288 * mod(row, 2) + k
    assert any(isinstance(a, FloorDiv) for a in atoms(floordiv(288 * row + k + 1, 576)))
