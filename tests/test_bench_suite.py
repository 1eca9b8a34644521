"""The files that the benchmarks give to other runtimes hold the same models."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx.reference import ReferenceEvaluator

from benchmarks import layers, models, onnx_file, tables, tfjs_file
from benchmarks.runs import ratio
from transpile import Model

SMALL: dict[str, Callable[[], Model]] = {
    "linear": models.MODELS["linear"],
    "mlp": models.MODELS["mlp"],
    "lenet": lambda: models.prepared(lambda: models.LeNet(12), (1, 1, 12, 12), 3),
    "mobilenetv2": lambda: models.prepared(models.MobileNetV2, (1, 3, 32, 32), 4, (4, 3, 64, 64)),
    "resnet18": lambda: models.prepared(models.ResNet18, (1, 3, 32, 32), 5, (2, 3, 64, 64)),
    "transformer": lambda: models.prepared(lambda: models.Transformer(2, 16, 4, 32), (1, 5, 16), 6),
    "lstm": lambda: models.prepared(lambda: models.LSTM(4, 8), (1, 6, 4), 7),
}


@pytest.mark.parametrize("name", SMALL)
def test_onnx_files_compute_what_the_model_does(name: str, tmp_path: Path) -> None:
    model = SMALL[name]()
    net = layers.describe(model)
    x = np.random.default_rng(0).normal(size=net.shape).astype(np.float32)
    path = str(tmp_path / "net.onnx")
    onnx_file.write(net, path)
    onnx.checker.check_model(path, full_check=True)
    (result,) = ReferenceEvaluator(path).run(None, {"x": x})
    expected = model(x)
    assert result.shape == expected.shape
    np.testing.assert_allclose(result, expected, rtol=2e-4, atol=2e-4)


def test_every_parameter_is_in_the_weights_of_tensorflow_js(tmp_path: Path) -> None:
    net = layers.describe(SMALL["lenet"]())
    tfjs_file.write(net, tmp_path / "net.json")
    stored = json.loads((tmp_path / "net.json").read_text())["layers"]
    weights = np.fromfile(tmp_path / "net.bin", np.float32)
    for layer, place in zip(net.layers, stored, strict=True):
        for name, array in layer.arrays.items():
            offset, shape = place["arrays"][name]["offset"], place["arrays"][name]["shape"]
            found = weights[offset:offset + array.size].reshape(shape)
            np.testing.assert_allclose(np.sort(found.ravel()), np.sort(array.ravel()))
    assert stored[0]["arrays"]["weight"]["shape"] == [3, 3, 1, 32]


def test_flattened_images_turn_with_their_channels() -> None:
    weight = np.arange(2 * 3 * 4 * 5, dtype=np.float32).reshape(2, 60)
    layer = layers.Layer("dense", (0,), {"weight": weight}, {"chw": (3, 4, 5)})
    image = np.random.default_rng(1).normal(size=(3, 4, 5)).astype(np.float32)
    turned = tfjs_file.rows_channels_last(layer, weight)
    np.testing.assert_allclose(turned @ image.transpose(1, 2, 0).ravel(), weight @ image.ravel(),
                               rtol=1e-5)


def test_ratios_are_medians_over_rounds() -> None:
    found: dict[str, Any] = {"peer": {"samples": [2.0, 9.0, 4.0]},
                             "ours": {"samples": [1.0, 3.0, 4.0]}}
    assert ratio(found, "peer", "ours") == 2.0
    assert ratio(found, "absent", "ours") is None


@pytest.mark.parametrize(("value", "goal", "up", "text"), [
    (2.0, 1.5, True, "[green]2.00x[/] (1.5x)"), (1.0, 1.5, True, "[red]1.00x[/] (1.5x)"),
    (0.4, 0.5, False, "[green]0.40x[/] (0.5x)"), (12.3, None, True, "12x"),
    (None, 1.0, True, "")])
def test_numbers_are_judged_by_their_goal(value: float | None, goal: float | None, up: bool,
                                          text: str) -> None:
    assert tables.verdict(value, goal, up=up) == text
