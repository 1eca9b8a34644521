"""Runs an ONNX model by another implementation: what a built module is verified against."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np


def run_original(proto: Any, arrays: list[np.ndarray],
                 fixed: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The outputs by name, by onnxruntime if it is installed, else by onnx's own evaluator.

    Args:
        arrays: one for each other input that is no initialiser, in order.
        fixed: inputs by name.
    """
    feeds = typed_feeds(proto, arrays, fixed)
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
