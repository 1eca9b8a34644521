"""Every op under Node: what a target's kernels compute is what the references say.

All programs of one target run in one Node process. Tolerances follow from the lengths of the
reductions; integers and bools must be equal.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

import numpy as np
import pytest
from lowering import (
    NODE_TARGETS,
    SAMPLES,
    Case,
    array_graph,
    differences,
    graph_of,
    run_batch,
    sample_graph,
)

from transpile.compile import lower_graph
from transpile.errors import TranspileError
from transpile.ir.dims import dim
from transpile.ir.graph import Graph
from transpile.ir.types import TensorType
from transpile.ops import registry

Inputs = Mapping[str, np.ndarray]
NAN, INF = np.nan, np.inf
LOW, HIGH = -2**31, 2**31 - 1


def floats(*values: float) -> np.ndarray:
    return np.array(values, np.float32)


def ints(*values: int) -> np.ndarray:
    return np.array(values, np.int32)


SPECIAL = floats(NAN, INF, -INF, 0.0, -0.0, 1.0, -1.5, 0.5, 2.5, 1e30, 1e-30)
PAIRS = tuple(np.ascontiguousarray(m.ravel()) for m in np.meshgrid(SPECIAL, SPECIAL))
EDGES = ints(LOW, LOW + 1, -7, -1, 0, 1, 3, 7, HIGH - 1, HIGH)
EDGE_PAIRS = tuple(np.ascontiguousarray(m.ravel()) for m in np.meshgrid(EDGES, EDGES))
ROWS = np.stack([np.roll(SPECIAL, k) for k in range(4)])
FINITE_ROWS = np.stack([floats(3, -INF, 2, 2, INF, -1), floats(0, 0, 0, 0, 0, 0),
                        floats(-INF, -INF, -1, -2, -INF, -INF), floats(1, NAN, 3, NAN, 2, 0)])


def special_cases() -> dict[str, tuple[Graph, Inputs]]:
    """Not-a-numbers, infinities, and the ends of int32, by a name that says what is tried."""
    return {**special_floats(), **special_reductions(), **special_integers()}


def special_floats() -> dict[str, tuple[Graph, Inputs]]:
    cases = {}
    for op in ("abs", "neg", "sign", "exp", "log", "sqrt", "rsqrt", "tanh", "sigmoid", "erf",
               "floor", "ceil", "round", "trunc", "isnan", "isinf", "relu", "relu6", "silu",
               "softplus", "hardswish", "hardsigmoid", "selu", "mish"):
        cases[f"{op} special"] = array_graph(op, SPECIAL)
    for op in ("maximum", "minimum", "equal", "less", "greater_equal", "add", "mul", "div",
               "not_equal", "atan2"):
        cases[f"{op} special"] = array_graph(op, *PAIRS)
    return cases


def special_reductions() -> dict[str, tuple[Graph, Inputs]]:
    cases = {}
    for op in ("max", "min", "sum", "prod", "any", "all"):
        x = ROWS != 0 if op in ("any", "all") else ROWS
        cases[f"{op} special"] = array_graph(op, x, axes=(1,), keepdims=False)
    for op in ("argmax", "argmin"):
        for axis in (0, 1):
            cases[f"{op} special {axis}"] = array_graph(op, ROWS, axis=axis, keepdims=False)
            cases[f"{op} rows {axis}"] = array_graph(op, FINITE_ROWS, axis=axis, keepdims=False)
    for op in ("sort", "argsort"):
        for descending in (False, True):
            cases[f"{op} special {descending}"] = array_graph(op, FINITE_ROWS, axis=1,
                                                              descending=descending)
    return cases


def special_integers() -> dict[str, tuple[Graph, Inputs]]:
    cases = {}
    for op in ("add", "sub", "mul", "maximum", "minimum", "less", "equal", "floor_div", "mod",
               "fmod", "bitwise_and", "bitwise_xor"):
        cases[f"{op} ends of int32"] = array_graph(op, *EDGE_PAIRS)
    for op in ("neg", "abs", "sign", "bitwise_not", "square"):
        cases[f"{op} ends of int32"] = array_graph(op, EDGES)
    shifts = ints(*range(10))
    cases["shift_left ends"] = array_graph("shift_left", EDGES, shifts)
    cases["shift_right ends"] = array_graph("shift_right", EDGES, shifts)
    for op in ("sum", "prod", "max", "min"):
        cases[f"{op} wraps"] = array_graph(op, EDGES, axes=(0,), keepdims=False)
    return cases


def byte_cases() -> dict[str, tuple[Graph, Inputs]]:
    """uint8 arithmetic wraps at 256, whatever follows it in the same kernel."""
    values = np.arange(256, dtype=np.uint8)
    cases = {}
    for op in ("add", "sub", "mul", "maximum", "floor_div", "mod", "bitwise_xor"):
        for result in ("uint8", "int32", "float32"):
            graph, inputs = array_graph(op, values, values[::-1].copy())
            (_, node), = graph.outputs
            cast = registry.make("cast", node, dtype=result, label="out")
            cases[f"uint8 {op} as {result}"] = (
                Graph(op, graph.inputs, (("out", cast),)), inputs)
    for op in ("neg", "bitwise_not", "abs"):
        graph, inputs = array_graph(op, values)
        (_, node), = graph.outputs
        cast = registry.make("cast", node, dtype="float32", label="out")
        cases[f"uint8 {op}"] = Graph(op, graph.inputs, (("out", cast),)), inputs
    return cases


def symbolic_graph(op: str, number: int) -> Graph | None:
    """A sample with its first dimension named, where the op's types allow it."""
    example = registry.get(op).samples[number]
    types = [TensorType.parse(t) for t in example.types]
    if not types or not types[0].rank or types[0].shape[0] == 1:
        return None
    size = types[0].shape[0]
    named = [t.with_shape((dim("batch"), *t.shape[1:]))
             if i == 0 or (t.rank == types[0].rank and t.shape[0] == size) else t
             for i, t in enumerate(types)]
    attrs = dict(example.attrs)
    for key in ("shape", "sizes"):
        if key in attrs and attrs[key] and attrs[key][0] == size:
            attrs[key] = (dim("batch"), *attrs[key][1:])
    try:
        return graph_of(op, named, attrs)
    except TranspileError:  # weights or indices cannot have a symbolic size
        return None


