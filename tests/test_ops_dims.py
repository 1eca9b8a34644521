"""Symbolic integers agree with Python's integers, whatever the values of names and axes."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from transpile.ir import dims
from transpile.ir.dims import Dim

NAMES = ("batch", "time")
EXTENTS = {"row": 3, "col": 5, "k": 7}
Value = tuple[str, Any]


def leaves() -> st.SearchStrategy[Value]:
    return st.one_of(st.integers(-20, 20).map(lambda n: ("int", n)),
                     st.sampled_from([*NAMES, *EXTENTS, "wide"]).map(lambda n: ("var", n)))


def grow(inner: st.SearchStrategy[Value]) -> st.SearchStrategy[Value]:
    divisor = st.one_of(st.integers(1, 9).map(lambda n: ("int", n)),
                        st.sampled_from(NAMES).map(lambda n: ("var", n)),
                        st.just(("mul", (("int", 2), ("var", "batch")))))
    return st.one_of(
        st.tuples(st.sampled_from(["add", "sub", "mul"]), st.tuples(inner, inner)),
        st.tuples(st.sampled_from(["floordiv", "mod"]), st.tuples(inner, divisor)))


TREES = st.recursive(leaves(), grow, max_leaves=7)
VALUES = st.fixed_dictionaries(
    {**{n: st.integers(1, 9) for n in NAMES},
     **{a: st.integers(0, e - 1) for a, e in EXTENTS.items()}, "wide": st.integers(0, 8)}
).filter(lambda v: v["wide"] < v["batch"])


def symbolic(tree: Value) -> Dim:
    kind, rest = tree
    if kind == "int":
        return int(rest)
    if kind == "var":
        extent = dims.dim("batch") if rest == "wide" else EXTENTS.get(rest)
        return dims.dim(rest) if extent is None else dims.axis(rest, extent)
    a, b = map(symbolic, rest)
    if kind == "floordiv":
        return dims.floordiv(a, b)
    if kind == "mod":
        return dims.mod(a, b)
    return a + b if kind == "add" else a - b if kind == "sub" else a * b


def numeric(tree: Value, values: dict[str, int]) -> int:
    kind, rest = tree
    if kind in ("int", "var"):
        return rest if kind == "int" else values[rest]
    a, b = (numeric(r, values) for r in rest)
    table = {"add": a + b, "sub": a - b, "mul": a * b}
    return table[kind] if kind in table else a // b if kind == "floordiv" else a % b


@settings(max_examples=100, deadline=None)
@given(TREES, VALUES)
def test_arithmetic_evaluates_as_in_python(tree: Value, values: dict[str, int]) -> None:
    assert dims.evaluate(symbolic(tree), values) == numeric(tree, values)


@settings(max_examples=100, deadline=None)
@given(TREES, VALUES)
def test_bounds_hold(tree: Value, values: dict[str, int]) -> None:
    value, number = symbolic(tree), numeric(tree, values)
    low, high = dims.lower(value), dims.upper(value)
    assert low is None or dims.evaluate(low, values) <= number
    assert high is None or dims.evaluate(high, values) >= number
    assert not dims.nonnegative(value) or number >= 0


@settings(max_examples=100, deadline=None)
@given(TREES, TREES, VALUES)
def test_in_range_is_never_wrong(tree: Value, extent: Value, values: dict[str, int]) -> None:
    if dims.in_range(symbolic(tree), symbolic(extent)):
        assert 0 <= numeric(tree, values) < numeric(extent, values)


@settings(max_examples=100, deadline=None)
@given(TREES, TREES, st.sampled_from([*NAMES]), VALUES)
def test_substitution_is_evaluation_in_two_steps(tree: Value, by: Value, name: str,
                                                 values: dict[str, int]) -> None:
    inner = numeric(by, values)
    if inner < 1:  # a name is at least 1
        return
    changed = dims.substitute(symbolic(tree), {name: symbolic(by)})
    if name == "batch":  # the bound of "wide" is a name, and stays one
        values = {**values, "wide": min(values["wide"], inner - 1)}
        inner = numeric(by, values)
    if inner >= 1 and values["wide"] < (inner if name == "batch" else values["batch"]):
        assert dims.evaluate(changed, values) == numeric(tree, {**values, name: inner})


@settings(max_examples=100, deadline=None)
@given(TREES, VALUES)
def test_printed_dims_read_back(tree: Value, values: dict[str, int]) -> None:
    value = symbolic(tree)
    assert dims.evaluate(dims.parse_dim(str(value)), values) == numeric(tree, values)


@settings(max_examples=100, deadline=None)
@given(TREES, TREES, TREES)
def test_equal_polynomials_are_one_object(a: Value, b: Value, c: Value) -> None:
    x, y, z = symbolic(a), symbolic(b), symbolic(c)
    assert x + y == y + x
    assert x * y == y * x
    assert hash(x * (y + z)) == hash(x * y + x * z)
    assert x * (y + z) == x * y + x * z


ROW, COL = dims.axis("row", 28), dims.axis("col", 28)
BATCH = dims.dim("batch")


@pytest.mark.parametrize(("found", "expected"), [
    ((28 * ROW + COL) // 28, ROW),
    ((28 * ROW + COL) % 28, COL),
    ((BATCH * 6) // 3, BATCH * 2),
    ((BATCH * 6) % (BATCH * 2), 0),
    ((dims.axis("n", BATCH) + BATCH * ROW) // BATCH, ROW),
    (dims.ceildiv(BATCH * 4, 4), BATCH),
    (0 // (BATCH + 3), 0),
    ((2 * BATCH + 1) // 2, BATCH),
    (ROW // 6 * 6 + ROW % 6, ROW),
    (ROW // 6 * 30 + ROW % 6 * 5 + COL, 5 * ROW + COL),
    (ROW // 12 * 12 + ROW // 4 % 3 * 4 + ROW % 4, ROW),
    (ROW // 4 // 3, ROW // 12),
])
def test_simplifies(found: Dim, expected: Dim) -> None:
    assert found == expected


def test_a_symbolic_truth_value_is_an_error() -> None:
    with pytest.raises(TypeError, match="batch"):
        bool(BATCH)


@pytest.mark.parametrize("text", ["batch + ", "f(x)", "1.5", "a ** 2"])
def test_what_is_no_dimension_is_an_error(text: str) -> None:
    with pytest.raises(ValueError, match="not a dimension"):
        dims.parse_dim(text)
