"""Tracing whole functions and objects: names, parameters, inputs, outputs."""

from __future__ import annotations

import types
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pytest

from transpile import nn
from transpile.errors import ShapeError, TraceError
from transpile.frontends.tracer import Tracer
from transpile.ir.graph import Graph
from transpile.ir.interpret import interpret
from transpile.ir.types import TensorType
from transpile.model import Model, model, spec, trace

RNG = np.random.default_rng(0)
W1 = RNG.normal(size=(4, 8)).astype(np.float32)
B1 = RNG.normal(size=8)
EMB = RNG.normal(size=(10, 4)).astype(np.float32)
LAYERS = {"out": {"weight": RNG.normal(size=(8, 3)), "bias": np.zeros(3)}}
STACK = [RNG.normal(size=(3, 3)), (RNG.normal(size=3), 2.0)]
SIZES = np.array([2, 3])
X = RNG.normal(size=(5, 4)).astype(np.float32)
IDS = np.array([[1, 2], [-1, 0]], np.int32)


def names_of(graph: Graph) -> list[str]:
    return sorted(n.name for n in graph.constants if n.attrs["parameter"])


def agree(graph: Graph, fn: Any, **inputs: np.ndarray) -> None:
    results = interpret(graph, inputs)
    expected = fn(**inputs)
    wanted = (list(expected.values()) if isinstance(expected, dict) else
              list(expected) if isinstance(expected, tuple) else [expected])
    for result, want in zip(results.values(), wanted, strict=True):
        np.testing.assert_allclose(result, want, rtol=1e-4, atol=1e-5)


def helper(h: Any) -> Any:
    return h @ LAYERS["out"]["weight"] + LAYERS["out"]["bias"]


@model(x=spec("float32", ("batch", 4)))
def classify(x: Any) -> Any:
    hidden = np.maximum(x @ W1 + B1, 0)
    probs = helper(hidden)
    return probs  # noqa: RET504  (names the output)


def test_decorated_function_still_runs_and_traces() -> None:
    before = W1
    graph = classify.trace()
    assert W1 is before
    assert isinstance(LAYERS["out"]["bias"], np.ndarray)
    assert [str(n.type) for n in graph.inputs] == ["float32[batch, 4]"]
    assert [name for name, _ in graph.outputs] == ["probs"]
    assert names_of(graph) == ["B1", "LAYERS.out.bias", "LAYERS.out.weight", "W1"]
    assert graph.name == classify.__name__ == "classify"
    assert graph.origin.startswith("test_trace_model.py:")
    agree(graph, classify, x=X)


def test_nodes_carry_variable_line_and_text() -> None:
    graph = classify.trace()
    by_op = {n.op: n for n in graph.nodes}
    assert by_op["maximum"].name == "hidden"
    assert by_op["maximum"].where.file == "test_trace_model.py"
    assert by_op["maximum"].where.text == "hidden = np.maximum(x @ W1 + B1, 0)"
    probs = graph.outputs[0][1]
    assert probs.name == "probs"  # made on the return line of the helper, named by its caller
    assert probs.where.text.startswith("return h @ LAYERS")


def test_global_table_indexed_by_traced_ids() -> None:
    def look_up(ids: Any) -> Any:
        return EMB[ids] @ W1 + W1.T[0, 0] + W1.shape[0]
    graph = trace(look_up, {"ids": spec("int32", ("batch", 2))})
    assert names_of(graph) == ["EMB", "W1"]
    assert isinstance(EMB, np.ndarray)
    agree(graph, look_up, ids=IDS)


def test_one_array_is_one_parameter() -> None:
    alias = W1

    def tied(x: Any) -> Any:
        return (x @ W1) @ alias.T
    graph = trace(tied, {"x": X})
    assert len(names_of(graph)) == 1
    agree(graph, tied, x=X)


def test_containers_closures_defaults_and_config_arrays() -> None:
    scale = np.array([2.0, 3.0, 4.0])

    def run(x: Any, shift: Any = np.ones(3)) -> Any:  # noqa: B008
        for _ in range(SIZES[0]):
            x = x @ STACK[0] + STACK[1][0] * STACK[1][1]
        return x * scale + shift if float(scale[0]) == 2 else x
    graph = trace(run, {"x": "float32[n,3]"})
    assert names_of(graph) == ["STACK.0", "STACK.1.0", "scale", "shift"]
    assert isinstance(scale, np.ndarray)
    assert isinstance(STACK[1], tuple)
    agree(graph, run, x=X[:, :3])


class Layer:
    factor = np.array(0.5)

    def __init__(self, inner: int, outer: int) -> None:
        self.weight = RNG.normal(size=(inner, outer))
        self.settings = {"eps": 1e-5}
        self.parent: Any = None

    def __call__(self, x: Any) -> Any:
        return x @ self.weight * self.factor


