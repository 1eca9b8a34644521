"""Accuracy on the held-out digits, by the Python function and by the emitted module."""

from __future__ import annotations

import sys

import numpy as np
from data import load
from model import digit

import transpile


def main() -> int:
    """Prints both accuracies; 1 if they differ."""
    _, _, images, labels = load()
    module = transpile.compile(digit)
    answers = {
        "Python": digit(images),
        "JavaScript": module.run({"image": images})["probs"],
    }
    right = {name: int(np.sum(probs.argmax(axis=1) == labels)) for name, probs in answers.items()}
    for name, count in right.items():
        print(f"{name:<11} {count} of {len(labels)} digits ({count / len(labels):.2%})")
    return int(right["Python"] != right["JavaScript"])


if __name__ == "__main__":
    sys.exit(main())
