"""A network of Keras with separable convolutions that reads handwritten digits."""

from __future__ import annotations

from pathlib import Path

import transpile
from transpile.frontends.keras import load

FILE = Path(__file__).with_name("digits.keras")

if FILE.exists():
    digit = transpile.model(
        load(FILE).fn, image=transpile.spec("float32", ("batch", 8, 8, 1), low=0, high=1),
        labels="0 1 2 3 4 5 6 7 8 9".split())
