"""Recurrent layers of ONNX against ONNX Runtime: every option, random weights, any length."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

import transpile
from transpile import onnx_backend
from transpile.compile import lower_graph
from transpile.frontends.onnx import import_model

GATES = {"LSTM": 4, "GRU": 3, "RNN": 1}


def model(kind: str, sizes: tuple[int, int, int, int], seed: int = 0, *, lengths: Any = None,
          bias: bool = True, initial: bool = True, peepholes: bool = False, steps: Any = None,
          **attrs: Any) -> tuple[Any, list[np.ndarray]]:
    """A model of one layer with seeded weights, and its inputs.

    Args:
        sizes: time, batch, inputs, hidden.
        steps: the size of time that the model states, where it is not that of `sizes`.
    """
    time, batch, inputs, hidden = sizes
    rng = np.random.default_rng(seed)
    both = 1 + (attrs.get("direction") == "bidirectional")

    def random(*shape: int) -> np.ndarray:
        return rng.normal(size=shape).astype(np.float32)
    rows = GATES[kind] * hidden
    weights = {"w": random(both, rows, inputs), "r": random(both, rows, hidden) * 0.5}
    weights |= {"b": random(both, 2 * rows)} if bias else {}
    given = {"x": random(time, batch, inputs)}
    given |= {"lens": np.array(lengths, np.int32)} if lengths else {}
    given |= {"h": random(both, batch, hidden)} if initial else {}
    given |= {"c": random(both, batch, hidden)} if initial and kind == "LSTM" else {}
    weights |= {"p": random(both, 3 * hidden)} if peepholes else {}
    names = [n if n in weights or n in given else "" for n in
             ("x", "w", "r", "b", "lens", "h", *(("c", "p") if kind == "LSTM" else ()))]
    outputs = ["y", "yh", *(["yc"] if kind == "LSTM" else [])]
    node = helper.make_node(kind, names, outputs, hidden_size=hidden, **attrs)
    types = {"lens": TensorProto.INT32}
    shapes = {n: list(a.shape) for n, a in given.items()}
    shapes["x"][0] = steps or time
    graph = helper.make_graph(
        [node], "layer", [helper.make_tensor_value_info(
            n, types.get(n, TensorProto.FLOAT), s) for n, s in shapes.items()],
        [helper.make_tensor_value_info(n, TensorProto.FLOAT, None) for n in outputs],
        [numpy_helper.from_array(a, n) for n, a in weights.items()])
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    return proto, list(given.values())


def wanted(proto: Any, inputs: list[np.ndarray]) -> list[np.ndarray]:
    session = onnxruntime.InferenceSession(proto.SerializeToString(),
                                           providers=["CPUExecutionProvider"])
    names = [i.name for i in session.get_inputs()]
    return list(session.run(None, dict(zip(names, inputs, strict=True))))


BOTH = {"direction": "bidirectional"}
OPTIONS: dict[str, tuple[str, dict[str, Any]]] = {
    "lstm": ("LSTM", {}), "lstm backwards": ("LSTM", {"direction": "reverse"}),
    "lstm without states": ("LSTM", {"initial": False, "bias": False, **BOTH}),
    "lstm of lengths": ("LSTM", {"lengths": [3, 5], **BOTH}),
    "lstm with peepholes": ("LSTM", {"peepholes": True, **BOTH}),
    "lstm with peepholes and lengths": ("LSTM", {"peepholes": True, "lengths": [5, 1]}),
    "lstm with coupled gates": ("LSTM", {"input_forget": 1}),
    "lstm of other functions": ("LSTM", {
        "activations": ["HardSigmoid", "Softsign", "Affine"], "activation_alpha": [0.3, 0.7],
        "activation_beta": [0.4, 0.1]}),
    "lstm with a limit": ("LSTM", {"clip": 0.6, "peepholes": True}),
    "gru": ("GRU", BOTH), "gru of lengths": ("GRU", {"lengths": [2, 5], **BOTH}),
    "gru that resets after": ("GRU", {"linear_before_reset": 1, **BOTH}),
    "gru that resets after, of lengths": ("GRU", {
        "linear_before_reset": 1, "lengths": [4, 1], "direction": "reverse"}),
    "gru of other functions": ("GRU", {"activations": ["Sigmoid", "LeakyRelu"],
                                       "activation_alpha": [0.1]}),
    "gru with a limit": ("GRU", {"clip": 0.7}),
    "rnn": ("RNN", BOTH), "rnn of lengths": ("RNN", {"lengths": [5, 2], **BOTH}),
    "rnn with relu": ("RNN", {"activations": ["Relu"], "clip": 0.9}),
    "rnn both ways, two functions": ("RNN", {"activations": ["Tanh", "Softplus"], **BOTH})}


@pytest.mark.parametrize("target", ["js", "wasm"])
@pytest.mark.parametrize("option", OPTIONS)
def test_layers_are_those_of_onnx_runtime(option: str, target: str) -> None:
    kind, attrs = OPTIONS[option]
    for hidden in (3, 18):
        proto, inputs = model(kind, (5, 2, 4, hidden), hidden, **attrs)
        found = onnx_backend.run(proto, inputs, target)
        for a, b in zip(found, wanted(proto, inputs), strict=True):
            np.testing.assert_allclose(a, b, rtol=2e-5, atol=2e-5)


@pytest.mark.parametrize("option", OPTIONS)
def test_code_does_not_grow_with_time(option: str) -> None:
    kind, attrs = OPTIONS[option]
    counts = [len(lower_graph(import_model(model(kind, (time, 2, 4, 3), **attrs)[0])).calls)
              for time in (5, 500)]
    assert counts[0] == counts[1]


@pytest.mark.parametrize("kind", GATES)
def test_any_number_of_steps(kind: str) -> None:
    proto, _ = model(kind, (1, 2, 4, 3), steps="time", direction="bidirectional", lengths=[1, 1])
    module = transpile.compile(proto)
    for time, lengths in ((1, [1, 1]), (9, [9, 4])):
        _, inputs = model(kind, (time, 2, 4, 3), time, lengths=lengths, direction="bidirectional")
        found = module.run(dict(zip(("x", "lens", "h", "c"), inputs, strict=False)))
        for a, b in zip(found.values(), wanted(proto, inputs), strict=True):
            np.testing.assert_allclose(a, b, rtol=2e-5, atol=2e-5)


def test_masked_steps_keep_and_repeat_the_state() -> None:
    from transpile.ops.registry import get
    rng = np.random.default_rng(1)
    gates, weight, h = (rng.normal(size=s).astype(np.float32) for s in ((4, 1, 2), (2, 2), (1, 2)))
    mask = np.array([[True], [False], [True], [False]])
    run = get("recurrence").reference
    held = run(gates, weight, h, mask, cell="rnn", mask="hold")
    short = run(gates[::2], weight, h, cell="rnn")
    np.testing.assert_allclose(held, short[[0, 0, 1, 1, 2]])
    zeros = run(gates, weight, h, mask, cell="rnn", mask="zero")
    np.testing.assert_allclose(zeros, held * np.array([1, 0, 1, 0, 1])[:, None, None])
