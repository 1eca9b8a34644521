"""What rewrites kernels after scheduling leaves their results as they were."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import pytest
from lowering import SAMPLES, differences, sample_graph, sample_program

from transpile.ir.dims import Axis, atom, dim
from transpile.lower.decompose import decompose
from transpile.lower.expr import Call, Const, Expr, Index, Load
from transpile.lower.hoist import hoist
from transpile.lower.interpret import run_kernel, run_program
from transpile.lower.merge import merge_loops
from transpile.lower.scalar import SCALARS
from transpile.lower.share import share
from transpile.lower.simplify import simplify
from transpile.lower.stmt import Let, Stmt, Store
from transpile.lower.text import parse_kernel
from transpile.lower.vectorize import vectorize
from transpile.lower.walk import map_body, own_exprs, parts, statements

Rewrite = Callable[[Sequence[Stmt]], Sequence[Stmt]]
EXACT: dict[str, Rewrite] = {
    "hoist": hoist, "merge": merge_loops, "simplify": lambda body: map_body(body, simplify)}
CLOSE: dict[str, Rewrite] = {
    "decompose": lambda body: decompose(body, "js"), "vectorize": vectorize,
    "both": lambda body: hoist(vectorize(decompose(body, "js")))}
LAST = [(op, number) for op, number in SAMPLES if number in (0, 3)]
"""Two samples of each op at most: these tests run every element in Python."""


def rewritten(op: str, number: int, rewrite: Rewrite) -> dict[str, np.ndarray]:
    program = sample_program(op, number)
    kernels = tuple(replace(k, body=tuple(rewrite(k.body))) for k in program.kernels)
    return run_program(replace(program, kernels=kernels), sample_graph(op, number)[1])


@pytest.mark.parametrize("name", EXACT)
def test_results_are_the_same_to_the_bit(name: str) -> None:
    for op, number in LAST:
        before = run_program(sample_program(op, number), sample_graph(op, number)[1])
        after = rewritten(op, number, EXACT[name])
        np.testing.assert_array_equal(after["out"], before["out"], err_msg=f"{op}/{number}")


@pytest.mark.parametrize("name", CLOSE)
def test_results_agree(name: str) -> None:
    for op, number in LAST:
        graph, inputs = sample_graph(op, number)
        assert differences(graph, inputs, rewritten(op, number, CLOSE[name])) == "", op


def test_decomposed_kernels_use_the_column_only() -> None:
    for op, number in LAST:
        for kernel in sample_program(op, number).kernels:
            for stmt in statements(decompose(kernel.body, "js")):
                for part in (p for e in own_exprs(stmt) for p in parts(e)):
                    assert not isinstance(part, Call) or SCALARS[part.fn].cell(
                        "js", part.args[-1].dtype), part.fn


def body_of(text: str) -> tuple[Stmt, ...]:
    lines = "\n".join(f"  {line}" for line in text.strip().split("\n"))
    return parse_kernel(f"kernel k(x: float32[99], sum: float32[99], out: float32[99] written)\n"
                        f"{lines}").body


def test_what_occurs_twice_is_bound_once() -> None:
    body = body_of("out[0] = add(exp(x[1]), x[1])\nout[1] = exp(x[1])")
    assert share(body) == (
        *body_of("let x@0 = x[1]\nlet t@0 = exp(x@0)\nout[0] = add(t@0, x@0)\nout[1] = t@0"),)


def test_what_may_not_exist_is_not_bound() -> None:
    body = body_of("out[0] = select(less([1], 2i), add(x[50], x[50]), 0.0)")
    assert share(body) == body


def test_what_the_block_itself_changes_is_not_bound() -> None:
    body = body_of("out[0] = add(out[1], 1.0)\nout[1] = add(out[1], 1.0)")
    assert share(body) == body


def test_shared_values_keep_apart_from_accumulators_and_from_earlier_ones() -> None:
    first = share(body_of("var sum0 = 0.0\nsum0 = add(sum0, mul(sum[3], sum[3]))"))
    second = share(body_of("out[0] = mul(sum[4], sum[4])"), first)
    names = [s.name for s in (*first, *second) if isinstance(s, Let)]
    assert len(set(names)) == len(names) == 2
    assert "sum0" not in names


def test_a_decomposition_computes_its_argument_once() -> None:
    body = decompose(body_of("out[0] = erf(add(x[0], 1.0))"), "js")
    loads = [p for s in body for e in own_exprs(s) for p in parts(e) if isinstance(p, Load)]
    assert len(loads) == 1
    x, out = np.full(99, 0.3, np.float32), np.zeros(99, np.float32)
    whole = parse_kernel("kernel k(x: float32[99], out: float32[99] written)\n  out[0] = 0.0")
    run_kernel(replace(whole, body=body), [x, out])
    assert out[0] == pytest.approx(0.9340079, abs=1e-6)  # erf(1.3), Abramowitz and Stegun 7.1


def test_what_is_huge_as_a_tree_is_shared_by_its_distinct_parts() -> None:
    value: Expr = Load("x", dim(0), "float32")
    for _ in range(64):
        value = Call("mul", (value, value), "float32")
    for _ in range(4):
        value = Call("erf", (value,), "float32")
    shared = share(decompose([Store("out", dim(0), value)], "js"))
    assert 64 < len(shared) < 640


def test_loops_that_walk_memory_as_one_become_one() -> None:
    merged = merge_loops(body_of(
        "for i in 0..3:\n  for j in 0..5:\n    out[5*i+j] = x[5*i+j]"))
    assert merged == body_of("for j in 0..15:\n  out[j] = x[j]")
    other = body_of("for i in 0..3:\n  for j in 0..5:\n    out[5*i+j] = x[j]")
    assert merge_loops(other) == other


@pytest.mark.parametrize(("index", "fn", "bound", "expected"), [
    (atom(Axis("i", 5)), "less", 5, True), (atom(Axis("i", 5)), "greater_equal", 0, True),
    (atom(Axis("i", 5)), "less", 0, False), (atom(Axis("i", 5)), "less", 4, None),
    (dim("n"), "greater_equal", 1, True), (dim("n"), "greater", 1, None),
    (atom(Axis("i", dim("n"))) + 3, "greater", 2, True)])
def test_comparisons_that_bounds_decide_go(index: object, fn: str, bound: int,
                                           expected: bool | None) -> None:
    expr = Call(fn, (Index(index), Const(bound, "int32")), "bool")  # type: ignore[arg-type]
    found = simplify(expr)
    if expected is None:
        assert isinstance(found, Call)
    else:
        assert found == Const(expected, "bool")


def test_addresses_stay_inside_the_loops_that_a_condition_holds() -> None:
    body = body_of("for i in 0..3:\n  if greater([i], 0i):\n    for j in 0..4:\n"
                   "      out[4*i+j] = x[4*i+j]")
    assert hoist(body) == body_of(
        "for i in 0..3:\n  if greater([i], 0i):\n    let xAt = &x[4*i]\n    let outAt = &out[4*i]\n"
        "    for j in 0..4:\n      outAt[j] = xAt[j]")
