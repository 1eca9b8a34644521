"""Fourier transforms from ONNX and PyTorch, and that they come without matrices."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest

import transpile
from transpile.frontends.onnx import OnnxModel
from transpile.ops.fourier import LARGEST_PRIME, factors, is_fast

TARGETS = ["js", "wasm"]


def values(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).normal(size=shape).astype(np.float32)


def model(text: str, opset: int = 20, **constants: Any) -> OnnxModel:
    proto = onnx.parser.parse_model(f'<ir_version: 9, opset_import: ["": {opset}]> m {text}')
    for name, value in constants.items():
        proto.graph.initializer.append(onnx.numpy_helper.from_array(np.asarray(value), name))
    return OnnxModel(proto)


def planes(z: np.ndarray) -> np.ndarray:
    return np.stack([z.real, z.imag], -1).astype(np.float32)


def assert_close(found: np.ndarray, wanted: np.ndarray) -> None:
    assert found.shape == wanted.shape
    assert np.abs(found - wanted).max() <= 1e-6 * np.abs(wanted).max()


def test_factors_multiply_to_the_size() -> None:
    for size in range(1, 500):
        assert np.prod(factors(size), initial=1) == size
        assert not is_fast(size) or all(size % p for p in range(LARGEST_PRIME + 1, size + 1)
                                        if all(p % q for q in range(2, p)))
    assert all(map(is_fast, (6, 10, 400, 512, 1000)))
    assert not any(map(is_fast, (1, 7, 11, 26)))


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("inverse", [0, 1])
@pytest.mark.parametrize("size", [2, 5, 10, 11, 96, 105, 400])
def test_complex_signals(size: int, inverse: int, target: str) -> None:
    x = values(3, size, 2)
    module = transpile.compile(model(
        f"(float[3, {size}, 2] x) => (float[3, {size}, 2] y) "
        f"{{ y = DFT<inverse: int = {inverse}>(x) }}"), None, TARGETS)
    z = x[..., 0] + 1j * x[..., 1].astype(np.float64)
    assert_close(module.run({"x": x}, target=target)["y"],
                 planes(np.fft.ifft(z) if inverse else np.fft.fft(z)))


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("size", [4, 9, 13, 30, 512])
def test_real_signals_there_and_back(size: int, target: str) -> None:
    x = values(2, size)
    module = transpile.compile(model(
        f"(float[2, {size}, 1] x) => (float[2, K, 2] y, float[2, {size}, 1] z) {{ "
        "y = DFT<onesided: int = 1>(x) "
        "z = DFT<onesided: int = 1, inverse: int = 1>(y, size) }", size=np.int64(size)),
        None, TARGETS)
    found = module.run({"x": x[..., None]}, target=target)
    assert_close(found["y"], planes(np.fft.rfft(x.astype(np.float64))))
    assert_close(found["z"], x[..., None])


@pytest.mark.parametrize("target", TARGETS)
def test_what_rounding_leaves_is_what_numpy_leaves(target: str) -> None:
    """Where the true value is zero, of an inverse transform in float32."""
    x = np.arange(0, 100, 10, dtype=np.float32)
    module = transpile.compile(model("(float[10, 1] x) => (float[10, 2] y) "
                                     "{ y = DFT<inverse: int = 1>(x) }"), None, TARGETS)
    wanted = planes(np.fft.ifft(x.astype(np.complex64)))
    np.testing.assert_allclose(module.run({"x": x[:, None]}, target=target)["y"], wanted,
                               rtol=1e-3, atol=1e-7)


@pytest.mark.parametrize("length", [512, 2000])
def test_frames_of_a_signal_of_any_length(length: int) -> None:
    module = transpile.compile(model(
        "(float[B, T, 1] x) => (float[B, F, 257, 2] y) { y = STFT(x, step, window) }",
        step=np.int64(160), window=np.hanning(512).astype(np.float32)), None, ["js"])
    assert len(module.source) < 30_000
    x = values(2, length)
    frames = np.lib.stride_tricks.sliding_window_view(x, 512, 1)[:, ::160] * np.hanning(512)
    assert_close(module.run({"x": x[..., None]})["y"], planes(np.fft.rfft(frames)))


def test_frames_of_a_size_that_onnxruntime_transforms_badly() -> None:
    built = model("(float[1, 2000, 1] x) => (float[1, F, 201, 2] y) { y = STFT(x, step, window) }",
                  step=np.int64(100), window=np.hanning(400).astype(np.float32))
    assert transpile.compile(built, None, ["js"]).verify().ok


def test_a_spectrogram_from_pytorch() -> None:
    torch = pytest.importorskip("torch")

    class Spectrogram(torch.nn.Module):  # type: ignore[misc, name-defined]
        def forward(self, x: Any) -> Any:
            z = torch.stft(x, 400, 160, window=torch.hann_window(400), return_complex=True)
            return torch.log(torch.abs(z) ** 2 + 1e-6)
    x = torch.from_numpy(values(1, 4000))
    module = transpile.compile(Spectrogram(), {"x": x}, TARGETS)
    assert len(module.source) < 60_000
    found = module.run({"x": x.numpy()}, target="wasm")
    wanted = Spectrogram()(x).numpy()
    np.testing.assert_allclose(next(iter(found.values())), wanted, rtol=1e-3, atol=1e-4)
