"""The runtime's files: their own tests under Node, and what a module takes of them."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from transpile.emit.check import free_names
from transpile.emit.context import OWN_NAMES, THREAD_NAMES
from transpile.emit.layout import js_dim
from transpile.emit.runtime import declarations, inline, words
from transpile.emit.weights import number
from transpile.ir.dims import Dim, ceildiv, dim, evaluate

TESTS = Path(__file__).parent / "js"
N, M = dim("n"), dim("m")


def test_the_runtime_passes_its_own_tests(node: str) -> None:
    done = subprocess.run([node, "--test", str(TESTS / "runtime.test.mjs")],
                          capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_every_declaration_stands_alone_with_what_it_needs() -> None:
    for name in declarations():
        code = inline([name])
        assert "export " not in code
        assert not re.search(r"^import\b", code, re.MULTILINE)
        assert not free_names(code) & set(declarations())


def test_no_declaration_has_a_name_of_the_module_around_it() -> None:
    assert not set(declarations()) & {*OWN_NAMES, *THREAD_NAMES}


def test_only_what_is_reached_is_inlined() -> None:
    assert inline(["nothing of ours"]) == ""
    assert "function sizeOf" in inline(["unpack"])
    assert "randomNumbers" not in inline(["unpack"])
    assert inline(["unpack", "sizeOf"]) == inline(["sizeOf", "unpack"])


def test_words_leaves_properties_strings_and_comments_out() -> None:
    assert list(words("a.b + c; // d\n// e\nf(`${g}`, 'h')")) == ["a", "c", "f", "g"]


@given(arrays.from_dtype(np.dtype("float32")))
def test_a_float32_literal_gives_back_the_same_bits(value: np.float32) -> None:
    text = number(value)
    back = np.float32(float(text.replace("Infinity", "inf")))
    assert back == value or (np.isnan(back) and np.isnan(value))


@pytest.mark.parametrize("value", [
    7, N, N * 16 + 4, N * M * 3 - N + 1, (N + 1) // 2 * 16, ceildiv(N * 3, 16) * 16 + M,
    (N * 3 + 1) % 4, 1 - N, (N + M) // 3 % 2 + N * N])
@given(st.integers(1, 50), st.integers(1, 50))
def test_sizes_print_as_what_they_are(value: Dim, n: int, m: int) -> None:
    text = js_dim(value, lambda name: name).replace("Math.floor", "int")
    assert eval(text, {"n": n, "m": m, "int": int}) == evaluate(value, {"n": n, "m": m})
