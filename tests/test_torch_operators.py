"""Functions of PyTorch that its exporter writes in a form of its own, or cannot write."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

import transpile
from transpile.errors import UnsupportedError


class Call(nn.Module):
    """A function as a module."""

    def __init__(self, function: Callable[[torch.Tensor], Any]) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: torch.Tensor) -> Any:
        return self.function(x)


CASES: dict[str, Callable[[torch.Tensor], Any]] = {
    "nothing": lambda x: x,
    "nothing_and_more": lambda x: (x, x + 1),
    "dstack": lambda x: torch.dstack([x, x]),
    "aligned_corners": lambda x: F.interpolate(
        x, scale_factor=1.7, mode="bilinear", align_corners=True),
    "aligned_corners_smaller": lambda x: F.interpolate(
        x, scale_factor=0.5, mode="bicubic", align_corners=True),
    "tiny_terms": lambda x: F.relu(x - 9) / (F.relu(x - 9).sum(-1, keepdim=True) + 1e-9),
}


@pytest.mark.parametrize("name", CASES)
def test_agrees_with_pytorch(name: str) -> None:
    x = np.random.default_rng(0).normal(size=(2, 4, 7, 9)).astype(np.float32)
    module = transpile.compile(Call(CASES[name]), {"x": x}, targets=["js"])
    wanted = CASES[name](torch.from_numpy(x))
    wanted = wanted if isinstance(wanted, tuple) else (wanted,)
    for got, want in zip(module.run({"x": x}).values(), wanted, strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-5)


def test_what_the_exporter_drops_is_refused() -> None:
    net = Call(lambda x: F.avg_pool2d(x, 2, divisor_override=3))
    with pytest.raises(UnsupportedError, match="divisor_override"):
        transpile.trace(net, {"x": "float32[1, 2, 4, 4]"})
