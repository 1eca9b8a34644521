"""Equal layers are lowered once, and nothing else is taken for equal."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Any

import numpy as np
import pytest

import transpile
from benchmarks import models
from transpile import nn
from transpile.signature import Signature

compiler = import_module("transpile.compile")
RNG = np.random.default_rng(4)


class Different(Signature):
    """No two groups are equal."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.key = object()


def deep() -> transpile.Model:
    layers = [RNG.standard_normal((48, 48)).astype(np.float32) / 7 for _ in range(8)]

    @transpile.model(x=transpile.spec("float32", ("rows", 48)))
    def model(x: Any) -> Any:
        for w in layers:
            x = x + nn.relu(x @ w + 1.0)
        return x
    return model


MODELS: dict[str, Callable[[], transpile.Model]] = {
    "deep": deep,
    "lenet": models.MODELS["lenet"],
    "mobilenetv2": lambda: models.prepared(models.MobileNetV2, (1, 3, 64, 64), 4, (2, 3, 64, 64)),
    "transformer": lambda: models.prepared(
        lambda: models.Transformer(3, 64, 4, 128), (1, 16, 64), 6),
    "lstm": lambda: models.prepared(lambda: models.LSTM(8, 16), ("batch", 5, 8), 7),
}


@pytest.mark.parametrize("targets", [("js", "wasm"), ("js", "webgl")])
@pytest.mark.parametrize("name", MODELS)
def test_modules_are_the_same_without_signatures(monkeypatch: pytest.MonkeyPatch, name: str,
                                                 targets: Sequence[str]) -> None:
    model = MODELS[name]()
    found = transpile.compile(model, targets=targets).source
    monkeypatch.setattr(compiler, "Signature", Different)
    assert transpile.compile(model, targets=targets).source == found


def test_equal_layers_are_lowered_once(monkeypatch: pytest.MonkeyPatch) -> None:
    made, build = [], compiler.build_kernel

    def counted(*args: Any) -> Any:
        made.append(args)
        return build(*args)
    monkeypatch.setattr(compiler, "build_kernel", counted)
    transpile.compile(deep(), targets=("js",))
    assert 1 <= len(made) <= 3


@pytest.mark.parametrize(("a", "b"), [(0.0, -0.0), (0.0, 1.0), (1.0, 2.0)])
def test_numbers_that_differ_are_told_apart(a: float, b: float) -> None:
    @transpile.model(x=transpile.spec("float32", (3,)))
    def model(x: Any) -> tuple[Any, Any]:
        return np.pad(x, 1, constant_values=a), np.pad(x, 1, constant_values=b)
    found = transpile.compile(model, targets=("js",)).run({"x": np.ones(3, np.float32)})
    for got, value in zip(found.values(), (a, b), strict=True):
        wanted = np.pad(np.ones(3, np.float32), 1, constant_values=value)
        assert got.tobytes() == wanted.tobytes()
