"""BrowserHost: the same hand-written modules as under Node, in a real page."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from transpile.errors import DependencyError
from transpile.verify.browser import BrowserHost, find_chromium
from transpile.verify.node import JavaScriptError

MODULE = """
const run = async ({ x }) => {
  %s
  return { y: { data: x.data.map((v) => 2 * v), shape: x.shape, dtype: 'float32' } };
};
const selfTest = async () => ({ ok: true });
export const load = async () => ({ target: 'js', run, selfTest, dispose() {} });
"""
STRICT = {"Content-Security-Policy": "default-src 'none'; script-src 'self'"}


@pytest.fixture(scope="module")
def host() -> Iterator[BrowserHost]:
    with BrowserHost(headers=STRICT) as host:
        yield host


@pytest.mark.browser
@pytest.mark.parametrize("size", [0, 1, 40_000])
def test_runs_a_module_under_a_strict_policy(host: BrowserHost, size: int) -> None:
    x = np.linspace(-1, 1, size, dtype=np.float32)
    np.testing.assert_array_equal(host.run(MODULE % "", {"x": x})["y"], 2 * x)
    assert host.messages == []


@pytest.mark.browser
def test_an_exception_and_a_violation_are_reported(host: BrowserHost) -> None:
    with pytest.raises(JavaScriptError, match="TypeError: bad"):
        host.run(MODULE % "throw new TypeError('bad');", {"x": [1.0]})
    with pytest.raises(JavaScriptError, match="EvalError"):
        host.run(MODULE % "new Function('1')();", {"x": [1.0]})
    assert host.self_test(MODULE % "") == {"ok": True}


@pytest.mark.browser
def test_a_page_is_served_from_memory(host: BrowserHost) -> None:
    page = host.open({"index.html": "<title>it</title><script>document.title = 1</script>"})
    assert page.title() == "it"
    assert any("Content Security Policy" in message for message in host.messages)
    assert host.run(MODULE % "", {"x": [1.0]})["y"].tolist() == [2.0]


@pytest.mark.browser
def test_a_target_that_fails_during_a_run_is_no_success(host: BrowserHost) -> None:
    """The module's answer is right, but from another target than the one that was asked for."""
    module = """
      const model = { target: 'webgl', skipped: [], run: async ({ x }) => {
        model.target = 'js';
        model.skipped.push({ target: 'webgl', reason: 'WebGL 1282 in draws' });
        return { y: { data: x.data, shape: x.shape, dtype: 'float32' } };
      } };
      export const load = async (options) => {
        if (!options.debug) throw new Error('errors of WebGL are not looked for');
        return model;
      };"""
    with pytest.raises(JavaScriptError, match="1282 in draws"):
        host.run(module, {"x": [1.0]}, "webgl")


def test_a_missing_browser_names_the_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRANSPILE_CHROMIUM", "/nowhere/chromium")
    with pytest.raises(DependencyError, match="TRANSPILE_CHROMIUM"):
        find_chromium()
