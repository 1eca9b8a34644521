"""How fast the target webgl is: runs in a Chromium and single draws, by the clocks of the page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from transpile.bench import Bench, KernelTime, TargetTime

if TYPE_CHECKING:
    from transpile.program import Program

RUNNER = Path(__file__).with_name("bench_runner.js")


def measure_webgl(source: str, format: str, inputs: Mapping[str, Any], seconds: float,
                  debug: str = "", programs: Sequence[Program] = (),
                  files: Mapping[str, bytes] | None = None) -> Bench:
    """Time a module with the target webgl in a Chromium; arguments are those of `bench.measure`.

    A draw's time is that of the GPU where it has a timer, else the wall clock's around many of
    them. Bytes are those of the textures that it reads and writes.

    Raises:
        JavaScriptError: the module threw, or webgl does not work here.
        DependencyError: there is no browser.
    """
    from playwright.sync_api import Error

    from transpile.emit.runtime import runtime_folder
    from transpile.module import as_es_module
    from transpile.verify.browser import BrowserHost
    from transpile.verify.node import JavaScriptError
    from transpile.verify.tensors import encode_inputs
    page_files: dict[str, str | bytes] = {
        "index.html": "<!doctype html><script type=module src=main.js></script>",
        "main.js": RUNNER.read_text(), "model.js": as_es_module(source, format),
        "measure.js": (runtime_folder() / "page" / "measure.js").read_text(),
        "debug.js": debug, **(files or {})}
    request = {"target": "webgl", "inputs": encode_inputs(inputs, None), "seconds": seconds,
               "debug": bool(debug)}
    with BrowserHost(timeout=600 + 10 * seconds) as host:
        page = host.open(page_files)
        try:
            page.wait_for_function("() => globalThis.timeModule")
            answer = page.evaluate("(request) => timeModule(request)", request)
        except Error as error:
            raise JavaScriptError("the module could not be timed", why=str(error)[:600]) from None
    work = next((draw_work(p, inputs) for p in programs if p.target == "webgl"), {})
    kernels = [KernelTime(k["kernel"], k["calls"], k["time"], *work.get(k["kernel"], (0, 0)))
               for k in answer["kernels"]]
    kernels.sort(key=lambda k: -k.milliseconds)
    return Bench((TargetTime("webgl", tuple(answer["times"]), answer["load"], tuple(kernels)),))


def draw_work(program: Program, inputs: Mapping[str, Any]) -> dict[str, tuple[int, int]]:
    """FLOPs and bytes of each draw by its label; of several that make one value, the last has all
    FLOPs."""
    from transpile.compile import build_kernel
    from transpile.fuse import fuse
    from transpile.ir.dims import evaluate
    from transpile.ir.interpret import bind_dims
    from transpile.lower.storage import ROW_MAJOR
    from transpile.targets.glsl.programs import Draw, plan_webgl
    from transpile.targets.js import JS
    dims = bind_dims(program.graph, {n: np.asarray(a) for n, a in inputs.items()})
    flops = {group.output.name: evaluate(build_kernel(group, JS, ROW_MAJOR)[0].flops, dims)
             for group in fuse(program.graph, pads_inside=True)}
    plan = plan_webgl(program.graph, merged=False)
    sizes = [16 * t.layers * evaluate(t.width * t.height, dims) for t in plan.textures]
    result = {}
    for draw in plan.draws:
        textures = ((*draw.inputs, draw.output) if isinstance(draw, Draw) else
                    (p.texture for p, _ in (*draw.reads, *draw.written)))
        result[draw.label] = flops.get(draw.label, 0), sum(sizes[t] for t in textures)
    return result
