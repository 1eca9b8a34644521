"""A benchmark model as a list of layers, from which every peer's file of it is written.

Weights are in PyTorch's layouts; batch norms are folded into the convolutions before them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import singledispatch
from typing import Any

import numpy as np

from benchmarks import models
from transpile import nn

Arrays = dict[str, np.ndarray]


@dataclass(frozen=True)
class Layer:
    """One layer: `inputs` are numbers of earlier layers, -1 the model's input.

    Kinds, their arrays and attributes:
        dense: weight [out, in], bias; act; `chw` if its input is a flattened image of that shape.
        conv: weight [out, in / groups, h, w], bias; stride, pad, groups, act.
        max_pool: size, stride, pad.
        add (of two layers): act.
        mean (over the image), flatten, softmax: none.
        encoder: wq bq wk bk wv bv wo bo, g1 b1 g2 b2 (norms), w1 c1 w2 c2 (dense); heads, eps.
        lstm: w_ih, w_hh, bias (gates i, f, g, o); hidden. Its output is the last hidden state.
    """

    kind: str
    inputs: tuple[int, ...]
    arrays: Arrays = field(default_factory=dict)
    attrs: dict[str, Any] = field(default_factory=dict)


class Net:
    """A list of layers under construction; `add` returns the new layer's number."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        self.shape = shape
        self.layers: list[Layer] = []

    def add(self, kind: str, *inputs: int, arrays: Arrays | None = None, **attrs: Any) -> int:
        arrays = {k: np.ascontiguousarray(a, np.float32) for k, a in (arrays or {}).items()}
        self.layers.append(Layer(kind, inputs, arrays, attrs))
        return len(self.layers) - 1

    def dense(self, x: int, layer: Any, act: str | None = None,
              chw: tuple[int, ...] | None = None) -> int:
        return self.add("dense", x, arrays={"weight": layer.weight, "bias": layer.bias},
                        act=act, chw=chw)

    def conv(self, x: int, layer: Any, norm: Any = None, act: str | None = None) -> int:
        weight, bias = layer.weight, layer.bias
        if norm is not None:
            scale = norm.weight / np.sqrt(norm.running_var + norm.eps)
            weight = weight * scale[:, None, None, None]
            bias = norm.bias - norm.running_mean * scale
        return self.add("conv", x, arrays={"weight": weight, "bias": bias}, stride=layer.stride,
                        pad=layer.padding, groups=layer.groups, act=act)


def describe(model: Any) -> Net:
    """The layers of one of `models.MODELS`, made before."""
    (spec,) = model.specs.values()
    net = Net(tuple(spec.type.shape))
    layers_of(model.fn, net, -1)
    return net


@singledispatch
def layers_of(module: Any, net: Net, x: int) -> int:
    """Add the layers of `module` on `x`; returns the number of the last."""
    raise NotImplementedError(type(module).__name__)


@layers_of.register
def _(module: models.Linear, net: Net, x: int) -> int:
    return net.dense(x, module.fc)


@layers_of.register
def _(module: models.MLP, net: Net, x: int) -> int:
    x = net.dense(net.dense(x, module.fc1, "relu"), module.fc2, "relu")
    return net.dense(x, module.fc3)


@layers_of.register
def _(module: models.LeNet, net: Net, x: int) -> int:
    x = net.conv(net.conv(x, module.conv1, act="relu"), module.conv2, act="relu")
    x = net.add("flatten", net.add("max_pool", x, size=2, stride=2, pad=0))
    side = (net.shape[2] - 4) // 2
    x = net.dense(x, module.fc1, "relu", (64, side, side))
    return net.add("softmax", net.dense(x, module.fc2))


@layers_of.register
def _(module: models.InvertedResidual, net: Net, x: int) -> int:
    y = x
    if module.expand is not None:
        y = net.conv(y, module.expand[0], module.expand[1], "relu6")
    y = net.conv(y, module.depthwise[0], module.depthwise[1], "relu6")
    y = net.conv(y, module.project[0], module.project[1])
    return net.add("add", x, y, act=None) if module.residual else y


@layers_of.register
def _(module: models.MobileNetV2, net: Net, x: int) -> int:
    x = net.conv(x, module.stem[0], module.stem[1], "relu6")
    for block in module.blocks:
        x = layers_of(block, net, x)
    x = net.add("mean", net.conv(x, module.head[0], module.head[1], "relu6"))
    return net.dense(x, module.classifier)


@layers_of.register
def _(module: models.BasicBlock, net: Net, x: int) -> int:
    y = net.conv(x, module.conv1, module.bn1, "relu")
    y = net.conv(y, module.conv2, module.bn2)
    if module.downsample is not None:
        x = net.conv(x, module.downsample[0], module.downsample[1])
    return net.add("add", y, x, act="relu")


@layers_of.register
def _(module: models.ResNet18, net: Net, x: int) -> int:
    x = net.conv(x, module.conv1, module.bn1, "relu")
    x = net.add("max_pool", x, size=3, stride=2, pad=1)
    for block in module.blocks:
        x = layers_of(block, net, x)
    return net.dense(net.add("mean", x), module.fc)


@layers_of.register
def _(module: models.EncoderLayer, net: Net, x: int) -> int:
    attention, arrays = module.attention, {}
    weights = np.split(attention.in_proj_weight, 3)
    biases = np.split(attention.in_proj_bias, 3)
    for name, weight, bias in zip("qkv", weights, biases, strict=True):
        arrays |= {f"w{name}": weight, f"b{name}": bias}
    arrays |= {"wo": attention.out_proj.weight, "bo": attention.out_proj.bias,
               "g1": module.norm1.weight, "b1": module.norm1.bias,
               "g2": module.norm2.weight, "b2": module.norm2.bias,
               "w1": module.fc1.weight, "c1": module.fc1.bias,
               "w2": module.fc2.weight, "c2": module.fc2.bias}
    return net.add("encoder", x, arrays=arrays, heads=attention.heads, eps=module.norm1.eps)


@layers_of.register
def _(module: models.Transformer, net: Net, x: int) -> int:
    for layer in module.layers:
        x = layers_of(layer, net, x)
    return x


@layers_of.register
def _(module: models.LSTM, net: Net, x: int) -> int:
    lstm: nn.LSTM = module.lstm
    arrays = {"w_ih": lstm.weight_ih_l0, "w_hh": lstm.weight_hh_l0,
              "bias": lstm.bias_ih_l0 + lstm.bias_hh_l0}
    x = net.add("lstm", x, arrays=arrays, hidden=lstm.weight_hh_l0.shape[1])
    return net.dense(x, module.fc)
