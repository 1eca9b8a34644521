"""Every example: Python and the emitted module give what its folder says they give."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import transpile
from transpile.sources import resolve

ROOT = Path(__file__).resolve().parent.parent
EXAMPLES = ROOT / "examples"
NAMES = sorted(path.parent.name for path in EXAMPLES.glob("*/model.py"))

GZIP_LIMIT = {"linear": 2_500, "digits": 9_000}
"""Bytes of everything but the weights, gzip -9."""

MINIFIED_LIMIT = {"linear": 2_000, "digits": 7_000}


def model_of(name: str) -> Any:
    return resolve(str(EXAMPLES / name / "model.py"))


def expected(name: str) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    data = json.loads((EXAMPLES / name / "expected.json").read_text(encoding="utf-8"))
    inputs = {k: np.array(v["data"], dtype=v["dtype"]) for k, v in data["inputs"].items()}
    return inputs, {k: np.array(v) for k, v in data["outputs"].items()}


def test_there_are_four_examples() -> None:
    assert NAMES == ["digits", "linear", "tabular", "text"]


@pytest.mark.parametrize("name", NAMES)
def test_python_gives_the_expected_output(name: str) -> None:
    inputs, outputs = expected(name)
    (wanted,) = outputs.values()
    np.testing.assert_allclose(model_of(name)(**inputs), wanted, rtol=1e-5, atol=2e-6)


@pytest.mark.parametrize("name", NAMES)
def test_the_module_gives_the_expected_output(name: str) -> None:
    inputs, outputs = expected(name)
    got = transpile.compile(model_of(name)).run(inputs)
    assert got.keys() == outputs.keys()
    for key, wanted in outputs.items():
        np.testing.assert_allclose(got[key], wanted, rtol=1e-5, atol=2e-6)


@pytest.mark.parametrize("name", GZIP_LIMIT)
def test_the_code_is_small(name: str) -> None:
    assert transpile.compile(model_of(name)).report.code_gzip <= GZIP_LIMIT[name]
    minified = transpile.compile(model_of(name), minify=True)
    assert minified.report.code_gzip <= MINIFIED_LIMIT[name]


def test_digits_has_the_same_accuracy_in_python_and_javascript() -> None:
    done = subprocess.run([sys.executable, EXAMPLES / "digits" / "evaluate.py"],
                          capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.returncode == 0, done.stderr
    python, javascript = (line.split(maxsplit=1)[1] for line in done.stdout.splitlines())
    assert python == javascript == "352 of 360 digits (97.78%)"


def test_text_knows_the_language_of_every_sample() -> None:
    model = model_of("text")
    module = sys.modules[model.fn.__module__]
    samples = json.loads((EXAMPLES / "text" / "samples.json").read_text(encoding="utf-8"))
    ids = np.concatenate([module.encode(text) for _, text in samples])
    best = transpile.compile(model).run({"ids": ids})["probs"].argmax(axis=1)
    assert [module.LANGUAGES[i] for i in best] == [language for language, _ in samples]


def test_tabular_tells_nearly_all_wines_apart() -> None:
    from sklearn.datasets import load_wine
    wines = load_wine()
    probs = transpile.compile(model_of("tabular")).run(
        {"analysis": wines.data.astype(np.float32)})["probs"]
    assert np.mean(probs.argmax(axis=1) == wines.target) > 0.97
