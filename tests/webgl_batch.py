"""Graphs run on WebGL2 in batches: one page, one context, each shader compiled once."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from transpile.emit.runtime import runtime_folder
from transpile.ir.dims import Dim, evaluate
from transpile.ir.graph import Graph
from transpile.ir.interpret import bind_dims
from transpile.naming import with_unique_names
from transpile.passes import run_pipeline
from transpile.targets.glsl.cpu import CpuCall
from transpile.targets.glsl.dealing import MANY
from transpile.targets.glsl.programs import WebglPlan, plan_webgl
from transpile.targets.glsl.textures import Placed
from transpile.verify.browser import BrowserHost

Inputs = Mapping[str, np.ndarray]

AT_ONCE = 40
"""Plans in one call of the page."""

INTERNAL = {"float32": np.float32, "int32": np.int32, "uint8": np.int32, "bool": np.int32}
"""What textures hold of each dtype."""


def webgl_plan(graph: Graph) -> WebglPlan:
    """The plan of a traced graph."""
    return plan_webgl(with_unique_names(run_pipeline(graph)[0]))


@dataclass(frozen=True)
class WebglCase:
    """A graph and inputs to run it on.

    Attributes:
        needs_cpu: part of it runs between draws, which a batch cannot do.
    """

    graph: Graph
    plan: WebglPlan
    inputs: Inputs

    @property
    def needs_cpu(self) -> bool:
        return any(isinstance(d, CpuCall) for d in self.plan.draws)

    def request(self) -> dict[str, Any]:
        """The plan with its sizes as numbers, and what is uploaded."""
        dims, plan = bind_dims(self.graph, self.inputs), self.plan

        def number(value: Dim) -> int:
            return evaluate(value, dims)
        draws = [[d.program, d.inputs, d.output, [*map(number, d.uniforms)], number(d.width),
                  number(d.height)] for d in plan.draws if not isinstance(d, CpuCall)]
        return {
            "shaders": plan.shaders, "draws": draws,
            "textures": [[int(t.is_float), number(t.width), number(t.height), t.layers]
                         for t in plan.textures],
            "uploads": [*(_upload(p, plan.stored(p)) for p in plan.weights),
                        *(_upload(p, self.inputs[p.name]) for p in plan.inputs)],
            "results": [[p.texture, number(p.type.size), p.layout.width]
                        for _, p in plan.results]}

    def outputs(self, answer: Sequence[str]) -> dict[str, np.ndarray]:
        dims = bind_dims(self.graph, self.inputs)
        return {name: np.frombuffer(base64.b64decode(text), INTERNAL[p.type.dtype])
                .astype(p.type.dtype).reshape([evaluate(d, dims) for d in dict(
                    self.graph.outputs)[name].shape])
                for (name, p), text in zip(self.plan.results, answer, strict=True)}


def webgl_case(graph: Graph, inputs: Inputs) -> WebglCase:
    return WebglCase(graph, webgl_plan(graph), inputs)


def _upload(placed: Placed, value: np.ndarray) -> list[Any]:
    data = np.ascontiguousarray(value.astype(placed.type.dtype)).tobytes()
    return [placed.texture, placed.type.dtype, placed.layout.width,
            base64.b64encode(data).decode()]


def run_webgl(host: BrowserHost, cases: Sequence[WebglCase], most: int = MANY
              ) -> Iterator[dict[str, np.ndarray] | str]:
    """The outputs of each case by name, or the text of an error; `most` render targets at once."""
    runner = Path(__file__).with_name("js") / "webgl_batch.js"
    page = host.open({
        "index.html": "<!doctype html><meta charset=utf-8>"
                      "<script type=module src=batch.js></script>",
        "batch.js": runner.read_text(), "webgl.js": "".join(
            (runtime_folder() / name).read_text() for name in ("webgl.js", "webgl_targets.js"))})
    page.wait_for_function("() => globalThis.runPlans")
    for start in range(0, len(cases), AT_ONCE):
        some = cases[start:start + AT_ONCE]
        answers = page.evaluate("(given) => runPlans(...given)",
                                [[c.request() for c in some], most])
        for case, answer in zip(some, answers, strict=True):
            yield answer if isinstance(answer, str) else case.outputs(answer)
