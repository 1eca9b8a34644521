"""Emitted modules under Node: their API, formats, memory, weights and self test."""

from __future__ import annotations

import gzip
import hashlib
import subprocess
from pathlib import Path

import numpy as np
import pytest
from emit_programs import copies, emit, line, run_node, weighted

from transpile.emit.check import check_module
from transpile.emit.golden import Golden, golden_inputs, random_numbers
from transpile.emit.weights import CHUNK

GOLDEN = Golden({"y": np.array([[5.0]], np.float32)}, dims={"batch": 1})
HASH = "sha256:" + hashlib.sha256(b"linear").hexdigest()


@pytest.mark.parametrize("batch", [True, False])
@pytest.mark.parametrize("minify", [True, False])
def test_predict_takes_every_form_of_input(node: str, tmp_path: Path, batch: bool,
                                           minify: bool) -> None:
    forms = ["{ x: [[2]] }", "{ x: [2] }", "{ x: 2 }", "2", "[[2]]", "[2]", "new Float32Array([2])",
             "new Float64Array([2])", "{ x: { data: [2], shape: [1, 1] } }",
             "{ data: new Float32Array([2]), shape: [1, 1] }", "[new Float32Array([2])]",
             "{ data: [2], shape: new Int32Array([1, 1]) }"]
    module = emit(line(batch=batch), minify=minify)
    results = run_node(node, tmp_path, module,
                       f"show(await Promise.all([{', '.join(forms)}].map((v) => api.predict(v))));")
    assert results == [{"y": {"data": [5], "shape": [1, 1], "dtype": "float32"}}] * len(forms)


def test_named_dimensions_follow_the_input_and_memory_grows(node: str, tmp_path: Path) -> None:
    result = run_node(node, tmp_path, emit(line()), """
      const model = await api.load();
      const sizes = [1, 1000, 3, 2000, 1];
      const out = sizes.map((n) => model.runSync(new Float32Array(n).fill(n)).y);
      show(out.map(({ data, shape }) => [shape, data[0], data[data.length - 1]]));""")
    assert result == [[[n, 1], 3 * n - 1, 3 * n - 1] for n in (1, 1000, 3, 2000, 1)]


def test_results_are_fresh_unless_reuse_is_asked_for(node: str, tmp_path: Path) -> None:
    result = run_node(node, tmp_path, emit(line()), """
      const [fresh, reused] = [await api.load(), await api.load({ reuse: true })];
      const pairs = [fresh, reused].map((m) => [m.runSync(1).y.data, m.runSync(2).y.data]);
      const back = reused.runSync({ x: reused.runSync(1).y }).y.data[0];
      show([pairs.map(([a, b]) => [a === b, a, b]), back, reused.runSync([[1], [2]]).y.data]);""")
    assert result == [[[False, [2], [5]], [True, [5], [5]]], 5, [2, 5]]


def test_models_are_apart_and_disposal_is_final(node: str, tmp_path: Path) -> None:
    result = run_node(node, tmp_path, emit(line(), golden=GOLDEN), """
      const [a, b] = [await api.load(), await api.load({ target: 'js' })];
      a.dispose();
      a.dispose();
      show([await message(() => a.run(1)), await message(() => a.selfTest()), b.runSync(1).y.data,
        await message(() => api.load({ target: 'webgl' })), b.target, b.skipped, b.inputs,
        b.outputs === api.outputs,
        await Promise.all([1, 2, 3].map((x) => b.run(x).then((r) => r.y.data[0])))]);""")
    assert result == [
        "Error: the model is disposed of",
        "Error: the model is disposed of", [2], "Error: no target 'webgl' here",
        "js", [], [{"name": "x", "dtype": "float32", "shape": ["batch", 1]}], True, [2, 5, 8]]


@pytest.mark.parametrize(("format_", "runner"), [
    ("cjs", "const api = require('./model.cjs');"),
    ("iife", "(0, vm.runInThisContext)(fs.readFileSync('model.iife', 'utf8')); const api = line;"),
])
def test_scripts_and_commonjs(node: str, tmp_path: Path, format_: str, runner: str) -> None:
    for minify in (False, True):
        module = emit(line(), format=format_, minify=minify)
        check_module(module.code_without_weights)
        (tmp_path / f"model.{format_}").write_text(module.code)
        (tmp_path / "main.cjs").write_text(
            f"const fs = require('fs'); const vm = require('vm'); {runner}\n"
            "api.predict([[1], [2]]).then((out) => console.log(Array.from(out.y.data).join()));")
        done = subprocess.run([node, "main.cjs"], cwd=tmp_path, capture_output=True, text=True,
                              check=True)
        assert done.stdout.strip() == "2,5"


@pytest.mark.parametrize("seed", [0, 1, 2**32 - 1])
def test_golden_inputs_are_the_same_in_python_and_js(node: str, tmp_path: Path, seed: int) -> None:
    program = copies()
    ranges = {"float32": (-2.5, 7.25), "int32": (-3.0, 900.0)}
    inputs = golden_inputs(program.inputs, seed, {}, ranges)
    outputs = {f"{name}_out": value for name, value in inputs.items()}
    golden = Golden(outputs, seed=seed, ranges=ranges, rtol=6e-8, atol=0)
    module = emit(program, golden=golden)
    assert "goldenInputs" in module.code
    script = "show(await (await api.load()).selfTest());"
    result = run_node(node, tmp_path, module, script)
    assert result["ok"]
    assert result["maxError"] < 5e-7
    wrong = Golden({**outputs, "int32_out": inputs["int32"] + 2}, seed=seed, ranges=ranges)
    result = run_node(node, tmp_path, emit(program, golden=wrong), script)
    assert result == {"ok": False, "maxError": 2}