class Net:
    def __init__(self) -> None:
        self.fc1, self.rest = Layer(4, 6), [Layer(6, 6), Layer(6, 2)]
        self.fc1.parent = self

    def forward(self, x: Any, flip: bool = False) -> Any:  # noqa: ARG002
        h = np.tanh(self.fc1(x))
        for layer in self.rest:
            h = layer(h)
        return {"logits": h, "best one": np.argmax(h, axis=-1)}


def test_object_with_forward() -> None:
    net = Net()
    graph = trace(net, {"x": X})
    assert names_of(graph) == ["fc1.factor", "fc1.weight", "rest.0.weight", "rest.1.weight"]
    assert [n for n, _ in graph.outputs] == ["logits", "best one"]
    assert graph.name == "Net"
    assert isinstance(net.fc1.weight, np.ndarray)
    assert isinstance(Layer.factor, np.ndarray)
    agree(graph, net.forward, x=X)


def test_bound_method_and_decorated_class_and_instance() -> None:
    net = Net()
    assert names_of(trace(net.forward, {"x": X}))
    made = model(x=spec("float32", (1, 4)))(Net)
    assert isinstance(made, Model)
    assert made.trace().name == "Net"
    instance = made()
    assert set(instance.forward(X)) == {"logits", "best one"}
    assert names_of(instance.trace()) == names_of(trace(net, {"x": X}))
    wrapped = model(net, x=X)
    assert wrapped(X)["logits"].shape == (5, 2)


@dataclass(frozen=True)
class Frozen:
    weight: np.ndarray

    def __call__(self, x: Any) -> Any:
        return x @ self.weight


class Slotted:
    __slots__ = ("weight",)

    def __init__(self) -> None:
        self.weight = RNG.normal(size=(4, 2))

    def __call__(self, x: Any) -> Any:
        return x @ self.weight


@pytest.mark.parametrize("net", [Frozen(W1), Slotted()], ids=["frozen", "slots"])
def test_objects_of_other_kinds(net: Any) -> None:
    graph = trace(net, {"x": X})
    assert names_of(graph) == ["weight"]
    assert isinstance(net.weight, np.ndarray)
    agree(graph, net, x=X)


def test_arrays_come_back_after_an_error() -> None:
    def bad(x: Any) -> Any:
        return x @ W1 if x.sum() > 0 else x
    with pytest.raises(TraceError):
        trace(bad, {"x": X})
    assert isinstance(W1, np.ndarray)


def test_parameters_of_another_module_of_the_model() -> None:
    weights = types.ModuleType(__name__.split(".")[0] + ".weights")
    weights.W = np.eye(4, dtype=np.float32) * 2  # type: ignore[attr-defined]
    globals()["weights"] = weights
    graph = trace(uses_module, {"x": X})
    assert names_of(graph) == ["W"]
    agree(graph, uses_module, x=X)


def uses_module(x: Any) -> Any:
    return x @ weights.W  # type: ignore[name-defined]  # noqa: F821


def pair(x: Any) -> Any:
    low, high = x - 1, x + 1
    return low, high


def mixed(x: Any) -> Any:
    if x.ndim == 1:
        return x
    y = x * 2
    return y, x, 3.0, y


def test_output_names() -> None:
    def outputs(fn: Any) -> list[str]:
        return [n for n, _ in trace(fn, {"x": X}).outputs]
    assert outputs(pair) == ["low", "high"]
    assert outputs(mixed) == ["y", "x", "output2", "y_1"]
    assert outputs(lambda x: x + 1) == ["output"]
    assert outputs(lambda x: [x, x]) == ["output0", "output1"]
    named = model(pair, x=X, outputs=("a", "b"))
    assert [n for n, _ in named.trace().outputs] == ["a", "b"]
    with pytest.raises(TraceError, match="2 outputs"):
        model(pair, x=X, outputs="a").trace()


def test_tuple_targets_give_no_hint() -> None:
    graph = trace(pair, {"x": X})
    assert [n.name for _, n in graph.outputs] == ["", ""]


def test_inputs_are_bound_by_name() -> None:
    def fn(a: Any, b: Any, c: float = 2.0) -> Any:
        return a * b * c
    types_ = {"b": "float32[n]", "a": "int32[n]"}
    assert [n.name for n in trace(fn, types_).inputs] == ["a", "b"]
    with pytest.raises(TraceError, match="no input called 'z'"):
        trace(fn, {**types_, "z": "float32[1]"})
    with pytest.raises(TraceError, match="input 'b' of fn is not known"):
        trace(fn, {"a": "float32[1]"})
    assert trace(fn, types_, name="other").name == "other"


def test_inputs_override_specs() -> None:
    graph = trace(classify, {"x": "float32[2,4]"})
    assert str(graph.inputs[0].type) == "float32[2, 4]"


