"""Which products become Strassen's, that they give what NumPy gives, and the error accepted."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import transpile
from transpile import nn
from transpile.ir.graph import constant
from transpile.module import Module
from transpile.passes import strassen
from transpile.passes.strassen import BOUND, error

RNG = np.random.default_rng(3)


def weights(inputs: int, outputs: int) -> np.ndarray:
    return (RNG.standard_normal((inputs, outputs)) / np.sqrt(inputs)).astype(np.float32)


def built(shape: tuple[Any, ...] = (96, 256), outputs: int = 256, **options: Any) -> Module:
    inputs = shape[-1]
    matrix, bias, skip = weights(inputs, outputs), weights(1, outputs)[0], weights(inputs, outputs)

    @transpile.model(x=transpile.spec("float32", shape))
    def model(x: Any) -> Any:
        return nn.gelu(x @ matrix + bias) + nn.relu(x @ skip)
    return transpile.compile(model, targets=("js", "wasm"), **options)


def operators(module: Module) -> list[str]:
    return [n.op for n in module.programs[0].graph.nodes
            if n.op in ("contract", "strassen_product")]


SHAPES: list[tuple[tuple[Any, ...], int, bool]] = [
    ((96, 256), 256, True),
    ((197, 256), 320, True),  # rows that blocks do not divide
    ((2, 50, 320), 256, True),
    ((1, 101, 256), 256, True),
    ((95, 256), 256, False),
    ((96, 192), 256, False),
    ((96, 256), 250, False),
    (("rows", 256), 256, False),
]


@pytest.mark.parametrize(("shape", "outputs", "wanted"), SHAPES)
def test_large_products_of_fixed_size_agree_with_numpy(shape: tuple[Any, ...], outputs: int,
                                                       wanted: bool) -> None:
    for storage in ("float32", "float16"):
        module = built(shape, outputs, weights=storage)
        assert operators(module) == ["strassen_product" if wanted else "contract"] * 2
        module.verify().check("model")


@pytest.mark.parametrize(("rows", "wanted"), [
    (96, ["strassen_product"] * 3), (8, ["contract"] * 3)])
def test_shared_weights_are_stored_once(rows: int, wanted: list[str]) -> None:
    matrix = weights(256, 256)

    @transpile.model(x=transpile.spec("float32", (96, 256)),
                     z=transpile.spec("float32", (rows, 256)))
    def model(x: Any, z: Any) -> Any:
        return nn.relu(nn.relu(x @ matrix) @ matrix), z @ matrix
    module = transpile.compile(model, targets=("js", "wasm"))
    assert operators(module) == wanted
    assert module.report.weight_bytes == matrix.nbytes
    module.verify().check("model")


@pytest.mark.browser
def test_webgl_reads_the_same_weights(tmp_path: Path) -> None:
    matrix = weights(256, 320)

    @transpile.model(x=transpile.spec("float32", (96, 256)))
    def model(x: Any) -> Any:
        return nn.relu(x @ matrix)
    for storage in ("float32", "float16"):
        module = transpile.build(model, tmp_path / "m.mjs", targets=("js", "wasm", "webgl"),
                                 weights=storage, verify_browser=True)
        assert module is not None
        assert operators(module) == ["strassen_product"]
        assert {"js", "wasm", "webgl"} <= set(module.report.verified)


def test_operations_are_counted_alike_on_scalars_and_vectors() -> None:
    """What spreads a number over the lanes is none; products and few additions are."""
    products = 2 * 128 * 256 * 256 * 49 // 64
    plain, vectors = ({k.name: k.flops for k in p.kernels} for p in built((128, 256)).programs)
    assert vectors == plain
    counts = [n for n in plain.values() if isinstance(n, int)]
    assert sum(products < n < 1.05 * products for n in counts) == 2


def test_threads_share_a_product() -> None:
    module = built((128, 256), 512, threads=True)
    large = [k for k in module.programs[-1].kernels if isinstance(k.flops, int) and k.flops > 2**20]
    assert large
    assert all(k.parallel for k in large)
    module.verify().check("model")


def test_the_option_turns_it_off() -> None:
    fast, direct = built(), built(strassen=False)
    assert operators(direct) == ["contract"] * 2
    assert fast.report.strassen == "products: 2 at 49/64 of the multiplications"
    assert direct.report.strassen == ""
    assert fast.content_hash != direct.content_hash
    memory = [m.report.memory for m in (fast, direct)]
    assert all(isinstance(m, int) for m in memory)
    assert memory[0] < 2 * memory[1]  # type: ignore[operator]


def test_a_layer_beyond_the_bound_stays_direct(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(strassen, "BOUND", 0.0)
    module = built()
    assert operators(module) == ["contract"] * 2
    assert module.report.strassen.startswith("products: direct: ")


@pytest.mark.parametrize("inputs", [256, 1024])
def test_the_error_is_that_of_float32(inputs: int) -> None:
    matrix = weights(inputs, 256)
    found = error(constant(matrix))
    assert 3e-7 < found < BOUND
    x = RNG.standard_normal((64, inputs)).astype(np.float32)
    exact = x.astype(np.float64) @ matrix.astype(np.float64)
    direct = np.linalg.norm(x @ matrix - exact) / np.linalg.norm(exact)
    assert direct < found < 40 * direct


def test_columns_far_smaller_than_others_are_seen() -> None:
    matrix = weights(256, 256)
    matrix[:, 70] *= np.float32(1e-4)
    assert error(constant(matrix)) > BOUND
    matrix[:, :] = 0
    assert error(constant(matrix)) == 0
    matrix[3, 5] = np.inf
    assert error(constant(matrix)) == np.inf
