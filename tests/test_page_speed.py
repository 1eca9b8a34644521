"""The page's targets in a real browser: the switch, times, memory, and a bar for each kernel."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import FilePage
from emit_programs import emit
from test_emit_names import HOSTILE, hostile

import transpile
from transpile import nn
from transpile.module import Module
from transpile.targets.glsl.programs import plan_webgl
from transpile.verify.browser import BrowserHost

pytestmark = pytest.mark.browser

RNG = np.random.default_rng(5)
FIRST = RNG.standard_normal((4, 12)).astype(np.float32)
SECOND = RNG.standard_normal((12, 3)).astype(np.float32)
INLINE = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'"


@transpile.model(x=transpile.spec("float32", ("batch", 4)))
def two_layers(x: Any) -> Any:
    hidden = np.tanh(x @ FIRST)
    return nn.softmax(hidden @ SECOND)


@pytest.fixture(scope="module")
def module() -> Module:
    return transpile.compile(two_layers, targets=["js", "wasm", "webgl"], format="html")


@pytest.fixture(scope="module")
def host() -> Iterator[BrowserHost]:
    with BrowserHost() as host:
        yield host


def measured(page: Any) -> Any:
    page.wait_for_selector("body[data-ready]")
    if page.is_enabled("#measure"):  # else it measures unasked
        page.click("#measure")
    page.wait_for_selector("#speed[data-measured]")
    return page


def complaints(file_page: FilePage) -> list[str]:
    """Errors and warnings, but for the driver's remark that reading pixels takes time."""
    return [e for e in file_page.errors if "GPU stall due to ReadPixels" not in e]


def test_targets_are_switched_and_each_has_a_bar_for_each_kernel(
        file_page: FilePage, tmp_path: Path, module: Module) -> None:
    module.save(tmp_path / "page.html")
    page = measured(file_page.open(tmp_path / "page.html"))
    kernels = {p.target: {k.name for k in p.kernels} for p in module.programs if p.kernels}
    kernels["webgl"] = {d.label for d in plan_webgl(module.programs[-1].graph).draws}
    best = page.get_attribute("#output-0", "data-best")
    assert page.locator(".fastest").count() >= 1
    for target in ("webgl", "js", "wasm"):
        page.check(f"input[value={target}]")
        page.wait_for_function(
            "target => document.getElementById('status').textContent.endsWith(`on ${target}`) &&"
            "  document.querySelector('caption').textContent.includes(` ${target},`)", arg=target)
        assert page.get_attribute("#output-0", "data-best") == best
        assert set(page.locator(".kernel th").all_text_contents()) == kernels[target]
        assert page.locator(".kernel").count() == len(kernels[target])
        assert float(page.get_attribute(f"#target-{target}", "data-time")) > 0
        assert ("textures" in page.text_content(f"#target-{target} .note")) == (target == "webgl")
    assert complaints(file_page) == []


def test_the_switch_is_worked_by_keyboard_and_has_labels(
        file_page: FilePage, tmp_path: Path, module: Module) -> None:
    module.save(tmp_path / "page.html")
    page = measured(file_page.open(tmp_path / "page.html"))
    page.focus("input[name=target]:checked")
    page.keyboard.press("ArrowUp")  # from wasm to js
    page.wait_for_function("document.querySelector('caption').textContent.includes(' js,')")
    assert page.get_by_role("radio", name="WebGL2").count() == 1
    assert page.get_by_role("button", name="Measure again").is_enabled()
    assert page.get_by_role("row").count() == 1 + page.locator(".kernel").count()
    assert complaints(file_page) == []


def test_a_target_that_does_not_work_says_why(host: BrowserHost, module: Module) -> None:
    """No compilation of WebAssembly under this policy, and no WebGL2 at all."""
    stub = "<script>HTMLCanvasElement.prototype.getContext = () => null;</script>"
    source = module.source.replace("<head>", f"<head><link rel=icon href=data:,>{stub}")
    page = measured(host.open({"index.html": source},
                              headers={"Content-Security-Policy": f"{INLINE}; img-src data:"}))
    assert page.is_disabled("input[value=webgl]")
    assert "there is no WebGL2 here" in page.text_content("#target-webgl")
    assert page.is_disabled("input[value=wasm]")
    assert "WebAssembly" in page.text_content("#target-wasm .note")
    assert page.is_checked("input[value=js]")
    assert page.locator(".kernel").count() == len(module.programs[0].kernels)


def test_no_violation_of_a_policy_that_forbids_the_network(
        host: BrowserHost, module: Module) -> None:
    policy = f"{INLINE} 'wasm-unsafe-eval'; img-src data:"
    source = module.source.replace("<head>", "<head><link rel=icon href=data:,>")
    page = measured(host.open({"index.html": source}, headers={"Content-Security-Policy": policy}))
    assert page.locator(".target:not(.missing)").count() == 3
    assert host.messages == []


@pytest.mark.parametrize("name", HOSTILE[:4])
def test_hostile_names_are_text(file_page: FilePage, tmp_path: Path, name: str) -> None:
    path = tmp_path / "page.html"
    path.write_text(emit(hostile(name), format="html").code, encoding="ascii")
    page = measured(file_page.open(path))
    assert page.locator(".kernel").count() == 1
    assert page.evaluate("document.querySelectorAll('main img, main script, main b b').length") == 0
    assert complaints(file_page) == []


def test_only_pages_have_steps(module: Module) -> None:
    plain = transpile.compile(two_layers, targets=["js", "wasm", "webgl"]).source
    assert "callSteps" in module.source
    assert not [w for w in ("callSteps", "drawSteps", "step0", "timeKernels") if w in plain]
