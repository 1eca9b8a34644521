"""A small convolutional network that reads handwritten digits of 8 x 8 pixels."""

from __future__ import annotations

from pathlib import Path

import numpy as np

import transpile
from transpile import nn

weights = np.load(Path(__file__).with_name("weights.npz"))
conv1_weight, conv1_bias = weights["conv1_weight"], weights["conv1_bias"]
conv2_weight, conv2_bias = weights["conv2_weight"], weights["conv2_bias"]
dense_weight, dense_bias = weights["dense_weight"], weights["dense_bias"]


@transpile.model(image=transpile.spec("float32", ("batch", 1, 8, 8), low=0, high=1),
                 labels="0 1 2 3 4 5 6 7 8 9".split())
def digit(image):
    """`image`: float32[batch, 1, 8, 8], 0 (paper) to 1 (ink); gives `probs`, float32[batch, 10]."""
    edges = np.maximum(nn.conv2d(image, conv1_weight, conv1_bias, padding=1), 0)
    shapes = np.maximum(nn.conv2d(edges, conv2_weight, conv2_bias, padding=1), 0)
    pooled = nn.max_pool2d(shapes, 2)
    logits = pooled.reshape(-1, 256) @ dense_weight + dense_bias
    probs = nn.softmax(logits)
    return probs
