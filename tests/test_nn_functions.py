"""Every function of transpile.nn against PyTorch's answers, on arrays and as an expanded graph."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.nn_cases import ACTIVATIONS, CASES, CONVOLUTIONS, GOLDEN, NORMS, POOLS, Case, flat
from transpile import nn
from transpile.errors import ShapeError
from transpile.frontends.tracer import Tracer
from transpile.ir.dims import evaluate
from transpile.ir.graph import Graph, Node, input_node
from transpile.ir.interpret import interpret
from transpile.ir.types import TensorType, tensor_type
from transpile.ops.composite import OPERANDS, normalise_axes, present
from transpile.ops.registry import OPS, Composite, Sample, get

COMPOSITES = sorted(name for name in (get("relu") and OPS) if isinstance(OPS[name].form, Composite))
SAMPLES = [(name, s) for name in COMPOSITES for s in OPS[name].samples]


@pytest.fixture(scope="module")
def golden() -> dict[str, np.ndarray]:
    with np.load(GOLDEN) as file:
        return dict(file)


def expanded(graph: Graph) -> Graph:
    """The graph with every composite replaced by what it is made of."""
    def change(node: Node) -> Node | None:
        form = None if node.op in ("input", "constant") else get(node.op).form
        return form.expand(*node.inputs, **node.attrs) if isinstance(form, Composite) else None
    while any(n.op in COMPOSITES for n in graph.nodes):
        graph = graph.rewrite(change)
    return graph


def expansion(name: str, *nodes: Node, **attrs: Any) -> Node:
    """What a composite is made of."""
    form = get(name).form
    assert isinstance(form, Composite)
    return form.expand(*nodes, **attrs)


def invoke(case: Case, operands: list[Any]) -> Any:
    """The case's function on operands; group_norm takes its groups before the weight."""
    attrs = dict(case.attrs)
    if case.function == "group_norm":
        operands = [operands[0], attrs.pop("groups"), *operands[1:]]
    return getattr(nn, case.function)(*operands, **attrs)


def traced(case: Case, arrays: list[Any]) -> Graph:
    nodes = [None if a is None else input_node(f"x{i}", tensor_type(a.dtype, a.shape))
             for i, a in enumerate(arrays)]
    result = invoke(case, [None if n is None else Tracer(n) for n in nodes])
    return Graph(case.function, tuple(n for n in nodes if n is not None),
                 tuple((f"y{i}", t.node) for i, t in enumerate(flat(result))))


@pytest.mark.parametrize("case", CASES, ids=lambda c: c.key)
def test_reference_in_float64(case: Case, golden: dict[str, np.ndarray]) -> None:
    result = flat(invoke(case, case.arrays()))
    for k, array in enumerate(result):
        np.testing.assert_allclose(array, golden[f"{case.key}#{k}"], rtol=1e-10, atol=1e-12)
    assert f"{case.key}#{len(result)}" not in golden


