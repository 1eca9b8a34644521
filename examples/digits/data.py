"""scikit-learn's handwritten digits (UCI, 1797 images), in a fixed split."""

from __future__ import annotations

import numpy as np
from sklearn.datasets import load_digits

HELD_OUT = 360


def load() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Training images and labels, held-out images and labels.

    Images are float32[n, 1, 8, 8], 0 to 1; labels are int64[n]. The last 360 images are held out,
    not random ones: neighbours are often by one hand, and a random split would test on known hands.
    """
    images, labels = load_digits(return_X_y=True)
    images = (images / 16).astype(np.float32).reshape(-1, 1, 8, 8)
    split = len(images) - HELD_OUT
    return images[:split], labels[:split], images[split:], labels[split:]
