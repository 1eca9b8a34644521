"""Writes expected.json of every example: inputs, and what the Python function answers to them.

Run it after training: `python tools/update_expected.py`. The tests hold Python and JavaScript to it.
"""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.datasets import load_digits, load_wine

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"


def _linear(_: Any) -> np.ndarray:
    return np.array([[5.0], [-2.0], [0.5]], dtype=np.float32)


def _digits(_: Any) -> np.ndarray:
    images = load_digits().images[-3:] / 16
    return images.astype(np.float32)[:, None]


def _tabular(_: Any) -> np.ndarray:
    return load_wine().data[[0, 60, 177]].astype(np.float32)


def _text(module: Any) -> np.ndarray:
    samples = json.loads((EXAMPLES / "text" / "samples.json").read_text(encoding="utf-8"))
    return np.concatenate([module.encode(text) for _, text in samples[::7]])


INPUTS: dict[str, tuple[str, str, Callable[[Any], np.ndarray], str]] = {
    "linear": ("line", "x", _linear, "y"),
    "digits": ("digit", "image", _digits, "probs"),
    "tabular": ("variety", "analysis", _tabular, "probs"),
    "text": ("language", "ids", _text, "probs"),
}
"""Per example: the model, its input, what to try, and its output."""


def expected(name: str) -> dict[str, Any]:
    """Inputs and outputs of one example as nested lists."""
    path = EXAMPLES / name / "model.py"
    spec = importlib.util.spec_from_file_location(f"example_{name}", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    model, input_name, make, output_name = INPUTS[name]
    x = make(module)
    y = np.asarray(getattr(module, model)(x), dtype=np.float64)
    return {
        "inputs": {input_name: {"dtype": str(x.dtype), "data": x.tolist()}},
        "outputs": {output_name: y.round(6).tolist()},
    }


def main() -> None:
    """Write all."""
    for name in INPUTS:
        text = json.dumps(expected(name))
        (EXAMPLES / name / "expected.json").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
