"""The ONNX standard's own cases through emitted JavaScript; what is refused stands in a list."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator
from fnmatch import fnmatch
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import numpy_helper
from onnx.backend.base import Backend
from onnx.backend.test.loader import load_model_tests
from onnx.backend.test.runner import Runner

from transpile import onnx_backend
from transpile.errors import UnsupportedError

LISTED = [line.split("|")[0].strip()
          for line in (Path(__file__).parent / "onnx" / "unsupported.txt").read_text().splitlines()
          if "|" in line and not line.startswith("#")]

ROUNDING = {
    "test_dynamicquantizelinear": "a tie: float64 and float32 round 178.5 to different integers",
    "test_dynamicquantizelinear_expanded": "the same"}
"""Cases whose answer hangs on the last bit of float32."""

SAMPLE = ("Conv", "ConvTranspose", "MaxPool", "AveragePool", "Gemm", "LayerNormalization",
          "Resize", "Slice", "ScatterND", "TopK", "LSTM", "GRU", "Loop", "If", "Scan", "Pad",
          "GridSample", "Attention", "ReduceMax", "Where", "Mod")
"""Operators of which a few node cases run each time."""

Case = tuple[str, Any, list[tuple[list[Any], list[Any]]], float, float]


def array(value: Any) -> Any:
    return numpy_helper.to_array(value) if isinstance(value, onnx.TensorProto) else value


def node_case(case: Any) -> Case:
    sets = [([array(v) for v in given], [array(v) for v in wanted])
            for given, wanted in case.data_sets]
    return case.name, case.model, sets, case.rtol, case.atol


def read_tensor(path: Path) -> np.ndarray:
    tensor = onnx.TensorProto()
    tensor.ParseFromString(path.read_bytes())
    return numpy_helper.to_array(tensor)


def file_cases(kind: str) -> Iterator[Case]:
    """Cases that lie in the package as files."""
    for case in load_model_tests(kind=kind):
        if case.model_dir is None:
            continue
        folder = Path(case.model_dir)
        sets = []
        for data in sorted(folder.glob("test_data_set_*")):
            paths = [sorted(data.glob(f"{kind}_*.pb"), key=lambda p: int(p.stem.split("_")[1]))
                     for kind in ("input", "output")]
            sets.append(tuple([read_tensor(p) for p in group] for group in paths))
        yield case.name, onnx.load(folder / "model.onnx"), sets, case.rtol, case.atol


def outcome(case: Case, target: str = "js") -> str:
    """"pass", "refused", or what is wrong."""
    name, model, sets, rtol, atol = case
    try:
        for given, wanted in sets:
            found = onnx_backend.run(model, given, target)
            assert [a.dtype for a in found] == [np.asarray(a).dtype for a in wanted]
            if not re.search("bernoulli|training_dropout", name):
                Runner.assert_similar_outputs(wanted, found, rtol, atol, name)
    except UnsupportedError:
        return "refused"
    except AssertionError as error:
        return str(error)
    return "pass"


def generated() -> list[Any]:
    """The node cases; their expected values are computed now, NumPy's warnings and all."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return load_model_tests(kind="node")


@lru_cache
def sample_cases() -> dict[str, list[Case]]:
    """The node cases of each operator in float32, those that the standard expands left out."""
    found: dict[str, list[Case]] = {}
    for case in generated():
        if plain(case) and float_case(case.model) and "_expanded" not in case.name:
            found.setdefault(case.model.graph.node[0].op_type, []).append(node_case(case))
    return found


def float_case(model: Any) -> bool:
    kinds = {v.type.tensor_type.elem_type for v in (*model.graph.input, *model.graph.output)}
    return kinds <= {onnx.TensorProto.FLOAT, onnx.TensorProto.INT64, onnx.TensorProto.BOOL}


@pytest.mark.parametrize("target", onnx_backend.TARGETS)
@pytest.mark.parametrize("op", SAMPLE)
def test_a_sample_of_the_node_cases(op: str, target: str) -> None:
    cases = sample_cases()[op][:5]
    results = {c[0]: outcome(c, target) for c in cases}
    assert results == dict.fromkeys(results, "pass")


@pytest.mark.parametrize("kind", ["pytorch-operator", "simple"])
def test_cases_that_pytorch_wrote(kind: str) -> None:
    results = {c[0]: outcome(c) for c in file_cases(kind)
               if float_case(c[1]) and "training" not in str(c[1].opset_import)}
    assert set(results.values()) == {"pass"}, results


@pytest.mark.slow
def test_every_case_that_pytorch_converted() -> None:
    results = {c[0]: outcome(c) for c in file_cases("pytorch-converted")}
    assert set(results.values()) == {"pass"}, results


@pytest.mark.slow
def test_every_node_case_passes_or_is_listed() -> None:
    wrong, refused, passed = {}, [], 0
    for case in generated():
        result = outcome(node_case(case)) if plain(case) else "refused"
        passed += result == "pass"
        if result == "refused":
            refused.append(case.name)
        elif result != "pass" and case.name not in ROUNDING:
            wrong[case.name] = result
    assert not wrong
    assert [n for n in refused if not any(fnmatch(n, p) for p in LISTED)] == []
    assert [p for p in LISTED if not any(fnmatch(n, p) for n in refused)] == []
    assert passed >= 1550


def plain(case: Any) -> bool:
    """True if all values are tensors."""
    infos = [*case.model.graph.input, *case.model.graph.output]
    return all(i.type.WhichOneof("value") == "tensor_type" for i in infos)


def test_the_back_end_is_one_of_the_standard() -> None:
    model = onnx.parser.parse_model("""<ir_version: 8, opset_import: ["": 18]>
        m (float[n, 2] x, int64[1] axes) => (float[n, 1] y) { y = ReduceSum(x, axes) }""")
    assert issubclass(onnx_backend.TranspileBackend, Backend)
    assert onnx_backend.supports_device("CPU")
    assert not onnx_backend.supports_device("CUDA:0")
    prepared = onnx_backend.prepare(model, target="js")
    for rows in (3, 5):  # another shape, another module
        x = np.arange(2 * rows, dtype=np.float32).reshape(rows, 2)
        (y,) = prepared.run([x, np.array([1])])
        np.testing.assert_array_equal(y, x.sum(1, keepdims=True))
    with pytest.raises(UnsupportedError, match="no target"):
        onnx_backend.prepare(model, target="abacus")


def test_an_unsupported_model_is_not_implemented() -> None:
    model = onnx.parser.parse_model("""<ir_version: 8, opset_import: ["": 18]>
        m (float[n] x) => (int64[1, k] y) { y = NonZero(x) }""")
    with pytest.raises(NotImplementedError, match="NonZero"):
        onnx_backend.run(model, [np.ones(3, np.float32)])


