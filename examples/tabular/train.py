"""Trains the perceptron on scikit-learn's wine data (UCI) and writes weights.npz and features.js.

Seeded: the result is the same each time.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from sklearn.datasets import load_wine
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier
from sklearn.preprocessing import StandardScaler

HERE = Path(__file__).parent


def main() -> None:
    data = load_wine()
    train_x, test_x, train_y, test_y = train_test_split(
        data.data, data.target, test_size=0.3, stratify=data.target, random_state=0
    )
    scaler = StandardScaler().fit(train_x)
    network = MLPClassifier((16,), activation="tanh", alpha=0.1, max_iter=2000, random_state=0)
    network.fit(scaler.transform(train_x), train_y)
    accuracy = network.score(scaler.transform(test_x), test_y)
    print(f"accuracy on {len(test_y)} held-out wines: {accuracy:.2%}")
    arrays = {
        "mean": scaler.mean_, "scale": scaler.scale_,
        "hidden_weight": network.coefs_[0], "hidden_bias": network.intercepts_[0],
        "output_weight": network.coefs_[1], "output_bias": network.intercepts_[1],
    }
    np.savez(HERE / "weights.npz", **{name: a.astype(np.float32) for name, a in arrays.items()})
    features = [
        {"name": name.replace("_", " "), "low": low, "typical": typical, "high": high}
        for name, low, typical, high in zip(
            data.feature_names,
            data.data.min(axis=0).tolist(),
            np.median(data.data, axis=0).round(3).tolist(),
            data.data.max(axis=0).tolist(),
            strict=True,
        )
    ]
    lines = ",\n".join(f"  {json.dumps(feature)}" for feature in features)
    (HERE / "features.js").write_text(f"const features = [\n{lines}\n];\n", encoding="utf-8")


if __name__ == "__main__":
    main()
