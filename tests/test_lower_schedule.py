"""Schedules change how a kernel computes, and nothing of what: every tile agrees with L0."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lowering import NODE_TARGETS, differences

from transpile.compile import lower_graph, lower_optimised, own_passes
from transpile.ir.dims import Dim, dim
from transpile.ir.graph import Graph, constant, input_node
from transpile.ir.types import TensorType
from transpile.lower.check import check_kernel
from transpile.lower.interpret import run_program
from transpile.lower.loops import Tile
from transpile.lower.nest import Nest
from transpile.ops import registry
from transpile.passes import run_pipeline
from transpile.program import Program
from transpile.targets import TARGETS
from transpile.targets.base import row_major

SIZE = st.integers(1, 11)
FACTORS = (1, 1, 2, 3, 4, 5, 8)


def lowered(graph: Graph, schedule: Callable[[Nest], Tile]) -> Program:
    target = replace(TARGETS["js"], schedule=schedule, passes=(), panel=row_major)
    return lower_optimised(own_passes(run_pipeline(graph)[0], target), target, target)


def random_tiles(seed: int) -> Callable[[Nest], Tile]:
    rng = random.Random(seed)

    def schedule(nest: Nest) -> Tile:
        fits = [(a.name, rng.choice([f for f in FACTORS if not isinstance(a.extent, int)
                                     or f <= a.extent])) for a in nest.axes]
        unroll = tuple(r.name for r in nest.reds if isinstance(r.extent, int)
                       and r.extent <= 6 and rng.random() < 0.5)
        return Tile(tuple(fits) if nest.combine else (), unroll)
    return schedule


def dense(rows: Dim, inner: int, columns: int) -> Graph:
    """relu(x @ w + b) * 2 + x[0, 0]."""
    rng = np.random.default_rng(inner)
    x = input_node("x", TensorType("float32", (rows, inner)))
    w = constant(rng.normal(size=(inner, columns)), "w")
    y = registry.make("add", registry.make("matmul", x, w), constant(rng.normal(size=columns)))
    corner = registry.make("slice", x, starts=(0, 0), sizes=(1, 1), steps=(1, 1))
    y = registry.make("add", registry.make("relu", y), corner)
    return Graph("dense", (x,), (("y", y),))


def image(height: int, width: int, channels: int, kernel: int, groups: int) -> Graph:
    rng = np.random.default_rng(height)
    channels *= groups
    x = input_node("x", TensorType("float32", (2, channels, height, width)))
    w = constant(rng.normal(size=(2 * groups, channels // groups, kernel, kernel)), "w")
    y = registry.make("conv2d", x, w, padding=kernel // 2, stride=1 + height % 2, groups=groups)
    return Graph("image", (x,), (("y", registry.make("max", y, axes=(3,), keepdims=False)),))


def agree(graph: Graph, batch: int, schedule: Callable[[Nest], Tile]) -> None:
    rng = np.random.default_rng(batch)
    (x,) = graph.inputs
    shape = [d if isinstance(d, int) else batch for d in x.shape]
    inputs = {"x": rng.normal(size=shape).astype(np.float32)}
    plain, tiled = lowered(graph, lambda nest: Tile()), lowered(graph, schedule)
    for kernel in (*plain.kernels, *tiled.kernels):
        assert check_kernel(kernel).proved > 0
    reference, found = run_program(plain, inputs), run_program(tiled, inputs)
    # Points of a tile are independent: each sums in the same order as in the plain nest.
    np.testing.assert_array_equal(found["y"], reference["y"])
    assert differences(graph, inputs, found) == ""


@settings(max_examples=30, deadline=None)
@given(SIZE, SIZE, SIZE, st.booleans(), st.integers(0, 1000))
def test_products_at_ragged_sizes(rows: int, inner: int, columns: int, symbolic: bool, seed: int
                                  ) -> None:
    agree(dense(dim("batch") if symbolic else rows, inner, columns), rows, random_tiles(seed))


@settings(max_examples=15, deadline=None)
@given(st.integers(3, 7), st.integers(3, 6), st.integers(1, 3), st.sampled_from([1, 3]),
       st.sampled_from([1, 2]), st.integers(0, 1000))
def test_convolutions_at_ragged_sizes(height: int, width: int, channels: int, kernel: int,
                                      groups: int, seed: int) -> None:
    agree(image(height, width, channels, kernel, groups), 1, random_tiles(seed))


@pytest.mark.parametrize("target", NODE_TARGETS)
@pytest.mark.parametrize("rows", [1, 3, 4, 7, 9])
@pytest.mark.parametrize("columns", [1, 4, 6, 8, 12, 17])
def test_a_target_s_own_schedule_at_ragged_sizes(target: str, rows: int, columns: int) -> None:
    inputs = {"x": np.random.default_rng(0).normal(size=(rows, 5)).astype(np.float32)}
    for size in (rows, dim("batch")):
        graph = dense(size, 5, columns)
        program = lower_graph(graph, target)
        for kernel in program.kernels:
            check_kernel(kernel)
        assert differences(graph, inputs, run_program(program, inputs)) == ""
