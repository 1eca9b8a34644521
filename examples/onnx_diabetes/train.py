"""Trains boosted trees on scikit-learn's diabetes data and writes diabetes.onnx.

The target is a measure of how far the disease goes on within a year (Efron and others, 2004).
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from skl2onnx import to_onnx
from sklearn.datasets import load_diabetes
from sklearn.ensemble import GradientBoostingRegressor

FILE = Path(__file__).with_name("diabetes.onnx")


def main() -> None:
    data = load_diabetes(scaled=False)
    x = data.data.astype(np.float32)
    model = GradientBoostingRegressor(n_estimators=60, max_depth=2, random_state=0)
    model.fit(x[:-90], data.target[:-90])
    print(f"R2 {model.score(x[-90:], data.target[-90:]):.2f} held out")
    FILE.write_bytes(to_onnx(model, x[:1], target_opset={"": 21, "ai.onnx.ml": 3}
                             ).SerializeToString())


if __name__ == "__main__":
    main()
