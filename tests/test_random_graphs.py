"""Random graphs over the op table: what the emitted kernels compute is what NumPy computes."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from lowering import NODE_TARGETS, Case, differences, run_batch
from strategies import Example, examples

from transpile.compile import lower_all, lower_graph
from transpile.ir.text import format_graph
from transpile.lower.check import check_kernel
from transpile.lower.interpret import run_program
from transpile.ops import registry

GRAPHS = 200
INTERPRETED = 40
SHARED = 100

GENERATE = settings(derandomize=True, database=None, deadline=None, phases=[Phase.generate],
                    suppress_health_check=list(HealthCheck))
"""The same graphs in every run; one Node process runs them all."""


def generated(count: int) -> list[Example]:
    found: list[Example] = []

    @settings(GENERATE, max_examples=count)
    @given(examples())
    def collect(example: Example) -> None:
        found.append(example)
    collect()
    return found


@pytest.fixture(scope="module")
def graphs() -> list[Example]:
    return generated(GRAPHS)


@pytest.mark.parametrize("target", NODE_TARGETS)
def test_kernels_agree_with_numpy(target: str, graphs: list[Example]) -> None:
    cases = [Case(lower_graph(e.graph, target), e.inputs) for e in graphs]
    wrong = []
    for example, found in zip(graphs, run_batch(cases), strict=True):
        text = differences(example.graph, example.inputs, found, cancelling=True)
        if text:
            wrong.append(f"{text}\n{format_graph(example.graph)}")
    assert not wrong, f"{len(wrong)} of {len(graphs)} graphs differ; the shortest:\n" + min(
        wrong, key=len)


def test_targets_that_share_a_plan_agree_with_numpy(graphs: list[Example]) -> None:
    for target, program in zip(NODE_TARGETS, zip(*(
            lower_all(e.graph, NODE_TARGETS) for e in graphs[:SHARED]), strict=True),
            strict=True):
        found = run_batch([Case(p, e.inputs) for p, e in zip(program, graphs, strict=False)])
        for example, outputs in zip(graphs, found, strict=False):
            assert differences(example.graph, example.inputs, outputs, cancelling=True) == "", (
                target, format_graph(example.graph))


@pytest.mark.parametrize("target", NODE_TARGETS)
def test_interpreted_kernels_agree_with_numpy(target: str, graphs: list[Example]) -> None:
    for example in graphs[:INTERPRETED]:
        program = lower_graph(example.graph, target)
        for kernel in program.kernels:
            check_kernel(kernel)
        found = run_program(program, example.inputs)
        assert differences(example.graph, example.inputs, found, cancelling=True) == ""


def test_the_graphs_are_worth_running(graphs: list[Example]) -> None:
    """They cover most of the table, and are not all of them short."""
    ops = Counter(n.op for e in graphs for n in e.graph.nodes)
    known = set(registry.names())
    assert len(set(ops) & known) > 70
    assert sum(len(e.graph.nodes) > 8 for e in graphs) > len(graphs) // 10
    assert sum(bool(e.graph.dim_names) for e in graphs) > len(graphs) // 5
    assert sum(len(e.graph.outputs) > 1 for e in graphs) > len(graphs) // 10
    assert all(np.isfinite(v).all() for e in graphs for v in e.inputs.values())
