"""Corrections to skl2onnx, in force while it writes one model.

Its converters are replaced or completed in its own table, so that they hold for estimators inside
of others, too.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from importlib import import_module
from typing import Any

import numpy as np

CONVERTERS = "skl2onnx.operator_converters"


@contextlib.contextmanager
def corrected() -> Iterator[None]:
    """skl2onnx's tables with our converters in them, put back afterwards."""
    import onnx
    from skl2onnx.common._registration import _converter_pool as pool
    with contextlib.ExitStack() as changes:
        _put(changes, onnx.helper, "make_attribute", plain_integers(onnx.helper.make_attribute))
        for name in ("decision_tree", "random_forest", "isolation_forest"):
            module = import_module(f"{CONVERTERS}.{name}")
            _put(changes, module, "add_tree_to_attribute_pairs",
                 with_missing(module.add_tree_to_attribute_pairs))
        module = import_module(f"{CONVERTERS}.decision_tree")
        _put(changes, module, "populate_tree_attributes",
             single_with_missing(module.populate_tree_attributes))
        for alias, convert in (("VotingClassifier", voting), ("SGDClassifier", sgd),
                               ("MultiOutputClassifier", several_outputs)):
            entry = pool[f"Sklearn{alias}"]
            _put(changes, entry, "_fct", convert(entry._fct))
        yield


def _put(changes: contextlib.ExitStack, owner: Any, name: str, value: Any) -> None:
    changes.callback(setattr, owner, name, getattr(owner, name))
    setattr(owner, name, value)


def plain_integers(original: Callable[..., Any]) -> Callable[..., Any]:
    """onnx refuses lists of NumPy's integers and bools, which some converters give."""
    def make(key: str, value: Any, *args: Any, **named: Any) -> Any:
        if isinstance(value, (list, tuple)):
            value = [v.item() if isinstance(v, np.generic) else v for v in value]
            value = [int(v) if isinstance(v, bool) else v for v in value]
        return original(key, value, *args, **named)
    return make


# --- trees --------------------------------------------------------------------------------
def with_missing(original: Callable[..., Any]) -> Callable[..., Any]:
    """Missing values go where the tree sends them: skl2onnx sends all of them to the right."""
    def add(attrs: Any, is_classifier: bool, tree: Any, *args: Any, **named: Any) -> None:
        original(attrs, is_classifier, tree, *args, **named)
        attrs["nodes_missing_value_tracks_true"][-tree.node_count:] = lost_left(tree)
    return add


def single_with_missing(original: Callable[..., Any]) -> Callable[..., Any]:
    """The same for a tree whose leaves are numbered; a threshold as float32 splits alike."""
    def attributes(model: Any, *args: Any, **named: Any) -> Any:
        attrs = original(model, *args, **named)
        attrs["nodes_missing_value_tracks_true"] = lost_left(model.tree_)
        attrs["nodes_values"] = [below(v) for v in attrs["nodes_values"]]
        return attrs
    return attributes


def below(threshold: float) -> float:
    """The largest float32 that is not above: x <= it and x <= threshold agree for all float32."""
    rounded = np.float32(threshold)
    return float(rounded if rounded <= threshold else np.nextafter(rounded, np.float32(-np.inf)))


def lost_left(tree: Any) -> list[int]:
    """For each node 1 if missing values go to the left, as the tree's own array says."""
    inner = np.asarray(tree.children_left) >= 0
    return [int(v) for v in np.asarray(tree.missing_go_to_left, bool) & inner]


# --- classifiers --------------------------------------------------------------------------
def voting(original: Callable[..., Any]) -> Callable[..., Any]:
    """Hard votes are those of `predict`: skl2onnx takes the largest probability of each voter."""
    def convert(scope: Any, operator: Any, container: Any) -> None:
        op, version = operator.raw_operator, container.target_opset
        if op.voting != "hard":
            original(scope, operator, container)
            return
        from skl2onnx.algebra import onnx_ops as ops
        classes = np.arange(len(op.classes_), dtype=np.int64)[None]
        weights = np.ones(len(op.estimators_)) if op.weights is None else op.weights

        def votes(estimator: Any, weight: float) -> Any:
            label = column(inner(scope, estimator, operator)[0], version)
            said = ops.OnnxCast(ops.OnnxEqual(label, classes, op_version=version), to=1,
                                op_version=version)
            return ops.OnnxMul(said, np.array([weight], np.float32), op_version=version)
        total = ops.OnnxSum(*map(votes, op.estimators_, weights), op_version=version,
                            output_names=[operator.outputs[1]])
        best = ops.OnnxArgMax(total, axis=1, keepdims=0, op_version=version)
        ops.OnnxGather(np.asarray(op.classes_, np.int64), best, op_version=version,
                       output_names=[operator.outputs[0]]).add_to(scope, container)
    return convert


