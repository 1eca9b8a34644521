"""What half-float textures cost on webgl: the module with them against the reference."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from transpile.report import TargetResult
from transpile.verify.check import expected_outputs
from transpile.verify.compare import compare
from transpile.verify.samples import given_inputs, random_inputs

if TYPE_CHECKING:
    from transpile.module import Module

HALF = "webgl in half floats"
"""How reports call it."""


def half_result(module: Module, samples: object = None) -> TargetResult:
    """The errors of `load({target: 'webgl', precision: 'half'})`, infinite where it overflows.

    They are measured on the inputs that verification takes, and decide nothing: half floats are
    used on request only.

    Raises:
        JavaScriptError: the module threw.
    """
    graph = module.stored.rounded if module.stored else module.graph
    inputs = [*random_inputs(module.graph, module.ranges), *given_inputs(module.graph, samples)]
    absolute, relative, ulps = [0.0], [0.0], [0]
    for one in inputs:
        got = module.run(one, "webgl", precision="half")
        for name, e in expected_outputs(graph, one).items():
            found = compare(got[name], e.wide, e.allowed, e.single)
            whole = np.isfinite(got[name]) | ~np.isfinite(e.wide)
            absolute.append(found.max_abs if whole.all() else np.inf)
            relative.append(found.max_rel if whole.all() else np.inf)
            ulps.append(found.max_ulps)
    return TargetResult(len(inputs), max(absolute), max(relative), max(ulps))
