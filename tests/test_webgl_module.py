"""Modules with the target webgl in a real browser: models, lost contexts, policies, counts."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from webgl_batch import webgl_plan

import transpile
from benchmarks import models
from transpile import nn
from transpile.compile import lower_graph
from transpile.ir.interpret import interpret
from transpile.module import Module
from transpile.targets.glsl.cpu import CpuCall
from transpile.targets.glsl.dealing import MANY
from transpile.targets.glsl.programs import Draw, WebglPlan, plan_webgl
from transpile.verify.browser import BrowserHost

STRICT = {"Content-Security-Policy": "default-src 'none'; script-src 'self'"}
SMALL = (1, 3, 64, 64)
CALIBRATION = (2, 3, 64, 64)
RELATIVE = 1e-4


@pytest.fixture(scope="module")
def host() -> Iterator[BrowserHost]:
    with BrowserHost(headers=STRICT, timeout=300) as host:
        yield host


def lenet() -> transpile.Model:
    return models.MODELS["lenet"]()


def recurrent() -> transpile.Model:
    return models.prepared(lambda: models.LSTM(8, 16), ("batch", 5, 8), 7)


def recurrent_alone() -> transpile.Model:
    return models.prepared(lambda: models.LSTM(8, 16), (2, 5, 8), 7)


MODELS = {
    "lenet": lenet,
    "lstm": recurrent,
    "lstm of a fixed size": recurrent_alone,
    "mobilenetv2": lambda: models.prepared(models.MobileNetV2, SMALL, 4, CALIBRATION),
    "resnet18": lambda: models.prepared(models.ResNet18, SMALL, 5, CALIBRATION),
    "transformer": lambda: models.prepared(
        lambda: models.Transformer(2, 64, 4, 128), (1, 16, 64), 6),
}


def compiled(model: transpile.Model) -> Module:
    return transpile.compile(model, targets=["js", "webgl"])


def random_input(module: Module) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    return {n.name: rng.uniform(-1, 1, [d if isinstance(d, int) else 3 for d in n.shape])
            .astype(np.float32) for n in module.graph.inputs}


@pytest.mark.browser
@pytest.mark.parametrize("name", MODELS)
def test_models_agree_with_numpy(host: BrowserHost, name: str) -> None:
    module = compiled(MODELS[name]())
    inputs = random_input(module)
    expected = interpret(module.graph, inputs)
    for _ in range(2):  # nothing is left over from the first run
        found = host.run(module.source, inputs, "webgl")
        for key, value in expected.items():
            error = np.abs(found[key] - value).max() / np.abs(value).max()
            assert error < RELATIVE, f"{key}: {error}"
    assert host.messages == []


def counts(plan: WebglPlan) -> tuple[int, int, int]:
    return len(plan.draws), len(plan.shaders), len(plan.textures) - len(plan.weights)


@pytest.mark.parametrize(("name", "draws", "programs", "textures"), [
    ("lenet", 8, 8, 9), ("mobilenetv2", 68, 28, 14), ("resnet18", 30, 28, 16)])
def test_draws_programs_and_textures_are_few(name: str, draws: int, programs: int,
                                             textures: int) -> None:
    found = counts(webgl_plan(transpile.trace(MODELS[name]())))
    assert all(f <= most for f, most in zip(found, (draws, programs, textures), strict=True)), found


def test_a_scan_over_time_runs_between_draws() -> None:
    draws = webgl_plan(transpile.trace(recurrent())).draws
    assert [d.label.split(".")[0] for d in draws if isinstance(d, CpuCall)] == ["lstm"]


COUNTING = """
const live = new Map();
let draws = 0;
let allocated = 0;
const proto = WebGL2RenderingContext.prototype;
for (const kind of ['Texture', 'Framebuffer', 'Program', 'Shader', 'Buffer', 'Renderbuffer']) {
  const create = proto['create' + kind], remove = proto['delete' + kind];
  proto['create' + kind] = function (...args) {
    const made = create.apply(this, args);
    live.set(made, kind);
    return made;
  };
  proto['delete' + kind] = function (one) {
    live.delete(one);
    return remove.call(this, one);
  };
}
const { drawArrays, texStorage3D } = proto;
proto.drawArrays = function (...args) { draws++; return drawArrays.apply(this, args); };
proto.texStorage3D = function (...args) { allocated++; return texStorage3D.apply(this, args); };
globalThis.counted = () => ({ live: Array.from(live.values()).sort(), draws, allocated });
"""

LOADER = """
import './counting.js';
import * as module from './model.js';
globalThis.model = module;
"""


def opened(host: BrowserHost, module: Module) -> Any:
    page = host.open({
        "index.html": "<!doctype html><meta charset=utf-8>"
                      "<script type=module src=main.js></script>",
        "main.js": LOADER, "counting.js": COUNTING, "model.js": module.source})
    page.wait_for_function("() => globalThis.model")
    return page


def call(page: Any, body: str, inputs: dict[str, np.ndarray]) -> Any:
    given = json.dumps({k: {"data": v.ravel().tolist(), "shape": list(v.shape)}
                        for k, v in inputs.items()})
    return page.evaluate(f"async () => {{ const given = {given}; {body} }}")


@pytest.mark.browser
@pytest.mark.parametrize("precision", ["float32", "half"])
@pytest.mark.parametrize("model", [lenet, recurrent])
def test_nothing_is_allocated_after_the_first_run_and_nothing_stays(
        host: BrowserHost, model: Callable[[], transpile.Model], precision: str) -> None:
    module = compiled(model())
    found = call(opened(host, module), f"const precision = '{precision}';" + """
      const model = await globalThis.model.load({ target: 'webgl', debug: true, precision });
      await model.run(given);
      const first = counted();
      await model.run(given);
      const second = counted();
      model.dispose();
      return [first, second, counted(), model.skipped];
    """, random_input(module))
    first, second, end, skipped = found
    plan = webgl_plan(module.graph)
    assert first["allocated"] == second["allocated"] == len(plan.textures)
    draws = [d for d in plan.draws if not isinstance(d, CpuCall)]
    assert second["draws"] - first["draws"] == len(draws)
    assert end["live"] == []
    assert (skipped, host.messages) == ([], [])


FOUR = {
    "eight targets": ("", False),
    "four targets": ("""
      const { getParameter } = WebGL2RenderingContext.prototype;
      WebGL2RenderingContext.prototype.getParameter = function (name) {
        return name === this.MAX_DRAW_BUFFERS ? 4 : getParameter.call(this, name);
      };
    """, True),
    "eight targets of fewer bytes": ("""
      WebGL2RenderingContext.prototype.checkFramebufferStatus = function () {
        return this.FRAMEBUFFER_UNSUPPORTED;
      };
    """, True)}


def worthwhile(x: Any) -> Any:
    """Enough work for eight targets, few weights."""
    rng = np.random.default_rng(2)
    for inputs, outputs in ((3, 32), (32, 64), (64, 64)):
        weight = rng.normal(0, inputs ** -0.5 / 2, (outputs, inputs, 3, 3)).astype(np.float32)
        x = nn.relu(nn.conv2d(x, weight, padding=1))
    output = nn.adaptive_avg_pool2d(x, 1)
    return output  # noqa: RET504  (names in a model reach its JavaScript)


@pytest.mark.browser
@pytest.mark.parametrize("limit", FOUR)
def test_eight_targets_are_drawn_as_twice_four_where_drivers_take_no_more(
        host: BrowserHost, limit: str) -> None:
    script, twice = FOUR[limit]
    module = compiled(transpile.model(x=transpile.spec("float32", SMALL))(worthwhile))
    inputs = random_input(module)
    plan = plan_webgl(lower_graph(module.graph, "webgl").graph)
    written = [plan.textures[d.output].layers for d in plan.draws if isinstance(d, Draw)]
    assert MANY in written
    values, draws, end = call(opened(host, module), script + """
      const model = await globalThis.model.load({ target: 'webgl', debug: true });
      await model.run(given);
      const before = counted().draws;
      const { output } = await model.run(given);
      const { draws } = counted();
      model.dispose();
      return [Array.from(output.data), draws - before, counted().live];
    """, inputs)
    expected = interpret(module.graph, inputs)["output"].ravel()
    assert np.abs(np.array(values) - expected).max() < RELATIVE * np.abs(expected).max()
    assert draws == len(written) + twice * written.count(MANY)
    assert (end, host.messages) == ([], [])


@pytest.mark.browser
@pytest.mark.parametrize("restored", [True, False])
def test_a_lost_context_does_not_lose_a_call(host: BrowserHost, restored: bool) -> None:
    module = compiled(lenet())
    inputs = random_input(module)
    found = call(opened(host, module), f"""
      const canvas = document.createElement('canvas');
      const model = await globalThis.model.load({{ target: 'webgl', canvas }});
      const lose = canvas.getContext('webgl2').getExtension('WEBGL_lose_context');
      const before = await model.run(given);
      const running = model.run(given);
      await null;
      lose.loseContext();
      if ({json.dumps(restored)}) setTimeout(() => lose.restoreContext(), 100);
      const during = await running;
      const after = await model.run(given);
      return [before, during, after].map((r) => Array.from(r.probs.data))
        .concat([[model.target, model.skipped.length]]);
    """, inputs)
    expected = interpret(module.graph, inputs)["probs"].ravel()
    for values in found[:3]:
        np.testing.assert_allclose(values, expected, atol=1e-4)
    assert found[3] == (["webgl", 0] if restored else ["js", 1])


@pytest.mark.browser
def test_the_cpu_answers_while_shaders_compile(host: BrowserHost) -> None:
    module = compiled(lenet())
    found = call(opened(host, module), """
      const stages = [];
      const model = await globalThis.model.load({
        target: 'webgl', eager: true, onProgress: (p) => stages.push(p.stage)
      });
      const early = model.target;
      const first = await model.run(given);
      while (model.target !== 'webgl') await new Promise((resolve) => setTimeout(resolve, 20));
      const second = await model.run(given);
      const test = await model.selfTest();
      model.dispose();
      return [early, Array.from(first.probs.data), Array.from(second.probs.data), test.ok,
        stages.filter((s) => s === 'programs').length];
    """, random_input(module))
    assert found[0] == "js"
    np.testing.assert_allclose(found[1], found[2], atol=1e-5)
    assert found[3] is True
    assert found[4] == len(webgl_plan(module.graph).shaders)


@pytest.mark.browser
def test_without_float_targets_the_module_falls_back_and_says_why(host: BrowserHost) -> None:
    module = compiled(lenet())
    found = call(opened(host, module), """
      const { getExtension } = WebGL2RenderingContext.prototype;
      WebGL2RenderingContext.prototype.getExtension = function (name) {
        return name === 'EXT_color_buffer_float' ? null : getExtension.call(this, name);
      };
      const model = await globalThis.model.load({ target: 'webgl' });
      const { probs } = await model.run(given);
      return [model.target, model.skipped, probs.data.length];
    """, random_input(module))
    assert (found[0], found[2]) == ("js", 10)
    assert found[1] == [{"target": "webgl", "reason": "WebGL2 does not render to float32 here, "
                         "but does to half floats: precision 'half'"}]


@pytest.mark.browser
def test_it_runs_in_a_worker(host: BrowserHost) -> None:
    module = compiled(lenet())
    inputs = random_input(module)
    worker = """
      import { load } from './model.js';
      onmessage = async ({ data }) => {
        const model = await load({ target: 'webgl' });
        const { probs } = await model.run(data);
        postMessage([model.target, Array.from(probs.data)]);
      };
    """
    page = host.open({"index.html": "<!doctype html>", "model.js": module.source,
                      "worker.js": worker})
    target, values = call(page, """
      const worker = new Worker('worker.js', { type: 'module' });
      worker.postMessage(given);
      return new Promise((resolve, reject) => {
        worker.onmessage = ({ data }) => resolve(data);
        worker.onerror = (event) => reject(new Error(event.message));
      });
    """, inputs)
    assert target == "webgl"
    np.testing.assert_allclose(values, interpret(module.graph, inputs)["probs"].ravel(), atol=1e-4)


def test_shaders_pass_the_reference_compiler(tmp_path: Path) -> None:
    import shutil
    import subprocess

    from transpile.emit.runtime import runtime_folder
    checker = shutil.which("glslangValidator")
    runtime = (runtime_folder() / "webgl.js").read_text()
    head = runtime.split("shaderHead = `")[1].split("`")[0]
    plan = webgl_plan(transpile.trace(lenet()))
    paths = []
    for number, shader in enumerate(plan.shaders):
        paths.append(tmp_path / f"{number}.frag")
        paths[-1].write_text(head + shader)
        assert shader.isascii()
        assert not {"__", "webgl_"} & set(re.findall(r"__|webgl_", shader))
    if checker:
        done = subprocess.run([checker, *map(str, paths)], capture_output=True, text=True,
                              check=False)
        assert done.returncode == 0, done.stdout
