"""float16 and int8 weights in built modules: sizes, agreement, the measured loss, memory."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

import transpile
from transpile import nn
from transpile.cli import cli
from transpile.compile import lower_compressed
from transpile.errors import UnsupportedError
from transpile.passes import run_pipeline
from transpile.passes.compress import HALF_LIMIT, INT8_LIMIT, STORAGES, compress
from transpile.verify.loss import loss

CPU = ("js", "wasm")
RNG = np.random.default_rng(5)


def normal(*shape: int, scale: float = 1.0) -> np.ndarray:
    return (RNG.standard_normal(shape) * scale).astype(np.float32)


class LeNet(nn.Module):
    """Two convolutions, one of them through Winograd, and two dense layers."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(1, 8, 3), nn.Conv2d(8, 16, 3, padding=1)
        self.hidden, self.last = nn.Linear(16 * 12 * 12, 32), nn.Linear(32, 10)

    def forward(self, x: Any) -> Any:
        x = nn.relu(self.second(nn.relu(self.first(x))))
        x = nn.flatten(nn.max_pool2d(x, 2)[:, :, :12, :12], 1)
        return nn.softmax(self.last(nn.relu(self.hidden(x))), -1)


class Mobile(nn.Module):
    """Expansion, depthwise convolution, projection, each with batch norm, and a residual."""

    def __init__(self) -> None:
        super().__init__()
        self.up, self.norm = nn.Conv2d(16, 64, 1), nn.BatchNorm2d(64)
        self.deep, self.down = nn.Conv2d(64, 64, 3, padding=1, groups=64), nn.Conv2d(64, 16, 1)

    def forward(self, x: Any) -> Any:
        y = nn.relu6(self.norm(self.up(x)))
        return x + self.down(nn.relu6(self.deep(y)))


TABLE, DENSE = normal(60, 24), normal(24, 40, scale=0.02)
TABLE *= RNG.uniform(0.01, 30, (60, 1)).astype(np.float32)


@transpile.model(ids=transpile.spec("int32", ("batch", 5)))
def embedded(ids: Any) -> Any:
    return np.tanh(nn.embedding(ids, TABLE).mean(axis=1) @ DENSE)


MODELS = {"lenet": (LeNet(), {"x": "float32[2,1,28,28]"}),
          "mobile": (Mobile(), {"x": "float32[1,16,14,14]"}), "embedded": (embedded, None)}


@pytest.mark.parametrize("storage", ["float16", "int8"])
@pytest.mark.parametrize("name", MODELS)
def test_module_agrees_with_its_rounded_weights(name: str, storage: str) -> None:
    model, inputs = MODELS[name]
    module = transpile.compile(model, inputs, CPU, storage)
    found = module.verify()
    found.check(name)
    assert set(found.targets) == set(CPU)
    limit = {"float16": 2e-3, "int8": 5e-2}[storage]
    assert all(0 < one.rms < limit for one in found.loss.values())
    whole = transpile.compile(model, inputs, CPU)
    share = module.report.weight_bytes / whole.report.weight_bytes
    assert share < {"float16": 0.6, "int8": 0.4}[storage]
    assert module.report.total_bytes < whole.report.total_bytes
    assert f"// weights  {storage}\n" in module.source


def test_the_loss_is_what_numpy_says() -> None:
    model, inputs = MODELS["lenet"]
    module = transpile.compile(model, inputs, CPU, "int8")
    x = normal(2, 1, 28, 28)
    exact = transpile.compile(model, inputs, CPU).run({"x": x}, "wasm")["output"]
    for target in CPU:
        got = module.run({"x": x}, target)["output"]
        assert 0 < np.linalg.norm(got - exact) / np.linalg.norm(exact) < 0.05
    found = loss(np.array([1.0, 2.5]), np.array([1.0, 2.0]))
    assert (found.largest, found.relative) == (0.5, 0.25)
    assert found.rms == pytest.approx(0.5 / np.sqrt(5))
    assert loss(np.array([1, 2]), np.array([1, 4])).rms == 0.5


@pytest.mark.parametrize("storage", STORAGES)
def test_runs_overwrite_what_only_load_needs(storage: Any) -> None:
    graph = transpile.trace(*MODELS["lenet"])
    stored = compress(run_pipeline(graph)[0], storage)
    apart, = lower_compressed(stored, ("wasm",))
    over, = lower_compressed(stored, ("wasm",), reuse=True)
    assert over.weight_bytes == apart.weight_bytes
    assert over.passing_bytes > 0 or storage == "float32"
    assert over.persistent_bytes == apart.persistent_bytes - over.passing_bytes
    assert isinstance(over.memory, int)
    assert isinstance(apart.memory, int)
    assert over.memory <= apart.memory
    assert over.memory >= max(over.load_bytes, over.weight_offset + over.weight_bytes)


def rounded(value: np.ndarray, storage: Any) -> tuple[str, str]:
    """How a weight is stored, and what was refused."""
    @transpile.model(x=transpile.spec("float32", (1, value.shape[0])))
    def product(x: Any) -> Any:
        return x @ value

    tensors = compress(run_pipeline(transpile.trace(product))[0], storage).tensors
    found = max(tensors, key=lambda t: t.nbytes)
    return found.storage, found.refused


OUTLIERS = np.where(RNG.random((40, 40)) < 0.01, 300, normal(40, 40)).astype(np.float32)


@pytest.mark.parametrize(("value", "storage", "expected"), [
    (normal(40, 40), "int8", ("int8", "")),
    (normal(40, 40), "float16", ("float16", "")),
    (OUTLIERS * normal(40, 1), "int8", ("int8", "")),  # rows that differ in scale, not columns
    (np.vstack([normal(999, 8), np.full((1, 8), 15)]), "int8", ("float16", "int8")),
    (normal(40, 40, scale=1e-7), "float16", ("float32", "float16")),
    (normal(40, 40, scale=1e5), "float16", ("float32", "float16")),
    (normal(40, 40, scale=1e5), "int8", ("int8", "")),
    (np.full((40, 40), np.inf, np.float32), "int8", ("float32", "int8")),
    (normal(4, 40), "int8", ("float32", "")),  # too small to be worth it
], ids=["int8", "half", "rows", "outliers", "denormal", "large", "large int8", "inf", "small"])
def test_what_is_too_far_off_keeps_more_bits(value: np.ndarray, storage: Any,
                                             expected: tuple[str, str]) -> None:
    assert rounded(value.astype(np.float32), storage) == expected
    assert 0 < HALF_LIMIT < INT8_LIMIT


def test_closing_table_tells_storage_and_loss() -> None:
    model, inputs = MODELS["mobile"]
    module = transpile.compile(model, inputs, ("js",), "int8")
    rows = dict(module.report.rows())
    assert "int8" in rows["weights"]
    assert sum(module.report.stored.values()) <= module.report.weight_bytes


def test_unknown_storage() -> None:
    with pytest.raises(UnsupportedError, match="float16"):
        transpile.compile(embedded, weights="int4")
    result = CliRunner().invoke(cli, ["build", "m.py:f", "-o", "o.js", "--weights", "int4"])
    assert result.exit_code == 2
    assert "float16" in result.output


@pytest.mark.browser
@pytest.mark.parametrize("storage", ["float16", "int8"])
def test_webgl_reads_what_the_cpu_has_expanded(storage: str) -> None:
    module = transpile.compile(embedded, None, (*CPU, "webgl"), storage)
    module.verify(targets=("webgl",)).check("embedded")
