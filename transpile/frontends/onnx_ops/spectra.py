"""Discrete Fourier transforms, windows and filter banks."""

from __future__ import annotations

from typing import Any

import numpy as np

from transpile.frontends.onnx_ops import onnx_op
from transpile.frontends.onnx_ops.linear import static_sizes
from transpile.frontends.onnx_protos import inner_dtype
from transpile.frontends.onnx_values import Site, Tensor
from transpile.frontends.tracer import apply


def resized(x: Tensor, axis: int, size: int) -> Tensor:
    """Cut or filled with zeros to a size along an axis."""
    now = x.shape[axis]
    if now == size:
        return x
    if isinstance(now, int) and now > size:
        return x[(slice(None),) * axis + (slice(0, size),)]
    high = tuple(size - now if k == axis else 0 for k in range(x.ndim))
    return apply("pad", x, low=(0,) * x.ndim, high=high, mode="constant", value=0.0)


def transformed(x: Tensor, *, inverse: bool = False, half: bool = False) -> Tensor:
    """The transform of the last axis but one of `[..., size, 1 or 2]`: `[..., size, 2]`."""
    size = x.shape[-2]
    planes = apply("fourier", np.swapaxes(x, -1, -2), inverse=inverse, half=half)
    return np.swapaxes(planes * np.float32(1 / size) if inverse else planes, -1, -2)


@onnx_op("DFT")
def dft(n: Site) -> Any:
    x = n[0]
    if n.version >= 20:
        axis = n.ints(2, "the axis")[0] if n.has(2) else -2
    else:
        axis = int(n.attr("axis", 1))
    axis %= x.ndim
    inverse, half = bool(n.attr("inverse", 0)), bool(n.attr("onesided", 0))
    here = static_sizes(n, [x.shape[axis]], "a Fourier transform")[0]
    size = n.ints(1, "the length")[0] if n.has(1) else (
        2 * (here - 1) if half and inverse else here)
    if half and inverse:
        return np.moveaxis(_real_inverse(np.moveaxis(x, axis, -2), size), -2, axis)
    moved = np.moveaxis(resized(x, axis, size), axis, -2)
    return np.moveaxis(transformed(moved, inverse=inverse, half=half), -2, axis)


def _real_inverse(x: Tensor, size: int) -> Tensor:
    """The real signal of half a spectrum, whose other half is its conjugate."""
    low = resized(x, x.ndim - 2, size // 2 + 1)
    high = low[..., 1:(size + 1) // 2, :][..., ::-1, :] * np.array([1, -1], np.float32)
    return transformed(np.concatenate([low, high], axis=-2), inverse=True)[..., :1]


@onnx_op("STFT")
def stft(n: Site) -> Any:
    x, step = n[0], n.ints(1, "the step")[0]
    window = n.get(2)
    if n.has(3):
        size = n.ints(3, "the frame's length")[0]
    elif window is not None:
        size = static_sizes(n, window.shape, "the window")[0]
    else:
        raise n.refuse("neither a window nor a frame length is given")
    signal = x if x.ndim == 3 else x[..., None]
    frames = apply("sliding_window", signal, axis=1, size=size, step=step)
    if window is not None:
        frames = frames * window[:, None]
    return transformed(frames, half=bool(n.attr("onesided", 1)))


WINDOWS = {"HannWindow": (0.5, 0.5, 0.0), "HammingWindow": (25 / 46, 21 / 46, 0.0),
           "BlackmanWindow": (0.42, 0.5, 0.08)}
"""Coefficients of 1, -cos(x) and cos(2x)."""


@onnx_op(*WINDOWS)
def window(n: Site) -> Any:
    size = n.ints(0, "the size")[0]
    period = size if n.attr("periodic", 1) else max(size - 1, 1)
    angle = 2 * np.pi * np.arange(size) / period
    a, b, c = WINDOWS[n.op]
    values = a - b * np.cos(angle) + c * np.cos(2 * angle)
    return values.astype(inner_dtype(int(n.attr("output_datatype", 1)), f"the result of {n.op}"))


@onnx_op("MelWeightMatrix")
def mel_weights(n: Site) -> Any:
    """Triangles over the bins of a spectrum, evenly spaced in mel (2595 log10(1 + f/700))."""
    bands, length, rate, low, high = (n.array(i, "the parameters").item() for i in range(5))
    bins = length // 2 + 1
    ends = 2595 * np.log10(1 + np.array([low, high]) / 700)
    # The standard's own evaluator divides by bands + 2, not by the bands + 1 gaps between edges.
    mels = ends[0] + np.arange(bands + 2) * (ends[1] - ends[0]) / (bands + 2)
    hertz = 700 * (10 ** (mels / 2595) - 1)
    edges = ((length + 1) * hertz // rate).astype(int)
    result = np.zeros((bins, bands), np.float32)
    for k in range(bands):
        lower, centre, upper = edges[k:k + 3]
        if centre == lower:
            result[centre, k] = 1
        else:
            result[lower:centre + 1, k] = (np.arange(lower, centre + 1) - lower) / (centre - lower)
        if upper > centre:
            result[centre:upper, k] = (upper - np.arange(centre, upper)) / (upper - centre)
    return result


@onnx_op("Det")
def det(n: Site) -> Any:
    x = n[0]
    size = static_sizes(n, [x.shape[-1]], "a determinant")[0]
    if size > 6:
        raise n.refuse(f"a determinant of {size} rows", "more than 6 need pivoting")
    return determinant(x, tuple(range(size)))


def determinant(x: Tensor, columns: tuple[int, ...]) -> Any:
    """Laplace's expansion along the first of the rows that are left."""
    row = x.shape[-1] - len(columns)
    if len(columns) == 1:
        return x[..., row, columns[0]]
    total: Any = None
    for k, column in enumerate(columns):
        term = x[..., row, column] * determinant(x, columns[:k] + columns[k + 1:])
        total = term if total is None else total + term if k % 2 == 0 else total - term
    return total
