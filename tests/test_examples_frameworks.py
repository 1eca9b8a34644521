"""The example folders for other frameworks: each page does its work in a browser."""

from __future__ import annotations

import math
import sys
from pathlib import Path
from typing import Any

import pytest
from conftest import FilePage

import transpile
from transpile.sources import resolve

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tools"))

from screenshot import draw  # noqa: E402

pytestmark = pytest.mark.browser

SOURCES = {"torch_digits": "net.py:digit", "keras_digits": "net.py:digit",
           "sklearn_flowers": "flowers.py:flower", "onnx_diabetes": "diabetes.onnx"}

ONE = [(0.5, 0.1), (0.5, 0.9)]
ZERO = [(0.5 + 0.22 * math.sin(i * math.pi / 15), 0.5 - 0.36 * math.cos(i * math.pi / 15))
        for i in range(31)]


def framework_model(name: str) -> Any:
    """The model of an example, if the library that runs it is installed."""
    pytest.importorskip("torch" if name in ("torch_digits", "keras_digits") else "onnx")
    return resolve(str(ROOT / "examples" / name / SOURCES[name]))


def built(name: str, folder: Path) -> Path:
    transpile.build(framework_model(name), folder / f"{name}.html", targets=["js"], verify=False)
    return folder / f"{name}.html"


@pytest.mark.parametrize("name", ["torch_digits", "keras_digits"])
def test_digits_are_read(name: str, file_page: FilePage, tmp_path: Path) -> None:
    page = file_page.open(built(name, tmp_path))
    page.wait_for_selector("body[data-ready]")
    for digit, points in {"1": ONE, "0": ZERO}.items():
        page.click("text=Clear")
        draw(page, points)
        page.wait_for_selector(f".output[data-best='{digit}']")
    assert file_page.errors == []


def test_flowers_have_names(file_page: FilePage, tmp_path: Path) -> None:
    page = file_page.open(built("sklearn_flowers", tmp_path))
    page.wait_for_selector("body[data-ready]")
    for name, values in {"setosa": (5.0, 3.4, 1.4, 0.2), "virginica": (6.6, 3.0, 5.6, 2.1)}.items():
        for box, value in zip(page.locator("input[type=number]").all(), values, strict=True):
            box.fill(str(value))
        page.click("text=Predict")
        page.wait_for_selector(f".output[data-best='{name}']")
    assert file_page.errors == []


def test_the_form_answers(file_page: FilePage, tmp_path: Path) -> None:
    page = file_page.open(built("onnx_diabetes", tmp_path))
    page.wait_for_selector("body[data-ready]")
    assert page.locator("input").count() >= 10
    page.click("text=Predict")
    page.wait_for_function("() => /[0-9]/.test(document.querySelector('.output').innerText)")
    assert file_page.errors == []
