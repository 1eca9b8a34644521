"""Vectors and tiles on wasm where sizes are no multiples of anything, fixed and symbolic."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pytest
from lowering import Case, differences, graph_of, run_batch

from transpile.compile import lower_graph
from transpile.ir.dims import Dim, dim
from transpile.ir.graph import Graph, constant, input_node
from transpile.ir.types import TensorType
from transpile.lower.stmt import Kernel
from transpile.ops import registry
from transpile.targets.wasm import print_kernel

SIZES = (1, 2, 3, 4, 5, 7, 8, 9, 11, 16, 17, 20, 23, 33)
Given = tuple[Graph, Mapping[str, np.ndarray]]


def random(*shape: int) -> np.ndarray:
    return np.random.default_rng(sum(shape)).normal(size=shape).astype(np.float32)


def of(op: str, *arrays: np.ndarray, **attrs: Any) -> Given:
    types = [TensorType(a.dtype.name, a.shape) for a in arrays]
    return graph_of(op, types, attrs), {f"x{i}": a for i, a in enumerate(arrays)}


def dense(rows: Dim, depth: int, columns: int, count: int = 0) -> Given:
    """tanh(x @ weight + bias) with constant weights, which lie in panels."""
    x = input_node("x", TensorType("float32", (rows, depth)))
    product = registry.make("matmul", x, constant(random(depth, columns), "weight"))
    output = registry.make("tanh", registry.make("add", product, constant(random(columns), "b")))
    return Graph("dense", (x,), (("out", output),)), {"x": random(count or int(str(rows)), depth)}


def convolution(size: int, channels: int, filters: int, groups: int, stride: int) -> Given:
    x = input_node("x", TensorType("float32", (1, size, size + 1, channels)))
    weight = constant(random(3, 2, channels // groups, filters), "weight")
    output = registry.make("conv", x, weight, stride=(stride, 1), dilation=(1, 1), groups=groups)
    return (Graph("conv", (x,), (("out", registry.make("relu", output)),)),
            {"x": random(1, size, size + 1, channels)})


def channels_first(channels: int) -> Given:
    """A depthwise convolution of an image that comes channels-first."""
    x = input_node("x", TensorType("float32", (1, channels, 6, 7)))
    padded = registry.make("pad", x, low=(0, 0, 1, 2), high=(0, 0, 1, 0), mode="constant",
                           value=0.5)
    image = registry.make("transpose", padded, perm=(0, 2, 3, 1))
    output = registry.make("conv", image, constant(random(3, 3, 1, channels), "weight"),
                           stride=(1, 1), dilation=(1, 1), groups=channels)
    return Graph("conv", (x,), (("out", output),)), {"x": random(1, channels, 6, 7)}


def fixed() -> Iterator[Given]:
    for n in SIZES:
        yield of("exp", random(n))
        yield of("add", random(3, n), random(n))
        yield of("softmax", random(3, n), axis=-1)
        yield of("softmax", random(n, 5), axis=0)
        yield of("sum", random(2, n), axes=(1,), keepdims=False)
        yield of("max", random(2, n), axes=(0,), keepdims=True)
        yield of("prod", random(n), axes=(0,), keepdims=False)
        yield of("layer_norm", random(4, n), random(n), random(n), axes=(1,), eps=1e-5)
        yield of("cumsum", random(5, n), axis=0)
        yield of("cumsum", random(3, n), axis=1, reverse=True)
        yield of("transpose", random(n, 6), perm=(1, 0))
        yield of("transpose", random(2, n, 3, 9), perm=(0, 3, 2, 1))
        yield of("contract", random(5, n), random(6, n), equation="mk,nk->mn")
        yield of("contract", random(2, 3, n), random(2, n, 9), equation="bmk,bkn->bmn")
        yield of("contract", random(n, 5), random(n, 7), equation="km,kn->mn")
        yield of("window_max", random(1, 5, 6, n), window=(2, 2), stride=(1, 2), dilation=(1, 1))
        yield of("concat", random(3, n), random(3, 5), axis=1)
        yield of("pad", random(4, n), low=(1, 2), high=(0, 3), mode="constant", value=0.5)
        yield of("take", random(5, n), np.array([4, 0, 2], np.int32), axis=0)
        yield of("recurrence", random(4, 2, 4 * n), random(n, 4 * n), random(2, n), random(2, n),
                 cell="lstm")
        yield of("recurrence", random(4, 2, 3 * n), random(n, 3 * n), random(2, n),
                 cell="gru_before", reverse=True)
        yield dense(3, 5, n)
        yield dense(n, 3, 21)
        yield dense(n + 30, 270 + n, 2)
        yield dense(n + 30, 180 + n, 3)
        yield convolution(n + 8, 20, 3, 1, 1)
        yield dense(1, 600 + n, 28)  # long enough for two steps in a body
        yield dense(1, 1000, 12 + n)
        yield convolution(6, 3, n, 1, 2)
        yield channels_first(n)
        for size in (5, 6, 7):
            yield convolution(size, n, n, n, 1)
        yield convolution(4, 4, 4 * n, 4, 1)


def symbolic() -> Iterator[Given]:
    size = dim("size")
    for n in SIZES:
        yield dense(size, 5, 24, n)
        yield (graph_of("transpose", [TensorType("float32", (size, 6))], {"perm": (1, 0)}),
               {"x0": random(n, 6)})
        for op, shape, attrs in (("sigmoid", (n,), {}), ("softmax", (2, n), {"axis": -1}),
                                 ("mean", (n, 3), {"axes": (0,), "keepdims": False})):
            named = tuple(size if d == n else d for d in shape) if n not in (2, 3) else shape
            yield (graph_of(op, [TensorType("float32", named)], attrs), {"x0": random(*shape)})


@pytest.mark.parametrize("cases", [fixed, symbolic])
def test_every_size_agrees_with_numpy(cases: Any) -> None:
    given = list(cases())
    found = run_batch([Case(lower_graph(g, "wasm"), inputs) for g, inputs in given])
    wrong = [f"{g}\n{text}" for (g, inputs), out in zip(given, found, strict=True)
             if (text := differences(g, inputs, out))]
    assert not wrong, f"{len(wrong)} of {len(given)} differ, among them\n{wrong[0]}"


def kernels(given: Given) -> tuple[Kernel, ...]:
    return lower_graph(given[0], "wasm").kernels


def innermost(kernel: Kernel) -> list[str]:
    """The instructions of the innermost loop that multiplies most."""
    lines = [line.split()[0] for line in print_kernel(kernel, "f").splitlines() if line.strip()]
    starts = [i for i, line in enumerate(lines) if line == "loop"]
    bodies = [lines[i:i + 1 + next(n for n, line in enumerate(lines[i + 1:])
                                   if line in ("loop", "end"))] for i in starts]
    return max(bodies, key=lambda body: body.count("f32x4.mul"))


def test_a_matrix_product_keeps_a_tile_in_registers() -> None:
    (kernel,) = kernels(dense(64, 32, 64))
    body = innermost(kernel)
    assert [body.count(i) for i in ("f32x4.mul", "f32x4.add", "v128.load", "v128.load32_splat")
            ] == [8, 8, 4, 2]
    assert not {"i32.mul", "f32.mul", "i32.lt_s"} & set(body)  # pointers do all the counting


@pytest.mark.parametrize("columns", [64, 56, 36])
def test_a_product_with_a_vector_fits_the_registers(columns: int) -> None:
    """V8 loads all that a body needs first, so totals, vectors and numbers all count."""
    (kernel,) = kernels(dense(1, 512, columns))
    body = innermost(kernel)
    loads, spread = body.count("v128.load"), body.count("v128.load32_splat")
    assert loads == body.count("f32x4.mul") == 8
    assert spread == 2
    assert loads // spread + loads + spread < 15  # of 16 registers V8 keeps one for itself


@pytest.mark.parametrize(("given", "instruction"), [
    (of("tanh", random(64)), "f32x4.div"),
    (of("contract", random(8, 32), random(8, 32), equation="mk,nk->mn"), "f32x4.mul"),
    (dense(9, 1000, 3), "f32x4.mul"), (dense(9, 1000, 2), "f32x4.mul"),
    (channels_first(64), "i8x16.shuffle"), (channels_first(64), "f32x4.mul"),
    (of("transpose", random(9, 7), perm=(1, 0)), "i8x16.shuffle"),
    (of("where", random(32) > 0, random(32), random(32)), "f32.load"),  # bools are bytes
    (of("window_max", random(1, 8, 8, 16), window=(2, 2), stride=(2, 2), dilation=(1, 1)),
     "f32x4.pmax"),
])
def test_what_lanes_can_do_they_do(given: Given, instruction: str) -> None:
    text = "\n".join(print_kernel(k, "f") for k in kernels(given))
    assert instruction in text
