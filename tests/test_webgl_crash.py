"""The GPU process of the test's own browser is killed: no call of a model is lost."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from test_webgl_module import call, compiled, lenet, opened, random_input

from transpile.ir.interpret import interpret
from transpile.module import Module
from transpile.verify.browser import BrowserHost

pytestmark = pytest.mark.browser

DEATHS = 3
"""Browsers give contexts back after the first ones only."""


@pytest.fixture
def host() -> Iterator[BrowserHost]:
    with BrowserHost(timeout=120) as host:
        yield host


def kill_gpu_process(host: BrowserHost) -> None:
    """Waits for one where the last has just died."""
    session = host._browser.new_browser_cdp_session()
    gpu: list[int] = []
    for _ in range(100):
        processes = session.send("SystemInfo.getProcessInfo")["processInfo"]
        gpu = [p["id"] for p in processes if p["type"].lower() == "gpu"]
        if gpu:
            break
        time.sleep(0.1)
    session.detach()
    os.kill(gpu[0], signal.SIGKILL)


def start(host: BrowserHost, module: Module, inputs: dict[str, np.ndarray]) -> Any:
    page = opened(host, module)
    call(page, """
      globalThis.opened = await globalThis.model.load({ target: 'webgl' });
      globalThis.ask = () => opened.run(given).then(({ probs }) => Array.from(probs.data));
      await ask();""", inputs)
    return page


@pytest.mark.slow
def test_calls_that_wait_and_calls_after_are_answered(host: BrowserHost) -> None:
    module = compiled(lenet())
    inputs = random_input(module)
    expected = interpret(module.graph, inputs)["probs"].ravel()
    page = start(host, module, inputs)
    targets = []
    for death in range(DEATHS):
        if death % 2 == 0:
            page.evaluate("() => { globalThis.pending = ask(); }")
            kill_gpu_process(host)
        else:
            kill_gpu_process(host)
            page.evaluate("() => { globalThis.pending = ask(); }")
        during, after, target, skipped = page.evaluate(
            "async () => [await pending, await ask(), opened.target, opened.skipped]")
        np.testing.assert_allclose([during, after], [expected] * 2, atol=1e-4)
        # It says so once it goes on without.
        assert (target, len(skipped)) in (("webgl", 0), ("js", 1))
        targets.append(target)
    assert targets == sorted(targets, reverse=True)  # there is no way back from the fallback
    assert page.evaluate("() => { opened.dispose(); return opened.target; }")


def test_a_load_is_answered_too(host: BrowserHost) -> None:
    module = compiled(lenet())
    inputs = random_input(module)
    page = start(host, module, inputs)
    page.evaluate("() => { globalThis.loading = globalThis.model.load({ target: 'webgl' }); }")
    kill_gpu_process(host)
    found = call(page, """
      const model = await loading;
      const { probs } = await model.run(given);
      return [Array.from(probs.data), model.target, model.skipped.length];""", inputs)
    np.testing.assert_allclose(found[0], interpret(module.graph, inputs)["probs"].ravel(),
                               atol=1e-4)
    assert (found[1], found[2]) in (("webgl", 0), ("js", 1))
