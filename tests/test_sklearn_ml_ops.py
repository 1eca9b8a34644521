"""Operators of ai.onnx.ml against onnxruntime, where scikit-learn's converters do not reach."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

import transpile
from transpile.frontends.onnx import OnnxModel

X = np.array([[0.5, 1.0, 2.0], [1.5, -1.0, np.nan], [1.0, 3.0, 0.0], [np.nan, 0.0, 1.0],
              [2.0, 2.0, 2.0]], np.float32)


def message(op: str, outputs: dict[str, int], version: int = 3, **attrs: Any) -> Any:
    node = helper.make_node(op, ["x"], list(outputs), domain="ai.onnx.ml", **attrs)
    graph = helper.make_graph(
        [node], op, [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 3])],
        [helper.make_tensor_value_info(name, kind, None) for name, kind in outputs.items()])
    return helper.make_model(graph, ir_version=9, opset_imports=[
        helper.make_opsetid("", 17), helper.make_opsetid("ai.onnx.ml", version)])


def check(proto: Any, x: np.ndarray = X) -> None:
    session = onnxruntime.InferenceSession(proto.SerializeToString())
    wanted = session.run(None, {"x": x})
    got = transpile.compile(OnnxModel(proto), targets=["js"]).run({"x": x}, "js")
    for found, expected in zip(got.values(), wanted, strict=True):
        np.testing.assert_allclose(found, expected, atol=1e-5)


def tree(mode: str, missing: int, **more: Any) -> dict[str, Any]:
    """Two trees: x[0] against 1, and below it x[1] against 0.5; a single leaf."""
    return {"nodes_treeids": [0, 0, 0, 0, 0, 1], "nodes_nodeids": [0, 1, 2, 3, 4, 0],
            "nodes_modes": [mode, mode, "LEAF", "LEAF", "LEAF", "LEAF"],
            "nodes_featureids": [0, 1, 0, 0, 0, 0], "nodes_values": [1.0, 0.5, 0, 0, 0, 0],
            "nodes_truenodeids": [1, 3, 0, 0, 0, 0], "nodes_falsenodeids": [2, 4, 0, 0, 0, 0],
            "nodes_missing_value_tracks_true": [missing, 0, 0, 0, 0, 0], **more}


@pytest.mark.parametrize("missing", [0, 1])
@pytest.mark.parametrize("mode", ["BRANCH_LEQ", "BRANCH_LT", "BRANCH_GTE", "BRANCH_GT",
                                  "BRANCH_EQ", "BRANCH_NEQ"])
def test_every_kind_of_split(mode: str, missing: int) -> None:
    leaves = {"target_treeids": [0, 0, 0, 1], "target_nodeids": [2, 3, 4, 0],
              "target_ids": [0, 0, 0, 0], "target_weights": [1.0, 2.0, 4.0, 8.0]}
    check(message("TreeEnsembleRegressor", {"y": 1}, **tree(mode, missing, **leaves), n_targets=1))


@pytest.mark.parametrize("how", ["SUM", "AVERAGE", "MIN", "MAX"])
def test_aggregates_over_several_targets(how: str) -> None:
    leaves = {"target_treeids": [0, 0, 0, 0, 1, 1], "target_nodeids": [2, 3, 3, 4, 0, 0],
              "target_ids": [0, 0, 1, 1, 0, 1], "target_weights": [1.0, 2.0, 4.0, 8.0, 3.0, -1.0]}
    check(message("TreeEnsembleRegressor", {"y": 1}, **tree("BRANCH_LEQ", 0, **leaves),
                  n_targets=2, aggregate_function=how))


@pytest.mark.parametrize("after", ["NONE", "LOGISTIC", "SOFTMAX"])
def test_tree_classifiers(after: str) -> None:
    leaves = {"class_treeids": [0, 0, 0, 1], "class_nodeids": [2, 3, 4, 0],
              "class_ids": [0, 1, 2, 1], "class_weights": [1.0, 2.0, 4.0, 0.5]}
    check(message("TreeEnsembleClassifier", {"label": 7, "p": 1}, classlabels_int64s=[4, 7, 9],
                  post_transform=after, **tree("BRANCH_LEQ", 0, **leaves)))


@pytest.mark.parametrize("weights", [[0.1, 0.7, 0.4, 0.1], [-1.0, 2.0, 0.5, 0.1]])
@pytest.mark.parametrize("after", ["NONE", "LOGISTIC"])
def test_one_score_of_two_classes(weights: list[float], after: str) -> None:
    leaves = {"class_treeids": [0, 0, 0, 1], "class_nodeids": [2, 3, 4, 0],
              "class_ids": [0] * 4, "class_weights": weights}
    if min(weights) > 0 and after == "LOGISTIC":
        after = "NONE"
    check(message("TreeEnsembleClassifier", {"label": 7, "p": 1}, classlabels_int64s=[0, 1],
                  post_transform=after, **tree("BRANCH_LEQ", 0, **leaves)))


def test_trees_of_the_newest_form() -> None:
    def ints(*values: int) -> Any:
        return numpy_helper.from_array(np.array(values, np.uint8))

    def floats(*values: float) -> Any:
        return numpy_helper.from_array(np.array(values, np.float32))
    attrs = {"n_targets": 2, "aggregate_function": 1, "post_transform": 0, "tree_roots": [0],
             "nodes_modes": ints(0, 4, 6), "nodes_featureids": [0, 1, 2],
             "nodes_splits": floats(1.2, 3.0, 0.0), "nodes_truenodeids": [1, 0, 2],
             "nodes_trueleafs": [0, 1, 1], "nodes_falsenodeids": [2, 1, 3],
             "nodes_falseleafs": [0, 1, 1], "leaf_targetids": [0, 1, 0, 1],
             "leaf_weights": floats(1, 2, 3, 4), "membership_values": floats(2.0, 5.0)}
    proto = message("TreeEnsemble", {"y": 1}, 5, **attrs)
    x = np.nan_to_num(X)
    got = transpile.compile(OnnxModel(proto), targets=["js"]).run({"x": x}, "js")["y"]
    low, third = x[:, 0] <= np.float32(1.2), np.isin(x[:, 2], [2, 5])
    leaf = np.where(low, np.where(x[:, 1] == 3, 0, 1), np.where(third, 2, 3))
    wanted = np.zeros((len(x), 2), np.float32)
    wanted[np.arange(len(x)), np.array([0, 1, 0, 1])[leaf]] = np.array([1, 2, 3, 4])[leaf]
    np.testing.assert_array_equal(got, wanted)


SMALL = [
    ("Scaler", {"offset": [1.0, 2.0, 3.0], "scale": [2.0, 0.5, 1.0]}),
    ("Scaler", {"offset": [1.0], "scale": [2.0]}), ("Binarizer", {"threshold": 1.0}),
    ("Normalizer", {"norm": "L1"}), ("Normalizer", {"norm": "L2"}), ("Normalizer", {"norm": "MAX"}),
    ("LinearRegressor", {"coefficients": [1.0, 2.0, 3.0, 0.0, 1.0, 0.0], "intercepts": [1.0, 0.0],
                         "targets": 2}),
    ("Imputer", {"imputed_value_floats": [7.0, 8.0, 9.0], "replaced_value_float": float("nan")}),
    ("LabelEncoder", {"keys_floats": [1.0, 2.0], "values_floats": [5.0, 6.0],
                      "default_float": -3.0}),
    ("OneHotEncoder", {"cats_int64s": [0, 1, 2], "zeros": 1})]


@pytest.mark.parametrize(("op", "attrs"), SMALL, ids=lambda v: v if isinstance(v, str) else "")
def test_encoders_and_scalers(op: str, attrs: dict[str, Any]) -> None:
    x = X if op == "Imputer" else np.nan_to_num(X)
    check(message(op, {"y": 1}, **attrs), np.round(x) if op == "OneHotEncoder" else x)


def test_cycles_are_refused() -> None:
    leaves = {"target_treeids": [0], "target_nodeids": [2], "target_ids": [0],
              "target_weights": [1.0]}
    attrs = tree("BRANCH_LEQ", 0, **leaves)
    attrs["nodes_truenodeids"] = [1, 1, 0, 0, 0, 0]
    with pytest.raises(transpile.errors.SourceError, match="cycle"):
        transpile.trace(OnnxModel(message("TreeEnsembleRegressor", {"y": 1}, **attrs)))
    assert onnx.__version__
