"""Which language a snippet is in: a recurrent network that reads it character by character."""

from __future__ import annotations

from pathlib import Path

import numpy as np

import transpile
from transpile import nn

LANGUAGES = ("Python", "JavaScript", "C and C++", "HTML", "English")
LENGTH = 64

weights = np.load(Path(__file__).with_name("weights.npz"))
characters = weights["characters"]
input_weight, input_bias = weights["input_weight"], weights["input_bias"]
state_weight, state_bias = weights["state_weight"], weights["state_bias"]
output_weight, output_bias = weights["output_weight"], weights["output_bias"]


def encode(text: str) -> np.ndarray:
    """int32[1, 64]: the first 64 characters as ASCII codes (127 for others), padded with 0 before.

    The page does the same in JavaScript.
    """
    codes = [code if (code := ord(c)) < 128 else 127 for c in text[:LENGTH]]
    return np.array([[0] * (LENGTH - len(codes)) + codes], dtype=np.int32)


@transpile.model(ids=transpile.spec("int32", ("batch", LENGTH), low=0, high=127),
                 labels=LANGUAGES)
def language(ids):
    """`ids`: int32[batch, 64], from `encode`; gives `probs`, float32[batch, 5]."""
    embedded = nn.embedding(ids, characters)
    _, summary = nn.gru(embedded, input_weight, state_weight, input_bias, state_bias,
                        batch_first=True)
    probs = nn.softmax(summary @ output_weight.T + output_bias)
    return probs