def test_spec() -> None:
    ids = spec("int64", ("batch", "2*n", 3), low=0, high=9, labels=["a"])
    assert str(ids.type) == "int32[batch, 2*n, 3]"
    assert (ids.low, ids.high, ids.labels) == (0, 9, ("a",))
    assert spec("float32", 3).type == TensorType("float32", (3,))
    assert spec("float32").type.shape == ()
    for bad in (("complex64", (1,)), ("float32", (-1,))):
        with pytest.raises(ShapeError):
            spec(*bad)


def test_named_dimensions() -> None:
    def attend(q: Any, k: Any) -> Any:
        batch, steps, _ = q.shape
        flat = q.reshape(batch * steps, -1).reshape(batch, steps, -1)
        score = flat @ np.swapaxes(k, 1, 2) / np.sqrt(q.shape[-1])
        return score.sum(axis=-1) / k.shape[1] + EMB[:steps, 0] + q[:, ::-1, 0] + k[:, -1, :1]
    graph = trace(attend, {"q": "float32[b,t,4]", "k": "float32[b,s,4]"})
    assert str(graph.outputs[0][1].type) == "float32[b, t]"
    q, k = RNG.normal(size=(2, 3, 4)), RNG.normal(size=(2, 5, 4))
    agree(graph, attend, q=q.astype(np.float32), k=k.astype(np.float32))


def test_constants_can_be_computed_with() -> None:
    def fn(x: Any) -> Any:
        table = np.linalg.inv(np.eye(4) + W1 @ W1.T)
        assert W1.tolist()
        assert bool(np.all(np.isfinite(W1)))
        return x @ table if np.any(W1 > 0) else x
    graph = trace(fn, {"x": X})
    agree(graph, fn, x=X)
    assert isinstance(fn, types.FunctionType)


def test_tracer_is_seen_by_the_function() -> None:
    seen: list[Any] = []

    def fn(x: Any) -> Any:
        seen.append((type(x), x.shape, x.ndim, x.dtype, x.size, len(x), type(W1)))
        return x
    trace(fn, {"x": X})
    assert seen == [(Tracer, (5, 4), 2, np.float32, 20, 5, Tracer)]


class Block(nn.Module):
    def __init__(self) -> None:
        self.fc = nn.Linear(4, 4, rng=1)

    def forward(self, x: Any) -> Any:
        y = np.tanh(self.fc(x))
        return x + y


class Stacked(nn.Module):
    def __init__(self) -> None:
        self.blocks = nn.Sequential(Block(), Block())
        self.head = nn.Linear(4, 2, bias=False, rng=2)

    def forward(self, x: Any) -> Any:
        features = self.blocks(x)
        logits = self.head(features)
        return logits  # noqa: RET504  (names the output)


def test_layers_name_their_nodes() -> None:
    net = Stacked()
    graph = trace(net, {"x": X})
    assert names_of(graph) == sorted(net.state_dict())
    made = [(n.op, n.name) for n in graph.nodes if n.inputs and n.op != "transpose"]
    assert [name for op, name in made if op in ("add", "linear")] == [
        "blocks.0.fc", "blocks.0", "blocks.1.fc", "blocks.1", "logits"]
    assert graph.outputs[0][1].where.scope == "head"
    agree(graph, net, x=X)


def test_a_model_may_call_another() -> None:
    net = Stacked()

    @model(x=spec("float32", ("n", 4)))
    def inner(x: Any) -> Any:
        return net(x)

    def outer(x: Any) -> Any:
        return inner(x).sum(axis=0) / x.shape[0]
    graph = trace(outer, {"x": spec("float32", ("n", 4))})
    assert len(names_of(graph)) == 5
    agree(graph, outer, x=X)


def test_objects_of_a_library_are_changed_on_the_surface_only() -> None:
    preprocessing = pytest.importorskip("sklearn.preprocessing")
    scaler = preprocessing.StandardScaler().fit(X)
    holder = [scaler]

    def standard(x: Any) -> Any:
        return (x - holder[0].mean_) / holder[0].scale_
    graph = trace(standard, {"x": spec("float32", ("n", 4))})
    assert names_of(graph) == ["holder.0.mean_", "holder.0.scale_"]
    assert isinstance(scaler.mean_, np.ndarray)
    agree(graph, standard, x=X)


def test_partial() -> None:
    def scaled(x: Any, scale: Any) -> Any:
        y = (x * scale) @ W1
        return y  # noqa: RET504  (names the output)
    fn = partial(scaled, scale=np.ones(4))
    graph = trace(fn, {"x": X})
    assert graph.name == "scaled"
    assert names_of(graph) == ["W1", "scale"]
    assert isinstance(fn.keywords["scale"], np.ndarray)
    assert graph.outputs[0][0] == "y"
    agree(graph, fn, x=X)
