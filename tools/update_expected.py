"""Writes expected.json of every example: inputs, and what the Python function answers to them.

Run it after training. The tests hold both Python and JavaScript to these files.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.datasets import load_digits, load_wine

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"


def _linear() -> np.ndarray:
    return np.array([[5.0], [-2.0], [0.5]], dtype=np.float32)


def _digits() -> np.ndarray:
    images = np.asarray(load_digits().images[[1437, 1500, 1600]], np.float32)
    return images[:, None] / 16


def _tabular() -> np.ndarray:
    return np.asarray(load_wine().data[[0, 60, 177]], np.float32)


def _text() -> np.ndarray:
    from transpile.sources import resolve
    encode = resolve(f"{EXAMPLES / 'text' / 'model.py'}:encode")
    samples = json.loads((EXAMPLES / "text" / "samples.json").read_text(encoding="utf-8"))
    return np.concatenate([encode(text) for _, text in samples[::7]])


INPUTS: dict[str, tuple[str, Callable[[], np.ndarray], str]] = {
    "linear": ("x", _linear, "y"),
    "digits": ("image", _digits, "probs"),
    "tabular": ("analysis", _tabular, "probs"),
    "text": ("ids", _text, "probs"),
}
"""Per example: its input, what to try, and its output."""


def expected(name: str) -> dict[str, Any]:
    """Inputs and outputs of one example as nested lists."""
    from transpile.sources import resolve
    model = resolve(str(EXAMPLES / name / "model.py"))
    input_name, make, output_name = INPUTS[name]
    x = make()
    y = np.asarray(model(x), dtype=np.float64)
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
