"""Whole networks of the ONNX model zoo, with random weights, against onnxruntime."""

from __future__ import annotations

import numpy as np
import pytest
from onnx_light import light_model

import transpile
from transpile.frontends.onnx import OnnxModel

IN_TESTS = ("squeezenet", "shufflenet", "inception_v2", "resnet50")
"""The others, up to VGG-19 with half a gigabyte of weights, take more memory or time."""


@pytest.mark.slow
@pytest.mark.parametrize("name", IN_TESTS)
def test_network_agrees_with_onnxruntime(name: str) -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    proto = light_model(name)
    port = proto.graph.input[0]
    shape = [d.dim_value for d in port.type.tensor_type.shape.dim]
    x = np.random.default_rng(1).standard_normal(shape).astype(np.float32)
    session = onnxruntime.InferenceSession(proto.SerializeToString(),
                                           providers=["CPUExecutionProvider"])
    module = transpile.compile(OnnxModel(proto), targets=("wasm",), weights_file=True)
    got = module.run({module.graph.inputs[0].name: x}, "wasm")
    for name_out, want in zip([o.name for o in proto.graph.output],
                              session.run(None, {port.name: x}), strict=True):
        assert np.std(want) > 0
        assert np.max(np.abs(got[name_out] - want)) < 1e-4 * np.max(np.abs(want)), name_out