@pytest.mark.parametrize("case", CASES, ids=lambda c: c.key)
def test_reference_keeps_float32(case: Case, golden: dict[str, np.ndarray]) -> None:
    arrays = [a.astype(np.float32) if a is not None and a.dtype == np.float64 else a
              for a in case.arrays()]
    for k, array in enumerate(flat(invoke(case, arrays))):
        assert array.dtype == np.float32
        np.testing.assert_allclose(array, golden[f"{case.key}#{k}"], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("case", CASES, ids=lambda c: c.key)
def test_expansion(case: Case, golden: dict[str, np.ndarray]) -> None:
    graph = expanded(traced(case, case.arrays()))
    inputs = {f"x{i}": a for i, a in enumerate(case.arrays()) if a is not None}
    for dtype, tolerance in ((None, 1e-4), ("float64", 1e-6)):
        result = interpret(graph, inputs, dtype=dtype)
        for k in range(len(graph.outputs)):
            np.testing.assert_allclose(result[f"y{k}"], golden[f"{case.key}#{k}"],
                                       rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize(("name", "one"), SAMPLES, ids=lambda v: v if isinstance(v, str) else "")
def test_samples_agree_with_their_expansion(name: str, one: Sample) -> None:
    inputs = tuple(input_node(f"x{i}", TensorType.parse(t)) for i, t in enumerate(one.types))
    node = expansion(name, *inputs, **one.attrs)
    assert node.type == get(name).infer(*(n.type for n in inputs), **one.attrs)
    arrays = one.arrays()
    result = interpret(expanded(Graph(name, inputs, (("y", node),))),
                       {f"x{i}": a for i, a in enumerate(arrays)})["y"]
    expected = get(name).reference(*arrays, **one.attrs)
    assert result.dtype == expected.dtype == node.dtype
    np.testing.assert_allclose(result, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", COMPOSITES)
def test_composites_are_documented_and_have_samples(name: str) -> None:
    assert get(name).summary
    assert get(name).samples


IMAGES = [c for c in ACTIVATIONS + CONVOLUTIONS + POOLS + NORMS if len(c.shapes[0]) >= 2]


@pytest.mark.parametrize("case", IMAGES, ids=lambda c: c.key)
def test_batch_may_be_symbolic(case: Case) -> None:
    arrays = case.arrays()
    types = [None if a is None else tensor_type(a.dtype, ("batch", *a.shape[1:]) if i == 0
                                                else a.shape) for i, a in enumerate(arrays)]
    nodes = [None if t is None else input_node(f"x{i}", t) for i, t in enumerate(types)]
    result = invoke(case, [None if n is None else Tracer(n) for n in nodes])
    graph = expanded(Graph("g", tuple(n for n in nodes if n), (("y", result.node),)))
    assert str(result.shape[0]) == "batch"
    inputs = {f"x{i}": a for i, a in enumerate(arrays) if a is not None}
    np.testing.assert_allclose(interpret(graph, inputs)["y"],
                               invoke(case, arrays),
                               rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("name", "attrs"), [
    ("mean", {"axes": (0,)}), ("mean", {"axes": (0, 1), "keepdims": True}),
    ("var", {"axes": (0, 2)}), ("std", {"axes": (0,), "ddof": 1}),
    ("logsumexp", {"axes": (0, 1), "keepdims": True})])
def test_statistics_over_a_symbolic_axis(name: str, attrs: dict[str, Any]) -> None:
    x = np.random.default_rng(0).normal(size=(7, 4, 3)).astype(np.float32)
    node = input_node("x", tensor_type("float32", ("batch", 4, 3)))
    graph = expanded(Graph(name, (node,), (("y", expansion(name, node, **attrs)),)))
    np.testing.assert_allclose(interpret(graph, {"x": x})["y"], get(name).reference(x, **attrs),
                               rtol=1e-5, atol=1e-6)


def test_logsumexp_of_nothing_possible() -> None:
    x = np.full((2, 3), -np.inf, np.float32)
    node = input_node("x", tensor_type("float32", (2, 3)))
    graph = expanded(Graph("g", (node,), (("y", expansion("logsumexp", node, axes=(1,))),)))
    with np.errstate(divide="ignore"):
        assert np.all(np.isneginf(interpret(graph, {"x": x})["y"]))


WHOLE = [
    *(lambda x, name=name: getattr(nn, name)(x) for name in (
        "relu", "relu6", "sigmoid", "silu", "gelu", "elu", "selu", "leaky_relu", "hardsigmoid",
        "hardswish", "softplus", "mish", "softmax", "log_softmax", "layer_norm", "rms_norm",
        "instance_norm")),
    lambda x: nn.conv2d(x, np.ones((2, 3, 2, 2), np.float32), padding=1),
    lambda x: nn.conv_transpose2d(x, np.ones((3, 2, 2, 2), np.float32), stride=2),
    lambda x: nn.linear(x, np.ones((2, 5), np.float32)),
    lambda x: nn.max_pool2d(x, 3, 2, 1), lambda x: nn.avg_pool2d(x, 2),
    lambda x: nn.avg_pool2d(x, 3, 2, 1, count_include_pad=False),
    lambda x: nn.adaptive_avg_pool2d(x, 3), lambda x: nn.adaptive_max_pool2d(x, 3),
    lambda x: nn.batch_norm(x, np.ones(3, np.float32), np.ones(3, np.float32)),
    lambda x: nn.group_norm(x, 3), lambda x: nn.flatten(x)]


@pytest.mark.parametrize("dtype", ["int32", "uint8"])
@pytest.mark.parametrize("call", WHOLE)
def test_integers_come_out_as_in_the_reference(call: Any, dtype: str) -> None:
    low, high = (0, 250) if dtype == "uint8" else (-9, 9)
    x = np.random.default_rng(0).integers(low, high, (2, 3, 4, 5)).astype(dtype)
    node = input_node("x", tensor_type(dtype, x.shape))
    graph = expanded(Graph("g", (node,), (("y", call(Tracer(node)).node),)))
    result, expected = interpret(graph, {"x": x})["y"], call(x)
    assert result.dtype == expected.dtype
    np.testing.assert_allclose(result, expected, rtol=1e-4, atol=1e-5)


def test_a_fully_masked_row_gives_zeros() -> None:
    q, mask = np.ones((2, 3), np.float32), np.array([[True, False], [False, False]])
    node = input_node("q", tensor_type("float32", (2, 3)))
    graph = expanded(Graph("g", (node,), (("y", nn.attention(
        Tracer(node), Tracer(node), Tracer(node), mask).node),)))
    expected = nn.attention(q, q, q, mask)
    np.testing.assert_array_equal(expected, [[1, 1, 1], [0, 0, 0]])
    np.testing.assert_array_equal(interpret(graph, {"q": q})["y"], expected)


@pytest.mark.parametrize("masked", [-2.4e38, np.finfo(np.float32).min])
def test_a_row_that_is_masked_by_finite_numbers_has_weights(masked: float) -> None:
    """As in Keras: a softmax over numbers that are all as low."""
    rng = np.random.default_rng(0)
    q, v = (rng.standard_normal((2, 3)).astype(np.float32) for _ in range(2))
    mask = np.array([[0, masked], [masked, masked]], np.float32)
    scores = np.float64(q) @ q.T / np.sqrt(3) + mask
    weights = np.exp(scores - scores.max(-1, keepdims=True))
    expected = weights / weights.sum(-1, keepdims=True) @ v
    nodes = [input_node(n, tensor_type("float32", (2, 3))) for n in "qv"]
    graph = expanded(Graph("g", tuple(nodes), (("y", nn.attention(
        Tracer(nodes[0]), Tracer(nodes[0]), Tracer(nodes[1]), mask).node),)))
    for result in (nn.attention(q, q, v, mask), interpret(graph, {"q": q, "v": v})["y"]):
        np.testing.assert_allclose(result, expected, rtol=1e-5, atol=1e-6)


MATMULS = [((3, 4), (4, 5)), ((4,), (4,)), ((4,), (4, 2)), ((3, 4), (4,)), ((2, 3, 4), (4,)),
           ((4,), (2, 4, 3)), ((2, 3, 4), (2, 4, 5)), ((1, 3, 4), (2, 4, 5)),
           ((2, 3, 4), (1, 4, 5)), ((1, 3, 4), (1, 4, 5)), ((5, 1, 3, 4), (2, 4, 5)),
           ((2, 1, 3, 4), (1, 5, 4, 2)), ((3, 4), (2, 1, 4, 2)), ((1, 1, 2, 3), (3, 2)),
           ((1, 2, 3), (1, 1, 3, 2))]


@pytest.mark.parametrize(("a", "b"), MATMULS, ids=str)
def test_matmul_as_numpy(a: tuple[int, ...], b: tuple[int, ...]) -> None:
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=a).astype(np.float32), rng.normal(size=b).astype(np.float32)
    nodes = tuple(input_node(n, tensor_type("float32", s)) for n, s in (("x", a), ("y", b)))
    result = (Tracer(nodes[0]) @ Tracer(nodes[1])).node
    assert result.shape == (x @ y).shape
    graph = expanded(Graph("g", nodes, (("z", result),)))
    np.testing.assert_allclose(interpret(graph, {"x": x, "y": y})["z"], x @ y, rtol=1e-5,
                               atol=1e-6)


WRONG = [
    (lambda x: nn.conv2d(x, np.zeros((4, 5, 3, 3), np.float32)), "3 channels"),
    (lambda x: nn.conv2d(x, np.zeros((4, 3, 9, 9), np.float32)), "does not fit"),
    (lambda x: nn.conv1d(x, np.zeros((4, 3, 3), np.float32)), "rank 3"),
    (lambda x: nn.conv2d(x, np.zeros((4, 3, 3, 3), np.float32), padding="same", stride=2),
     "stride 1"),
    (lambda x: nn.conv2d(x, np.zeros((4, 3, 3, 3), np.float32), padding="half"), "half"),
    (lambda x: nn.conv2d(x, np.zeros((4, 3, 3, 3), np.float32), stride=(1, 2, 3)), "3 values"),
    (lambda x: nn.max_pool1d(x, 2), "rank 3"),
    (lambda x: nn.linear(x, np.zeros((2, 7), np.float32)), "inner sizes"),
    (lambda x: nn.softmax(x, axis=7), "axis 7 is out of range"),
    (lambda x: nn.layer_norm(x, axes=(-9,)), "out of range"),
]


@pytest.mark.parametrize(("call", "text"), WRONG, ids=[t for _, t in WRONG])
def test_what_does_not_fit_is_told_with_the_line(call: Any, text: str) -> None:
    with pytest.raises(ShapeError, match=text) as error:
        call(Tracer(input_node("x", tensor_type("float32", (1, 3, 6, 6)))))
    assert "test_nn_functions.py" in error.value.where


def test_symbolic_sizes_where_numbers_are_needed() -> None:
    x = Tracer(input_node("x", tensor_type("float32", (1, 2, "height", 8))))
    assert evaluate(nn.max_pool2d(x, 2).shape[2], {"height": 9}) == 4
    with pytest.raises(ShapeError, match="known only at run time"):
        nn.adaptive_avg_pool2d(x, 3)
    with pytest.raises(ShapeError, match="known only at run time"):
        nn.max_pool2d(x, 2, ceil_mode=True)


def test_optional_operands_are_recorded_only_where_one_is_skipped() -> None:
    assert OPERANDS["batch_norm"] == (("x", "mean", "var", "weight", "bias"), 3)
    assert present("conv2d", [1, 2, None]) == ([1, 2], {})
    assert present("batch_norm", [1, 2, 3, None, 5]) == ([1, 2, 3, 5], {"operands": ("bias",)})
    assert present("lstm", [1, 2, 3, None, None, 6, 7])[1] == {"operands": ("h0", "c0")}


def test_normalise_axes() -> None:
    assert normalise_axes(None, 3) == (0, 1, 2)
    assert normalise_axes(-1, 3) == (2,)
    assert normalise_axes((2, -3), 3) == (0, 2)


def test_functions_name_the_variable_they_assign() -> None:
    x = Tracer(input_node("x", tensor_type("float32", (2, 3))))
    hidden = nn.relu(x)
    assert hidden.node.op == "relu"
    assert hidden.node.name == "hidden"
    assert hidden.node.where.text == "hidden = nn.relu(x)"
