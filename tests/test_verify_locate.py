"""A kernel that is broken on purpose is named, on every target."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import transpile
from transpile import nn
from transpile.emit.weights import Text

RNG = np.random.default_rng(3)
FIRST = RNG.standard_normal((8, 12)).astype(np.float32)
SECOND = RNG.standard_normal((12, 8)).astype(np.float32)
THIRD = RNG.standard_normal((8, 4)).astype(np.float32)


@transpile.model(x=transpile.spec("float32", ("batch", 8)))
def three_layers(x: Any) -> Any:
    narrow = nn.relu(x @ FIRST)
    bent = np.tanh(narrow @ SECOND)
    return nn.softmax(bent @ THIRD)


@pytest.mark.browser
@pytest.mark.parametrize(("target", "right", "wrong"), [
    ("js", "Math.tanh(sum)", "Math.sin(sum)"), ("webgl", "= tanh_(sum)", "= sin(sum)")])
def test_the_first_wrong_kernel_is_named(target: str, right: str, wrong: str) -> None:
    whole = transpile.compile(three_layers, targets=["js", "webgl"])
    assert whole.source.count(right) == whole.debug_source.count(right) == 1
    module = replace(whole, text=Text(whole.source.replace(right, wrong)))
    vars(module)["debug_source"] = whole.debug_source.replace(right, wrong)
    found = module.verify(targets=[target])
    kernel = found.failures[0].kernel
    assert kernel is not None
    assert kernel.label == "bent"
    assert "tanh" in kernel.formula
    assert kernel.where.endswith(f"test_verify_locate.py:{LINE}")
    assert kernel.comparison.index is not None
    with pytest.raises(transpile.VerificationError, match="the first kernel that differs is bent"):
        found.check("three_layers")


LINE = 1 + next(i for i, line in enumerate(Path(__file__).read_text().splitlines())
                if "bent = " in line)


@pytest.mark.browser
def test_steps_are_those_of_the_graph() -> None:
    """Each draw's and each call's output is what the interpreter gives for the node so named."""
    from transpile.ir.interpret import node_values
    module = transpile.compile(three_layers, targets=["js", "wasm", "webgl"])
    inputs = {"x": RNG.standard_normal((3, 8)).astype(np.float32)}
    for program in module.programs:
        values = {n.name: v for n, v in node_values(program.graph, inputs).items()}
        steps = module.steps(inputs, program.target)
        assert len(steps) >= 3
        for label, got in steps:
            np.testing.assert_allclose(got, values[label], rtol=1e-4, atol=1e-5)
