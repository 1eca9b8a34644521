"""Pixels in front of a model: against torch's interpolation, through the emitted JS."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import transpile
from transpile.errors import ShapeError
from transpile.image import image, top_k

PIXELS = np.random.default_rng(0).integers(0, 256, (9, 7, 4)).astype(np.uint8)


def reference(size: tuple[int, int], mode: str) -> np.ndarray:
    torch = pytest.importorskip("torch")
    x = torch.from_numpy(PIXELS[:, :, :3].astype(np.float32)).permute(2, 0, 1)[None] / 255
    result: np.ndarray = torch.nn.functional.interpolate(x, size, mode=mode).numpy()
    return result


@pytest.mark.parametrize("mode", ["bilinear", "nearest"])
@pytest.mark.parametrize("size", [(5, 4), (12, 20), (9, 7)])
def test_resizing_is_that_of_torch(size: tuple[int, int], mode: str) -> None:
    np.testing.assert_allclose(image(size, resize=mode)(PIXELS), reference(size, mode), atol=1e-6)


def test_layout_channels_and_normalisation() -> None:
    x = PIXELS[:, :, :3].astype(np.float32) / 255
    got = image(mean=(0.1, 0.2, 0.3), std=0.5, layout="HWC", channels="BGR")(PIXELS)
    np.testing.assert_allclose(got, (x[:, :, ::-1] - [0.1, 0.2, 0.3]) / 0.5, atol=1e-6)
    grey = image(layout="NHWC", channels="GRAY")(PIXELS)
    np.testing.assert_allclose(grey[0, :, :, 0], x @ [0.299, 0.587, 0.114], atol=1e-6)
    with pytest.raises(ShapeError, match="layout"):
        image(layout="NCWD")


@transpile.model(x=transpile.spec("float32", (1, 3, 6, 6)), labels=("a", "b", "c"))
def mean_colour(x: Any) -> Any:
    means = x.mean(axis=(2, 3))
    return means  # noqa: RET504 - the output's name


def test_pictures_of_any_size_in_front_of_a_model() -> None:
    net = image(6).before(mean_colour)
    module = transpile.compile(net, targets=["js"])
    assert str(module.graph.inputs[0].type) == "uint8[height, width, 4]"
    for pixels in (PIXELS, PIXELS[:4, :6]):
        got = module.run({"pixels": pixels}, "js")["means"]
        np.testing.assert_allclose(got, net(pixels), atol=1e-5)
    assert net.labels == ("a", "b", "c")


def test_the_largest() -> None:
    scores = np.array([[0.1, 0.7, 0.2], [0.5, 0.1, 0.4]], np.float32)
    best, order = top_k(scores, 2)
    np.testing.assert_array_equal(order, [[1, 2], [0, 2]])
    np.testing.assert_array_equal(best, np.array([[0.7, 0.2], [0.5, 0.4]], np.float32))
