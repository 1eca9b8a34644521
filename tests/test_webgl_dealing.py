"""What a shader reads for the rows that it computes at once, counted in its text."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from webgl_batch import webgl_plan

import transpile
from transpile import nn
from transpile.targets.glsl import dealing
from transpile.targets.glsl.dealing import FEW, MANY
from transpile.targets.glsl.programs import Draw


def weights(*shape: int) -> np.ndarray:
    return np.ones(shape, np.float32)


def depthwise(x: Any) -> Any:
    return nn.conv2d(x, weights(16, 1, 3, 3), padding=1, groups=16)


def pointwise(x: Any) -> Any:
    return nn.conv2d(x, weights(24, 16, 1, 1))


def picked(x: Any) -> Any:
    return x[:, :, ::2, ::2]


CASES = {
    # Windows three wide: eight pixels in a row read ten, rows' ends or not, and three weights.
    "depthwise": (depthwise, 16, MANY, 13),
    "depthwise, rows that end anywhere": (depthwise, 14, MANY, 13),
    # Four lanes of eight pixels and of four columns.
    "pointwise": (pointwise, 14, MANY, 12),
    # Each of four channels from its own texel.
    "nothing shared": (picked, 16, 1, 4),
}


@pytest.mark.parametrize("name", CASES)
def test_reads(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    function, size, targets, reads = CASES[name]
    monkeypatch.setattr(dealing, "WORTHWHILE", 0)
    layers, main = drawn(function, size)
    assert layers == targets
    assert len(re.findall(r"\b(?:texelFetch|dealt)\(", main)) == reads


def test_small_models_keep_to_four_targets() -> None:
    layers, main = drawn(pointwise, 14)
    assert layers == FEW
    assert main.count("mat4(") == 1
    assert main.count("matrix_") == 1 + FEW


def drawn(function: Callable[[Any], Any], size: int) -> tuple[int, str]:
    """The layers that a layer behind a pointwise one makes, and the `main` of its shader."""
    def model(x: Any) -> Any:
        return function(nn.relu(nn.conv2d(x, weights(16, 16, 1, 1))))

    spec = transpile.spec("float32", (1, 16, size, size))
    plan = webgl_plan(transpile.trace(transpile.model(x=spec)(model)))
    draw = plan.draws[1]
    assert isinstance(draw, Draw)
    return plan.textures[draw.output].layers, plan.shaders[draw.program].split("void main()")[1]