def sample_cases() -> dict[str, tuple[Graph, Inputs]]:
    return {f"{op}/{number}": sample_graph(op, number) for op, number in SAMPLES}


def symbolic_cases() -> dict[str, tuple[Graph, Inputs]]:
    cases: dict[str, tuple[Graph, Inputs]] = {}
    for op, number in SAMPLES:
        graph = symbolic_graph(op, number)
        if graph is not None:
            cases[f"{op}/{number}"] = graph, sample_graph(op, number)[1]
    return cases


KINDS = {"samples": sample_cases, "special": special_cases, "bytes": byte_cases,
         "symbolic": symbolic_cases}


@lru_cache
def outcomes(target: str, kind: str) -> dict[str, str]:
    """What is wrong with each case; empty where nothing is."""
    cases = KINDS[kind]()
    programs = {name: lower_graph(graph, target) for name, (graph, _) in cases.items()}
    found = run_batch([Case(programs[name], inputs) for name, (_, inputs) in cases.items()])
    return {name: differences(graph, inputs, answer)
            for (name, (graph, inputs)), answer in zip(cases.items(), found, strict=True)}


@pytest.mark.parametrize("target", NODE_TARGETS)
@pytest.mark.parametrize("kind", KINDS)
def test_kernels_under_node_agree_with_the_references(target: str, kind: str) -> None:
    wrong = {name: text for name, text in outcomes(target, kind).items() if text}
    assert wrong == {}


def test_every_op_has_a_sample() -> None:
    assert {op for op, _ in SAMPLES} == set(registry.names())


def test_most_ops_are_tried_with_a_symbolic_size() -> None:
    assert len({name.split("/")[0] for name in symbolic_cases()}) > 100
