"""The interpreter of the loop IR: right on every sample, and strict about memory."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from lowering import NODE_TARGETS, SAMPLES, differences, graph_of, sample_graph, sample_program

from transpile.compile import lower_graph
from transpile.errors import InternalError, ShapeError
from transpile.ir.dims import dim
from transpile.ir.graph import Graph, constant, input_node
from transpile.ir.types import TensorType
from transpile.lower.interpret import run_kernel, run_program
from transpile.lower.stmt import Kernel
from transpile.lower.text import parse_kernel
from transpile.ops import registry


@pytest.mark.parametrize("target", NODE_TARGETS)
def test_every_sample_gives_what_its_reference_gives(target: str) -> None:
    wrong = {}
    for op, number in SAMPLES:
        graph, inputs = sample_graph(op, number)
        program = sample_program(op, number, target)
        found = run_program(program, inputs, single=target == "wasm")
        text = differences(graph, inputs, found)
        if text:
            wrong[f"{op}/{number}"] = text
    assert wrong == {}


@pytest.mark.parametrize("batch", [1, 2, 7])
def test_named_dimensions_are_bound_by_the_inputs(batch: int) -> None:
    x = input_node("x", TensorType("float32", (dim("batch"), 5)))
    w = constant(np.arange(15, dtype=np.float32).reshape(5, 3), "w")
    node = registry.make("softmax", registry.make("matmul", x, w))
    graph = Graph("g", (x,), (("y", node),))
    inputs = {"x": np.random.default_rng(0).normal(size=(batch, 5)).astype(np.float32)}
    found = run_program(lower_graph(graph), inputs)
    assert found["y"].shape == (batch, 3)
    assert differences(graph, inputs, found) == ""
    with pytest.raises(ShapeError):
        run_program(lower_graph(graph), {"x": np.zeros((batch, 4), np.float32)})


def kernel(text: str) -> Kernel:
    return parse_kernel(text)


COPY = """
kernel copy(x: float32[$n], out: float32[$n] written) $n
  for i in 0..$n:
    out[i] = x[i]
"""


def test_a_kernel_runs_on_arrays() -> None:
    x, out = np.arange(5, dtype=np.float32), np.zeros(5, np.float32)
    run_kernel(kernel(COPY.strip()), [x, out], {"n": 5})
    assert np.array_equal(out, x)


BAD = [
    ("out[i+1] = x[i]", "index 4 lies outside out"),
    ("out[i] = x[i-1]", "index -1 lies outside x"),
    ("out[i] = x[<to_int32(x[i]) in 0..2>]", "the index 3 breaks its bounds 0..2"),
    ("out[i] = to_float32([3-i])", None),
    ("out[i] = select(less([i], 3i), x[i+1], 0.0)", None),
    ("let p = &x[i]\n    out[i] = p[1]", "index 4 lies outside x"),
    ("let p = &x[1]\n    out[i] = p[i-1]", None),
    ("out[i] = x::float32x4[0]", None),
    ("out[0] = x::float32x4[i]", "index 1 lies outside x"),
]


@pytest.mark.parametrize(("line", "message"), BAD)
def test_every_access_is_checked(line: str, message: str | None) -> None:
    line = line.replace("out[i] = x::float32x4[0]", "out[0] = x::float32x4[0]")
    text = f"kernel bad(x: float32[4], out: float32[4] written)\n  for i in 0..4:\n    {line}"
    x, out = np.arange(4, dtype=np.float32), np.zeros(4, np.float32)
    if message is None:
        run_kernel(kernel(text), [x, out])
        return
    with pytest.raises(InternalError, match=f"kernel bad: {message}.*") as caught:
        run_kernel(kernel(text), [x, out])
    assert "at i=" in str(caught.value)


def test_arguments_must_have_their_sizes_and_dtypes() -> None:
    x = np.zeros(3, np.float32)
    for wrong in (np.zeros(4, np.float32), np.zeros(3, np.int32)):
        with pytest.raises(InternalError, match="argument out"):
            run_kernel(kernel(COPY.strip()), [x, wrong], {"n": 3})


def test_what_nothing_has_written_is_not_a_number() -> None:
    graph = graph_of("neg", [TensorType("float32", (3,))], {})
    program = replace(lower_graph(graph), tasks=())
    found = run_program(program, {"x0": np.zeros(3, np.float32)})
    assert np.isnan(found["out"]).all()


def test_values_are_wide_unless_asked_for_single() -> None:
    text = ("kernel k(x: float32[1], out: float32[1] written)\n"
            "  out[0] = sub(add(x[0], 1.0), 1.0)")
    x = np.array([1e-9], np.float32)
    wide, single = np.zeros(1, np.float32), np.zeros(1, np.float32)
    run_kernel(kernel(text), [x, wide])
    run_kernel(kernel(text), [x, single], single=True)
    assert wide[0] == pytest.approx(1e-9, rel=1e-5)
    assert single[0] == 0
