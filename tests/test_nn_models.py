"""Whole models: the traced and expanded graph against the same model run on arrays."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from benchmarks import models
from tests.test_nn_functions import expanded
from transpile import Model, trace
from transpile.ir.interpret import interpret

SMALL: dict[str, tuple[Callable[[], Model], tuple[int | str, ...]]] = {
    "linear": (models.MODELS["linear"], (1, 1)),
    "mlp": (models.MODELS["mlp"], ("batch", 784)),
    "lenet": (lambda: models.prepared(lambda: models.LeNet(12), (1, 1, 12, 12), 3),
              ("batch", 1, 12, 12)),
    "mobilenetv2": (lambda: models.prepared(models.MobileNetV2, (1, 3, 32, 32), 4, (4, 3, 64, 64)),
                    ("batch", 3, 32, 32)),
    "resnet18": (lambda: models.prepared(models.ResNet18, (1, 3, 32, 32), 5, (2, 3, 64, 64)),
                 ("batch", 3, 32, 32)),
    "transformer": (lambda: models.prepared(lambda: models.Transformer(2, 16, 4, 32),
                                            (1, 5, 16), 6), ("batch", "time", 16)),
    "lstm": (lambda: models.prepared(lambda: models.LSTM(4, 8), (1, 6, 4), 7), ("batch", 6, 4)),
}


@pytest.mark.parametrize("name", SMALL)
def test_traced_model_agrees_with_arrays(name: str) -> None:
    make, dims = SMALL[name]
    model = make()
    shape = tuple({"batch": 2, "time": 5}[d] if isinstance(d, str) else d for d in dims)
    x = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    graph = expanded(trace(model, {"x": ("float32", dims)}))
    (result,) = interpret(graph, {"x": x}).values()
    expected = model(x)
    assert expected.dtype == np.float32
    assert np.abs(expected).max() > 1e-2
    np.testing.assert_allclose(result, expected, rtol=2e-4, atol=2e-4)


@pytest.mark.parametrize(("name", "count"), [
    ("linear", 2), ("mlp", 235_146), ("lenet", 1_199_882), ("mobilenetv2", 3_504_872),
    ("resnet18", 11_689_512), ("transformer", 10_646_784)])
def test_architectures_have_the_published_number_of_parameters(name: str, count: int) -> None:
    made = {"mobilenetv2": models.MobileNetV2, "resnet18": models.ResNet18}.get(name)
    module = made() if made else models.MODELS[name]().fn
    assert sum(p.size for p in module.parameters()) == count


def test_models_are_seeded() -> None:
    a, b = models.MODELS["lenet"](), models.MODELS["lenet"]()
    for name, value in a.state_dict().items():
        np.testing.assert_array_equal(value, b.state_dict()[name])