def inner(scope: Any, estimator: Any, operator: Any) -> tuple[Any, Any]:
    """The label and scores that an estimator inside of another one gives, as variables."""
    from skl2onnx._supported_operators import sklearn_operator_name_map
    from skl2onnx.common.data_types import FloatTensorType, Int64TensorType
    part = scope.declare_local_operator(sklearn_operator_name_map[type(estimator)], estimator)
    part.inputs = operator.inputs
    part.outputs.append(scope.declare_local_variable("label", Int64TensorType()))
    part.outputs.append(scope.declare_local_variable("scores", FloatTensorType()))
    return part.outputs[0], part.outputs[1]


def column(label: Any, version: int) -> Any:
    """Labels as int64[rows, 1]."""
    from skl2onnx.algebra.onnx_ops import OnnxReshape
    return OnnxReshape(label, np.array([-1, 1], np.int64), op_version=version)


def several_outputs(original: Callable[..., Any]) -> Callable[..., Any]:
    """MultiOutputClassifier also of what has no probabilities."""
    del original

    def convert(scope: Any, operator: Any, container: Any) -> None:
        from skl2onnx.algebra import onnx_ops as ops
        version = container.target_opset
        found = [inner(scope, e, operator) for e in operator.raw_operator.estimators_]
        ops.OnnxConcat(*(column(label, version) for label, _ in found), axis=1,
                       op_version=version, output_names=[operator.outputs[0]]
                       ).add_to(scope=scope, container=container)
        ops.OnnxSequenceConstruct(*(score for _, score in found), op_version=version,
                                  output_names=[operator.outputs[1]]
                                  ).add_to(scope=scope, container=container)
    return convert


def sgd(original: Callable[..., Any]) -> Callable[..., Any]:
    """The class of the largest score: probabilities are 0 or 1 for several classes at once."""
    def convert(scope: Any, operator: Any, container: Any) -> None:
        start = len(container.nodes)
        original(scope, operator, container)
        new = container.nodes[start:]
        products = {n.output[0] for n in new if n.op_type == "MatMul"}
        (score,) = (n.output[0] for n in new if n.op_type == "Add" and n.input[0] in products)
        if len(operator.raw_operator.classes_) == 2:
            opposite, both = (scope.get_unique_variable_name(n) for n in ("opposite", "both"))
            container.add_node("Neg", score, opposite)
            container.add_node("Concat", [opposite, score], both, axis=1)
            score = both
        next(n for n in new if n.op_type == "ArgMax").input[0] = score
    return convert


# --- the message --------------------------------------------------------------------------
def positive_distances(proto: Any) -> Any:
    """Neighbours weighted by distance: skl2onnx makes distances negative, then cuts them off."""
    makers = {o: n for n in proto.graph.node for o in n.output}

    def maker(name: str) -> str:
        return str(makers[name].op_type) if name in makers else ""
    for node in proto.graph.node:
        first = node.input[0] if node.input else ""
        if node.op_type == "Max" and maker(first) == "Mul" and (
                maker(makers[first].input[0]) == "TopK"):
            node.input[0] = makers[first].input[0]
    return proto


def open_sequences(proto: Any) -> Any:
    """An output that is a sequence becomes one output for each of its tensors: name_0, name_1."""
    from onnx import helper
    graph = proto.graph
    makers = {n.output[0]: n for n in graph.node if n.op_type == "SequenceConstruct"}
    outputs = []
    for info in graph.output:
        if info.name not in makers:
            outputs.append(info)
            continue
        for k, tensor in enumerate(makers[info.name].input):
            name = f"{info.name}_{k}"
            graph.node.append(helper.make_node("Identity", [tensor], [name]))
            outputs.append(helper.make_tensor_value_info(name, 1, None))
        graph.node.remove(makers[info.name])
    kept = [type(info).FromString(info.SerializeToString()) for info in outputs]
    del graph.output[:]
    graph.output.extend(kept)
    return proto
