"""The layers as an ONNX file, in the form that PyTorch's exporter gives them."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from onnx import TensorProto, helper, numpy_helper, save_model

from benchmarks.layers import Layer, Net

OPSET = 17


class Writer:
    """Nodes and initialisers of a graph; values are names."""

    def __init__(self) -> None:
        self.nodes: list[Any] = []
        self.constants: list[Any] = []

    def constant(self, value: Any, dtype: Any = np.float32) -> str:
        name = f"c{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.asarray(value, dtype), name))
        return name

    def op(self, kind: str, *inputs: str, outputs: int = 1, **attrs: Any) -> Any:
        """The name of the result; of several, their list."""
        names = [f"v{len(self.nodes)}_{i}" for i in range(outputs)]
        self.nodes.append(helper.make_node(kind, list(inputs), names, **attrs))
        return names[0] if outputs == 1 else names

    def act(self, x: str, act: str | None) -> str:
        if act == "relu6":
            return str(self.op("Clip", x, self.constant(0.0), self.constant(6.0)))
        return str(self.op("Relu", x)) if act else x

    def matmul(self, x: str, weight: np.ndarray, bias: np.ndarray) -> str:
        """`x @ weight.T + bias` for more than two axes."""
        product = self.op("MatMul", x, self.constant(weight.T))
        return str(self.op("Add", self.constant(bias), product))


def write(net: Net, path: str) -> None:
    """Save the net with an input `x` and an output `y`."""
    w, values = Writer(), {-1: "x"}
    for i, layer in enumerate(net.layers):
        inputs = [values[k] for k in layer.inputs]
        values[i] = WRITERS[layer.kind](w, layer, *inputs)
    w.nodes[-1].output[0] = "y"
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, net.shape)
    rank = 3 if net.layers[-1].kind == "encoder" else 2
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, [None] * rank)
    graph = helper.make_graph(w.nodes, "net", [x], [y], w.constants)
    save_model(helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)],
                                 ir_version=8), path)


def _dense(w: Writer, layer: Layer, x: str) -> str:
    y = w.op("Gemm", x, w.constant(layer.arrays["weight"]), w.constant(layer.arrays["bias"]),
             transB=1)
    return w.act(y, layer.attrs["act"])


def _conv(w: Writer, layer: Layer, x: str) -> str:
    weight, attrs = layer.arrays["weight"], layer.attrs
    y = w.op("Conv", x, w.constant(weight), w.constant(layer.arrays["bias"]),
             kernel_shape=weight.shape[2:], strides=[attrs["stride"]] * 2,
             pads=[attrs["pad"]] * 4, group=attrs["groups"])
    return w.act(y, attrs["act"])


def _max_pool(w: Writer, layer: Layer, x: str) -> Any:
    attrs = layer.attrs
    return w.op("MaxPool", x, kernel_shape=[attrs["size"]] * 2, strides=[attrs["stride"]] * 2,
                pads=[attrs["pad"]] * 4)


def _norm(w: Writer, x: str, layer: Layer, number: int) -> Any:
    return w.op("LayerNormalization", x, w.constant(layer.arrays[f"g{number}"]),
                w.constant(layer.arrays[f"b{number}"]), epsilon=layer.attrs["eps"], axis=-1)


def _encoder(w: Writer, layer: Layer, x: str) -> Any:
    a = layer.arrays
    size, heads = len(a["bq"]), layer.attrs["heads"]

    def split(name: str, perm: tuple[int, ...]) -> Any:
        y = w.matmul(x, a[f"w{name}"], a[f"b{name}"])
        shape = w.constant([1, -1, heads, size // heads], np.int64)
        return w.op("Transpose", w.op("Reshape", y, shape), perm=perm)

    scores = w.op("MatMul", split("q", (0, 2, 1, 3)), split("k", (0, 2, 3, 1)))
    scores = w.op("Div", scores, w.constant(math.sqrt(size / heads)))
    mixed = w.op("MatMul", w.op("Softmax", scores, axis=-1), split("v", (0, 2, 1, 3)))
    joined = w.op("Reshape", w.op("Transpose", mixed, perm=(0, 2, 1, 3)),
                  w.constant([1, -1, size], np.int64))
    x = _norm(w, w.op("Add", x, w.matmul(joined, a["wo"], a["bo"])), layer, 1)
    hidden = _gelu(w, w.matmul(x, a["w1"], a["c1"]))
    return _norm(w, w.op("Add", x, w.matmul(hidden, a["w2"], a["c2"])), layer, 2)


def _gelu(w: Writer, x: str) -> Any:
    erf = w.op("Erf", w.op("Div", x, w.constant(math.sqrt(2))))
    return w.op("Mul", w.op("Mul", x, w.op("Add", erf, w.constant(1.0))), w.constant(0.5))


def _lstm(w: Writer, layer: Layer, x: str) -> Any:
    a, hidden = layer.arrays, layer.attrs["hidden"]

    def gates(name: str) -> np.ndarray:
        i, f, g, o = np.split(a[name], 4)
        return np.concatenate([i, o, f, g])[None]

    bias = np.concatenate([gates("bias"), np.zeros((1, 4 * hidden), np.float32)], axis=1)
    rows = w.op("Transpose", x, perm=(1, 0, 2))
    last = w.op("LSTM", rows, w.constant(gates("w_ih")), w.constant(gates("w_hh")),
                w.constant(bias), outputs=3, hidden_size=hidden)[1]
    return w.op("Squeeze", last, w.constant([0], np.int64))


WRITERS: dict[str, Any] = {
    "dense": _dense, "conv": _conv, "max_pool": _max_pool, "encoder": _encoder, "lstm": _lstm,
    "mean": lambda w, _, x: w.op("Flatten", w.op("GlobalAveragePool", x), axis=1),
    "flatten": lambda w, _, x: w.op("Flatten", x, axis=1),
    "softmax": lambda w, _, x: w.op("Softmax", x, axis=-1),
    "add": lambda w, layer, x, y: w.act(w.op("Add", x, y), layer.attrs["act"]),
}
