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


def class_names(estimator: Any) -> list[tuple[str, ...]]:
    """The names of the classes of each target as text; empty for what is no classifier."""
    classes = getattr(estimator, "classes_", None)
    each = classes if isinstance(classes, list) else [classes]
    return [tuple(str(c) for c in names) for names in each
            if isinstance(names, np.ndarray) and names.ndim == 1]


def numeric_copy(estimator: Any) -> Any:
    """A copy that neither takes nor gives strings.

    Classes become their positions unless they are integers; categories that are strings become
    theirs; columns are chosen by number; unknown categories are ignored, as in ONNX.
    """
    result = as_equal(copy.deepcopy(estimator))
    for part in [p for p in parts(result) if hasattr(p, "_transformer_to_input_indices")]:
        choose_by_number(part)
    for part in parts(result):
        number_classes(part)
        number_categories(part)
        if type(part).__name__ in ("VotingClassifier", "VotingRegressor"):
            weigh_votes(part)
        vars(part).pop("feature_names_in_", None)
        if hasattr(part, "flatten_transform"):
            part.flatten_transform = False  # skl2onnx refuses it, and no prediction needs it
    return result


def as_equal(estimator: Any) -> Any:
    """What skl2onnx writes wrongly or not at all, as another estimator that equals it.

    Discriminant analysis of two classes is a logistic regression (it gets a softmax over both
    signs of the score, which doubles the score); a tree of several targets is a forest.
    """
    if hasattr(estimator, "steps"):
        name, last = estimator.steps[-1]
        estimator.steps[-1] = (name, as_equal(last))
        return estimator
    if getattr(estimator, "n_outputs_", 1) > 1 and hasattr(estimator, "tree_") and hasattr(
            estimator, "classes_"):
        return as_forest(estimator)
    if type(estimator).__name__ != "LinearDiscriminantAnalysis" or len(estimator.classes_) != 2:
        return estimator
    from sklearn.linear_model import LogisticRegression
    result = LogisticRegression()
    for key in ("classes_", "coef_", "intercept_", "n_features_in_"):
        setattr(result, key, getattr(estimator, key))
    return result


def as_forest(tree: Any) -> Any:
    """The forest of one tree."""
    from sklearn.ensemble import RandomForestClassifier
    result = RandomForestClassifier(n_estimators=1)
    for key in ("classes_", "n_classes_", "n_outputs_", "n_features_in_"):
        setattr(result, key, getattr(tree, key))
    result.estimators_ = [tree]
    return result


def choose_by_number(transformer: Any) -> None:
    """Columns of a ColumnTransformer by position: instead of names, masks, slices, functions."""
    places = transformer._transformer_to_input_indices

    def numbers(name: str, columns: Any) -> Any:
        found = [int(c) for c in places.get(name, ())]
        one = isinstance(columns, (int, np.integer)) and len(found) == 1
        return found[0] if one else found  # a single number gives a vector

    for key in ("transformers", "transformers_"):
        setattr(transformer, key, [(n, t, numbers(n, c)) for n, t, c in getattr(transformer, key)])
    transformer._columns = [c for _, _, c in transformer.transformers]


def weigh_votes(ensemble: Any) -> None:
    """A weight for each estimator that votes, as an array; what was dropped is gone."""
    kept = [e[1] != "drop" for e in ensemble.estimators]
    if ensemble.weights is not None:
        ensemble.weights = np.asarray(ensemble.weights, np.float64)[kept]
    ensemble.estimators = [e for e, keep in zip(ensemble.estimators, kept, strict=True) if keep]


def number_classes(part: Any) -> None:
    """Names of classes as their positions."""
    def numbered(classes: Any) -> Any:
        names = isinstance(classes, np.ndarray) and classes.ndim == 1 and (
            classes.dtype.kind not in "iu")
        return np.arange(len(classes)) if names else classes
    for key in CLASSES:
        classes = vars(part).get(key)
        if isinstance(classes, list):
            setattr(part, key, [numbered(c) for c in classes])
        elif classes is not None:
            setattr(part, key, numbered(classes))


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
