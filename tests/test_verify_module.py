"""The whole ladder on real modules: what passes, what fails, and on which inputs it was tried."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import transpile
from transpile import nn
from transpile.errors import ShapeError, SourceError, VerificationError
from transpile.ir.dims import dim
from transpile.ir.graph import Graph, input_node
from transpile.ir.types import TensorType
from transpile.ops.registry import make
from transpile.verify.check import compare_outputs, expected_outputs, verify_module
from transpile.verify.samples import given_inputs, random_inputs

RNG = np.random.default_rng(3)
W = RNG.standard_normal((8, 5)).astype(np.float32)
TABLE = RNG.standard_normal((11, 4)).astype(np.float32)
LONG = RNG.standard_normal((4096, 3)).astype(np.float32)


def spec(*shape: int | str, **limits: float) -> transpile.Spec:
    return transpile.spec("float32", shape, **limits)


@transpile.model(x=spec("batch", 8))
def dense(x: Any) -> Any:
    return np.tanh(x @ W)


@transpile.model(ids=transpile.spec("int32", ("batch", "length")))
def embedded(ids: Any) -> Any:
    return nn.embedding(ids, TABLE).mean(axis=1)


@transpile.model(x=spec(2, 4096))
def long_sums(x: Any) -> Any:
    return x @ LONG


@transpile.model(x=spec("n", low=0.5, high=2.0))
def several(x: Any) -> Any:
    order = np.argmax(x)
    return {"logs": np.log(x), "largest": order, "mask": x > 1}


@transpile.model(x=spec(16))
def cancelling(x: Any) -> Any:
    """Badly conditioned: NumPy itself loses most digits in float32."""
    big = x + 10000.0
    return np.sin(big * big - 1e8)


@transpile.model(x=spec(6))
def special(x: Any) -> Any:
    return np.log(x), 1 / (x - x)


@pytest.mark.parametrize("model", [dense, embedded, long_sums, several, cancelling, special],
                         ids=lambda m: m.name)
def test_a_right_module_passes(model: Any) -> None:
    module = transpile.compile(model)
    found = module.verify()
    assert found.ok, found.failures
    assert set(found.targets) == set(module.report.targets)


@transpile.model(x=spec("batch", 8))
def other(x: Any) -> Any:
    return np.tanh(x @ (W * 1.001))


def test_the_module_of_almost_the_same_model_fails() -> None:
    wrong = replace(transpile.compile(dense), text=transpile.compile(other).text)
    with pytest.raises(VerificationError, match="dense disagrees"):
        wrong.verify().check("dense")


def test_a_trace_that_differs_from_python_fails() -> None:
    """State that changes after tracing is the model's own fault, and it shows."""
    state = {"scale": 1.0}

    @transpile.model(x=spec(3))
    def scaled(x: Any) -> Any:
        return x * state["scale"]

    module = transpile.compile(scaled)
    state["scale"] = 2.0
    found = module.verify()
    assert [f.target for f in found.failures] == ["the trace"]
    with pytest.raises(VerificationError, match="scaled disagrees"):
        found.check("scaled")


def test_a_sigmoid_of_the_original_may_be_off_by_a_part_of_one() -> None:
    """onnxruntime's gives 0 below -18, where the values are small, and so is their tolerance."""
    def original(inputs: Any) -> Any:
        x = inputs["x"]
        return {"output": np.where(x < -18, 0, 1 / (1 + np.exp(-x))).astype(np.float32)}

    @transpile.model(x=spec(3))
    def chances(x: Any) -> Any:
        return 1 / (1 + np.exp(-x))

    nodes = input_node("x", TensorType("float32", (3,)))
    graph = Graph("chances", (nodes,), (("output", make("sigmoid", nodes)),))
    module = transpile.compile(chances, targets=["js"])
    sample = {"x": np.float32([-19, -20, -25])}
    assert verify_module(module, graph, sample, original=original).ok
    exact = verify_module(module, graph, sample, original=original, rtol=1e-6)
    assert [f.target for f in exact.failures] == ["the trace"]


def test_named_sizes_are_tried_at_one_and_apart() -> None:
    graph = transpile.trace(embedded)
    shapes = [one["ids"].shape for one in random_inputs(graph)]
    assert shapes == [(3, 5), (1, 1), (6, 8)]


@pytest.mark.parametrize(("work", "rows"), [(10**9, [3, 1, 6]), (10**10, [3, 1]),
                                            (10**11, [1])])
