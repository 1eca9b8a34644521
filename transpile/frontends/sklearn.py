"""The scikit-learn front end: estimators and pipelines, through skl2onnx.

XGBoost's and LightGBM's estimators go the same way where onnxmltools is installed. Strings cannot
be tensors: classes and categories that are strings become their numbers (positions in `classes_`
and `categories_`), the classes' names become the labels of `predict_proba`.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from transpile.errors import SourceError, UnsupportedError
from transpile.frontends.foreign import needs
from transpile.frontends.sklearn_converters import corrected, open_sequences, positive_distances
from transpile.frontends.sklearn_numeric import class_names, numeric_copy
from transpile.frontends.tracer import Tracer, apply
from transpile.ir.graph import Graph, Node
from transpile.ir.types import TensorType
from transpile.model import Model, as_spec, spec

OPSETS = {"": 21, "ai.onnx.ml": 3}
"""What skl2onnx writes; it knows no newer ai.onnx.ml."""

NAMES = {"label": ("predict",), "probabilities": ("predict_proba", "decision_function"),
         "scores": ("decision_function", "transform", "score_samples"),
         "GPmean": ("predict",)}
"""What skl2onnx calls an output: the methods that may give it, the first that exists does."""

FLAT = ("predict", "decision_function", "score_samples")
"""Methods that give a vector where there is one number for each row."""


@dataclass(frozen=True)
class Result:
    """Where an output comes from: a method, and a place if the method gives a list."""

    method: str
    place: int | None = None

    @property
    def name(self) -> str:
        return self.method if self.place is None else f"{self.method}_{self.place}"


class SklearnModel(Model):
    """A fitted estimator or pipeline; calling it runs scikit-learn.

    Outputs bear the names of the methods that give them: `predict` and `predict_proba` of a
    classifier, `predict` and `transform` (distances) of k-means. A list, such as the probabilities
    of several targets, is `predict_proba_0`, `predict_proba_1`, ...

    Args:
        estimator: fitted on numbers, or on a frame whose columns keep their order.
        specs: the type of `x`; default float32[batch, n_features_in_].
    """

    def __init__(self, estimator: Any, specs: Mapping[str, Any] | None = None, *,
                 outputs: Sequence[str] | None = None, labels: Any = None) -> None:
        columns = feature_count(estimator)
        names = [str(n) for n in getattr(estimator, "feature_names_in_", ())]
        own = specs or {"x": spec("float32", ("batch", columns), labels=names)}
        super().__init__(numeric_copy(estimator), own, outputs=outputs, labels=labels)
        self.name = type(last_step(estimator)).__name__
        self.results: tuple[Result, ...] = ()
        self.classes = class_names(estimator)

    def __call__(self, *arrays: Any, **named: Any) -> dict[str, np.ndarray]:
        """What the methods give for x[rows, features], by output name."""
        (x,) = (*arrays, *named.values())
        if not self.results:
            self.trace()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            given = {r.method: getattr(self.fn, r.method)(np.asarray(x)) for r in self.results}
        names = self.outputs or [r.name for r in self.results]
        return {n: np.asarray(given[r.method] if r.place is None else given[r.method][r.place])
                for n, r in zip(names, self.results, strict=True)}

    def trace(self, inputs: Mapping[str, Any] | None = None) -> Graph:
        """The graph.

        Raises:
            UnsupportedError: skl2onnx has no converter for some part.
        """
        from transpile.frontends.onnx import import_model
        self.specs.update({n: as_spec(v) for n, v in (inputs or {}).items()})
        if len(self.specs) != 1:
            raise SourceError(f"{self.name} has one input",
                              why=f"{', '.join(self.specs)} are given")
        (name, only), = self.specs.items()
        proto = onnx_message(self.fn, name, only.type)
        graph = import_model(proto, {name: only.type}, name=self.name, origin=self.name)
        found = [pair for n, node in graph.outputs for pair in self._found(n, node)]
        self.results = tuple(result for result, _ in found)
        names = self.outputs or [r.name for r in self.results]
        if self.labels is None:
            self.labels = {n: known for n, (result, node) in zip(names, found, strict=True)
                           if (known := self._names(result, node))} or None
        return replace(graph, outputs=tuple(
            (n, node) for n, (_, node) in zip(names, found, strict=True)))

    def _found(self, output: str, node: Node) -> list[tuple[Result, Node]]:
        """The results in an output of skl2onnx; none for what scikit-learn does not give."""
        base, _, place = output.rpartition("_")
        listed = base in NAMES and place.isdigit()
        method = self._method(base if listed else output)
        if not method:
            return []
        if listed:
            return [(Result(method, int(place)), node)]
        if method == "predict_proba" and node.type.rank == 3:  # forests of several targets
            return [(Result(method, k), Tracer(node)[k, :, :len(names)].node)
                    for k, names in enumerate(self.classes)]
        return [(Result(method), self._shaped(node, method))]

    def _names(self, result: Result, node: Node) -> tuple[str, ...]:
        """The names of the classes that the last axis of a result is about."""
        if result.method not in ("predict_proba", "decision_function"):
            return ()
        names = self.classes[result.place or 0] if self.classes else ()
        return names if node.shape[-1] == len(names) else ()

    def _method(self, output: str) -> str:
        """The method whose result an output of skl2onnx is; "" if the estimator has none."""
        selects = hasattr(last_step(self.fn), "get_support")  # some of them can predict, too
        default = ("transform",) if selects else ("predict", "transform")
        wanted = NAMES.get(output, default)
        if output == "scores" and not hasattr(self.fn, "decision_function"):
            wanted = ("transform", "score_samples")
        return next((m for m in wanted if hasattr(self.fn, m)), "")

    def _shaped(self, node: Node, method: str) -> Node:
        """A result in the shape in which scikit-learn gives it."""
        if method not in FLAT or node.type.rank != 2 or self._rank(method) == 2:
            return node
        if node.shape[1] == 2 and method == "decision_function":
            node = Tracer(node)[:, 1].node
        return apply("reshape", node, shape=(node.type.size,)).node

    def _rank(self, method: str) -> int:
        columns = feature_count(self.fn)
        try:
            return int(np.ndim(getattr(self.fn, method)(np.zeros((2, columns), np.float32))))
        except (ValueError, TypeError):  # zeros are no category, for example
            return 1


def load(path: Any) -> Model:
    """Refused: scikit-learn's own files are pickles, which run code when they are read."""
    raise SourceError(f"{path} is not read", why="a pickle can run any code",
                      fix="load it in a Python file and give file.py:name")


