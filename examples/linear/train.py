"""Learns y = 3x - 1 from six points by gradient descent, and writes weights.npz."""

from __future__ import annotations

from pathlib import Path

import numpy as np

x = np.array([[-1.0], [0.0], [1.0], [2.0], [3.0], [4.0]])
y = np.array([[-4.0], [-1.0], [2.0], [5.0], [8.0], [11.0]])

slope, offset = np.zeros((1, 1)), np.zeros(1)
for _ in range(1000):
    error = x @ slope + offset - y
    slope -= 0.1 * x.T @ error / len(x)
    offset -= 0.1 * error.mean(axis=0)

np.savez(
    Path(__file__).with_name("weights.npz"),
    slope=slope.astype(np.float32),
    offset=offset.astype(np.float32),
)
print(f"y = {slope.item():.4f} x + {offset.item():.4f}")
