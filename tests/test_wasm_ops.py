"""Every op's samples on wasm give what the references give."""

from __future__ import annotations

import numpy as np
import pytest
from wasm_programs import Case, run_all

from transpile.compile import lower_optimised
from transpile.ir.graph import Graph, input_node
from transpile.ir.types import TensorType
from transpile.ops import registry
from transpile.passes import run_pipeline
from transpile.targets.wasm import WASM

SAMPLES = [(name, k) for name in registry.names() for k in range(len(registry.get(name).samples))]


def case(name: str, number: int) -> Case:
    op = registry.get(name)
    example = op.samples[number]
    arrays = example.arrays(number)
    nodes = tuple(input_node(f"x{i}", TensorType(a.dtype.name, a.shape))
                  for i, a in enumerate(arrays))
    output = registry.make(name, *nodes, label="out", **example.attrs)
    graph, _ = run_pipeline(Graph(name, nodes, (("out", output),)))
    return Case(lower_optimised(graph, WASM, WASM), {f"x{i}": a for i, a in enumerate(arrays)}, {})


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, int], object]:
    cases = [case(name, number) for name, number in SAMPLES]
    return dict(zip(SAMPLES, run_all(cases, tmp_path_factory.mktemp("ops")), strict=True))


def expected(name: str, number: int) -> np.ndarray:
    op = registry.get(name)
    example = op.samples[number]
    wide = [a.astype(np.float64) if a.dtype == np.float32 else a for a in example.arrays(number)]
    return op.reference(*wide, **example.attrs)


@pytest.mark.parametrize(("name", "number"), SAMPLES)
def test_wasm_matches_reference(name: str, number: int,
                                results: dict[tuple[str, int], object]) -> None:
    found = results[name, number]
    assert isinstance(found, dict), found
    out, wanted = found["out"], expected(name, number)
    assert out.shape == wanted.shape
    if out.dtype == np.float32:
        np.testing.assert_allclose(out, wanted, rtol=2e-5, atol=2e-5)
    else:
        np.testing.assert_array_equal(out, wanted)
