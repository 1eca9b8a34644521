"""Rare operands of ONNX operators: bounds beyond a tensor, sizes of zero, integers that wrap."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import onnx.reference
import onnxruntime
import pytest
from onnx import helper, numpy_helper

from transpile import onnx_backend
from transpile.errors import UnsupportedError

TARGETS = ("js", "wasm")
I64, F32 = np.int64, np.float32


def one_node(op: str, operands: list[Any], constant: set[int], opset: int = 18, **attrs: Any
             ) -> tuple[onnx.ModelProto, dict[str, np.ndarray]]:
    """A model of one node and its inputs; operands in `constant` are initialisers."""
    arrays = {f"v{k}": a for k, a in enumerate(operands) if a is not None}
    fixed = [numpy_helper.from_array(a, n) for n, a in arrays.items() if int(n[1:]) in constant]
    feeds = {n: a for n, a in arrays.items() if int(n[1:]) not in constant}
    infos = [helper.make_tensor_value_info(n, helper.np_dtype_to_tensor_dtype(a.dtype), a.shape)
             for n, a in feeds.items()]
    node = helper.make_node(op, [f"v{k}" if a is not None else "" for k, a in
                                 enumerate(operands)], ["y"], **attrs)
    kind = helper.np_dtype_to_tensor_dtype(operands[0].dtype)
    graph = helper.make_graph([node], "m", infos, [
        helper.make_tensor_value_info("y", kind, None)], fixed)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)],
                             ir_version=9), feeds


def agree(op: str, operands: list[Any], constant: set[int], target: str, **attrs: Any) -> None:
    proto, feeds = one_node(op, operands, constant, **attrs)
    session = onnxruntime.InferenceSession(proto.SerializeToString(),
                                           providers=["CPUExecutionProvider"])
    (wanted,) = session.run(None, feeds)
    (found,) = onnx_backend.Rep(proto, target).run(feeds)
    assert (found.shape, found.dtype) == (wanted.shape, wanted.dtype)
    np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-6)


FAR = 2**63 - 1
BOUNDS = [(FAR, FAR, 1), (9, 12, 1), (-9, -7, 1), (-FAR, -5, 1), (0, -9, 1), (1, FAR, 2),
          (FAR, -FAR, -1), (-1, -FAR, -2), (-9, -9, -1), (-9, FAR, -1), (9, -9, -100), (3, 1, 1),
          (0, 2, -1), (2**31 - 1, -2**31, -1)]


@pytest.mark.parametrize("known", [False, True])
@pytest.mark.parametrize(("start", "end", "step"), BOUNDS)
def test_bounds_of_a_slice_are_cut(start: int, end: int, step: int, known: bool) -> None:
    x = np.arange(8, dtype=I64).reshape(2, 4)
    operands = [x, *(np.array([v], I64) for v in (start, end, 1, step))]
    agree("Slice", operands, {0, 1, 2, 3, 4} if known else {1, 2, 3, 4}, "js")


@pytest.mark.parametrize(("start", "end", "rows"), [(FAR, FAR, 0), (0, FAR, 3), (-FAR, 1, 1)])
def test_a_slice_of_a_named_size(start: int, end: int, rows: int) -> None:
    proto = onnx.parser.parse_model(f"""<ir_version: 8, opset_import: ["": 18]>
        m (float[n, 2] x) => (float[k, 2] y) <int64[1] s = {{{start}}}, int64[1] e = {{{end}}}>
        {{ y = Slice(x, s, e) }}""")
    x = np.arange(6, dtype=F32).reshape(3, 2)
    (found,) = onnx_backend.run(proto, [x])
    np.testing.assert_array_equal(found, x[:rows])


NONE = np.zeros((0, 3), F32)
EMPTY: list[tuple[str, list[Any], dict[str, Any]]] = [
    ("Hardmax", [NONE], {"axis": 0}),
    ("Resize", [np.ones((1, 1, 1, 4), F32), None, np.array([1, 1, 0.5, 1], F32)], {}),
    ("Resize", [np.ones((1, 1, 1, 4), F32), None, np.array([1, 1, 0.5, 1], F32)],
     {"mode": "linear"}),
    ("Pad", [NONE, np.array([0, 1, 0, 0], I64)], {"mode": "reflect"})]


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize(("op", "operands", "attrs"), EMPTY)
def test_sizes_of_zero(op: str, operands: list[Any], attrs: dict[str, Any], target: str) -> None:
    agree(op, operands, {1, 2}, target, **attrs)


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("size", [1, 2, 4])
def test_a_sample_between_two_mirrored_elements(size: int, target: str) -> None:
    x = np.arange(size, dtype=F32).reshape(1, 1, 1, size)
    places = np.zeros((1, 1, 41, 2), F32)
    places[0, 0, :, 0] = (np.arange(-20, 21) * 0.5 + 0.5) * 2 / size - 1
    agree("GridSample", [x, places], set(), target, mode="nearest", padding_mode="reflection")


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("known", [False, True])
def test_negative_powers_of_integers(target: str, known: bool) -> None:
    base, exponent = np.meshgrid(np.array([-3, -2, -1, 1, 2, 7], np.int32),
                                 np.array([-33, -2, -1, 0, 1, 3], np.int32))
    want = np.trunc(base.astype(np.float64) ** exponent)
    proto, feeds = one_node("Pow", [base, exponent], {0, 1} if known else {1})
    (found,) = onnx_backend.Rep(proto, target).run(feeds)
    np.testing.assert_array_equal(found, want)


@pytest.mark.parametrize("dtype", [np.uint8, np.int8, np.int16, np.int64])
@pytest.mark.parametrize("op", ["Div", "Mul", "Sub", "ReduceProd"])
def test_known_integers_keep_their_type(op: str, dtype: Any) -> None:
    a = np.array([100, 3, 7, 120, 5]).astype(dtype)
    b = np.array([200, 2, 9, 253, 7]).astype(dtype)
    proto, _ = one_node(op, [a] if op == "ReduceProd" else [a, b], {0, 1})
    wanted = onnx.reference.ReferenceEvaluator(proto).run(None, {})[0]
    if op == "Div":
        wanted = np.trunc(a.astype(np.float64) / b).astype(dtype)
    (found,) = onnx_backend.run(proto, [])
    np.testing.assert_array_equal(found, wanted)


@pytest.mark.parametrize("dtype", [I64, np.int32, F32])
@pytest.mark.parametrize("bounds", [(2, 9, 3), (9, -2, -4), (3, 3, 1), (1, -5, 2)])
def test_a_known_range(bounds: tuple[int, int, int], dtype: Any) -> None:
    agree("Range", [np.array(b, dtype) for b in bounds], {0, 1, 2}, "js")


def test_a_range_that_no_memory_holds_is_refused_at_once() -> None:
    proto, _ = one_node("Range", [np.array(b, I64) for b in (0, 2**40, 1)], {0, 1, 2})
    with pytest.raises(UnsupportedError, match="more than memory holds"):
        onnx_backend.run(proto, [])
