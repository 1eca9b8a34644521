"""A pipeline of scikit-learn that tells three kinds of iris apart by four lengths in cm.

It is trained when this file is imported, in less than a second, and the same way each time.
"""

from __future__ import annotations

import numpy as np
from sklearn.datasets import load_iris
from sklearn.ensemble import RandomForestClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import PolynomialFeatures

import transpile

data = load_iris()
pipeline = make_pipeline(PolynomialFeatures(2, interaction_only=True, include_bias=False),
                         RandomForestClassifier(30, max_depth=5, random_state=0))
pipeline.fit(data.data.astype(np.float32), data.target_names[data.target])

flower = transpile.model(pipeline, lengths=transpile.spec(
    "float32", ("batch", 4), low=0, high=8, labels=data.feature_names))
