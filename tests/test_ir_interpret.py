"""The interpreter: binding of sizes, double precision, freed values, and errors."""

from __future__ import annotations

import numpy as np
import pytest

from transpile.errors import InternalError, ShapeError
from transpile.ir.interpret import bind_dims, interpret, node_values
from transpile.ir.text import parse_graph

MODEL = parse_graph('''graph "g"
  %x = input : float32[batch, 2*n]
  %ids = input : int32[n]
  %W = parameter [0.1, 0.2, 0.3] : float32[3]
  %flat = reshape(%x) {shape=(2*batch*n,)} : float32[2*batch*n]
  %third = constant 0.33333334 : float32[]
  %scaled = mul(%flat, %third) : float32[2*batch*n]
  %weight = take(%W, %ids) {axis=0} : float32[n]
  %total = sum(%scaled) {axes=(0,), keepdims=False} : float32[]
  return total=%total, weight=%weight, ids=%ids
''')
X = np.arange(12, dtype=np.float32).reshape(2, 6)
IDS = np.array([2, 0, -2])


def test_symbolic_sizes_are_solved_from_the_inputs() -> None:
    assert bind_dims(MODEL, {"x": X, "ids": IDS}) == {"batch": 2, "n": 3}
    result = interpret(MODEL, {"x": X, "ids": IDS})
    assert result["total"].dtype == np.float32
    np.testing.assert_allclose(result["total"], X.sum() / 3, rtol=1e-6)
    np.testing.assert_array_equal(result["weight"], np.float32([0.3, 0.1, 0.2]))
    assert result["ids"].dtype == np.int32


def test_float64_raises_constants_too() -> None:
    result = interpret(MODEL, {"x": X, "ids": IDS}, dtype="float64")
    exact = X.astype(np.float64).sum() * np.float64(np.float32(0.33333334))
    assert result["total"].dtype == np.float64
    np.testing.assert_allclose(result["total"], exact, rtol=1e-15)
    assert result["ids"].dtype == np.int32
    cast = parse_graph('graph "g"\n  %i = input : int32[n]\n'
                       '  %y = cast(%i) {dtype=\'float32\'} : float32[n]\n  return y=%y')
    assert interpret(cast, {"i": [2**24 + 1]}, dtype="float64")["y"] == 2**24 + 1


def test_every_node_has_its_value() -> None:
    values = {n.name: v for n, v in node_values(MODEL, {"x": X, "ids": IDS}).items()}
    assert set(values) == {"x", "ids", "W", "flat", "third", "scaled", "weight", "total"}
    np.testing.assert_array_equal(values["flat"], X.reshape(-1))


@pytest.mark.parametrize(("inputs", "message"), [
    ({"x": X}, "'ids' is missing"),
    ({"x": X[0], "ids": IDS}, r"'x' has shape \[6\]"),
    ({"x": X, "ids": IDS[:2]}, "has shape"),
    ({"x": X[:, :5], "ids": IDS}, r"'x' has shape \[2, 5\]")])
def test_misfits_are_told(inputs: dict[str, np.ndarray], message: str) -> None:
    with pytest.raises(ShapeError, match=message):
        interpret(MODEL, inputs)


def test_a_reference_that_disagrees_with_its_type_is_a_defect() -> None:
    wrong = parse_graph('graph "g"\n  %x = input : float32[n]\n'
                        '  %y = neg(%x) : float32[2]  # app.py:3\n  return y=%y')
    with pytest.raises(InternalError, match=r"(?s)neg gives shape.*app.py:3"):
        interpret(wrong, {"x": np.ones(3, np.float32)})
