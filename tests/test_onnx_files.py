"""ONNX files that are broken, hostile or odd: a clear error at once, and nothing else."""

from __future__ import annotations

import contextlib
import time
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx.reference
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

import transpile
from transpile.errors import SourceError, TranspileError, UnsupportedError
from transpile.frontends.onnx import OnnxModel, import_model, load, parse


def model_of(nodes: list[Any], inputs: list[Any] | None = None, outputs: list[Any] | None = None,
             weights: dict[str, np.ndarray] | None = None, opset: int = 18) -> Any:
    graph = helper.make_graph(
        nodes, "m", inputs or [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 4])],
        outputs or [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(v, k) for k, v in (weights or {}).items()])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)])


def linear() -> Any:
    rng = np.random.default_rng(0)
    return model_of([helper.make_node("Gemm", ["x", "w", "b"], ["h"], name="fc/Gemm"),
                     helper.make_node("Softmax", ["h"], ["y"])],
                    weights={"w": rng.normal(size=(4, 3)).astype(np.float32),
                             "b": rng.normal(size=3).astype(np.float32)})


def relu(*inputs: str) -> Any:
    return helper.make_node("Relu", list(inputs) or ["x"], ["y"])


def test_a_file_builds_verified_against_the_original(tmp_path: Path) -> None:
    onnx.save(linear(), tmp_path / "net.onnx")
    module = transpile.build(load(tmp_path / "net.onnx"), tmp_path / "net.js")
    assert module is not None
    assert module.report.verified["js"]
    x = np.random.default_rng(1).normal(size=(5, 4)).astype(np.float32)
    want = onnx.reference.ReferenceEvaluator(linear()).run(None, {"x": x})[0]
    np.testing.assert_allclose(module.run({"x": x})["y"], want, rtol=1e-5)
    assert "fc" in module.source


def test_a_path_is_a_model_and_outputs_keep_their_order(tmp_path: Path) -> None:
    ports = [onnx.helper.make_tensor_value_info(n, onnx.TensorProto.FLOAT, [3])
             for n in ("0", "10", "2")]
    nodes = [onnx.helper.make_node("Relu", ["0"], ["10"]),
             onnx.helper.make_node("Neg", ["0"], ["2"])]
    onnx.save(onnx.helper.make_model(onnx.helper.make_graph(nodes, "g", ports[:1], ports[1:]),
                                     opset_imports=[onnx.helper.make_opsetid("", 17)]),
              tmp_path / "g.onnx")
    x = np.array([-1, 2, 3], np.float32)
    for path in (tmp_path / "g.onnx", str(tmp_path / "g.onnx")):
        found = transpile.compile(path, targets=["js"]).run({"0": x})
        assert list(found) == ["10", "2"]
        np.testing.assert_array_equal(found["10"], np.maximum(x, 0))


@pytest.mark.parametrize("keep", [0, 1, 7, 40, 150])
def test_truncated(tmp_path: Path, keep: int) -> None:
    (tmp_path / "cut.onnx").write_bytes(linear().SerializeToString()[:keep])
    with pytest.raises(TranspileError):
        load(tmp_path / "cut.onnx").trace()


def test_missing_and_foreign_files(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="cannot be read"):
        load(tmp_path / "none.onnx")
    (tmp_path / "text.onnx").write_text("hello, this is no model at all\n" * 9)
    with pytest.raises(SourceError, match="no ONNX model"):
        load(tmp_path / "text.onnx")


def test_cyclic() -> None:
    nodes = [helper.make_node("Add", ["x", "b"], ["a"]), helper.make_node("Relu", ["a"], ["b"]),
             helper.make_node("Relu", ["b"], ["y"])]
    with pytest.raises(SourceError, match="cycle"):
        import_model(model_of(nodes))


def test_nodes_in_any_order() -> None:
    nodes = [helper.make_node("Relu", ["a"], ["y"]), helper.make_node("Neg", ["x"], ["a"])]
    assert [n.op for n in import_model(model_of(nodes)).nodes] == ["input", "neg", "relu"]


def test_undefined_and_doubled_names() -> None:
    with pytest.raises(SourceError, match="'nowhere', which nothing computes"):
        import_model(model_of([relu("nowhere")]))
    with pytest.raises(SourceError, match="two nodes compute 'y'"):
        OnnxModel(model_of([relu(), relu()]))


def test_a_function_that_calls_itself() -> None:
    body = helper.make_function("own", "F", ["a"], ["b"], [
        helper.make_node("F", ["a"], ["b"], domain="own")], [helper.make_opsetid("own", 1)])
    model = model_of([helper.make_node("F", ["x"], ["y"], domain="own")])
    model.functions.append(body)
    with pytest.raises(SourceError, match="calls itself"):
        OnnxModel(model)


def test_functions_are_inlined() -> None:
    body = helper.make_function(
        "own", "F", ["a"], ["b"], [helper.make_node("Relu", ["a"], ["t"]),
                                   helper.make_node("Neg", ["t"], ["b"])],
        [helper.make_opsetid("", 18)])
    model = model_of([helper.make_node("F", ["x"], ["y"], domain="own")])
    model.functions.append(body)
    model.opset_import.append(helper.make_opsetid("own", 1))
    assert [n.op for n in import_model(model).nodes] == ["input", "relu", "neg"]