def last_step(estimator: Any) -> Any:
    """The estimator itself, or the last one of a pipeline."""
    return estimator.steps[-1][1] if hasattr(estimator, "steps") else estimator


def feature_count(estimator: Any) -> int:
    """How many columns an estimator was fitted on; SourceError if it was not fitted."""
    count = getattr(estimator, "n_features_in_", None)
    if count is None:
        raise SourceError(f"the {type(estimator).__name__} is not fitted",
                          fix="call its fit() before it is built")
    return int(count)


def onnx_message(estimator: Any, name: str, type_: TensorType) -> Any:
    """What skl2onnx writes for a fitted estimator.

    Raises:
        UnsupportedError: it has no converter for some part of it.
        DependencyError: skl2onnx, or onnxmltools for other libraries' trees, is missing.
    """
    needs("skl2onnx")
    from skl2onnx import to_onnx
    from skl2onnx.common.data_types import FloatTensorType, Int64TensorType
    kind = FloatTensorType if type_.dtype == "float32" else Int64TensorType
    register_converters(estimator)
    refuse_wrong(estimator)
    start = [(name, kind([None, type_.shape[-1]]))]

    def write(options: Any) -> Any:
        with warnings.catch_warnings(), corrected():
            warnings.simplefilter("ignore")
            return open_sequences(positive_distances(to_onnx(
                estimator, initial_types=start, options=options, target_opset=OPSETS)))
    try:
        try:
            return write({"zipmap": False})
        except NameError:  # not a classifier with dictionaries as its output
            return write(None)
    except Exception as error:  # every converter raises its own kind
        raise UnsupportedError(
            f"skl2onnx cannot write {type(last_step(estimator)).__name__}",
            why=" ".join(str(error).split())[:200],
            fix="see https://onnx.ai/sklearn-onnx/supported.html") from error


