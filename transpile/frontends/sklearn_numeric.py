"""Copies of scikit-learn's estimators in which numbers stand for strings."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import numpy as np

CLASSES = ("classes_", "_classes")
"""Where estimators keep the names of their classes; LightGBM has a property over the second."""


def parts(estimator: Any) -> Iterator[Any]:
    """An estimator and all those inside of it."""
    pending, seen = [estimator], set()
    while pending:
        value = pending.pop()
        if id(value) in seen:
            continue
        seen.add(id(value))
        if isinstance(value, dict):
            pending += value.values()
        elif isinstance(value, (list, tuple)):
            pending += [v for v in value if not isinstance(v, (str, bytes, int, float))]
        elif isinstance(value, np.ndarray):
            pending += value.ravel().tolist() if value.dtype == object else []
        elif hasattr(value, "get_params") or hasattr(value, "classes_"):
            yield value
            pending += vars(value).values() if hasattr(value, "__dict__") else []


def class_names(estimator: Any) -> tuple[str, ...]:
    """The names of the classes as text; empty for what is no classifier."""
    classes = getattr(estimator, "classes_", None)
    return tuple(str(c) for c in classes) if isinstance(classes, np.ndarray) and (
        classes.ndim == 1) else ()


def numeric_copy(estimator: Any) -> Any:
    """A copy that neither takes nor gives strings.

    Classes become their positions unless they are integers; categories that are strings become
    theirs; columns are chosen by number; unknown categories are ignored, as in ONNX.
    """
    result = as_logistic(copy.deepcopy(estimator))
    by_name = [p for p in parts(result) if hasattr(p, "transformers_")]
    for part in by_name:
        choose_by_number(part)
    for part in parts(result):
        number_classes(part)
        number_categories(part)
        vars(part).pop("feature_names_in_", None)
        if hasattr(part, "flatten_transform"):
            part.flatten_transform = False  # skl2onnx refuses it, and no prediction needs it
    return result


def as_logistic(estimator: Any) -> Any:
    """Discriminant analysis of two classes as the logistic regression that it equals.

    skl2onnx gives it a softmax over both signs of the score, which doubles the score.
    """
    if hasattr(estimator, "steps"):
        name, last = estimator.steps[-1]
        estimator.steps[-1] = (name, as_logistic(last))
        return estimator
    if type(estimator).__name__ != "LinearDiscriminantAnalysis" or len(estimator.classes_) != 2:
        return estimator
    from sklearn.linear_model import LogisticRegression
    result = LogisticRegression()
    for key in ("classes_", "coef_", "intercept_", "n_features_in_"):
        setattr(result, key, getattr(estimator, key))
    return result


def choose_by_number(transformer: Any) -> None:
    """Columns of a ColumnTransformer by position instead of by name."""
    names = list(getattr(transformer, "feature_names_in_", ()))

    def numbers(columns: Any) -> Any:
        if isinstance(columns, str):
            return [names.index(columns)]
        if isinstance(columns, slice) and any(isinstance(c, str) for c in (
                columns.start, columns.stop)):
            first = names.index(columns.start) if columns.start else 0
            last = names.index(columns.stop) + 1 if columns.stop else len(names)
            return list(range(first, last))
        listed = columns if isinstance(columns, (list, tuple, np.ndarray)) else None
        if listed is None or not any(isinstance(c, str) for c in listed):
            return columns
        return [names.index(c) for c in listed]

    transformer.transformers_ = [(n, t, numbers(c)) for n, t, c in transformer.transformers_]
    for key in ("_columns", "_transformer_to_input_indices", "transformers"):
        value = getattr(transformer, key, None)
        if key == "_columns" and value is not None:
            transformer._columns = [numbers(c) for c in value]
        elif key == "transformers" and value is not None:
            transformer.transformers = [(n, t, c if callable(c) else numbers(c))
                                        for n, t, c in value]


def number_classes(part: Any) -> None:
    """Names of classes as their positions."""
    for key in CLASSES:
        classes = vars(part).get(key)
        if isinstance(classes, np.ndarray) and classes.ndim == 1 and classes.dtype.kind not in "iu":
            setattr(part, key, np.arange(len(classes)))


def number_categories(part: Any) -> None:
    """Categories that are strings as their positions; unknown ones raise no error."""
    categories = vars(part).get("categories_")
    if not isinstance(categories, list):
        return
    part.categories_ = [np.arange(len(c), dtype=np.float64) if c.dtype.kind in "OUS" else c
                        for c in categories]
    if getattr(part, "handle_unknown", "") != "error":
        return
    if hasattr(part, "sparse_output"):
        part.handle_unknown = "ignore"
    else:
        part.handle_unknown, part.unknown_value = "use_encoded_value", -1