def test_much_work_is_tried_at_fewer_sizes(work: int, rows: list[int]) -> None:
    graph = transpile.trace(embedded)
    n = dim(graph.dim_names[0])
    found = random_inputs(graph, work=n * work)
    assert [one["ids"].shape[0] for one in found] == rows
    fixed = transpile.trace(embedded, {"ids": "int32[2, 4]"})
    assert len(list(random_inputs(fixed, work=work))) == 1


@pytest.mark.parametrize("name", ["n", "i", "c", "k", "x", "row", "col", "h"])
def test_sizes_may_be_called_like_loops(name: str) -> None:
    kernel = RNG.standard_normal((5, 4, 3, 3)).astype(np.float32)

    @transpile.model(x=spec(2, 4, name, 6))
    def model(x: Any) -> Any:
        pooled = nn.conv2d(x, kernel, padding=1).max(axis=3)
        return x[1] * 2, nn.softmax(pooled[1]), np.sort(x, axis=2)[:, 1:], np.cumsum(x, axis=2)
    found = transpile.compile(model, targets=("js", "wasm")).verify()
    assert found.ok, found.failures[0]


def test_indices_stay_inside_their_table_and_values_in_their_range() -> None:
    ids = [one["ids"] for one in random_inputs(transpile.trace(embedded))]
    assert min(a.min() for a in ids) >= 0
    assert max(a.max() for a in ids) < len(TABLE)
    graph = transpile.trace(several)
    for one in random_inputs(graph, {"x": (0.5, 2.0)}):
        assert one["x"].min() >= 0.5
        assert one["x"].max() <= 2.0


def test_indices_are_followed_through_rows_and_where() -> None:
    """An edge list's row, with negative indices counted from the end, as Keras has them."""
    @transpile.model(edges=transpile.spec("int32", (2, 200)))
    def ends(edges: Any) -> Any:
        row = np.take(edges, 1, axis=0)
        return np.take(LONG[:7], np.where(row < 0, row + 7, row), axis=0)
    found = next(random_inputs(transpile.trace(ends)))["edges"]
    assert found.min() == 0
    assert found.max() == 6


def test_sizes_grow_until_a_window_fits() -> None:
    @transpile.model(x=spec(1, 1, "length"))
    def windows(x: Any) -> Any:
        return nn.conv1d(x, np.ones((1, 1, 9), np.float32))
    module = transpile.compile(windows)
    assert module.verify().ok
    assert min(one["x"].shape[2] for one in random_inputs(module.graph)) >= 9


def test_samples_are_checked(tmp_path: Any) -> None:
    graph = transpile.trace(dense)
    good = {"x": np.zeros((2, 8))}
    np.savez(tmp_path / "good.npz", **good)
    assert len(list(given_inputs(graph, [good, tmp_path / "good.npz"]))) == 2
    for wrong in ({"x": np.zeros((2, 7))}, {"y": np.zeros((2, 8))}, {}):
        with pytest.raises(ShapeError):
            list(given_inputs(graph, wrong))
    with pytest.raises(SourceError):
        list(given_inputs(graph, tmp_path / "missing.npz"))


def test_the_same_seed_gives_the_same_inputs() -> None:
    graph = transpile.trace(dense)
    for a, b in zip(random_inputs(graph), random_inputs(graph), strict=True):
        np.testing.assert_array_equal(a["x"], b["x"])


def test_self_test_of_the_module_agrees() -> None:
    from transpile.verify.node import shared_host
    for model in (dense, embedded, several):
        module = transpile.compile(model)
        assert shared_host().self_test(module.source)["ok"] is True


def test_output_is_identical_for_identical_input() -> None:
    assert transpile.compile(dense).source == transpile.compile(dense).source
    assert transpile.content_hash(dense) != transpile.content_hash(dense, minify=True)


@pytest.mark.parametrize(("x", "ok"), [(0.5, True), (0.3, False)])
def test_either_step_is_right_for_values_between_two(x: float, ok: bool) -> None:
    @transpile.model(x=transpile.spec("float32", (3,)))
    def steps(x: Any) -> Any:
        return np.round(x) * 100

    expected = expected_outputs(steps.trace(), {"x": np.full(3, x, np.float32)})
    got = {"output": np.full(3, 100, np.float32)}
    assert compare_outputs(got, expected)["output"].ok == ok
