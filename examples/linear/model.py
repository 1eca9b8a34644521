"""A straight line, learnt from six points: the "hello world" of machine learning."""

from __future__ import annotations

from pathlib import Path

import numpy as np

import transpile

weights = np.load(Path(__file__).with_name("weights.npz"))
slope = weights["slope"]
offset = weights["offset"]


@transpile.model(x=transpile.spec("float32", ("batch", 1)))
def line(x):
    """`x`: float32[batch, 1], any numbers; gives `y`, float32[batch, 1]."""
    y = x @ slope + offset
    return y