WRONG: tuple[tuple[str, Callable[[Any], bool], str], ...] = (
    ("CalibratedClassifierCV", lambda p: p.method == "isotonic", "isotonic calibration"),
    ("SimpleImputer", lambda p: bool(p.add_indicator), "the indicator of missing values"),
    ("MLPClassifier", lambda p: p.out_activation_ == "logistic" and p.n_outputs_ > 1,
     "several labels at once"),
    ("OneVsRestClassifier", lambda p: not hasattr(p.estimators_[0], "predict_proba"),
     "one against the rest without probabilities"),
    ("HistGradientBoostingRegressor", lambda p: p.is_categorical_ is not None,
     "splits by categories"),
    ("HistGradientBoostingClassifier", lambda p: p.is_categorical_ is not None,
     "splits by categories"),
    ("XGBRFClassifier", lambda p: True, "a random forest of XGBoost"),  # noqa: ARG005
    ("XGBRegressor", lambda p: p.objective == "reg:logistic", "logistic regression of XGBoost"),
    ("LGBMRegressor", lambda p: p.boosting_type == "rf", "a random forest of LightGBM"),
    ("LGBMClassifier", lambda p: p.boosting_type == "rf" or p.objective == "multiclassova",
     "a random forest, or one against all, of LightGBM"))
"""What the converters write without an error, and wrongly: a class, a condition, and its name."""


def refuse_wrong(estimator: Any) -> None:
    """UnsupportedError for what would give other numbers than the original."""
    from transpile.frontends.sklearn_numeric import parts
    for part in parts(estimator):
        for name, condition, what in WRONG:
            if type(part).__name__ == name and condition(part):
                raise UnsupportedError(f"{name}: {what} is not supported",
                                       why="the converter to ONNX writes it wrongly")


def register_converters(estimator: Any) -> None:
    """Tell skl2onnx of the converters for XGBoost and LightGBM if they occur in an estimator."""
    from transpile.frontends.sklearn_numeric import parts
    found = {type(p).__module__.split(".")[0] for p in parts(estimator)}
    if found & {"xgboost", "lightgbm"}:
        needs("onnxmltools")
    if "xgboost" in found:
        _register_xgboost()
    if "lightgbm" in found:
        _register_lightgbm()


def _register_xgboost() -> None:
    import xgboost
    from onnxmltools.convert.xgboost.operator_converters.XGBoost import convert_xgboost
    for name in ("XGBClassifier", "XGBRFClassifier", "XGBRegressor", "XGBRFRegressor"):
        _register(getattr(xgboost, name), f"XGBoost{name}", convert_xgboost,
                  {"nocl": [True, False], "zipmap": [True, False, "columns"]})


def _register_lightgbm() -> None:
    import lightgbm
    from onnxmltools.convert.lightgbm.operator_converters.LightGbm import convert_lightgbm
    for name in ("LGBMClassifier", "LGBMRegressor"):
        _register(getattr(lightgbm, name), f"LightGbm{name}", convert_lightgbm,
                  {"nocl": [True, False], "zipmap": [True, False, "columns"], "raw_scores":
                   [True, False]} if name == "LGBMClassifier" else {"split": None})


def _register(cls: type, alias: str, convert: Any, options: dict[str, Any]) -> None:
    from skl2onnx import update_registered_converter
    from skl2onnx.common.shape_calculator import (
        calculate_linear_classifier_output_shapes,
        calculate_linear_regressor_output_shapes,
    )
    classifier = "Classifier" in alias
    update_registered_converter(
        cls, alias, calculate_linear_classifier_output_shapes if classifier
        else calculate_linear_regressor_output_shapes, convert,
        options=options if classifier or "split" in options else None)
