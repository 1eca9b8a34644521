"""Runs an ONNX model by another implementation: what a built module is verified against."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np


def run_original(proto: Any, arrays: list[np.ndarray],
                 fixed: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The outputs by name, by onnxruntime if it is installed, else by onnx's own evaluator.

    The evaluator also where the format is newer than onnxruntime, and where there are Fourier
    transforms: onnxruntime's are right to four digits only, unless the size is a power of two.

    Args:
        arrays: one for each other input that is no initialiser, in order.
        fixed: inputs by name.
    """
    feeds = typed_feeds(proto, arrays, fixed)
    session = None if _has_transforms(proto) else _session(exact_lstms(proto))
    if session is None:
        from onnx.reference import ReferenceEvaluator
        session = ReferenceEvaluator(proto)
    results = session.run(None, feeds)
    return {o.name: np.asarray(r) for o, r in zip(proto.graph.output, results, strict=True)}


def _session(proto: Any) -> Any:
    """A session of onnxruntime; None if that is missing, or older than the format of the model."""
    try:
        import onnxruntime
        from onnxruntime.capi import onnxruntime_pybind11_state as errors
    except ImportError:
        return None
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    try:
        return onnxruntime.InferenceSession(proto.SerializeToString(), options,
                                            providers=["CPUExecutionProvider"])
    except errors.Fail:
        return None


def typed_feeds(proto: Any, arrays: list[np.ndarray], fixed: Mapping[str, np.ndarray]
                ) -> dict[str, np.ndarray]:
    """Arrays by input name, in the dtypes that the model declares."""
    from onnx import helper
    initial = {t.name for t in proto.graph.initializer}
    infos = [i for i in proto.graph.input if i.name not in initial]
    rest = iter(arrays)
    given = {i.name: fixed[i.name] if i.name in fixed else next(rest) for i in infos}
    return {i.name: np.asarray(given[i.name]).astype(
        helper.tensor_dtype_to_np_dtype(i.type.tensor_type.elem_type), copy=False)
        for i in infos}


def _has_transforms(proto: Any) -> bool:
    return all(o.domain in ("", "ai.onnx") for o in proto.opset_import) and any(
        n.op_type in ("DFT", "STFT") for n in proto.graph.node)


def exact_lstms(proto: Any) -> Any:
    """The model with LSTM in the place of DynamicQuantizeLSTM, its weights dequantised.

    onnxruntime rounds the inputs of each step to 8 bits over those rows that one thread has, so
    its results depend on the number of threads. What is built keeps them in float32.
    """
    if not any(n.op_type == "DynamicQuantizeLSTM" for n in proto.graph.node):
        return proto
    result = type(proto)()
    result.CopyFrom(proto)
    del result.graph.node[:]
    for place, node in enumerate(proto.graph.node):
        result.graph.node.extend(_exact(node, f"exact_{place}_")
                                 if node.op_type == "DynamicQuantizeLSTM" else [node])
    return result


def _exact(node: Any, prefix: str) -> list[Any]:
    from onnx import helper
    inputs = list(node.input)
    made: list[Any] = []

    def add(op: str, *operands: str, **attrs: Any) -> str:
        name = f"{prefix}{len(made)}"
        made.append(helper.make_node(op, operands, [name], **attrs))
        return name

    to_rows = add("Constant", value_ints=[0, 1, -1])
    for index, scale in ((1, 8), (2, 10)):
        codes, zero = (add("Cast", inputs[k], to=1) for k in (index, scale + 1))
        parts = [add("Reshape", name, to_rows) for name in (inputs[scale], zero)]
        real = add("Mul", add("Sub", codes, parts[1]), parts[0])
        inputs[index] = add("Transpose", real, perm=[0, 2, 1])
    lstm = helper.make_node("LSTM", inputs[:8], list(node.output), name=node.name)
    lstm.attribute.extend(node.attribute)
    return [*made, lstm]
