"""The examples' pages, opened from the disk in a browser, typed into and drawn on."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import FilePage

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tools"))

from build_examples import build  # noqa: E402
from screenshot import draw, stroke  # noqa: E402

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def page_of(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    folder = tmp_path_factory.mktemp("pages")
    return lambda name: build(name, folder, verify=False)


def test_linear_answers_the_button(file_page: FilePage, page_of: Callable[[str], Path]) -> None:
    page = file_page.open(page_of("linear"))
    page.wait_for_selector("body[data-ready]")
    for x, y in (("5", "14"), ("-0.5", "-2.5")):
        page.fill("input[name=x]", x)
        page.click("text=Predict")
        page.wait_for_function("y => document.querySelector('.output').innerText === y", arg=y)
    assert file_page.errors == []


def test_digits_reads_what_is_drawn(file_page: FilePage, page_of: Callable[[str], Path]) -> None:
    page = file_page.open(page_of("digits"))
    page.wait_for_selector("body[data-ready]")
    for digit, points in {"3": stroke(), "1": [(0.5, 0.1), (0.5, 0.9)],
                          "7": [(0.25, 0.15), (0.7, 0.15), (0.4, 0.9)],
                          "0": ring(0.5, 0.5, 0.24, 0.37)}.items():
        page.click("text=Clear")
        draw(page, points)
        page.wait_for_selector(f".output[data-best='{digit}']")
    assert page.locator(".output .bar").count() == 10
    assert file_page.errors == []


def ring(x: float, y: float, width: float, height: float) -> list[tuple[float, float]]:
    turns = [i * math.pi / 15 for i in range(31)]
    return [(x + width * math.sin(t), y - height * math.cos(t)) for t in turns]


def test_text_recognises_what_is_typed(file_page: FilePage, page_of: Callable[[str], Path]) -> None:
    page = file_page.open(page_of("text"))
    page.wait_for_selector("#answer[data-best=JavaScript]")
    for language, text in [("HTML", "<p>The <b>end</b>.</p>"), ("Python", "def main(args):"),
                           ("English", "The house stood on a hill near the sea.")]:
        page.fill("#snippet", text)
        page.wait_for_selector(f"#answer[data-best={language}]")
    assert page.locator("#answer .bar").count() == 5
    assert file_page.errors == []


def test_tabular_follows_its_sliders(file_page: FilePage, page_of: Callable[[str], Path]) -> None:
    page = file_page.open(page_of("tabular"))
    page.wait_for_selector("#answer[data-best]")
    wines = {"Variety 1": {"proline": "1500", "alcohol": "14.2", "flavanoids": "3.2"},
             "Variety 3": {"proline": "650", "alcohol": "13", "flavanoids": "0.5",
                           "hue": "0.6", "color intensity": "9"}}
    for variety, values in wines.items():
        for name, value in values.items():
            page.locator(f"input[name='{name}']").fill(value)
        page.wait_for_selector(f"#answer[data-best='{variety}']")
    assert file_page.errors == []
