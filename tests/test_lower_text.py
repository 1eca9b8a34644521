"""Kernels print as text that parses back to an equal kernel."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lowering import NODE_TARGETS, sample_kernels

from transpile.errors import SourceError
from transpile.ir.dims import Axis, Name, Opaque, atom, axis, dim, floordiv, mod
from transpile.lower.expr import Call, Const, Expr, Index, Load, Local, Pointer
from transpile.lower.stmt import (
    Argument,
    Assign,
    Comment,
    Declare,
    For,
    If,
    Kernel,
    Let,
    Store,
)
from transpile.lower.text import format_kernel, parse_kernel

NAMES = st.one_of(st.sampled_from(
    ["x", "sum0", "let", "in", "inf", "true", "nanx4", "x y", 'say "no"', "größe", "a.b", "x@0",
     "3d", "", "</script>", "a\nb"]), st.text(max_size=5))


@pytest.mark.parametrize("target", NODE_TARGETS)
def test_every_kernel_of_every_sample_parses_back(target: str) -> None:
    for name, kernel in sample_kernels(target):
        text = format_kernel(kernel)
        again = parse_kernel(text)
        assert format_kernel(again) == text, name
        assert again == kernel or "nan" in text, name  # no NaN equals another one


@settings(max_examples=50)
@given(NAMES, NAMES, NAMES, NAMES)
def test_any_name_can_be_printed(name: str, buffer: str, over: str, local: str) -> None:
    row, size = Axis(over, dim(buffer)), dim(buffer)
    body = (Declare(local, Const(0.0)),
            For(row, (Let(name, Load(buffer, axis(over, size))),
                      Assign(local, Call("add", (Local(local), Local(name))))), 0, size),
            Store(buffer, atom(row), Local(local)))
    kernel = Kernel(name, (Argument(buffer, "float32", size, True),), (buffer,), body)
    assert parse_kernel(format_kernel(kernel)) == kernel


@given(st.floats(width=32), st.booleans())
def test_numbers_come_back(value: float, lanes: bool) -> None:
    const = Const(value, "float32x4" if lanes else "float32")
    kernel = Kernel("k", (Argument("out", "float32", 4, True),), (), (Store("out", 0, const),))
    (store,) = parse_kernel(format_kernel(kernel)).body
    assert isinstance(store, Store)
    assert isinstance(store.value, Const)
    assert store.value.dtype == const.dtype
    assert store.value.value == value or math.isnan(value)
    assert math.copysign(1, store.value.value) == math.copysign(1, value) or math.isnan(value)


def test_indices_come_back_as_they_are() -> None:
    n = dim("n")
    row, half = Axis("row", n), Axis("row", 3)
    gathered = Opaque(Load("ids", atom(row), "int32"), 0, n - 1)
    index = floordiv(atom(row) * 7 + 1, n) * 3 + mod(atom(row) + 5, 4) - 2 * n
    body = (For(row, (
        Store("out", index, Load("x", atom(gathered) * 2, "float32")),
        Store("out", atom(half), Index(atom(Opaque(Const(3, "int32"))), "int32")),
        Let("at", Pointer("x", n * n * 3, "float32")),
        Store("out", 0, Load("at", 1, "float32x4")),
        Comment('a "comment": with = signs'),
        If(Call("less", (Index(atom(row)), Const(-3, "int32")), "bool"),
           (Store("out", 1, Const(2, "uint8")),), (Store("out", 2, Const(True, "bool")),)),
    ), 1, n, 2),)
    args = (Argument("x", "float32", n * 6), Argument("ids", "int32", n),
            Argument("out", "float32", 99, True))
    kernel = Kernel("k", args, ("n",), body, "out = x[ids]", "model.py:3")
    again = parse_kernel(format_kernel(kernel))
    assert again == kernel
    assert (again.formula, again.where) == (kernel.formula, kernel.where)
    assert str(kernel) == format_kernel(kernel)


def test_a_name_and_a_loop_variable_keep_apart() -> None:
    both = atom(Name("row")) + atom(Axis("row", 4))
    kernel = Kernel("k", (Argument("out", "int32", 9, True),), ("row",),
                    (For(Axis("row", 4), (Store("out", both, Index(both)),), 0, 4),))
    assert parse_kernel(format_kernel(kernel)) == kernel


WRONG = [
    ("", "it starts with kernel"),
    ("kernel k(out: float32[3])\n  out[0] = ", "line 2"),
    ("kernel k(out: float32[3])\n  out[0] = 1.0 2.0", "line 2"),
    ("kernel k(out: float32)\n  out[0] = 1.0", "line 1"),
    ("kernel k(out: float32[3])\n  out[i] = 1.0", "line 2"),
    ("kernel k(out: float32[3])\n  for i in 0..3:\n    out[i] = nothing(1.0)", "line 3"),
    ("kernel k(out: float32[3])\n  out[0] = 1.0 ?", "line 2"),
    ("kernel k(out: float32[3])\n  out[0] = 1.0\nmore", "line 3"),
]


@pytest.mark.parametrize(("text", "place"), WRONG)
def test_an_error_names_the_line(text: str, place: str) -> None:
    with pytest.raises(SourceError, match=place):
        parse_kernel(text)


def test_an_expression_on_its_own() -> None:
    from transpile.lower.text import format_expr
    expr: Expr = Call("add", (Load("x", 3), Local("n", "int32")))
    assert format_expr(expr) == "add(x[3], n::int32)"
