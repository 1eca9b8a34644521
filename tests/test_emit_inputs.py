"""What a module says of inputs that it cannot take, and what it takes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from emit_programs import Builder, copies, emit, line, program, run_node

import transpile
from transpile.errors import TranspileError, UnsupportedError
from transpile.ir.dims import dim
from transpile.ir.types import TensorType
from transpile.lower.stmt import Kernel

WRONG = {
    "{ z: 1 }": "TypeError: expected the inputs {x}, got {z}",
    "{ x: 1, z: 1 }": "TypeError: expected the inputs {x}, got {x, z}",
    "{}": "TypeError: expected the inputs {x}, got {}",
    "undefined": "TypeError: input 'x': expected float32[2, 3], got Undefined[]",
    "null": "TypeError: input 'x': expected float32[2, 3], got Null[]",
    "'abc'": "TypeError: input 'x': expected float32[2, 3], got String[]",
    "7": "TypeError: input 'x': expected float32[2, 3], got Number[]",
    "[1, 2, 3]": "TypeError: input 'x': expected float32[2, 3], got Array[3]",
    "[[1, 2], [3, 4], [5, 6]]": "TypeError: input 'x': expected float32[2, 3], got Array[3, 2]",
    "[[1, 2, 3], [4, 5]]":
        "TypeError: input 'x': expected float32[2, 3], got lists of unequal lengths",
    "[[1, 2, 3], null]":
        "TypeError: input 'x': expected float32[2, 3], got lists of unequal lengths",
    "[[1, 2, 3], [4, 5, [6]]]": "TypeError: input 'x': expected float32[2, 3], got the value 6",
    "[[1, 2, 3], [4, 5, '6']]": "TypeError: input 'x': expected float32[2, 3], got the value 6",
    "new Float32Array(5)": "TypeError: input 'x': expected float32[2, 3], got Float32Array[5]",
    "new Int32Array(6)": "TypeError: input 'x': expected float32[2, 3], got Int32Array",
    "new DataView(new ArrayBuffer(24))":
        "TypeError: input 'x': expected float32[2, 3], got DataView[]",
    "{ data: new Float32Array(6), shape: [3, 2] }":
        "TypeError: input 'x': expected float32[2, 3], got Float32Array[3, 2]",
    "{ data: new Float32Array(5), shape: [2, 3] }":
        "TypeError: input 'x': expected float32[2, 3], got Float32Array[5]",
    "{ x: { data: [1, 2], shape: 2 } }":
        "TypeError: input 'x': expected float32[2, 3], got Array[2]",
}


def test_wrong_inputs_are_refused_in_clear_words(node: str, tmp_path: Path) -> None:
    module = emit(copies(("float32",), {"float32": "x"}))
    cases = ", ".join(f"() => ({text})" for text in WRONG)
    result = run_node(node, tmp_path, module, f"""
      const model = await api.load();
      const cases = [{cases}];
      show(await Promise.all(cases.map((make) => message(() => model.run(make())))));""")
    assert dict(zip(WRONG, result, strict=True)) == WRONG


@pytest.mark.parametrize(("dtype", "good", "bad"), [
    ("int32", ["new Int32Array(6)", "new Int16Array(6)", "[[1, -2, 3], [4, 5, -2147483648]]"],
     ["new Float32Array(6)", "new Uint32Array(6)", "[[1, 2, 3], [4, 5, 6.5]]",
      "[[1, 2, 3], [4, 5, 2147483648]]", "[[1, 2, 3], [4, 5, NaN]]"]),
    ("uint8", ["new Uint8Array(6)", "new Uint8ClampedArray(6)", "[[0, 1, 2], [3, 4, 255]]"],
     ["new Int8Array(6)", "new Float32Array(6)", "[[0, 1, 2], [3, 4, 256]]",
      "[[0, 1, 2], [3, 4, -1]]"]),
    ("bool", ["new Uint8Array(6)", "[[true, false, true], [false, 1, 0]]"],
     ["new Float32Array(6)", "[[true, false, true], [false, 2, 0]]"]),
    ("float32", ["new Float64Array(6)", "[[NaN, Infinity, 0], [1.5, -1, 1e300]]"],
     ["new Int32Array(6)", "new Uint8Array(6)", "[[true, 1, 2], [3, 4, 5]]"]),
])
def test_dtypes(node: str, tmp_path: Path, dtype: str, good: list[str], bad: list[str]) -> None:
    result = run_node(node, tmp_path, emit(copies((dtype,))), f"""
      const model = await api.load();
      const cases = [{', '.join(f'() => ({t})' for t in good + bad)}];
      show(await Promise.all(cases.map((make) => message(() => model.run(make())))));""")
    assert [m is None for m in result] == [True] * len(good) + [False] * len(bad)
    assert all(m.startswith(f"TypeError: input '{dtype}': expected {dtype}[2, 3], got")
               for m in result[len(good):])


def test_named_dimensions_are_checked(node: str, tmp_path: Path) -> None:
    result = run_node(node, tmp_path, emit(line()), """
      const model = await api.load();
      const cases = [[], [[1, 2]], new Float32Array(0), [[[1]]], { data: [], shape: [0, 1] },
        { data: [1], shape: [1] }, { data: [1, 2], shape: [2.5, 1] }];
      show(await Promise.all(cases.map((value) => message(() => model.run(value)))));""")
    head = "TypeError: input 'x': expected float32[batch, 1]"
    assert [text.startswith(head) if text else None for text in result] == [True] * 6 + [None]
    assert result[1] == f"{head}, here [1, 1], got Array[1, 2]"


def two_inputs(first: tuple[object, ...], second: tuple[object, ...]) -> object:
    """`a` and `b` of the given shapes; the output copies six elements of `a`."""
    builder = Builder()
    for name, shape in (("a", first), ("b", second)):
        builder.add(name, "input", TensorType("float32", shape))  # type: ignore[arg-type]
    builder.add("c", "output", TensorType("float32", (6,)))
    kernel = Kernel("c", (builder.argument("a"), builder.argument("c", True)), (), (), "copy")
    names = dict.fromkeys(str(n) for shape in (first, second) for d in shape
                          if not isinstance(d, int) for n in ("n", "m") if n in str(d))
    return program("two", builder, [("a", "a"), ("b", "b")], [("c", "c")], [kernel], tuple(names))


def test_inputs_must_agree_on_a_dimension(node: str, tmp_path: Path) -> None:
    module = emit(two_inputs((dim("n"), 3), (dim("n"),)))  # type: ignore[arg-type]
    result = run_node(node, tmp_path, module, """
      const model = await api.load();
      const a = [[1, 2, 3], [4, 5, 6]];
      show([model.runSync({ a, b: [1, 2] }).c.data, model.runSync({ b: [1, 2], a }).c.data,
        await message(() => model.run({ a, b: [1] })), await message(() => model.run({ a })),
        await message(() => model.run(a))]);""")
    assert result == [
        [1, 2, 3, 4, 5, 6], [1, 2, 3, 4, 5, 6],
        "TypeError: input 'b': expected float32[n], here [2], got Array[1]",
        "TypeError: expected the inputs {a, b}, got {a}",
        "TypeError: expected the inputs {a, b}, got {0, 1}"]


def test_affine_dimensions_are_solved(node: str, tmp_path: Path) -> None:
    module = emit(two_inputs((dim("n") * 2 + 1, 3), (dim("m"), 2)))  # type: ignore[arg-type]
    result = run_node(node, tmp_path, module, """
      const model = await api.load();
      const rows = (count) => Array.from({ length: count }, (_, i) => [i, i, i]);
      show([model.runSync({ a: rows(5), b: [[1, 2]] }).c.data,
        await message(() => model.run({ a: rows(4), b: [[1, 2]] }))]);""")
    assert result == [[0, 0, 0, 1, 1, 1],
                      ("TypeError: input 'a': expected float32[2*n+1, 3], "
                       "here [3, 3], got Array[4, 3]")]


def test_no_more_of_a_table_is_read_than_there_is() -> None:
    table = np.arange(24, dtype=np.float32).reshape(12, 2)

    @transpile.model(x=transpile.spec("float32", ("n", 2)))
    def places(x):  # type: ignore[no-untyped-def]
        return x + table[2:x.shape[0] + 2] + table[:2 * x.shape[0]:2] + table[::-1][:x.shape[0]]
    module = transpile.compile(places, targets=["js"])
    assert module.source.count("checkSize(") == 4, "one function, three slices"
    x = np.ones((6, 2), np.float32)
    np.testing.assert_array_equal(module.run({"x": x})["output"], places(x))
    with pytest.raises(TranspileError, match="n is at most 10 in this model, got 11"):
        module.run({"x": np.ones((11, 2), np.float32)})


def test_a_dimension_that_no_input_tells_is_refused_at_once() -> None:
    with pytest.raises(UnsupportedError, match="n does not follow"):
        emit(two_inputs((dim("n") * dim("m"), 3), (dim("m"),)))  # type: ignore[arg-type]