def huge_tensor() -> Any:
    model = linear()
    del model.graph.initializer[0].dims[:]
    model.graph.initializer[0].dims.extend([1 << 20, 1 << 20])
    return model


def large_without_data() -> Any:
    model = linear()
    del model.graph.initializer[0].dims[:]
    model.graph.initializer[0].dims.extend([1 << 14, 1 << 14])
    return model


def negative_dims() -> Any:
    model = linear()
    model.graph.initializer[0].dims[0] = -4
    return model


def huge_constant() -> Any:
    return model_of([helper.make_node("ConstantOfShape", ["s"], ["big"]),
                     helper.make_node("Add", ["x", "big"], ["y"])],
                    weights={"s": np.array([1 << 40, 1 << 40, 4])})


@pytest.mark.parametrize("make", [huge_tensor, large_without_data, negative_dims])
def test_sizes_that_do_not_fit(make: Any) -> None:
    start = time.perf_counter()
    with pytest.raises(SourceError):
        OnnxModel(make())
    assert time.perf_counter() - start < 2


def test_a_huge_constant_is_not_made() -> None:
    start = time.perf_counter()
    with pytest.raises(TranspileError):
        transpile.compile(OnnxModel(huge_constant()), {"x": "float32[1,4]"})
    assert time.perf_counter() - start < 5


def test_wrong_types() -> None:
    text = helper.make_tensor_value_info("x", TensorProto.STRING, [2])
    with pytest.raises(UnsupportedError, match="string"):
        import_model(model_of([relu()], [text]))
    sequence = helper.make_tensor_sequence_value_info("x", TensorProto.FLOAT, None)
    with pytest.raises(UnsupportedError, match="no tensor but a sequence"):
        import_model(model_of([relu()], [sequence]))
    with pytest.raises(UnsupportedError, match="opset 999"):
        OnnxModel(model_of([relu()], opset=999))


def test_all_unsupported_operators_at_once() -> None:
    nodes = [helper.make_node("Wobble", ["x"], ["a"], name="first"),
             helper.make_node("Wobble", ["a"], ["b"], name="second"),
             helper.make_node("NonZero", ["b"], ["y"])]
    with pytest.raises(UnsupportedError) as caught:
        import_model(model_of(nodes))
    text = str(caught.value)
    for part in ("2 operators", "Wobble (2:", '"first"', '"second"', "NonZero (1:", "depends on"):
        assert part in text


def external(tmp_path: Path, location: str, **more: str) -> Path:
    model = linear()
    tensor = model.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    for key, value in {"location": location, **more}.items():
        entry = tensor.external_data.add()
        entry.key, entry.value = key, value
    (tmp_path / "in").mkdir()
    onnx.save(model, tmp_path / "in" / "net.onnx")
    return tmp_path / "in" / "net.onnx"


@pytest.mark.parametrize("location", ["../secret.bin", "/etc/passwd", "a/../../secret.bin", "",
                                      "."])
def test_external_data_outside_of_the_folder(tmp_path: Path, location: str) -> None:
    (tmp_path / "secret.bin").write_bytes(bytes(48))
    with pytest.raises(SourceError, match="outside"):
        load(external(tmp_path, location))


def test_external_data_through_a_link(tmp_path: Path) -> None:
    path = external(tmp_path, "link.bin")
    (tmp_path / "secret.bin").write_bytes(bytes(48))
    (path.parent / "link.bin").symlink_to(tmp_path / "secret.bin")
    with pytest.raises(SourceError, match="outside"):
        load(path)


def test_external_data_beside_the_model(tmp_path: Path) -> None:
    path = external(tmp_path, "w.bin", length="48")
    (path.parent / "w.bin").write_bytes(np.arange(12, dtype=np.float32).tobytes())
    weights = [n.value for n in load(path).trace().constants if n.name == "w"]
    np.testing.assert_array_equal(weights[0].ravel(), np.arange(12))
    (path.parent / "w.bin").write_bytes(bytes(20))
    with pytest.raises(SourceError, match="cut off"):
        load(path)


@pytest.mark.parametrize("name", ["a'b", 'a"b', "a\\b", "a\nb", "</script>", "`${x}`", "été", "1",
                                  "class", "__proto__"])
def test_odd_names(name: str) -> None:
    x = helper.make_tensor_value_info(name, TensorProto.FLOAT, [2])
    node = helper.make_node("Neg", [name], [name + "'"], name=name)
    out = helper.make_tensor_value_info(name + "'", TensorProto.FLOAT, [2])
    module = transpile.compile(OnnxModel(model_of([node], [x], [out])))
    found = module.run({name: np.float32([1, -2])})
    np.testing.assert_array_equal(found[name + "'"], np.float32([-1, 2]))


@settings(max_examples=150)
@given(st.data())
def test_mutated_files_never_crash(data: st.DataObject) -> None:
    """A few bytes changed: a graph, or an error from the tree, soon."""
    raw = bytearray(linear().SerializeToString())
    for _ in range(data.draw(st.integers(1, 6))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    start = time.perf_counter()
    with contextlib.suppress(TranspileError):
        OnnxModel(parse(bytes(raw))).trace()
    assert time.perf_counter() - start < 5
