"""The JS that is printed: numbers, names, and golden kernels (`TRANSPILE_UPDATE=1` writes them)."""

from __future__ import annotations

import math
import os
import re
from pathlib import Path

import esprima
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from lowering import Case, differences, run_batch

from transpile.compile import lower_graph
from transpile.ir.dims import Axis, atom, dim
from transpile.ir.graph import Graph
from transpile.ir.text import parse_graph
from transpile.lower.expr import Call, Const, Load, Local
from transpile.lower.stmt import Argument, Assign, Declare, For, Kernel, Let, Store
from transpile.targets.js import identifier, js_number, print_kernel

FOLDER = Path(__file__).parent / "lower"
NUMBER = re.compile(r"-?(\d+\.?\d*|\.\d+)(e-?\d+)?|-?Infinity|NaN")


@given(st.floats(width=32))
def test_a_float_is_the_shortest_text_that_gives_it_back(value: float) -> None:
    text = js_number(value, "float32")
    assert NUMBER.fullmatch(text)
    again = np.float32(float(text))
    assert again == np.float32(value) or (math.isnan(value) and np.isnan(again))
    assert np.signbit(again) == np.signbit(np.float32(value)) or math.isnan(value)
    assert not math.isfinite(value) or len(text) <= len(str(np.float32(value)))


@given(st.integers(-2**31, 2**31 - 1))
def test_an_integer_is_itself(value: int) -> None:
    assert js_number(value, "int32") == str(value)


@given(st.text())
def test_every_name_becomes_an_identifier(name: str) -> None:
    text = identifier(name)
    esprima.parseScript(f"'use strict'; let {text} = 0;")


HOSTILE = ("x", "x y", "f32", "for", "let", "</script>", "'; alert(1); '", "*/", "a\nb", "größe",
           "__proto__", "arguments", "3d", "", "x@0", "Math")


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("other", HOSTILE)
def test_hostile_names_keep_apart(name: str, other: str) -> None:
    """One name as an argument, a dimension, a loop variable, an accumulator and a shared value."""
    size, row = dim(name), Axis(name, dim(name))
    second = other if other != name else f"{other} again"
    body = (Declare(name, Const(0.0)),
            For(row, (Let(second, Load(name, atom(row))),
                      Assign(name, Call("add", (Local(name), Local(second))))), 0, size),
            Store(second, 0, Local(name)))
    args = (Argument(name, "float32", size), Argument(second, "float32", 1, True))
    script = esprima.parseScript(print_kernel(Kernel(name, args, (name,), body), "kernel"))
    function = script.body[0]
    names = [p.name for p in function.params[1:]]
    assert len(script.body) == 1
    assert len(set(names)) == 3


GOLDEN = {
    "dense": """
        %x = input : float32[batch, 784]
        %w = input : float32[784, 10]
        %b = input : float32[10]
        %a = contract(%x, %w) {equation='mk,kn->mn'} : float32[batch, 10]
        %c = add(%a, %b) : float32[batch, 10]
        %zero = constant 0.0 : float32[]
        %hidden = maximum(%c, %zero) : float32[batch, 10]
        return y=%hidden""",
    "softmax": """
        %x = input : float32[batch, 10]
        %p = softmax(%x) {axis=-1} : float32[batch, 10]
        return y=%p""",
    "conv": """
        %x = input : float32[1, 8, 8, 4]
        %w = input : float32[3, 3, 4, 8]
        %y = conv(%x, %w) {stride=(1, 1), dilation=(1, 1), groups=1} : float32[1, 6, 6, 8]
        return y=%y""",
    "layer_norm": """
        %x = input : float32[batch, 64]
        %w = input : float32[64]
        %b = input : float32[64]
        %n = layer_norm(%x, %w, %b) : float32[batch, 64]
        return y=%n""",
    "embedding": """
        %ids = input : int32[batch, 16]
        %table = input : float32[1000, 32]
        %e = embedding(%ids, %table) : float32[batch, 16, 32]
        return y=%e""",
    "gelu": """
        %x = input : float32[3, 64]
        %y = gelu(%x) : float32[3, 64]
        return y=%y""",
}


def golden_graph(name: str) -> Graph:
    return parse_graph(f'graph "{name}"\n{GOLDEN[name]}')


@pytest.mark.parametrize("name", GOLDEN)
def test_golden(name: str) -> None:
    program = lower_graph(golden_graph(name))
    text = "\n\n".join(f"// {k.formula}\n{print_kernel(k, identifier(k.name))}"
                       for k in program.kernels) + "\n"
    path = FOLDER / f"{name}.js"
    if os.environ.get("TRANSPILE_UPDATE"):
        path.write_text(text)
    assert text == path.read_text()
    esprima.parseScript(text)


def test_the_golden_kernels_are_right() -> None:
    rng = np.random.default_rng(0)
    cases, graphs = [], []
    for name in GOLDEN:
        graph = golden_graph(name)
        inputs = {n.name: rng.normal(size=[d if isinstance(d, int) else 3 for d in n.shape])
                  .astype(np.float32) if n.dtype == "float32"
                  else rng.integers(0, 1000, (3, 16)).astype(np.int32) for n in graph.inputs}
        graphs.append((graph, inputs))
        cases.append(Case(lower_graph(graph), inputs))
    for (graph, inputs), found in zip(graphs, run_batch(cases), strict=True):
        assert differences(graph, inputs, found) == "", graph.name
