"""Branches, loops and scans that are decided at run time: emitted modules against onnxruntime."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest

import transpile
from transpile.compile import lower_all
from transpile.emit.module import emit_module
from transpile.emit.options import EmitOptions
from transpile.frontends.onnx import OnnxModel, import_model, static_types
from transpile.frontends.onnx_values import ValueNeededError
from transpile.ir.graph import Graph, all_graphs
from transpile.ir.interpret import interpret
from transpile.ir.text import large_constants, parse_graph, structurally_equal
from transpile.lower.check import check_kernel
from transpile.lower.interpret import run_program
from transpile.passes import run_pipeline
from transpile.program import Branch, Call, Repeat
from transpile.verify.node import find_node, shared_host

RNG = np.random.default_rng(7)
F, I, B = np.float32, np.int64, np.bool_  # noqa: E741  (the dtypes of feeds)


def weights(*shape: int) -> np.ndarray:
    return RNG.uniform(-0.4, 0.4, shape).astype(F)


@dataclass(frozen=True)
class Case:
    """A model as ONNX text, what it is fed, and which regions its graph must have.

    `tensors` are initialisers that are too large to be written out.
    """

    text: str
    feeds: tuple[dict[str, Any], ...]
    regions: tuple[str, ...]
    tensors: tuple[tuple[str, np.ndarray], ...] = ()

    @property
    def model(self) -> Any:
        model = onnx.parser.parse_model('<ir_version: 8, opset_import: ["": 18]>' + self.text)
        for name, array in self.tensors:
            model.graph.initializer.append(onnx.numpy_helper.from_array(array, name))
        return model


CONSTANTS = """t = Constant<value = bool {1}>() zero = Constant<value = int64 {0}>()
    one = Constant<value = int64 {1}>() two = Constant<value = int64 {2}>()
    three = Constant<value = int64 {3}>()"""

NEWTON = """m (float[4] x, int64 most) => (float[4] y, int64 steps) {""" + CONSTANTS + """
    y, steps = Loop(most, t, x, zero) <body = b (int64 i, bool c, float[4] a, int64 s)
        => (bool go, float[4] a2, int64 s2) {
      half = Constant<value = float {0.5}>()
      eps = Constant<value = float {0.001}>()
      r = Div(x, a) q = Add(a, r) a2 = Mul(q, half)
      d = Sub(a2, a) e = Abs(d) top = ReduceMax<keepdims=0>(e)
      go = Greater(top, eps)
      s2 = Add(s, one) }> }"""

COLLATZ = """m (int64 n) => (int64 steps, int64 highest) {""" + CONSTANTS + """
    begin = Greater(n, one)
    last, steps, highest = Loop("", begin, n, zero, n) <body = b (int64 i, bool c, int64 v,
        int64 k, int64 h) => (bool go, int64 w, int64 k2, int64 h2) {
      rest = Mod(v, two) odd = Equal(rest, one)
      w = If(odd) <then_branch = p () => (int64 a) { x3 = Mul(v, three) a = Add(x3, one) },
                  else_branch = q () => (int64 b) { b = Div(v, two) }>
      k2 = Add(k, one) h2 = Max(h, w) go = Greater(w, one) }> }"""

BIG_IF = """m (float[8] x, float[8] y, bool c) => (float[8] z, float[] total) {
    shared = Exp(y)
    z, total = If(c) <
      then_branch = p () => (float[8] a, float[] s) {
        u = MatMul(x, W) a = Add(u, shared) s = ReduceSum<keepdims=0>(a) },
      else_branch = q () => (float[8] b, float[] s) {
        v = MatMul(shared, W) b = Tanh(v) s = ReduceMax<keepdims=0>(x) }> }"""

NESTED = """m (float[8] x, float limit, int64 most) => (float[8] y, int64 used) {
    """ + CONSTANTS + """
    y, used = Loop(most, t, x, zero) <body = b (int64 i, bool c, float[8] a, int64 n)
        => (bool go, float[8] a2, int64 n2) {
      s = ReduceSum<keepdims=0>(a)
      big = Greater(s, limit)
      a2, n2 = If(big) <
        then_branch = p () => (float[8] h, int64 m1) {
          h = Loop(three, t, a) <body = d (int64 j, bool e, float[8] f)
            => (bool e2, float[8] g) { e2 = Identity(e) k = MatMul(f, W) g = Mul(k, x) }>
          m1 = Identity(n) },
        else_branch = q () => (float[8] h, int64 m2) { o = MatMul(a, W) h = Add(o, x)
          m2 = Add(n, one) }>
      go = Identity(c) }> }"""

PASSED = """m (float[3] x, float[3] y, bool c) => (float[3] p, float[3] q, float[3] r) {
    p, q, r = If(c) <
      then_branch = a () => (float[3] u, float[3] v, float[3] w) {
        u = Identity(x) v = Identity(y) w = Sort0(x) },
      else_branch = b () => (float[3] u, float[3] v, float[3] w) {
        k = Sort0(y) u = Identity(k) v = Identity(k) w = Constant<value = float[3] {1, 2, 3}>() }>
    }""".replace("Sort0", "Softmax")

SWAP = """m (float[3] x, float[3] y, int64 k) => (float[3] p, float[3] q, float[3] r, int64 i) {
    """ + CONSTANTS + """
    p, q, r, i = Loop(k, t, x, y, x, zero) <body = b (int64 i, bool c, float[3] u, float[3] v,
        float[3] w, int64 n) => (bool c2, float[3] v2, float[3] u2, float[3] w2, int64 n2) {
      c2 = Identity(c) v2 = Identity(v) u2 = Identity(u) w2 = Add(u, w) n2 = Identity(i) }> }"""

KEPT = """m (float[3] x, int64 k) => (float[3] p, float[3] q) {""" + CONSTANTS + """
    p, q = Loop(k, t, x, x) <body = b (int64 i, bool c, float[3] u, float[3] v)
        => (bool c2, float[3] u2, float[3] v2) {
      c2 = Identity(c) u2 = Identity(u) w = Add(u, v)
      h = Constant<value = float {0.5}>() v2 = Mul(w, h) }> }"""

ROWS = """m (float[5] x) => (float[5] last, float[20,5] sums, int64[20] at) {""" + CONSTANTS + """
    trips = Constant<value = int64 {20}>()
    last, sums, at = Loop(trips, t, x) <body = b (int64 i, bool c, float[5] a)
        => (bool c2, float[5] a2, float[5] row, int64 k) {
      c2 = Identity(c) f = Cast<to=1>(i) g = Add(a, x) s = Sin(f) a2 = Mul(g, s)
      s2 = Neg(a2) row = Exp(s2) k = Mul(i, two) }> }"""

RNN = """m (float[8] h0, float[200,4] xs) => (float[8] h, float[200,8] hs) {
    h, hs = Scan<num_scan_inputs = 1, body = b (float[8] h, float[4] x)
        => (float[8] h2, float[8] y) {
      p = MatMul(x, Wx) q = MatMul(h, W) s = Add(p, q) h2 = Tanh(s) y = Identity(h2) }>(h0, xs) }"""

BATCHED = RNN.replace("float[8]", "float[4,64]").replace("float[4] x", "float[4,32] x").replace(
    "200,8]", "25,4,64]").replace("200,4]", "25,4,32]")

BACKWARDS = """m (float[2] s0, float[2,30] a, float[30,2] b)
      => (float[2] s, float[2,30] u, float[30,2] v) {
    s, u, v = Scan<num_scan_inputs = 2, scan_input_axes = [1, 0],
        scan_input_directions = [1, 0], scan_output_axes = [1, 0],
        scan_output_directions = [0, 1], body = g (float[2] s, float[2] x, float[2] y)
        => (float[2] s2, float[2] u, float[2] v) {
      k = Sub(x, y) t = Add(s, k) s2 = Softsign(t) u = Mul(s2, y) v = Sub(s2, x) }>(s0, a, b) }"""

ANY_LENGTH = """m (float[3] s0, float[n,3] xs) => (float[3] s, float[n,3] ys) {
    s, ys = Scan<num_scan_inputs = 1, scan_input_directions = [1],
        body = g (float[3] s, float[3] x) => (float[3] s2, float[3] y) {
      t = Add(s, x) s2 = Tanh(t) y = Sub(s2, x) }>(s0, xs) }"""

GROWING = """m (float[2,8] x, bool c, int64 k) => (float[2,8] y) {""" + CONSTANTS + """
    z = Loop(k, t, x) <body = b (int64 i, bool c2, float[2,8] a) => (bool c3, float[2,8] o) {
      c3 = Identity(c2) p = MatMul(a, W) o = Relu(p) }>
    w = If(c) <then_branch = p () => (float[2,8] r) { r = MatMul(z, W) },
               else_branch = q () => (float[2,8] r) { r = MatMul(x, W) }>
    y = Add(w, z) }"""

INPLACE = """m (float[6,3] cache, float[3] x, int64 k) => (float[6,3] y) {""" + CONSTANTS + """
    six = Constant<value = int64 {6}>() s11 = Constant<value = int64[2] {1, 1}>()
    s13 = Constant<value = int64[2] {1, 3}>()
    y = Loop(k, t, cache) <body = b (int64 i, bool c, float[6,3] a) => (bool c2, float[6,3] o) {
      c2 = Identity(c) j = Mod(i, six) at = Reshape(j, s11)
      m0 = ReduceSum<keepdims=0>(a) v = Add(x, m0) r = Reshape(v, s13)
      o = ScatterND(a, at, r) }> }"""

X8 = np.linspace(-1, 1, 8, dtype=F)
CASES = {
    "newton": Case(NEWTON, tuple({"x": np.array([2, 3, 5, 50], F), "most": np.array(k)}
                                 for k in (100, 3, 0)), ("loop",)),
    "collatz": Case(COLLATZ, tuple({"n": np.array(n)} for n in (27, 1, 97, 8)), ("loop",)),
    "big if": Case(BIG_IF, tuple({"x": X8, "y": X8[::-1].copy(), "c": np.array(c)}
                                 for c in (True, False)), ("branch",), (("W", weights(8, 8)),)),
    "nested": Case(NESTED, tuple({"x": X8 + 1, "limit": np.array(v, F), "most": np.array(k)}
                                 for v, k in ((2, 9), (99, 4), (-99, 2), (0, 0))),
                   ("branch", "loop"), (("W", weights(8, 8)),)),
    "passed": Case(PASSED, tuple({"x": X8[:3], "y": X8[5:], "c": np.array(c)}
                                 for c in (True, False)), ("branch",)),
    "swap": Case(SWAP, tuple({"x": X8[:3], "y": X8[5:], "k": np.array(k)} for k in (0, 1, 2, 9)),
                 ("loop",)),
    "kept": Case(KEPT, tuple({"x": X8[:3], "k": np.array(k)} for k in (0, 1, 5)), ("loop",)),
    "rows": Case(ROWS, ({"x": X8[:5]},), ("loop",)),
    "rnn": Case(RNN, ({"h0": X8, "xs": RNG.uniform(-1, 1, (200, 4)).astype(F)},), ("loop",),
                (("W", weights(8, 8)), ("Wx", weights(4, 8)))),
    "batched rnn": Case(BATCHED, (
        {"h0": RNG.uniform(-1, 1, (4, 64)).astype(F),
         "xs": RNG.uniform(-1, 1, (25, 4, 32)).astype(F)},), ("loop",),
        (("W", weights(64, 64) / 4), ("Wx", weights(32, 64) / 4))),
    "backwards": Case(BACKWARDS, ({"s0": X8[:2], "a": RNG.uniform(-1, 1, (2, 30)).astype(F),
                                   "b": RNG.uniform(-1, 1, (30, 2)).astype(F)},), ("loop",)),
    "any length": Case(ANY_LENGTH, tuple({"s0": X8[:3], "xs": RNG.uniform(-1, 1, (n, 3)).astype(F)}
                                         for n in (1, 17, 40)), ("loop",)),
    "one after the other": Case(GROWING, tuple(
        {"x": RNG.uniform(-1, 1, (2, 8)).astype(F), "c": np.array(c), "k": np.array(k)}
        for c, k in ((True, 3), (False, 0))), ("branch", "loop"), (("W", weights(8, 8)),)),
    "in place": Case(INPLACE, tuple({"cache": RNG.uniform(-1, 1, (6, 3)).astype(F), "x": X8[:3],
                                     "k": np.array(k)} for k in (0, 4, 13)), ("loop",)),
}


@lru_cache(maxsize=64)
def graph_of(name: str) -> Graph:
    return import_model(CASES[name].model)


@lru_cache(maxsize=64)
def source_of(name: str, debug: bool = False) -> str:
    programs = lower_all(graph_of(name), ("js", "wasm"))
    return emit_module(programs, EmitOptions(format="cjs", debug=debug)).code


def expected(name: str, feeds: dict[str, Any]) -> dict[str, np.ndarray]:
    model = CASES[name].model
    session = onnxruntime.InferenceSession(model.SerializeToString())
    return dict(zip([o.name for o in model.graph.output], session.run(None, feeds), strict=True))


def plain(feeds: dict[str, Any]) -> dict[str, np.ndarray]:
    return {k: v.astype(np.int32) if v.dtype == np.int64 else v for k, v in feeds.items()}


def assert_close(got: dict[str, np.ndarray], wanted: dict[str, np.ndarray]) -> None:
    assert list(got) == list(wanted)
    for name, value in wanted.items():
        assert got[name].shape == value.shape
        np.testing.assert_allclose(got[name], value, rtol=2e-5, atol=2e-6, err_msg=name)


@pytest.mark.parametrize("target", ["js", "wasm"])
@pytest.mark.parametrize("name", CASES)
def test_a_module_agrees_with_onnxruntime(name: str, target: str) -> None:
    for feeds in CASES[name].feeds:
        found = shared_host().run(source_of(name), plain(feeds), target, "cjs")
        assert_close({k: np.asarray(v) for k, v in found.items()}, expected(name, feeds))


@pytest.mark.parametrize("name", CASES)
def test_graph_and_program_agree_with_onnxruntime(name: str) -> None:
    graph = graph_of(name)
    (program,) = lower_all(graph, ("wasm",))
    for kernel in program.kernels:
        check_kernel(kernel)
    for feeds in CASES[name].feeds:
        assert_close(interpret(graph, plain(feeds)), expected(name, feeds))
        assert_close(run_program(program, plain(feeds)), expected(name, feeds))


@pytest.mark.parametrize("name", CASES)
def test_control_flow_is_kept_and_survives_passes_and_text(name: str) -> None:
    graph = graph_of(name)
    after, _ = run_pipeline(graph, debug=True)
    for one in (graph, after):
        found = {n.op for g in all_graphs(one) for n in g.nodes if n.op in ("loop", "branch")}
        assert found == {*CASES[name].regions}
        assert structurally_equal(parse_graph(str(one), large_constants(one)), one)


def test_long_scans_do_not_grow_the_code() -> None:
    (program,) = lower_all(graph_of("rnn"), ("js",))
    assert len(program.calls) < 12
    (loop,) = (t for t in program.tasks if isinstance(t, Repeat))
    assert (loop.limit, loop.condition) == (200, None)
    one = sum(k.flops for c in loop.body if isinstance(c, Call)
              for k in program.kernels if k.name == c.kernel)
    assert program.flops >= 200 * one > 200 * 2 * 8 * 12


def test_a_state_is_written_in_place_where_nothing_reads_the_old_one() -> None:
    (program,) = lower_all(graph_of("in place"), ("js",))
    (loop,) = (t for t in program.tasks if isinstance(t, Repeat))
    assert not any(isinstance(c, Call) and c.label.endswith(" next") for c in loop.body)


def test_small_sides_are_both_computed() -> None:
    (loop,) = (t for t in lower_all(graph_of("collatz"), ("js",))[0].tasks
               if isinstance(t, Repeat))
    assert not any(isinstance(t, Branch) for t in loop.body)


@pytest.mark.parametrize("name", ["newton", "nested", "rnn", "any length"])
def test_a_build_verifies_itself(name: str) -> None:
    model = OnnxModel(CASES[name].model)
    inputs = {n: transpile.spec(t.dtype, t.shape, low=1, high=9) for n, t in static_types(
        CASES[name].model, plain(CASES[name].feeds[0])).items()}
    module = transpile.compile(model, inputs, targets=("js", "wasm"))
    report = module.verify([plain(f) for f in CASES[name].feeds[:1]], targets=("js", "wasm"))
    assert report.ok
    assert module.report.flops


def test_a_wrong_loop_is_named() -> None:
    from transpile.verify.locate import first_difference
    model = OnnxModel(CASES["rnn"].model)
    module = transpile.compile(model, targets=("js",))
    program = module.programs[0]
    kernel = next(k for k in program.kernels if "tanh" in k.formula)
    broken = tuple(replace(k, body=()) if k is kernel else k for k in program.kernels)
    wrong = replace(module, programs=(replace(program, kernels=broken),))
    found = first_difference(wrong, plain(CASES["rnn"].feeds[0]), "js")
    assert found is not None
    assert found.label in ("h", "hs")


def test_webgl_is_left_out_and_the_report_says_so() -> None:
    module = transpile.compile(OnnxModel(CASES["rnn"].model), targets=("wasm", "webgl"))
    assert module.report.targets == ("wasm",)
    assert dict(module.report.rows())["webgl"].startswith("left out: the model has a loop")


def refused(text: str) -> Callable[[], Graph]:
    return lambda: import_model(Case(text, (), ()).model)


def test_rows_without_a_known_number_are_refused() -> None:
    text = """m (float[2] x, int64 k) => (float[2] y, float[n,2] rows) {""" + CONSTANTS + """
        y, rows = Loop(k, t, x) <body = b (int64 i, bool c, float[2] a)
          => (bool c2, float[2] b, float[2] row) { c2 = Identity(c) b = Add(a, x)
          row = Identity(b) }> }"""
    with pytest.raises(ValueNeededError, match="number of rows that it collects"):
        refused(text)()


def test_a_state_that_changes_its_shape_is_refused() -> None:
    text = """m (float[2] x, int64 k) => (float[n] y) {""" + CONSTANTS + """
        y = Loop(k, t, x) <body = b (int64 i, bool c, float[n] a) => (bool c2, float[m] b) {
          c2 = Identity(c) b = Concat<axis=0>(a, x) }> }"""
    with pytest.raises(ValueNeededError, match="turns the state"):
        refused(text)()


THREADED = """m (float[256,256] x, int64 k) => (float[256,256] y) {""" + CONSTANTS + """
    a = MatMul(x, W) b = Relu(a)
    z = Loop(k, t, b) <body = q (int64 i, bool c, float[256,256] s)
        => (bool c2, float[256,256] s2) { c2 = Identity(c) p = MatMul(s, W) s2 = Tanh(p) }>
    y = MatMul(z, W) }"""

RUN_THREADS = """
const { load } = require('./model.cjs');
(async () => {
  const x = { data: Float32Array.from({ length: 65536 }, (_, i) => Math.sin(i)),
    shape: [256, 256] };
  const found = [];
  for (const threads of [1, 3]) {
    const model = await load({ target: 'wasm', threads });
    if (model.threads !== threads) throw new Error(JSON.stringify(model.skipped));
    found.push((await model.run({ x, k: 3 })).y.data.join());
    model.dispose();
  }
  if (found[0] !== found[1]) throw new Error('threads change the result');
})().catch((error) => { console.error(error); process.exit(1); });
"""


def test_threads_wait_for_a_loop_on_the_first_one(tmp_path: Path) -> None:
    model = Case(THREADED, (), (), (("W", weights(256, 256) / 10),)).model
    module = transpile.compile(OnnxModel(model), {"k": transpile.spec("int32", (), low=0, high=4)},
                               targets=("wasm",), threads=True, format="cjs")
    (tmp_path / "model.cjs").write_text(module.source, encoding="utf-8")
    (tmp_path / "run.cjs").write_text(RUN_THREADS, encoding="utf-8")
    done = subprocess.run([find_node(), "run.cjs"], cwd=tmp_path, capture_output=True, text=True,
                          timeout=120, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
def test_a_condition_of_pytorch_is_a_branch() -> None:
    torch = pytest.importorskip("torch")

    class Sides(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b = torch.nn.Linear(64, 64), torch.nn.Linear(64, 64)

        def forward(self, x: Any) -> Any:
            return torch.cond(x.sum() > 0, lambda x: self.a(x), lambda x: self.b(x).tanh(), (x,))
    module = transpile.compile(Sides().eval(), {"x": transpile.spec("float32", (2, 64))})
    assert "branch" in str(module.graph)
    x = RNG.uniform(-1, 1, (2, 64)).astype(F)
    assert module.verify([{"x": np.abs(x)}, {"x": -np.abs(x)}]).ok
