"""Discrete Fourier transforms, windows and filter banks, as products with constant matrices."""

from __future__ import annotations

from typing import Any

import numpy as np

from transpile.frontends.onnx_ops import onnx_op
from transpile.frontends.onnx_ops.linear import static_sizes
from transpile.frontends.onnx_protos import inner_dtype
from transpile.frontends.onnx_values import Site, Tensor
from transpile.frontends.tracer import apply


def fourier(size: int, kept: int, inverse: bool) -> tuple[np.ndarray, np.ndarray]:
    """Real and imaginary part of the matrix `[size, kept]` of a transform."""
    angle = 2 * np.pi * np.outer(np.arange(size), np.arange(kept)) / size
    factor = 1 / size if inverse else 1.0
    return ((np.cos(angle) * factor).astype(np.float32),
            ((1 if inverse else -1) * np.sin(angle) * factor).astype(np.float32))


def resized(x: Tensor, axis: int, size: int) -> Tensor:
    """Cut or filled with zeros to a size along an axis."""
    now = x.shape[axis]
    if now == size:
        return x
    if isinstance(now, int) and now > size:
        return x[(slice(None),) * axis + (slice(0, size),)]
    high = tuple(size - now if k == axis else 0 for k in range(x.ndim))
    return apply("pad", x, low=(0,) * x.ndim, high=high, mode="constant", value=0.0)


def transformed(x: Tensor, size: int, kept: int, inverse: bool) -> Tensor:
    """The transform of the last axis but one of `[..., size, 1 or 2]`: `[..., kept, 2]`."""
    cosine, sine = fourier(size, kept, inverse)
    real = x[..., 0]
    parts = [real @ cosine, real @ sine]
    if x.shape[-1] == 2:
        imaginary = x[..., 1]
        parts = [parts[0] - imaginary @ sine, parts[1] + imaginary @ cosine]
    return np.stack(parts, axis=-1)


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
    kept = size // 2 + 1 if half else size
    return np.moveaxis(transformed(moved, size, kept, inverse), -2, axis)


def _real_inverse(x: Tensor, size: int) -> Tensor:
    """The real signal of half a spectrum, whose other half is its conjugate."""
    half = size // 2 + 1
    x = resized(x, x.ndim - 2, half)
    angle = 2 * np.pi * np.outer(np.arange(half), np.arange(size)) / size
    twice = np.full(half, 2.0)
    twice[0] = 1
    if size % 2 == 0:
        twice[-1] = 1
    weight = (twice / size)[:, None]
    cosine, sine = ((weight * f(angle)).astype(np.float32) for f in (np.cos, np.sin))
    return (x[..., 0] @ cosine - x[..., 1] @ sine)[..., None]


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
    length = static_sizes(n, [x.shape[1]], "frames")[0]
    starts = np.arange((length - size) // step + 1) * step
    places = (starts[:, None] + np.arange(size)).astype(np.int32)
    frames = apply("take", x if x.ndim == 3 else x[..., None], places, axis=1)
    if window is not None:
        frames = frames * window[:, None]
    kept = size // 2 + 1 if n.attr("onesided", 1) else size
    return transformed(frames, size, kept, False)


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
