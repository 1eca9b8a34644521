"""Products in integers: against NumPy's own integers, against the float32 model, and in modules."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

import transpile
from transpile import nn
from transpile.cli import cli
from transpile.errors import UnsupportedError
from transpile.ir.graph import Graph
from transpile.ir.interpret import interpret
from transpile.ops.int8 import largest_integer
from transpile.passes import run_pipeline
from transpile.passes.compress import INT8_LIMIT
from transpile.passes.int8 import quantise

CPU = ("js", "wasm")
RNG = np.random.default_rng(11)


def normal(*shape: int) -> np.ndarray:
    return (RNG.standard_normal(shape) / np.sqrt(shape[-2])).astype(np.float32)


def dense(weight: np.ndarray, rows: object) -> Any:
    @transpile.model(x=transpile.spec("float32", (rows, weight.shape[0])))
    def product(x: Any) -> Any:
        return np.maximum(x @ weight + 0.25, 0.0)
    return product


def optimised(model: Any) -> Graph:
    return run_pipeline(transpile.trace(model))[0]


def by_hand(x: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """The same quantisation with int64 sums and no packing."""
    scale = np.abs(weight).max(axis=0) / np.float32(127)
    columns = np.rint(weight / np.where(scale > 0, scale, 1)).astype(np.int64)
    largest = np.abs(x).max(axis=-1, keepdims=True).astype(np.float64)
    limit = min(32767, (2**31 - 1) // (127 * x.shape[-1]))
    step = np.where(largest > 0, largest, 1) / limit
    rows = np.rint(x / step).astype(np.int64)
    sums = rows @ columns
    assert np.abs(sums).max() < 2**31
    return sums * step * scale


ROWS_AND_WEIGHTS = {
    "one row of bytes": (1, (256, 96)), "two rows, ragged columns": (2, (256, 67)),
    "rows in pairs": (9, (256, 96)), "an odd length": (5, (201, 40)),
    "a length of 4k + 2": (1, (202, 40)), "a length of 4k + 3": (7, (203, 33)),
    "a long row, fewer bits": (1, (2000, 21)), "a symbolic batch": ("batch", (129, 48))}


@pytest.mark.parametrize(("rows", "shape"), ROWS_AND_WEIGHTS.values(), ids=ROWS_AND_WEIGHTS)
def test_products_are_those_of_integers(rows: object, shape: tuple[int, int]) -> None:
    weight = normal(*shape)
    module = transpile.compile(dense(weight, rows), targets=CPU, compute="int8")
    assert module.report.compute == "int8 in 1 of 1 products"
    x = RNG.standard_normal((3 if rows == "batch" else int(str(rows)), shape[0]))
    x = x.astype(np.float32)
    x[0] *= 1000
    exact = np.maximum(by_hand(x, weight) + 0.25, 0)
    for target in CPU:
        got = module.run({"x": x}, target)["output"]
        np.testing.assert_allclose(got, exact, rtol=1e-5, atol=2e-5 * np.abs(exact).max())
        lost = np.linalg.norm(got - np.maximum(x @ weight + 0.25, 0)) / np.linalg.norm(exact)
        assert 1e-4 < lost < INT8_LIMIT
    found = module.verify()
    found.check("product")
    assert 0 < found.loss["output"].rms < INT8_LIMIT


@pytest.mark.parametrize("target", CPU)
def test_extremes_of_rows_and_weights(target: str) -> None:
    weight = np.where(RNG.random((512, 32)) < 0.5, -1, 1).astype(np.float32)
    weight[:, 0], weight[:, 1], weight[:, 2] = 1, -1, 0
    module = transpile.compile(dense(weight, 8), targets=CPU, compute="int8")
    x = np.ones((8, 512), np.float32)
    x[1], x[2], x[3], x[4, 5:] = -1, 0, 1e-38, 0
    x[5], x[6, 7], x[7, 7] = 3e38 / 512, np.nan, np.inf
    got = module.run({"x": x}, target)["output"]
    finite = x[:6].astype(np.float64)
    exact = np.maximum(finite @ weight.astype(np.float64) + 0.25, 0)
    np.testing.assert_allclose(got[:6], exact, rtol=1e-4, atol=1e-3)
    assert np.isnan(got[6:]).all()


@pytest.mark.parametrize("length", [1, 64, 516, 517, 4096, 10**6])
def test_no_sum_leaves_int32(length: int) -> None:
    limit = largest_integer(length)
    assert 0 < limit <= 32767
    assert limit * 127 * length < 2**31
    assert limit == 32767 or (limit + 1) * 127 * length >= 2**31


class Tower(nn.Module):
    """Convolutions that are products of pixels, one of them strided, and a dense layer."""

    def __init__(self) -> None:
        super().__init__()
        self.up, self.down = nn.Conv2d(48, 96, 1), nn.Conv2d(96, 64, 1, stride=2)
        self.deep, self.last = nn.Conv2d(64, 64, 3, groups=64), nn.Linear(64, 70)

    def forward(self, x: Any) -> Any:
        x = nn.relu6(self.down(nn.relu6(self.up(x))))
        return self.last(nn.relu(self.deep(x)).mean(axis=(2, 3)))


@pytest.mark.parametrize("weights", ["float32", "int8"])
def test_convolutions_of_single_pixels(weights: str) -> None:
    module = transpile.compile(Tower(), {"x": "float32[2,48,9,7]"}, CPU, weights, compute="int8")
    assert module.report.compute == "int8 in 3 of 3 products"
    found = module.verify()
    found.check("tower")
    assert 0 < found.loss["output"].rms < 2 * INT8_LIMIT
    assert module.report.stored["int8"] >= 48 * 96 + 96 * 64 + 64 * 70


def test_what_is_too_far_off_stays_in_float() -> None:
    good, bad = normal(64, 800), normal(800, 64)
    bad[0] = 20
    model = transpile.model(x=transpile.spec("float32", (2, 64)))(lambda x: (x @ good) @ bad)
    module = transpile.compile(model, targets=CPU, compute="int8")
    assert module.report.compute.startswith(
        "int8 in 1 of 2 products; too far off, so in float32: bad (rms 0.0")
    ops = [n.op for n in module.programs[0].graph.nodes]
    assert (ops.count("contract_int8"), ops.count("contract")) == (1, 1)


def test_only_products_with_weights_change() -> None:
    table = normal(100, 64)

    @transpile.model(ids=transpile.spec("int32", (3,)), x=transpile.spec("float32", (80, 100)))
    def model(ids: Any, x: Any) -> Any:
        return nn.embedding(ids, table) @ np.ones((64, 2), np.float32), x.T @ x, x @ table
    graph = optimised(model)
    assert quantise(graph).graph is graph
    assert quantise(graph, "float32").summary == ""


def test_rows_that_several_products_read_are_quantised_once() -> None:
    first, second = normal(64, 80), normal(64, 96)
    model = transpile.model(x=transpile.spec("float32", (6, 64)))(
        lambda x: (x @ first, x @ second))
    graph = quantise(optimised(model)).graph
    ops = [n.op for n in graph.nodes]
    assert (ops.count("quantise_rows"), ops.count("contract_int8")) == (1, 2)
    x = normal(6, 64)
    for got, weight in zip(interpret(graph, {"x": x}).values(), (first, second), strict=True):
        np.testing.assert_allclose(got, by_hand(x, weight), atol=1e-5)


def test_wasm_multiplies_pairs() -> None:
    from transpile.targets.wasm import print_kernel
    for rows in (1, 32):
        module = transpile.compile(dense(normal(64, 80), rows), targets=("wasm",), compute="int8")
        program = next(p for p in module.programs if p.target == "wasm")
        texts = [print_kernel(k, k.name) for k in program.kernels]
        assert any("i32x4.dot_i16x8_s" in t for t in texts)
        assert any("i16x8.shr_s" in t and "dot_i16x8" in t for t in texts) == (rows == 1)


def test_options(tmp_path: Any) -> None:
    with pytest.raises(UnsupportedError, match="webgl does not compute in int8"):
        transpile.compile(dense(normal(64, 80), 2), targets=("js", "webgl"), compute="int8")
    with pytest.raises(UnsupportedError, match="no arithmetic 'int4'"):
        transpile.compile(dense(normal(64, 80), 2), compute="int4")
    source = tmp_path / "m.py"
    source.write_text("import numpy as np, transpile\n"
                      "W = np.random.default_rng(0).standard_normal((64, 80)).astype('float32')\n"
                      "@transpile.model(x=transpile.spec('float32', ('n', 64)))\n"
                      "def f(x):\n    return x @ W\n")
    out = tmp_path / "m.mjs"
    built = CliRunner().invoke(cli, ["build", f"{source}:f", "-o", str(out), "--compute", "int8"])
    assert built.exit_code == 0, built.output
    assert "int8 in 1 of 1 products" in built.output
    assert "loss in output" in built.output
    assert "\n// compute  int8\n" in out.read_text()
    again = CliRunner().invoke(cli, ["verify", str(out), f"{source}:f"])
    assert again.exit_code == 0, again.output