def test_random_numbers_are_mulberry32() -> None:
    state, expected = 7, []
    for _ in range(20):  # the published scalar form, in Python's integers
        state = (state + 0x6D2B79F5) & 0xFFFFFFFF
        t = (state ^ state >> 15) * (state | 1) & 0xFFFFFFFF
        t ^= (t + (t ^ t >> 7) * (t | 61)) & 0xFFFFFFFF
        expected.append((t ^ t >> 14) / 4294967296)
    assert random_numbers(7, 20).tolist() == expected


COUNTS = (1, 64, 65, CHUNK // 4, CHUNK // 4 + 1)

WAYS = {
    "Buffer": "",
    "setFromBase64": """Uint8Array.prototype.setFromBase64 = function (text) {
      this.set(Buffer.from(text, 'base64'));
      return { written: Buffer.from(text, 'base64').length };
    };""",
    "atob": "globalThis.Buffer = undefined;",
    "no source": "Function.prototype.toString = () => 'function () { [native code] }';",
}


@pytest.mark.parametrize("way", WAYS)
def test_weights_arrive_by_every_decoder(node: str, tmp_path: Path, way: str) -> None:
    programs = [weighted(count) for count in COUNTS]
    for count, program in zip(COUNTS, programs, strict=True):
        (tmp_path / f"weights{count}.mjs").write_text(emit(program).code)
    results = run_node(node, tmp_path, emit(line()), f"""
      const results = [];
      const apis = {[f"./weights{c}.mjs" for c in COUNTS]}.map((path) => import(path));
      const loaded = await Promise.all(apis);
      {WAYS[way]}
      for (const {{ load }} of loaded) {{
        const seen = [];
        const model = await load({{ onProgress: (p) => seen.push(p.done / p.total) }});
        results.push([model.runSync(2).y.data[0], seen.length, Math.max(0.5, ...seen)]);
      }}
      show(results);""")
    for program, (value, chunks, done) in zip(programs, results, strict=True):
        small = program.weights["w"].size <= 64
        assert value == 2 * float(program.weights["w"].sum())
        assert chunks == (0 if small else -(-program.weight_bytes // CHUNK))
        assert done == 0.5 if small else 0.99 < done <= 1


def test_weights_stay_out_of_the_code_to_check() -> None:
    module = emit(weighted(100_000))
    assert module.weight_bytes == 400_000
    assert len(module.code) > 530_000
    assert len(module.code_without_weights) < 10_000
    assert max(map(len, module.code.splitlines())) < 65_600
    check_module(module.code_without_weights)


def test_debug_builds_show_every_kernel(node: str, tmp_path: Path) -> None:
    module = emit(copies(("float32", "bool")), debug=True)
    steps = run_node(node, tmp_path, module, """
      const model = await api.load();
      show(model.debug({ float32: [[1, 2, 3], [4, 5, 6]], bool: [[0, 1, 0], [1, 1, 0]] }));""")
    assert steps == [
        {"label": f"copy_{dtype}", "kernel": f"copy_{dtype}", "buffer": f"{dtype}_out",
         "dtype": dtype, "data": data, "shape": [2, 3]}
        for dtype, data in (("float32", [1, 2, 3, 4, 5, 6]), ("bool", [0, 1, 0, 1, 1, 0]))]
    assert "debug" not in emit(copies()).code


@pytest.mark.parametrize(("minify", "limit"), [(False, 2500), (True, 2000)])
@pytest.mark.parametrize("batch", [True, False])
def test_a_small_model_is_small(minify: bool, limit: int, batch: bool) -> None:
    module = emit(line(batch=batch), golden=GOLDEN, content_hash=HASH, licence="MIT",
                  version="0.1.0", minify=minify)
    assert len(gzip.compress(module.code.encode(), 9)) <= limit


def test_only_what_a_model_needs_is_emitted() -> None:
    code = emit(line(batch=False)).code
    assert not [w for w in ("i32", "u8", "int32", "base64", "goldenInputs", "Math.ceil", "atob")
                if w in code]


@pytest.mark.parametrize("name", ["status", "location", "load", "format", "bars", "class", "name"])
def test_a_global_replaces_nothing(name: str) -> None:
    module = emit(line(name=name), format="iife")
    assert module.global_name != name
    assert f"var {module.global_name} = (function () {{" in module.code
    assert emit(line(), format="iife", global_name="myModel").global_name == "myModel"


def test_declarations_hold_literal_names_and_shapes() -> None:
    dts = emit(line(x="my input", y="__proto__")).dts
    for part in ('"my input": Value<Float32Array | Float64Array, number>;',
                 '"__proto__": { data: Float32Array; shape: [number, 1]; dtype: "float32" };',
                 '{ name: "my input"; dtype: "float32"; shape: ["batch", 1] }',
                 "target?: 'auto' | 'js';"):
        assert part in dts
    assert "debug(" not in dts
    assert "debug(" in emit(line(), debug=True).dts
    assert "export as namespace line;" in emit(line(), format="iife").dts


def test_the_same_program_gives_the_same_bytes() -> None:
    first, second = (emit(weighted(200), golden=None, content_hash=HASH) for _ in range(2))
    assert (first.code, first.dts) == (second.code, second.dts)
