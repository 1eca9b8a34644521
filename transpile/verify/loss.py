"""What is lost where weights are stored in fewer bits: the model with them against itself."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from transpile.report import Loss

if TYPE_CHECKING:
    from transpile.verify.check import Expected


def losses(exact: Mapping[str, Expected], stored: Mapping[str, Expected]) -> dict[str, Loss]:
    """How far each output is off with the stored weights, by its name."""
    return {name: loss(stored[name].wide, e.wide) for name, e in exact.items()}


def loss(got: np.ndarray, exact: np.ndarray) -> Loss:
    """The distance of an output from the exact one; of integers, how many are not the same."""
    if exact.dtype.kind != "f":
        different = float(np.mean(got != exact)) if exact.size else 0.0
        return Loss(float(np.max(np.abs(got.astype(np.int64) - exact), initial=0)), different,
                    different)
    finite = np.isfinite(got) & np.isfinite(exact)
    off, wanted = (np.where(finite, a, 0.0) for a in (np.abs(got - np.where(finite, exact, 0.0)),
                                                      exact))
    scale, norm = float(np.max(np.abs(wanted), initial=0.0)), float(np.linalg.norm(wanted))
    largest = float(np.max(off, initial=0.0))
    return Loss(largest, largest / (scale or 1.0), float(np.linalg.norm(off)) / (norm or 1.0))


def worst(before: Mapping[str, Loss], now: Mapping[str, Loss]) -> dict[str, Loss]:
    """The larger figures of two runs."""
    def larger(a: Loss, b: Loss) -> Loss:
        return Loss(max(a.largest, b.largest), max(a.relative, b.relative), max(a.rms, b.rms))
    return {name: larger(before[name], one) if name in before else one
            for name, one in now.items()}
