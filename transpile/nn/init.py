"""Initial values of parameters: float32 arrays from a seeded generator.

Without a generator of their own, layers draw from one that starts at seed 0, so that a program
gives the same parameters each time it runs; `manual_seed` starts it anew.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

Shape = Sequence[int]


class _Shared:
    rng = np.random.default_rng(0)


def manual_seed(seed: int) -> None:
    """Start the generator that layers draw from by default anew."""
    _Shared.rng = np.random.default_rng(seed)


def generator(rng: np.random.Generator | int | None = None) -> np.random.Generator:
    """`rng`, a generator seeded with it, or the shared one."""
    if rng is None:
        return _Shared.rng
    return np.random.default_rng(rng)


def fans(shape: Shape) -> tuple[int, int]:
    """Inputs and outputs per element of a weight `[O, I, *K]`."""
    window = math.prod(shape[2:])
    return (shape[1] if len(shape) > 1 else shape[0]) * window, shape[0] * window


def uniform(shape: Shape, low: float, high: float,
            rng: np.random.Generator | int | None = None) -> np.ndarray:
    """Uniform in `[low, high)`."""
    return generator(rng).uniform(low, high, tuple(shape)).astype(np.float32)


def normal(shape: Shape, mean: float = 0.0, std: float = 1.0,
           rng: np.random.Generator | int | None = None) -> np.ndarray:
    """Normal with a mean and a standard deviation."""
    return generator(rng).normal(mean, std, tuple(shape)).astype(np.float32)


def zeros(shape: Shape) -> np.ndarray:
    """All 0."""
    return np.zeros(tuple(shape), np.float32)


def ones(shape: Shape) -> np.ndarray:
    """All 1."""
    return np.ones(tuple(shape), np.float32)


def kaiming_uniform(shape: Shape, a: float = math.sqrt(5),
                    rng: np.random.Generator | int | None = None) -> np.ndarray:
    """Uniform within `sqrt(6 / ((1 + a^2) * fan_in))` (He et al. 2015, equation 14)."""
    bound = math.sqrt(6 / ((1 + a * a) * fans(shape)[0]))
    return uniform(shape, -bound, bound, rng)


def kaiming_normal(shape: Shape, mode: str = "fan_in",
                   rng: np.random.Generator | int | None = None) -> np.ndarray:
    """Normal with deviation `sqrt(2 / fan)`, fit for relu (He et al. 2015, equation 10).

    Args:
        mode: "fan_in" or "fan_out".
    """
    fan = fans(shape)[0 if mode == "fan_in" else 1]
    return normal(shape, 0.0, math.sqrt(2 / fan), rng)


def xavier_uniform(shape: Shape, gain: float = 1.0,
                   rng: np.random.Generator | int | None = None) -> np.ndarray:
    """Uniform within `gain * sqrt(6 / (fan_in + fan_out))` (Glorot and Bengio 2010)."""
    bound = gain * math.sqrt(6 / sum(fans(shape)))
    return uniform(shape, -bound, bound, rng)
