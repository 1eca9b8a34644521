"""Runs an ONNX model by another implementation: what a built module is verified against."""

from __future__ import annotations

from typing import Any

import numpy as np


def run_original(proto: Any, arrays: list[np.ndarray]) -> dict[str, np.ndarray]:
    """The outputs by name, by onnxruntime if it is installed, else by onnx's own evaluator.

    Args:
        arrays: one for each input that is no initialiser, in order.
    """
    feeds = typed_feeds(proto, arrays)
    try:
        import onnxruntime
    except ImportError:
        from onnx.reference import ReferenceEvaluator
        results = ReferenceEvaluator(proto).run(None, feeds)
    else:
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 4
        session = onnxruntime.InferenceSession(proto.SerializeToString(), options,
                                               providers=["CPUExecutionProvider"])
        results = session.run(None, feeds)
    return {o.name: np.asarray(r) for o, r in zip(proto.graph.output, results, strict=True)}


def typed_feeds(proto: Any, arrays: list[np.ndarray]) -> dict[str, np.ndarray]:
    """Arrays by input name, in the dtypes that the model declares."""
    from onnx import helper
    initial = {t.name for t in proto.graph.initializer}
    infos = [i for i in proto.graph.input if i.name not in initial]
    return {i.name: np.asarray(a).astype(
        helper.tensor_dtype_to_np_dtype(i.type.tensor_type.elem_type), copy=False)
        for i, a in zip(infos, arrays, strict=True)}
