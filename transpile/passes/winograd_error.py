"""How far a Winograd convolution in float32 is from the exact one, measured layer by layer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from transpile.ops.contract import conv
from transpile.ops.winograd import matrices


@dataclass(frozen=True)
class Error:
    """Relative to the exact result: root mean squares, and largest magnitudes."""

    rms: float
    largest: float

    def within(self, bound: Error) -> bool:
        return self.rms <= bound.rms and self.largest <= bound.largest


BOUNDS = {n: Error(1e-6, 2e-6) for n in (3, 4)} | {6: Error(3e-6, 1e-5)}
"""By the number of points of a phase, twice what networks were found to have; a direct convolution
has an rms of 3e-7 to 8e-7."""

SIDE = 12
"""Height and width of the outputs that are tried: the error does not depend on them. It holds
whole tiles of all sizes."""

CHANNELS = 16
"""Output channels that are tried, evenly spread: each has its own weights."""


def accurate_tile(weight: np.ndarray, tiles: Sequence[int], stride: int = 1) -> int:
    """The first of some tiles that is within its bound for `weight` [taps, taps, C, O].

    0 for none.
    """
    taps = -(-len(weight) // stride)
    return next((t for t in tiles if error(weight, t, stride).within(BOUNDS[t + taps - 1])), 0)


def error(weight: np.ndarray, tile: int, stride: int = 1) -> Error:
    """The error on normally distributed values and on their magnitudes, as behind a relu."""
    channels = weight.shape[3]
    picked = np.unique(np.linspace(0, channels - 1, min(channels, CHANNELS)).astype(int))
    weight = weight[..., picked]
    side = stride * SIDE + len(weight) - stride
    shape = (1, side, side, weight.shape[2])
    values = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
    both = [_error(x, weight, tile, stride) for x in (values, np.abs(values))]
    return Error(max(e.rms for e in both), max(e.largest for e in both))


def _error(image: np.ndarray, weight: np.ndarray, tile: int, stride: int) -> Error:
    wide = image.astype(np.float64), weight.astype(np.float64)
    exact = conv(*wide, stride=(stride, stride), dilation=(1, 1), groups=1)
    with np.errstate(all="ignore"):
        off = winograd(image, weight, tile, stride) - exact
        rms = np.linalg.norm(off) / (np.linalg.norm(exact) or 1.0)
        largest = np.abs(off).max() / (np.abs(exact).max() or 1.0)
    return Error(*(float(e) if np.isfinite(e) else np.inf for e in (rms, largest)))


def winograd(image: np.ndarray, weight: np.ndarray, tile: int, stride: int = 1) -> np.ndarray:
    """The convolution of [1, H, W, C], which holds whole tiles, every step in float32."""
    to_points, to_weights, to_image = (
        np.array(m, np.float32) for m in matrices(tile, len(weight), stride))
    n, step = len(to_points), tile * stride
    windows = np.lib.stride_tricks.sliding_window_view(image[0], (n, n), (0, 1))[::step, ::step]
    points = to_points @ windows @ to_points.T  # [rows, cols, C, n, n]
    filters = to_weights @ weight.transpose(2, 3, 0, 1) @ to_weights.T  # [C, O, n, n]
    rows, cols, channels = points.shape[:3]
    flat = points.transpose(3, 4, 0, 1, 2).reshape(n * n, -1, channels)
    products = flat @ filters.transpose(2, 3, 0, 1).reshape(n * n, channels, -1)
    tiles = products.reshape(n, n, rows, cols, -1).transpose(2, 3, 4, 0, 1)
    result: np.ndarray = to_image @ tiles @ to_image.T  # [rows, cols, O, tile, tile]
    return np.reshape(result.transpose(0, 3, 1, 4, 2), (1, rows * tile, cols * tile, -1))
