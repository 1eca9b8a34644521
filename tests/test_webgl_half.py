"""Half-float textures on request, for devices that render to nothing better."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from test_webgl_module import call, compiled, lenet, opened, random_input, recurrent

import transpile
from transpile.ir.interpret import interpret
from transpile.module import Module
from transpile.verify.browser import BrowserHost
from transpile.verify.half import HALF

pytestmark = pytest.mark.browser

HALF_PRECISION = 0.01
"""Of the largest output; half floats have eleven bits."""


@pytest.fixture(scope="module")
def host() -> Iterator[BrowserHost]:
    with BrowserHost(timeout=300) as host:
        yield host


@pytest.fixture(scope="module")
def module() -> Module:
    return compiled(lenet())


def without(*extensions: str) -> str:
    """JavaScript that takes extensions away, as devices do that lack them."""
    return f"""
      const missing = {json.dumps(extensions)};
      const {{ getExtension }} = WebGL2RenderingContext.prototype;
      WebGL2RenderingContext.prototype.getExtension = function (name) {{
        return missing.includes(name) ? null : getExtension.call(this, name);
      }};
    """


RUN = """
  const model = await globalThis.model.load(Object.assign({ debug: true }, options));
  const { probs } = await model.run(given);
  const test = await model.selfTest();
  const found = [model.target, model.skipped.map((one) => one.reason), Array.from(probs.data),
    test.ok];
  model.dispose();
  return found;
"""
LESS = "WebGL2 does not render to float32 here, but does to half floats: precision 'half'"
NOTHING = "WebGL2 does not render to float32 here, nor to half floats"


@pytest.mark.parametrize(("missing", "options", "target", "skipped"), [
    ([], "{ target: 'webgl', precision: 'half' }", "webgl", []),
    (["EXT_color_buffer_float"], "{ target: 'webgl', precision: 'half' }", "webgl", []),
    (["EXT_color_buffer_float"], "{ target: 'webgl' }", "js", [LESS]),
    (["EXT_color_buffer_float", "EXT_color_buffer_half_float"],
     "{ target: 'webgl', precision: 'half' }", "js", [NOTHING])])
def test_half_floats_are_used_on_request_only(host: BrowserHost, module: Module, missing: list[str],
                                              options: str, target: str, skipped: list[str]
                                              ) -> None:
    inputs = random_input(module)
    found = call(opened(host, module), f"{without(*missing)} const options = {options}; {RUN}",
                 inputs)
    expected = interpret(module.graph, inputs)["probs"].ravel()
    error = np.abs(np.array(found[2]) - expected).max() / expected.max()
    half = "half" in options and target == "webgl"
    assert (found[0], found[1], found[3]) == (target, skipped, True)
    # Off by what half floats explain: more than float32 would be, and not much more.
    assert 1e-6 < error < HALF_PRECISION if half else error < 1e-6


AUTO = """
  HTMLCanvasElement.prototype.getContext = ((get) => function (kind, attributes) {
    return get.call(this, kind, Object.assign({}, attributes, {
      failIfMajorPerformanceCaveat: false
    }));
  })(HTMLCanvasElement.prototype.getContext);
"""
"""A software GPU would pass for none."""


@pytest.mark.parametrize("precision", ["float32", "half"])
def test_auto_goes_on_without(host: BrowserHost, precision: str) -> None:
    """With a model that is worth a GPU: the reason stands in `skipped`."""
    rng = np.random.default_rng(1)
    weights = rng.uniform(-1, 1, (1024, 1024)).astype(np.float32)

    @transpile.model(x=transpile.spec("float32", (128, 1024)))
    def large(x: Any) -> Any:
        return {"probs": np.tanh(x @ weights / 32)}
    module = compiled(large)
    page = opened(host, module)
    page.evaluate("() => { globalThis.rows = new Float32Array(128 * 1024).fill(0.01); }")
    found = call(page, f"""
      {without("EXT_color_buffer_float")} {AUTO}
      const canvas = document.createElement('canvas');
      const model = await globalThis.model.load({{ canvas, precision: '{precision}' }});
      const {{ probs }} = await model.run(rows);
      model.dispose();
      return [model.skipped, Array.from(probs.data.subarray(0, 50)), model.target];""", {})
    expected = np.tanh(np.full(1024, 0.01, np.float32) @ weights / 32)[:50]
    half = precision == "half"
    np.testing.assert_allclose(found[1], expected, atol=HALF_PRECISION if half else 1e-6)
    assert found[0] == ([] if half else [{"target": "webgl", "reason": LESS}])


def test_parts_on_the_cpu_take_part(host: BrowserHost) -> None:
    module = compiled(recurrent())
    inputs = random_input(module)
    (wanted,) = interpret(module.graph, inputs).values()
    (found,) = host.run(module.source, inputs, "webgl", precision="half").values()
    error = np.abs(found - wanted).max() / np.abs(wanted).max()
    assert 0 < error < HALF_PRECISION


def test_verification_prints_what_half_floats_cost(module: Module) -> None:
    found = module.verify(targets=["webgl"])
    assert found.ok
    assert 1e-6 < found.targets[HALF].max_rel < HALF_PRECISION
    assert found.targets["webgl"].max_rel < 1e-5


def test_an_overflow_is_told() -> None:
    @transpile.model(x=transpile.spec("float32", (8,), low=1.0, high=2.0))
    def large(x: Any) -> Any:
        return x * 1e5
    found = transpile.compile(large, targets=["js", "webgl"]).verify(targets=["webgl"])
    assert found.ok
    assert found.targets[HALF].max_rel == np.inf
