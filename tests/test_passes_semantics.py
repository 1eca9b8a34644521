"""No pass changes what a graph computes: every op's samples, in several surroundings."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from transpile.ir.graph import Graph, Node, constant, input_node
from transpile.ir.interpret import interpret
from transpile.ir.text import format_graph, large_constants, parse_graph, structurally_equal
from transpile.ir.types import TensorType, tensor_type
from transpile.ops.registry import OPS, Composite, Sample, get, make, names
from transpile.passes import run_pipeline
from transpile.passes.verify import verify_graph

OPERATORS = sorted(names())
ROTATED = {0: (), 1: (0,), **{rank: (0, *range(2, rank), 1) for rank in range(2, 7)},
           2: (1, 0), 3: (1, 2, 0)}


def assert_same(graph: Graph, inputs: dict[str, np.ndarray]) -> Graph:
    """Optimise, verify, and compare with the graph as it was; gives the new graph."""
    after, _ = run_pipeline(graph, debug=True)
    again = parse_graph(format_graph(after), large_constants(after))
    assert structurally_equal(after, again)
    expected, got = interpret(graph, inputs), interpret(after, inputs)
    for name, array in expected.items():
        assert (array.dtype, array.shape) == (got[name].dtype, got[name].shape)
        np.testing.assert_allclose(got[name], array, rtol=2e-4, atol=2e-4)
    return after


def turned(node: Node) -> Node:
    """The same value through a transpose and back, to be undone by the passes."""
    perm = ROTATED[node.type.rank]
    back = tuple(int(i) for i in np.argsort(perm))
    return make("transpose", make("transpose", node, perm=back), perm=perm)


def surround(op: str, sample: Sample, style: str) -> tuple[Graph, dict[str, np.ndarray]]:
    arrays = sample.arrays()
    held = {"constant": len(arrays) - 1 if len(arrays) > 1 else 9, "folded": 0}.get(style, 9)
    nodes, inputs, fed = [], [], {}
    for k, (text, array) in enumerate(zip(sample.types, arrays, strict=True)):
        if k >= held:
            nodes.append(constant(array, f"p{k}", parameter=True))
            continue
        type_ = TensorType.parse(text)
        if style == "turned":  # the user's layout is another one
            perm = ROTATED[type_.rank]
            back = tuple(int(i) for i in np.argsort(perm))
            inputs.append(input_node(f"x{k}", type_.with_shape([type_.shape[p] for p in back])))
            fed[f"x{k}"] = array.transpose(back)
            nodes.append(make("transpose", inputs[-1], perm=perm))
        else:
            inputs.append(input_node(f"x{k}", type_))
            fed[f"x{k}"] = array
            nodes.append(inputs[-1])
    result = make(op, *nodes, **sample.attrs)
    outputs = [("y", result)]
    if result.dtype == "float32":
        more = make("maximum", turned(result), constant(0.0))
        outputs.append(("z", make("transpose", more, perm=ROTATED[result.type.rank])))
    return Graph(op, tuple(inputs), tuple(outputs)), fed


@pytest.mark.parametrize("style", ["plain", "constant", "folded", "turned"])
@pytest.mark.parametrize("op", OPERATORS)
def test_samples_survive(op: str, style: str) -> None:
    for sample in get(op).samples[:None if style == "plain" else 3]:
        after = assert_same(*surround(op, sample, style))
        assert not any(isinstance(get(n.op).form, Composite) for n in after.nodes
                       if n.op not in ("input", "constant"))




@st.composite
def programs(draw: Any) -> tuple[Graph, dict[str, np.ndarray]]:
    """Images between convolutions, pads, transposes, scales, residuals and reductions."""
    rng = np.random.default_rng(draw(st.integers(0, 99)))

    def const(*shape: int) -> Node:
        return constant(rng.uniform(0.3, 1.2, shape).astype("float32"),
                        draw(st.sampled_from(["w", "scale", ""])), parameter=True)

    shape = draw(st.sampled_from([("batch", 3, 4, 5), (7,), (1, 6), ("batch", 1, 6), (2, 3, 6)]))
    x = input_node("x", tensor_type("float32", shape))
    pool: list[Node] = [x]
    for _ in range(draw(st.integers(2, 8))):
        a = draw(st.sampled_from(pool))
        pool.append(_grow(draw, a, pool, const))
    outputs = tuple((f"y{i}", n) for i, n in enumerate(pool[-2:]))
    return Graph("random", (x,), outputs), {
        "x": rng.uniform(-1, 1, [2 if d == "batch" else d for d in shape]).astype("float32")}


def _grow(draw: Any, a: Node, pool: list[Node], const: Any) -> Node:
    rank = a.type.rank
    kind = draw(st.sampled_from(["unary", "scale", "binary", "transpose", "reduce", "pad", "conv",
                                 "flatten", "linear", "concat", "slice"]))
    if kind == "unary":
        return make(draw(st.sampled_from(["relu", "neg", "abs", "tanh", "square"])), a)
    if kind == "scale":
        shape = tuple(d if isinstance(d, int) and draw(st.booleans()) else 1 for d in a.shape)
        return make(draw(st.sampled_from(["add", "sub", "mul", "div"])), a, const(*shape))
    if kind == "binary":
        others = [n for n in pool if n.shape == a.shape]
        return make(draw(st.sampled_from(["add", "sub", "mul", "maximum"])), a,
                    draw(st.sampled_from(others)))
    if kind == "transpose" and rank:
        return make("transpose", a, perm=tuple(draw(st.permutations(range(rank)))))
    if kind == "reduce" and rank:
        axes = tuple(sorted(draw(st.sets(st.integers(0, rank - 1), max_size=2))))
        axes = tuple(i for i in axes if isinstance(a.shape[i], int))
        return make(draw(st.sampled_from(["sum", "max", "mean"])), a, axes=axes,
                    keepdims=draw(st.booleans()))
    if kind == "pad" and rank:
        amounts = st.tuples(*[st.integers(0, 1 if isinstance(d, int) else 0) for d in a.shape])
        return make("pad", a, low=draw(amounts), high=draw(amounts), mode="constant",
                    value=draw(st.sampled_from([0.0, 1.0])))
    if kind == "slice" and rank:
        at = draw(st.integers(0, rank - 1))
        if isinstance(a.shape[at], int) and a.shape[at] > 1:
            sizes = tuple(d - 1 if i == at else d for i, d in enumerate(a.shape))
            starts = tuple(int(i == at) for i in range(rank))
            return make("slice", a, starts=starts, sizes=sizes, steps=(1,) * rank)
    if kind == "concat" and rank:
        return make("concat", a, a, axis=draw(st.integers(0, rank - 1)))
    return _contract(draw, a, kind, const)


def _contract(draw: Any, a: Node, kind: str, const: Any) -> Node:
    rank, static = a.type.rank, all(isinstance(d, int) for d in a.shape[1:])
    if kind == "conv" and rank == 4 and static and max(a.shape[1:], default=0) < 12:
        return make("conv2d", a, const(2, a.shape[1], 1, 1), const(2), padding=1)
    if kind == "flatten" and rank > 1 and static:
        return make("reshape", a, shape=(a.shape[0], int(np.prod(a.shape[1:]))))
    if kind == "linear" and rank and isinstance(a.shape[-1], int):
        order = draw(st.sampled_from(["xw", "xwt", "wx"]))
        if order == "wx" and rank == 1:
            return make("matmul", const(3, a.shape[0]), a)
        if order == "xwt":
            turned_weight = make("transpose", const(3, a.shape[-1]), perm=(1, 0))
            return make("matmul", a, turned_weight)
        return make("matmul", a, const(a.shape[-1], 3))
    return make("relu", a)


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(programs())
def test_random_programs_survive(case: tuple[Graph, dict[str, np.ndarray]]) -> None:
    graph, inputs = case
    after = assert_same(graph, inputs)
    verify_graph(after)
    again, _ = run_pipeline(after)
    assert again is after, f"{after}\n{again}"  # a fixed point


def test_every_operator_is_covered() -> None:
    assert set(OPERATORS) == set(OPS)
