"""Layers with PyTorch's parameters against its answers; modules, names, initial values."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import transpile
from tests.nn_cases import flat
from tests.nn_layers import GOLDEN, LAYERS, Layer, state_of
from tests.test_nn_functions import expanded
from transpile import nn
from transpile.errors import ShapeError, SourceError
from transpile.ir.interpret import interpret


@pytest.fixture(scope="module")
def golden() -> dict[str, np.ndarray]:
    with np.load(GOLDEN) as file:
        return dict(file)


@pytest.mark.parametrize("layer", LAYERS, ids=lambda c: c.key)
def test_layer_with_pytorch_parameters(layer: Layer, golden: dict[str, np.ndarray]) -> None:
    module = layer.ours(nn).load_state_dict(state_of(layer, golden))
    for k, array in enumerate(flat(layer.call(module, *layer.arrays()))):
        np.testing.assert_allclose(array, golden[f"{layer.key}#{k}"], rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize("layer", LAYERS, ids=lambda c: c.key)
def test_traced_layer(layer: Layer, golden: dict[str, np.ndarray]) -> None:
    module = layer.ours(nn).load_state_dict(state_of(layer, golden))
    arrays = {f"x{i}": a for i, a in enumerate(layer.arrays())}

    def run(**inputs: Any) -> Any:
        return tuple(flat(layer.call(module, *inputs.values())))

    graph = transpile.trace(run, arrays)
    names = {c.name for c in graph.constants if c.attrs["parameter"]}
    assert names == {f"module.{n}" for n in module.state_dict()}
    result = interpret(expanded(graph), arrays, dtype="float64")
    for k, array in enumerate(result.values()):
        np.testing.assert_allclose(array, golden[f"{layer.key}#{k}"], rtol=1e-6, atol=1e-6)


class Block(nn.Module):
    def __init__(self) -> None:
        self.conv = nn.Conv2d(2, 2, 1)
        self.norm = nn.BatchNorm2d(2)
        self._cache = np.zeros(3)

    def forward(self, x: Any) -> Any:
        return nn.relu(self.norm(self.conv(x)))


class Net(nn.Module):
    def __init__(self) -> None:
        self.features = nn.Sequential(Block(), Block())
        self.extra = nn.ModuleList([Block()])
        self.plain = [Block()]
        self.fc = nn.Linear(2, 3)

    def forward(self, x: Any) -> Any:
        x = self.features(x)
        for block in (*self.extra, *self.plain):
            x = block(x)
        return self.fc(nn.flatten(nn.adaptive_avg_pool2d(x, 1)))


def test_names_of_parameters_are_paths() -> None:
    net = Net()
    names = [n for n, _ in net.named_parameters()]
    assert "features.1.conv.weight" in names
    assert "extra.0.conv.bias" in names
    assert "plain.0.norm.weight" in names
    assert "features.0.norm.running_mean" not in names
    assert "features.0.norm.running_mean" in net.state_dict()
    assert not any("cache" in n for n in net.state_dict())
    assert len(list(net.parameters())) == len(names)


def test_paths_reach_the_graph() -> None:
    graph = transpile.trace(Net(), {"x": "float32[batch,2,4,4]"})
    scopes = {n.where.scope for n in graph.nodes if n.op == "conv2d"}
    assert scopes == {"features.0.conv", "features.1.conv", "extra.0.conv", "plain.0.conv"}
    assert {c.name for c in graph.constants if c.attrs["parameter"]} == set(Net().state_dict())
    assert str(graph.outputs[0][1].type) == "float32[batch, 3]"


def test_a_list_that_grows_names_its_new_modules() -> None:
    net = Net()
    net.extra.append(Block())
    assert net.extra[1]._path == "extra.1"
    assert len(net.extra) == 2


def test_state_round_trip() -> None:
    a, b = Net(), Net()
    assert b.load_state_dict(a.state_dict()) is b
    x = np.random.default_rng(0).normal(size=(1, 2, 4, 4)).astype(np.float32)
    np.testing.assert_array_equal(a(x), b.eval()(x))


@pytest.mark.parametrize(("change", "error", "text"), [
    (lambda s: s.pop("weight"), SourceError, "missing: weight"),
    (lambda s: s.update(scale=1), SourceError, "unknown: scale"),
    (lambda s: s.update(bias=np.zeros(7)), ShapeError, "bias"),
])
def test_states_that_do_not_fit(change: Any, error: type[Exception], text: str) -> None:
    layer = nn.Linear(2, 3)
    state: dict[str, Any] = dict(layer.state_dict())
    change(state)
    with pytest.raises(error, match=text):
        layer.load_state_dict(state)


def test_counters_of_batch_norm_are_ignored() -> None:
    layer = nn.BatchNorm2d(2)
    layer.load_state_dict({**layer.state_dict(), "num_batches_tracked": 3})


def test_initial_values_are_seeded() -> None:
    nn.manual_seed(3)
    first = nn.Linear(4, 5).weight
    nn.manual_seed(3)
    np.testing.assert_array_equal(nn.Linear(4, 5).weight, first)
    assert not np.array_equal(nn.Linear(4, 5).weight, first)
    np.testing.assert_array_equal(nn.Linear(4, 5, rng=1).weight, nn.Linear(4, 5, rng=1).weight)


@pytest.mark.parametrize(("values", "low", "high", "std"), [
    (nn.init.uniform((400, 50), -1, 3, 0), -1, 3, 4 / 12**0.5),
    (nn.init.normal((400, 50), 0, 2, 0), -20, 20, 2),
    (nn.init.kaiming_uniform((400, 50), rng=0), -(50**-0.5), 50**-0.5, (1 / 150) ** 0.5),
    (nn.init.kaiming_normal((40, 50, 3, 3), rng=0), -1, 1, (2 / 450) ** 0.5),
    (nn.init.kaiming_normal((40, 50, 3, 3), "fan_out", 0), -1, 1, (2 / 360) ** 0.5),
    (nn.init.xavier_uniform((400, 200), rng=0), -0.1, 0.1, 0.1 / 3**0.5),
    (nn.init.zeros((3,)), 0, 0, 0), (nn.init.ones((3,)), 1, 1, 0)])
def test_initialisers(values: np.ndarray, low: float, high: float, std: float) -> None:
    assert values.dtype == np.float32
    assert low <= values.min() <= values.max() <= high
    assert values.std() == pytest.approx(std, rel=0.03)


@pytest.mark.parametrize("make", [
    lambda: nn.Conv2d(3, 4, 3, groups=2), lambda: nn.MultiheadAttention(7, 2),
    lambda: nn.Conv2d(3, 4, (1, 2, 3))])
def test_layers_that_cannot_be(make: Any) -> None:
    with pytest.raises(ShapeError):
        make()


def test_modules_without_forward() -> None:
    with pytest.raises(NotImplementedError, match="Module has no forward"):
        nn.Module()(1)
    with pytest.raises(NotImplementedError, match="loop over it"):
        nn.ModuleList([Block()])(1)


def test_everything_public_is_exported_and_documented() -> None:
    for name in nn.__all__:
        assert getattr(nn, name).__doc__, name
