"""The layers as a TensorFlow Lite file, with the operators that TensorFlow's converter chooses."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.layers import Layer, Net
from benchmarks.tfjs_file import rows_channels_last
from benchmarks.tflite_builder import GraphBuilder, Value

ACTIVATIONS = {None: 0, "relu": 1, "relu6": 3}
SAME, VALID = 0, 1
LOWEST = -1e30


class Writer(GraphBuilder):
    """Operators with the shapes of their results, images channels-last."""

    def one(self, code: str, inputs: list[Value], shape: tuple[int, ...], options: str = "",
            **fields: Any) -> Value:
        return self.op(code, inputs, [shape], options, **fields)[0]

    def unary(self, code: str, x: Value, options: str = "") -> Value:
        return self.one(code, [x], x.shape, options)

    def binary(self, code: str, a: Value, b: Value | Any, act: str | None = None) -> Value:
        """ADD, SUB or MUL; a number or an array is a constant."""
        right = b if isinstance(b, Value) else self.constant(b)
        shape = np.broadcast_shapes(a.shape, right.shape)
        return self.one(code, [a, right], shape, f"{code.capitalize()}Options",
                        FusedActivationFunction=ACTIVATIONS[act])

    def dense(self, x: Value, weight: np.ndarray, bias: np.ndarray | None,
              act: str | None = None) -> Value:
        inputs = [x, self.constant(weight), self.constant(
            np.zeros(len(weight), np.float32) if bias is None else bias)]
        return self.one("FULLY_CONNECTED", inputs, (*x.shape[:-1], len(weight)),
                        "FullyConnectedOptions", FusedActivationFunction=ACTIVATIONS[act])

    def reshape(self, x: Value, shape: tuple[int, ...]) -> Value:
        return self.one("RESHAPE", [x, self.constant(np.array(shape))], shape, "ReshapeOptions")

    def transpose(self, x: Value, perm: tuple[int, ...]) -> Value:
        shape = tuple(x.shape[p] for p in perm)
        return self.one("TRANSPOSE", [x, self.constant(np.array(perm))], shape,
                        "TransposeOptions")

    def mean(self, x: Value, axes: tuple[int, ...], keep: bool) -> Value:
        kept = tuple(1 if i in axes else n for i, n in enumerate(x.shape))
        shape = kept if keep else tuple(n for i, n in enumerate(x.shape) if i not in axes)
        return self.one("MEAN", [x, self.constant(np.array(axes))], shape, "ReducerOptions",
                        KeepDims=keep)

    def matmul(self, a: Value, b: Value, transposed: bool = False) -> Value:
        columns = b.shape[-2] if transposed else b.shape[-1]
        return self.one("BATCH_MATMUL", [a, b], (*a.shape[:-1], columns), "BatchMatMulOptions",
                        AdjY=transposed)

    def pad(self, x: Value, pad: int, value: float) -> Value:
        n, h, w, c = x.shape
        widths = self.constant(np.array([(0, 0), (pad, pad), (pad, pad), (0, 0)]))
        shape = (n, h + 2 * pad, w + 2 * pad, c)
        if value:
            return self.one("PADV2", [x, widths, self.constant(np.float32(value))], shape,
                            "PadV2Options")
        return self.one("PAD", [x, widths], shape, "PadOptions")

    def norm(self, x: Value, gain: np.ndarray, bias: np.ndarray, eps: float) -> Value:
        centred = self.binary("SUB", x, self.mean(x, (1,), True))
        variance = self.mean(self.binary("MUL", centred, centred), (1,), True)
        scale = self.unary("RSQRT", self.binary("ADD", variance, np.float32(eps)))
        scaled = self.binary("MUL", self.binary("MUL", centred, scale), gain)
        return self.binary("ADD", scaled, bias)


def write(net: Net, path: Path) -> None:
    """Save the net as `path`."""
    w, shape = Writer(), net.shape
    if len(shape) == 4:
        shape = (shape[0], shape[2], shape[3], shape[1])
    values = {-1: w.tensor(shape)}
    for i, layer in enumerate(net.layers):
        values[i] = WRITERS[layer.kind](w, layer, *(values[k] for k in layer.inputs))
    path.write_bytes(w.finish(values[-1], values[len(net.layers) - 1]))


def _dense(w: Writer, layer: Layer, x: Value) -> Value:
    weight = rows_channels_last(layer, layer.arrays["weight"])
    return w.dense(x, weight, layer.arrays["bias"], layer.attrs["act"])


def _window(w: Writer, x: Value, size: int, layer: Layer, fill: float = 0.0
            ) -> tuple[Value, int, tuple[int, int]]:
    """The input, padded where "same" would not do; the padding mode; height and width."""
    pad, stride = layer.attrs["pad"], layer.attrs["stride"]
    sides = [(n + 2 * pad - size) // stride + 1 for n in x.shape[1:3]]
    if pad and stride == 1 and not fill:
        return x, SAME, (sides[0], sides[1])
    return (w.pad(x, pad, fill) if pad else x), VALID, (sides[0], sides[1])


def _conv(w: Writer, layer: Layer, x: Value) -> Value:
    weight, attrs = layer.arrays["weight"], layer.attrs
    depthwise = attrs["groups"] > 1
    x, mode, sides = _window(w, x, weight.shape[2], layer)
    fields = {"Padding": mode, "StrideH": attrs["stride"], "StrideW": attrs["stride"],
              "DilationHFactor": 1, "DilationWFactor": 1,
              "FusedActivationFunction": ACTIVATIONS[attrs["act"]]}
    if depthwise:
        fields["DepthMultiplier"] = 1
    filters = weight.transpose(1, 2, 3, 0) if depthwise else weight.transpose(0, 2, 3, 1)
    inputs = [x, w.constant(np.ascontiguousarray(filters)), w.constant(layer.arrays["bias"])]
    code, options = (("DEPTHWISE_CONV_2D", "DepthwiseConv2DOptions") if depthwise
                     else ("CONV_2D", "Conv2DOptions"))
    return w.one(code, inputs, (x.shape[0], *sides, len(weight)), options, **fields)


def _max_pool(w: Writer, layer: Layer, x: Value) -> Value:
    size, stride = layer.attrs["size"], layer.attrs["stride"]
    x, mode, sides = _window(w, x, size, layer, LOWEST)
    return w.one("MAX_POOL_2D", [x], (x.shape[0], *sides, x.shape[3]), "Pool2DOptions",
                 Padding=mode, StrideH=stride, StrideW=stride, FilterHeight=size, FilterWidth=size)


def _encoder(w: Writer, layer: Layer, x3: Value) -> Value:
    a, (_, time, size), heads = layer.arrays, x3.shape, layer.attrs["heads"]
    x, depth = w.reshape(x3, (time, size)), size // heads

    def split(name: str) -> Value:
        y = w.reshape(w.dense(x, a[f"w{name}"], a[f"b{name}"]), (time, heads, depth))
        return w.transpose(y, (1, 0, 2))

    scores = w.binary("MUL", w.matmul(split("q"), split("k"), True), np.float32(depth ** -0.5))
    mixed = w.transpose(w.matmul(_softmax(w, scores), split("v")), (1, 0, 2))
    joined = w.dense(w.reshape(mixed, (time, size)), a["wo"], a["bo"])
    y = w.norm(w.binary("ADD", x, joined), a["g1"], a["b1"], layer.attrs["eps"])
    hidden = w.unary("GELU", w.dense(y, a["w1"], a["c1"]), "GeluOptions")
    z = w.binary("ADD", y, w.dense(hidden, a["w2"], a["c2"]))
    return w.reshape(w.norm(z, a["g2"], a["b2"], layer.attrs["eps"]), x3.shape)


def _lstm(w: Writer, layer: Layer, x: Value) -> Value:
    a, (_, time, size), hidden = layer.arrays, x.shape, layer.attrs["hidden"]
    gates = w.dense(w.reshape(x, (time, size)), a["w_ih"], a["bias"])
    steps = w.op("UNPACK", [gates], [(4 * hidden,)] * time, "UnpackOptions", Num=time, Axis=0)
    h = c = w.constant(np.zeros((1, hidden), np.float32))
    axis, recurrent = w.constant(np.array(1)), w.constant(a["w_hh"])
    none = w.constant(np.zeros(4 * hidden, np.float32))
    for step in steps:
        z = w.one("FULLY_CONNECTED", [h, recurrent, none], (1, 4 * hidden),
                  "FullyConnectedOptions")
        z = w.binary("ADD", z, step)
        i, f, g, o = w.op("SPLIT", [axis, z], [(1, hidden)] * 4, "SplitOptions", NumSplits=4)
        i, f, o = (w.unary("LOGISTIC", gate) for gate in (i, f, o))
        c = w.binary("ADD", w.binary("MUL", f, c), w.binary("MUL", i, w.unary("TANH", g)))
        h = w.binary("MUL", o, w.unary("TANH", c))
    return h


def _softmax(w: Writer, x: Value) -> Value:
    return w.one("SOFTMAX", [x], x.shape, "SoftmaxOptions", Beta=1.0)


WRITERS: dict[str, Any] = {
    "dense": _dense, "conv": _conv, "max_pool": _max_pool, "encoder": _encoder, "lstm": _lstm,
    "mean": lambda w, _, x: w.mean(x, (1, 2), False),
    "flatten": lambda w, _, x: w.reshape(x, (x.shape[0], int(np.prod(x.shape[1:])))),
    "softmax": lambda w, _, x: _softmax(w, x),
    "add": lambda w, layer, x, y: w.binary("ADD", x, y, layer.attrs["act"]),
}
