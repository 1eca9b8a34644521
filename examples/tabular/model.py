"""Which grape variety a wine was made of, from a chemical analysis of 13 numbers."""

from __future__ import annotations

from pathlib import Path

import numpy as np

import transpile
from transpile import nn

VARIETIES = ("Variety 1", "Variety 2", "Variety 3")

weights = np.load(Path(__file__).with_name("weights.npz"))
mean, scale = weights["mean"], weights["scale"]
hidden_weight, hidden_bias = weights["hidden_weight"], weights["hidden_bias"]
output_weight, output_bias = weights["output_weight"], weights["output_bias"]


@transpile.model(analysis=transpile.spec("float32", ("batch", 13)), labels=VARIETIES)
def variety(analysis):
    """`analysis`: float32[batch, 13], as measured; gives `probs`, float32[batch, 3]."""
    standard = (analysis - mean) / scale
    hidden = np.tanh(standard @ hidden_weight + hidden_bias)
    probs = nn.softmax(hidden @ output_weight + output_bias)
    return probs
