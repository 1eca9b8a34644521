"""Support vector machines of ai.onnx.ml, which are those of LIBSVM.

Chang, Lin, "LIBSVM: A library for support vector machines", 2011, sections 4.1 and 8.
"""

from __future__ import annotations

from itertools import combinations
from typing import Any

import numpy as np

from transpile.frontends.onnx_ops import onnx_op
from transpile.frontends.onnx_ops.ml import DOMAIN, floats, matrix
from transpile.frontends.onnx_ops.ml_scores import (
    chosen,
    class_outputs,
    post_transform,
    sigmoid,
    two_classes,
)
from transpile.frontends.onnx_values import Site
from transpile.frontends.tracer import Tracer, apply, cast


def kernel(n: Site, x: Tracer, vectors: np.ndarray) -> Any:
    """float32[rows, vectors]: the kernel of every row with every vector."""
    gamma, coef0, degree = (*n.attr("kernel_params", ()), 0.0, 0.0, 3.0)[:3]
    kind = n.attr("kernel_type", "LINEAR")
    if kind == "RBF":
        apart = x.reshape((x.shape[0], 1, x.shape[1])) - vectors
        return np.exp((apart * apart).sum(axis=-1) * np.float32(-gamma))
    product = x @ np.ascontiguousarray(vectors.T)
    if kind == "LINEAR":
        return product
    inner = product * np.float32(gamma) + np.float32(coef0)
    return np.tanh(inner) if kind == "SIGMOID" else inner ** np.float32(degree)


def support_vectors(n: Site, count: int) -> np.ndarray:
    return floats(n, "support_vectors").reshape(count, -1)


@onnx_op("SVMRegressor", domain=DOMAIN)
def svm_regressor(n: Site) -> Any:
    count, weights, rho = int(n.attr("n_supports", 0)), floats(n, "coefficients"), floats(n, "rho")
    x = matrix(n)
    terms = kernel(n, x, support_vectors(n, count)) if count else x
    y = terms @ weights.reshape(-1, 1) + rho[0]
    if n.attr("one_class", 0):
        y = np.where(y > 0, np.float32(1), np.float32(-1))
    return post_transform(y, n.attr("post_transform", "NONE"))


@onnx_op("SVMClassifier", domain=DOMAIN)
def svm_classifier(n: Site) -> Any:
    sizes = [int(s) for s in n.attr("vectors_per_class", ())]
    x, rho, how = matrix(n), floats(n, "rho"), n.attr("post_transform", "NONE")
    labels = n.attr("classlabels_ints") or n.attr("classlabels_strings", ())
    if not sizes:
        weights = floats(n, "coefficients").reshape(len(labels), -1)
        return class_outputs(n, kernel(n, x, weights) + rho[0], how)
    decision = kernel(n, x, support_vectors(n, sum(sizes))) @ pairs_matrix(n, sizes) + rho
    index = votes(decision, len(sizes)).argmax(axis=-1)
    if n.attr("prob_a"):
        return chosen(n, index), post_transform(probabilities(n, decision, len(sizes)), how)
    if len(sizes) == 2:
        return chosen(n, index), two_classes(n, -decision, how, 0.0)[1]
    return chosen(n, index), post_transform(decision, how)


def pairs_matrix(n: Site, sizes: list[int]) -> np.ndarray:
    """float32[vectors, pairs]: the weights of the vectors in the decision of each pair."""
    weights = floats(n, "coefficients").reshape(len(sizes) - 1, -1)
    starts = np.concatenate([[0], np.cumsum(sizes)])
    pairs = list(combinations(range(len(sizes)), 2))
    result = np.zeros((weights.shape[1], len(pairs)), np.float32)
    for k, (i, j) in enumerate(pairs):
        own, other = slice(starts[i], starts[i + 1]), slice(starts[j], starts[j + 1])
        result[own, k] = weights[j - 1, own]
        result[other, k] = weights[i, other]
    return result


def votes(decision: Tracer, classes: int) -> Any:
    """float32[rows, classes]: how many pairs each class wins; a positive one is the first's."""
    first = np.zeros((decision.shape[1], classes), np.float32)
    second = np.zeros((decision.shape[1], classes), np.float32)
    for k, (i, j) in enumerate(combinations(range(classes), 2)):
        first[k, i], second[k, j] = 1, 1
    won = cast(decision > 0, "float32")
    return won @ first + (1 - won) @ second


def probabilities(n: Site, decision: Tracer, classes: int) -> Any:
    """Platt's sigmoids of the pairs, coupled."""
    margin = decision * floats(n, "prob_a") + floats(n, "prob_b")
    pair = np.clip(sigmoid(-margin), np.float32(1e-7), np.float32(1 - 1e-7))
    both = apply("couple_pairs", pair, classes=classes)
    return both[:, :classes]
