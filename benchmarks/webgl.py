"""WebGL2 in Chromium beside TensorFlow.js: first run, steady runs in turns, draws and programs."""

from __future__ import annotations

import json
import statistics
from pathlib import Path
from typing import Any

from benchmarks.browser import FLAGS, SETTLE, page_name, served

OURS, PEER = "transpile webgl", "tfjs-webgl"
MODELS = ("lenet", "mobilenetv2")
"""What the comparison is made on: a small and a large convolutional network."""

COUNTERS = """
window.counts = { draws: 0, programs: 0 };
const gl = WebGL2RenderingContext.prototype;
for (const [name, counter] of [['drawArrays', 'draws'], ['drawElements', 'draws'],
  ['linkProgram', 'programs']]) {
  const original = gl[name];
  gl[name] = function (...args) {
    window.counts[counter]++;
    return original.apply(this, args);
  };
}
"""
ONE_RUN = """async () => {
  const draws = window.counts.draws, start = performance.now();
  await window.again();
  return [performance.now() - start, window.counts.draws - draws];
}"""
DONE = "window.finished || window.failed"
TIMEOUT = 300_000


def measure(stem: Path, rounds: int, repeats: int) -> dict[str, dict[str, Any]]:
    """By runtime: `first` (ms from loading to the first result, the fastest of `repeats` browsers),
    `runs` (ms of single runs, in turns with the other's), `draws` of a run, `first draws` until the
    first result, `programs` linked."""
    from playwright.sync_api import sync_playwright

    from transpile.verify.browser import find_chromium
    shape = json.dumps(json.loads(stem.with_suffix(".shape").read_text()), separators=(",", ":"))
    found: dict[str, dict[str, Any]] = {OURS: {}, PEER: {}}
    with sync_playwright() as playwright, served(stem.parent.parent.resolve()) as address:
        def launch() -> Any:
            return playwright.chromium.launch(executable_path=find_chromium(), args=[
                *FLAGS, "--enable-unsafe-swiftshader"])
        urls = {name: f"{address}/site/{page_name(name, stem.name)}.html"
                      f"?model={stem.name}&shape={shape}" for name in found}
        for name, url in urls.items():
            found[name]["first"] = min(_first(launch, url) for _ in range(repeats))
        browser = launch()
        try:
            pages = {name: _open(browser, url) for name, url in urls.items()}
            samples: dict[str, list[tuple[float, int]]] = {name: [] for name in pages}
            for _ in range(rounds):
                for name, page in pages.items():
                    page.bring_to_front()
                    samples[name].append(page.evaluate(ONE_RUN))
            for name, page in pages.items():
                found[name] |= {"runs": [time for time, _ in samples[name]],
                                "draws": samples[name][0][1],
                                "first draws": page.evaluate("window.firstDraws"),
                                "programs": page.evaluate("window.counts.programs")}
        finally:
            browser.close()
    return found


def ratios(found: dict[str, dict[str, Any]]) -> dict[str, float]:
    """The peer's figures over ours: how many times as fast, how many times fewer."""
    ours, peer = found[OURS], found[PEER]
    pairs = zip(peer["runs"], ours["runs"], strict=True)
    return {"steady": statistics.median(a / b for a, b in pairs),
            **{k: peer[k] / ours[k] for k in ("first", "draws", "first draws", "programs")}}


def _first(launch: Any, url: str) -> float:
    browser = launch()
    try:
        return float(_open(browser, url).evaluate("window.firstRun"))
    finally:
        browser.close()


def _open(browser: Any, url: str) -> Any:
    """A page that has run the model."""
    page = browser.new_page()
    page.add_init_script(COUNTERS)
    page.wait_for_timeout(SETTLE)
    page.goto(url, wait_until="commit")
    page.wait_for_function(DONE, polling=100, timeout=TIMEOUT)
    problem = page.evaluate("window.failed")
    if problem:
        raise RuntimeError(f"{url}: {problem}")
    return page
