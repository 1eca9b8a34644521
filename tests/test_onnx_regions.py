"""RoiAlign with as many samples as a region has pixels, against onnxruntime."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime
import pytest

import transpile
from transpile.errors import UnsupportedError


def model(images: int, mode: str, scale: float, pool: str = "avg") -> onnx.ModelProto:
    node = onnx.helper.make_node(
        "RoiAlign", ["x", "rois", "batch"], ["y"], output_height=3, output_width=2, mode=pool,
        spatial_scale=scale, coordinate_transformation_mode=mode)
    given = [onnx.helper.make_tensor_value_info(*info) for info in (
        ("x", 1, [images, 3, 20, 17]), ("rois", 1, ["n", 4]), ("batch", 7, ["n"]))]
    graph = onnx.helper.make_graph([node], "regions", given,
                                   [onnx.helper.make_tensor_value_info("y", 1, None)])
    return onnx.helper.make_model(graph, ir_version=8,
                                  opset_imports=[onnx.helper.make_opsetid("", 16)])


def regions(scale: float) -> np.ndarray:
    """Inside, across the border, larger than the image, without a size, upside down, narrow."""
    rng = np.random.default_rng(0)
    start = rng.uniform(-6, 20, (8, 2))
    some = np.concatenate([start, start + rng.uniform(0, 30, (8, 2))], axis=1)
    named = [[0, 0, 16, 19], [-50, -50, 90, 100], [3, 4, 3, 4], [5, 5, 4, 3], [2, 2, 2.3, 2.2]]
    return np.concatenate([some, named]).astype(np.float32) / np.float32(scale)


@pytest.mark.parametrize("mode", ["half_pixel", "output_half_pixel"])
@pytest.mark.parametrize(("images", "scale"), [(1, 1.0), (2, 0.25)])
def test_agrees_with_onnxruntime(images: int, scale: float, mode: str) -> None:
    proto, rois, rng = model(images, mode, scale), regions(scale), np.random.default_rng(1)
    x = rng.normal(size=(images, 3, 20, 17)).astype(np.float32)
    batch = rng.integers(0, images, len(rois))
    session = onnxruntime.InferenceSession(proto.SerializeToString())
    (wanted,) = session.run(None, {"x": x, "rois": rois, "batch": batch})
    module = transpile.compile(proto, targets=["js", "wasm"])
    for target in ("js", "wasm"):
        found = module.run({"x": x, "rois": rois, "batch": batch.astype(np.int32)}, target)["y"]
        np.testing.assert_allclose(found, wanted, atol=1e-5)


def test_a_maximum_of_unknown_many_is_refused() -> None:
    with pytest.raises(UnsupportedError, match="sampling_ratio=0"):
        transpile.trace(model(1, "half_pixel", 1.0, "max"))
