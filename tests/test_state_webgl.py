"""State between runs on WebGL2: runs wait for each other, contexts get lost, the CPU takes over."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from test_state import SIGNAL, STEPS, one, rows, whole

import transpile
from transpile.module import Module
from transpile.verify.browser import BrowserHost

STRICT = {"Content-Security-Policy": "default-src 'none'; script-src 'self'"}

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def host() -> Iterator[BrowserHost]:
    with BrowserHost(headers=STRICT, timeout=300) as host:
        yield host


def call(host: BrowserHost, module: Module, body: str) -> Any:
    page = host.open({
        "index.html": "<!doctype html><script type=module src=main.js></script>",
        "main.js": "import * as module from './model.js'; globalThis.api = module;",
        "model.js": module.source})
    page.wait_for_function("() => globalThis.api")
    return page.evaluate(f"""async () => {{
      const signal = {json.dumps(SIGNAL.tolist())};
      const values = (results) => results.map((r) => Array.from(r.y.data));
      {body}
    }}""")


def test_calls_that_wait_for_each_other(host: BrowserHost) -> None:
    module = transpile.compile(one, targets=["js", "webgl"], state={"h": "hn"})
    first, again, test, target = call(host, module, """
      const model = await api.load({ target: 'webgl' });
      const stream = () => signal[0].map((x) => model.run({ x }));
      const first = stream();
      model.reset();
      const again = stream();
      again.splice(3, 0, again[3]);
      const test = model.selfTest();
      const both = [await Promise.all(first), await Promise.all(again)].map(values);
      return [...both, await test, model.target];
    """)
    np.testing.assert_allclose(first, whole()[0], atol=1e-4)
    np.testing.assert_allclose(np.delete(again, 3, axis=0), whole()[0], atol=1e-4)
    assert test["ok"]
    assert target == "webgl"
    assert host.messages == []


def test_synchronous_runs_and_tests_between(host: BrowserHost) -> None:
    module = transpile.compile(rows, targets=["js", "webgl"], state={"h": "hn"})
    found, ok, after = call(host, module, """
      const model = await api.load({ target: 'webgl' });
      const step = (t) => ({ x: signal.map((row) => row[t]) });
      const results = [];
      let ok = true;
      for (let t = 0; t < signal[0].length; t++) {
        results.push(t % 3 === 1 ? model.runSync(step(t)) : await model.run(step(t)));
        ok = ok && (await model.selfTest()).ok;
      }
      model.reset();
      const after = [model.runSync(step(0)), await model.run(step(1))];
      return [values(results), ok, values(after)];
    """)
    wanted = whole().swapaxes(0, 1).reshape(STEPS, -1)
    np.testing.assert_allclose(found, wanted, atol=1e-4)
    np.testing.assert_allclose(after, wanted[:2], atol=1e-4)
    assert ok


@pytest.mark.parametrize("restored", [True, False])
def test_a_lost_context_does_not_lose_the_state(host: BrowserHost, restored: bool) -> None:
    module = transpile.compile(one, targets=["js", "webgl"], state={"h": "hn"})
    found, target = call(host, module, f"""
      const canvas = document.createElement('canvas');
      const model = await api.load({{ target: 'webgl', canvas }});
      const lose = canvas.getContext('webgl2').getExtension('WEBGL_lose_context');
      const results = [];
      for (const [t, x] of signal[0].entries()) {{
        const running = model.run({{ x }});
        if (t === 3) {{
          await null;
          lose.loseContext();
          if ({json.dumps(restored)}) setTimeout(() => lose.restoreContext(), 100);
        }}
        results.push(await running);
      }}
      return [values(results), model.target];
    """)
    np.testing.assert_allclose(found, whole()[0], atol=1e-4)
    assert target == ("webgl" if restored else "js")


def test_verification_gives_the_state(host: BrowserHost) -> None:
    module = transpile.compile(one, targets=["js", "webgl"], state={"h": "hn"})
    x, h = SIGNAL[0, :1], np.full((1, 6), 0.5, np.float32)
    found = host.run(module.source, {"x": x, "h": h}, "webgl")
    wanted = module.run({"x": x, "h": h}, "js")
    for name in ("y", "hn"):
        np.testing.assert_allclose(found[name], wanted[name], atol=1e-4)
