"""From scores to classes and probabilities, as the classifiers of ai.onnx.ml do it."""

from __future__ import annotations

from typing import Any

import numpy as np

from transpile import nn
from transpile.frontends.onnx_values import Site
from transpile.frontends.tracer import Tracer, apply, cast


def sigmoid(x: Tracer) -> Any:
    return apply("sigmoid", x)


def post_transform(score: Any, how: str) -> Any:
    """Scores float32[rows, classes] through the attribute `post_transform`."""
    if how == "SOFTMAX":
        return nn.softmax(score, axis=-1)
    if how == "SOFTMAX_ZERO":
        kept = score != 0
        top = score.max(axis=-1, keepdims=True)
        grown = np.where(kept, np.exp(score - top), np.float32(0))
        return grown / np.maximum(grown.sum(axis=-1, keepdims=True), np.float32(1e-38))
    if how == "LOGISTIC":
        return sigmoid(score)
    return probit(score) if how == "PROBIT" else score


def probit(p: Tracer) -> Any:
    """The inverse of the normal distribution, by Winitzki's formula for the inverse of erf.

    S. Winitzki, "A handy approximation for the error function and its inverse", 2008; the same
    as in onnxruntime, good to 2e-3.
    """
    y = 2 * p - 1
    log = np.log((1 - y) * (1 + y))
    a = np.float32(0.147)
    half = 2 / (np.float32(np.pi) * a) + log / 2
    return np.sqrt(np.float32(2)) * np.sign(y) * np.sqrt(np.sqrt(half * half - log / a) - half)


def chosen(n: Site, index: Tracer) -> Any:
    """Class numbers as the labels of the model; strings stay the numbers of their classes."""
    labels = np.array(n.attr("classlabels_int64s") or n.attr("classlabels_ints") or (), np.int64)
    if not labels.size or np.array_equal(labels, np.arange(labels.size)):
        return index
    return apply("take", labels, index, axis=0)


def class_outputs(n: Site, score: Tracer, how: str) -> tuple[Any, Any]:
    """(labels int32[rows], probabilities): the class of the largest score."""
    return chosen(n, score.argmax(axis=-1)), post_transform(score, how)


def two_classes(n: Site, score: Tracer, how: str, limit: float) -> tuple[Any, Any]:
    """The same for one score of two classes, which is the second's where it exceeds `limit`.

    Args:
        score: float32[rows, 1].
    """
    index = cast(score[:, 0] > np.float32(limit), "int32")
    both: Any
    if limit:
        both = np.concatenate([1 - score, score], axis=1)
    else:
        both = post_transform(np.concatenate([-score, score], axis=1), how)
    return chosen(n, index), both
