"""Static checks: every kernel that the compiler makes passes, and broken ones are refused."""

from __future__ import annotations

import pytest
from lowering import NODE_TARGETS, sample_kernels

from transpile.errors import InternalError
from transpile.ir.dims import Opaque, atoms
from transpile.lower.check import check_kernel
from transpile.lower.stmt import If
from transpile.lower.text import format_kernel, parse_kernel
from transpile.lower.walk import indices, statements


@pytest.mark.parametrize("target", NODE_TARGETS)
def test_every_kernel_of_every_sample_passes(target: str) -> None:
    proved = unknown = 0
    for name, kernel in sample_kernels(target):
        report = check_kernel(kernel)
        proved, unknown = proved + report.proved, unknown + len(report.unknown)
        conditional = any(isinstance(s, If) for s in statements(kernel.body)) or any(
            isinstance(a, Opaque) for i in indices(kernel.body) for a in atoms(i))
        # What cannot be proved stands behind a condition, or is looked up.
        assert not report.unknown or conditional or "select(" in format_kernel(kernel), name
    assert proved > 50 * unknown


HEAD = "kernel k(x: float32[$n*4], ids: int32[$n], out: float32[$n*4] written) $n\n"
RIGHT = [
    "for i in 0..$n:\n  for j in 0..4:\n    out[4*i+j] = x[4*i-j+3]",
    "for i in 0..$n:\n  out[4*i] = x::float32x4[4*i]",
    "for i in 0..$n:\n  let a = x[i]\n  out[i] = a\nfor i in 0..$n:\n  let a = x[i]\n  out[i] = a",
    "var a = 0.0\na = add(a, 1.0)\nout[0] = a",
    "for i{$n} in 1..$n:\n  out[4*i] = x[4*i-4]",
    "for i in 0..$n:\n  out[<ids[i] in 0..$n-1>] = 0.0",
    "let p = &x[4*$n-4]\nout[0] = p[3]",
    "if less(ids[0], 3i):\n  out[0] = 1.0\nelse:\n  out[0] = 2.0",
]
WRONG = [
    ("out[0] = a", "a, float32, is used before it is defined"),
    ("let a = 1.0\na = 2.0", "a is not declared"),
    ("let a = 1.0\nlet a = 2.0", "a is defined twice"),
    ("let a = 1.0\nfor i in 0..4:\n  let a = 2.0", "a is defined twice"),
    ("for i in 0..4:\n  let a = 1.0\nout[0] = a", "used before"),
    ("for i in 0..4:\n  for i in 0..4:\n    out[i] = 1.0", "a loop in a loop over i"),
    ("out[i{4}] = 1.0", "i stands outside its loop"),
    ("out[$m] = 1.0", "the kernel is not given m"),
    ("x[0] = 1.0", "not marked as written"),
    ("y[0] = 1.0", "there is no buffer y"),
    ("out[0] = ids[0]", "int32 is stored in out"),
    ("out[0] = x::int32[0]", "x is float32, and loaded as int32"),
    ("out[0] = add(x[0], 1i)", "add of float32 and int32"),
    ("out[0] = to_int32::float32(x[0])", "is not float32"),
    ("if 1.0:\n  out[0] = 1.0", "a branch on float32"),
    ("out[-1] = 1.0", "lies outside out"),
    ("out[4*$n] = 1.0", "lies outside out"),
    ("for i in 0..$n:\n  out[4*i+4*$n] = 1.0", "lies outside out"),
    ("out[<x[0] in 0..3>] = 1.0", "an index of dtype float32"),
]


def with_head(body: str) -> str:
    return HEAD + "\n".join(f"  {line}" for line in body.split("\n"))


@pytest.mark.parametrize("body", RIGHT)
def test_right_kernels_pass_and_are_proved(body: str) -> None:
    assert check_kernel(parse_kernel(with_head(body))).unknown == ()


@pytest.mark.parametrize(("body", "message"), WRONG)
def test_wrong_kernels_are_refused(body: str, message: str) -> None:
    with pytest.raises(InternalError, match="kernel k: .*" + message.replace("(", r"\(")):
        check_kernel(parse_kernel(with_head(body)))


def test_what_bounds_cannot_tell_is_reported() -> None:
    body = "for i in 0..$n:\n  out[i] = select(less([i], 3i), x[4*i+8], 0.0)"
    report = check_kernel(parse_kernel(with_head(body)))
    assert report.proved == 1
    assert report.unknown == ("x[4*i+8]",)


def test_two_arguments_of_one_name() -> None:
    text = "kernel k(x: float32[4], x: float32[4] written)\n  x[0] = 1.0"
    with pytest.raises(InternalError, match="two arguments"):
        check_kernel(parse_kernel(text))
