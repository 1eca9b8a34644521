"""Models written channels-first lose their transposes, and batch norms vanish into weights."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pytest

from transpile.ir.graph import Graph, Node, constant, input_node
from transpile.ir.interpret import interpret
from transpile.ir.types import tensor_type
from transpile.ops.registry import make
from transpile.passes import PIPELINE, run_pipeline


class Net:
    """Layers in PyTorch's layout with seeded weights."""

    def __init__(self) -> None:
        self.rng = np.random.default_rng(0)

    def weight(self, name: str, *shape: int) -> Node:
        values = self.rng.normal(0.05, 0.2, shape).astype(np.float32)
        return constant(values, name, parameter=True)

    def conv(self, x: Node, name: str, out: int, size: int, **attrs: Any) -> Node:
        inputs = x.shape[1] // attrs.get("groups", 1)
        return make("conv2d", x, self.weight(f"{name}.weight", out, inputs, size, size),
                    self.weight(f"{name}.bias", out), **attrs)

    def norm(self, x: Node, name: str) -> Node:
        count = x.shape[1]
        var = constant(self.rng.random(count).astype(np.float32) + 0.5, f"{name}.var")
        return make("batch_norm", x, self.weight(f"{name}.mean", count), var,
                    self.weight(f"{name}.weight", count), self.weight(f"{name}.bias", count))

    def linear(self, x: Node, name: str, out: int) -> Node:
        weight = make("transpose", self.weight(f"{name}.weight", out, x.shape[-1]), perm=(1, 0))
        return make("add", make("matmul", x, weight), self.weight(f"{name}.bias", out))


def relu(x: Node) -> Node:
    return make("relu", x)


def image(channels: int, size: int = 12) -> Node:
    return input_node("x", tensor_type("float32", ("batch", channels, size, size)))


def lenet(channels: int) -> Graph:
    net, x = Net(), image(channels)
    h = make("max_pool2d", relu(net.norm(net.conv(x, "c1", 8, 3, padding=1), "n1")),
             kernel_size=2)
    h = make("max_pool2d", relu(net.conv(h, "c2", 6, 3)), kernel_size=2)
    h = relu(make("reshape", h, shape=(h.shape[0], 24)))
    h = relu(net.linear(h, "fc1", 16))
    return Graph("lenet", (x,), (("y", make("softmax", net.linear(h, "fc2", 10), axis=-1)),))


def residual() -> Graph:
    net, x = Net(), image(3)
    h = relu(net.norm(net.conv(x, "stem", 8, 3, padding=1, stride=2), "stem.n"))
    for k in range(2):
        t = relu(net.norm(net.conv(h, f"{k}.1", 8, 3, padding=1), f"{k}.n1"))
        h = relu(make("add", h, net.norm(net.conv(t, f"{k}.2", 8, 3, padding=1), f"{k}.n2")))
    h = make("mean", h, axes=(2, 3), keepdims=False)
    return Graph("residual", (x,), (("y", net.linear(h, "fc", 10)),))


def inverted() -> Graph:
    """MobileNetV2's block, with squeeze and excitation as in V3, and a channel shuffle."""
    net, x = Net(), image(3)
    h = make("relu6", net.norm(net.conv(x, "stem", 8, 3, padding=1), "stem.n"))
    t = make("relu6", net.norm(net.conv(h, "e", 16, 1), "e.n"))
    t = make("relu6", net.norm(net.conv(t, "d", 16, 3, padding=1, groups=16), "d.n"))
    squeezed = make("adaptive_avg_pool2d", t, output_size=1)
    t = make("mul", t, make("sigmoid", net.conv(relu(net.conv(squeezed, "s", 4, 1)), "x", 16, 1)))
    h = make("add", h, net.norm(net.conv(t, "p", 8, 1), "p.n"))
    split = make("reshape", h, shape=(h.shape[0], 2, 4, 12, 12))
    mixed = make("reshape", make("transpose", split, perm=(0, 2, 1, 3, 4)), shape=h.shape)
    h = make("concat", net.conv(mixed, "m", 8, 1), h, axis=1)
    h = make("reshape", make("adaptive_avg_pool2d", h, output_size=1), shape=(h.shape[0], 16))
    return Graph("inverted", (x,), (("y", net.linear(h, "fc", 10)),))


@pytest.mark.parametrize(("graph", "transposes"), [
    (lenet(1), 0), (lenet(3), 1), (residual(), 1), (inverted(), 3)],
    ids=["lenet grey", "lenet colour", "residual", "inverted"])
def test_channels_first_models_lose_their_transposes(graph: Graph, transposes: int) -> None:
    # `inverted` keeps two more: the shuffle of channels itself, between its two reshapes.
    after, records = run_pipeline(graph, debug=True)
    count = Counter(n.op for n in after.nodes)
    assert count["transpose"] <= transposes
    convs = [n for n in after.nodes if n.op == "conv"]
    readers = [u.op for c in convs for u in after.users[c]]
    assert set(readers) == {"add"}  # the bias alone: every scale is in the weights
    x = np.random.default_rng(1).normal(size=(2, *graph.inputs[0].shape[1:])).astype(np.float32)
    np.testing.assert_allclose(interpret(after, {"x": x})["y"], interpret(graph, {"x": x})["y"],
                               rtol=2e-5, atol=2e-5)
    assert [r.name for r in records][:len(PIPELINE)] == [p.name for p in PIPELINE]


def test_weights_keep_their_names() -> None:
    after, _ = run_pipeline(residual())
    names = {n.name for n in after.constants if n.attrs["parameter"]}
    assert {"stem.weight", "0.1.weight", "1.2.bias", "fc.weight"} <= names
    origins = {n.where.part_of for n in after.nodes if n.op == "conv"}
    assert origins == {"conv2d"}


def test_flattened_images_reorder_the_weight() -> None:
    after, _ = run_pipeline(lenet(3))
    first = next(n for n in after.nodes if n.op == "contract")
    assert (first.inputs[0].op, first.inputs[1].name) == ("reshape", "fc1.weight")
    assert first.attrs["equation"] == "ab,bc->ac"
