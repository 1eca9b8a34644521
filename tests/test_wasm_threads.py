"""Threads: the same numbers however many there are, workers that end, and what goes on without."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from lowering import sample_kernels

import transpile
from benchmarks.models import LeNet, ResNet18, prepared
from transpile.compile import lower_all
from transpile.ir.dims import evaluate
from transpile.lower.interpret import run_kernel
from transpile.lower.stmt import Kernel
from transpile.module import Module
from transpile.targets.wasm import threads
from transpile.verify.browser import BrowserHost
from transpile.verify.node import find_node

RNG = np.random.default_rng(0)
FIRST, SECOND = (RNG.normal(size=(n, 256)).astype(np.float32) / 16 for n in (300, 256))
ISOLATED = {"Cross-Origin-Opener-Policy": "same-origin",
            "Cross-Origin-Embedder-Policy": "require-corp"}


def mlp(x: np.ndarray) -> np.ndarray:
    return np.tanh(np.maximum(x @ FIRST, 0) @ SECOND)


@lru_cache
def module(format: str = "esm", *targets: str) -> Module:
    given = {"x": transpile.spec("float32", ("batch", 300))}
    return transpile.compile(mlp, inputs=given, targets=targets or ("js", "wasm"), name="mlp",
                             format=format, threads=True)


SCRIPT = """
const show = (...values) => console.log(values.join(' '));
const values = (shape) => ({ shape, data: Float32Array.from(
  { length: shape.reduce((a, b) => a * b) }, (_, i) => Math.sin(i + i % 7)) });
const outputs = (model, shape) => Object.values(model.runSync(values(shape)))[0].data;
const same = (a, b) => a.length === b.length && a.every((v, i) => v === b[i]);
"""


def run(folder: Path, source: str, script: str, before: str = "", suffix: str = "mjs"
        ) -> list[str]:
    """The lines that `script` prints, with the module as `api`; the process must end by itself."""
    (folder / f"model.{suffix}").write_text(source)
    (folder / "run.mjs").write_text(
        f"{before}\nconst {{ default: cjs, ...esm }} = await import('./model.{suffix}');\n"
        f"const api = cjs || esm;\n{SCRIPT}{script}")
    done = subprocess.run([find_node(), "run.mjs"], cwd=folder, capture_output=True, text=True,
                          check=False, timeout=100)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


COMPARE = """
  const one = await api.load({ target: 'wasm' });
  for (const threads of [2, 3]) {
    const team = await api.load({ target: 'wasm', threads });
    show(team.threads, team.skipped.length, ...SHAPES.map((s) => same(outputs(team, s),
      outputs(one, s))), same(outputs(team, SHAPES[0]), outputs(one, SHAPES[0])));
  }
"""


def test_a_named_batch_gives_the_same_on_any_number_of_threads(tmp_path: Path) -> None:
    """Batches too small to share, ragged ones, and ones that memory has to grow for."""
    script = COMPARE.replace("SHAPES", "[[1, 300], [97, 300], [400, 300], [3000, 300], [5, 300]]")
    lines = run(tmp_path, module().source, script)
    assert lines == [f"{n} 0 true true true true true true" for n in (2, 3)]


def test_threads_agree_with_numpy(tmp_path: Path) -> None:
    x = np.sin(np.arange(97 * 300) + np.arange(97 * 300) % 7).reshape(97, 300)
    expected = mlp(x.astype(np.float32)).ravel()
    (line,) = run(tmp_path, module().source, """
      const team = await api.load({ threads: 2 });
      show(...outputs(team, [97, 300]), (await team.selfTest()).ok);""")
    *numbers, ok = line.split()
    np.testing.assert_allclose(np.array(numbers, np.float32), expected, rtol=1e-4, atol=1e-5)
    assert ok == "true"


def test_lenet_on_threads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads, "WORTH_WAKING", 1)  # it is too small to gain
    model = prepared(LeNet, (1, 1, 28, 28), 3)
    source = transpile.compile(model, threads=True).source
    lines = run(tmp_path, source, COMPARE.replace("SHAPES", "[[1, 1, 28, 28]]"))
    assert lines == ["2 0 true true", "3 0 true true"]


@pytest.mark.slow
def test_resnet_on_threads(tmp_path: Path) -> None:
    model = prepared(ResNet18, (1, 3, 64, 64), 5, (2, 3, 32, 32))
    source = transpile.compile(model, targets=["wasm"], threads=True).source
    lines = run(tmp_path, source, COMPARE.replace("SHAPES", "[[1, 3, 64, 64]]"))
    assert lines == ["2 0 true true", "3 0 true true"]


def test_dispose_ends_the_workers(tmp_path: Path) -> None:
    lines = run(tmp_path, module().source, """
      const team = await api.load({ threads: 3 });
      outputs(team, [400, 300]);
      team.dispose();
      show((await Promise.all(ended)).length, started);
      try { team.runSync(values([1, 300])); } catch (error) { show(error.message); }""", """
      import { Worker } from 'node:worker_threads';
      const [ended, { terminate, postMessage }] = [[], Worker.prototype];
      let started = 0;
      Worker.prototype.postMessage = function (work) {
        started++;
        ended.push(new Promise((resolve) => this.once('exit', resolve)));
        return postMessage.call(this, work);
      };""")
    assert lines == ["2 2", "the model is disposed of"]


NO_WORKER = """
import threads from 'node:worker_threads';
import { syncBuiltinESMExports } from 'node:module';
threads.Worker = class { constructor() { throw new Error('refused'); } };
syncBuiltinESMExports();
"""
FALLBACKS = {
    "absent": ("delete globalThis.SharedArrayBuffer;", "no SharedArrayBuffer here"),
    "page": ("globalThis.crossOriginIsolated = false;", "the page is not crossOriginIsolated"),
    "worker": (NO_WORKER, "refused"),
}


@pytest.mark.parametrize("kind", FALLBACKS)
def test_without_what_threads_need_there_is_one(tmp_path: Path, kind: str) -> None:
    before, reason = FALLBACKS[kind]
    lines = run(tmp_path, module().source, """
      const model = await api.load({ threads: 2 });
      show(model.target, model.threads, model.skipped[0].target, model.skipped[0].reason);
      show(same(outputs(model, [400, 300]), outputs(await api.load(), [400, 300])));""", before)
    assert lines == [f"wasm 1 threads {reason}", "true"]


def test_where_wasm_is_refused_js_answers(tmp_path: Path) -> None:
    lines = run(tmp_path, module().source, """
      const model = await api.load({ threads: 2 });
      const [threads, wasm] = model.skipped;
      show(model.target, model.threads, threads.target, wasm.target, wasm.reason);
      show(same(outputs(model, [9, 300]), outputs(await api.load({ target: 'js' }), [9, 300])));
      """, "WebAssembly.Module = class { constructor() { throw new EvalError('refused'); } };")
    assert lines == ["js 1 threads wasm EvalError: refused", "true"]


def test_a_commonjs_module_starts_workers_of_itself(tmp_path: Path) -> None:
    lines = run(tmp_path, module("cjs", "wasm").source, """
      const team = await api.load({ threads: 2 });
      show(team.threads, same(outputs(team, [400, 300]), outputs(await api.load(), [400, 300])));
      """, suffix="cjs")
    assert lines == ["2 true"]


def test_too_little_work_brings_no_thread_code() -> None:
    given = {"x": transpile.spec("float32", (4, 300))}
    made = transpile.compile(mlp, inputs=given, targets=("js", "wasm"), threads=True)
    plain = transpile.compile(mlp, inputs=given, targets=("js", "wasm"))
    assert "Worker" not in made.source
    assert "too little work" in made.source
    assert len(made.source) - len(plain.source) < 300
    assert "threads:" not in plain.source


def test_what_is_shared_out_and_what_is_not() -> None:
    """Contractions, maps and rows by their outermost loop; running sums along it on one thread."""
    def model(x: np.ndarray) -> Any:
        total = np.cumsum(np.exp(x), axis=0)
        return np.divide(total, total.sum(axis=1, keepdims=True))
    graph = transpile.trace(model, inputs={"x": transpile.spec("float32", (4000, 1000))})
    program = lower_all(graph, ("js", "wasm"))[1]
    found = {k.name: threads.split(k) is not None for k in program.kernels}
    cumulative = [k.name for k in program.kernels if not k.parallel]
    assert len(cumulative) == 1
    assert found == {k.name: k.name not in cumulative for k in program.kernels}


def contents(kernel: Kernel, seed: int) -> list[np.ndarray]:
    """Numbers for every argument; integers are small, so that they serve as indices."""
    rng = np.random.default_rng(seed)
    return [(rng.normal(size=a.size) if a.dtype == "float32" else rng.integers(2, size=a.size))
            .astype(a.dtype) for a in kernel.args]


def run_shares(kernel: Kernel, shared: threads.Split, arrays: list[np.ndarray]) -> None:
    """The shares of three threads, the last one first, each with scratch memory of its own."""
    own = len(arrays) - len(threads.scratches(kernel))
    for thread in (2, 1, 0):
        ends = [evaluate(b, {}) for s in shared.shares for b in threads.bounds(s, thread, 3)]
        run_kernel(replace(shared.kernel, body=shared.body),
                   [*arrays[:own], *contents(kernel, thread)[own:]],
                   dict(zip(shared.kernel.dims, ends, strict=True)))


def test_shares_may_run_in_any_order(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of every kernel of every op's samples that may be shared out."""
    monkeypatch.setattr(threads, "WORTH", 0)
    wrong, seen = [], 0
    for name, kernel in sample_kernels("wasm"):
        shared = threads.split(kernel)
        if shared is None:
            continue
        seen += 1
        whole, parts = contents(kernel, 1), contents(kernel, 1)
        run_kernel(kernel, whole)
        run_shares(kernel, shared, parts)
        own = len(parts) - len(threads.scratches(kernel))
        if any(a.tobytes() != b.tobytes() for a, b in zip(whole[:own], parts, strict=False)):
            wrong.append(name)
    assert wrong == []
    assert seen > 300


@pytest.fixture(scope="module")
def host() -> Iterator[BrowserHost]:
    with BrowserHost() as host:
        yield host


PAGE = """async (threads) => {
  const api = globalThis.mlp || await import('/model.js');
  const data = Float32Array.from({ length: 120000 }, (_, i) => Math.sin(i));
  const x = { shape: [400, 300], data };
  const [one, team] = [await api.load(), await api.load({ threads })];
  const [a, b] = [await one.run(x), await team.run(x)].map((r) => Object.values(r)[0].data);
  const found = [team.target, team.threads, a.every((v, i) => v === b[i]), team.skipped];
  team.dispose();
  return found;
}"""


@pytest.mark.browser
@pytest.mark.parametrize("format", ["esm", "iife"])
def test_threads_in_a_page_that_is_isolated(host: BrowserHost, format: str) -> None:
    script = "<script src=model.js></script>" if format == "iife" else ""
    page = host.open({"index.html": f"<!doctype html><meta charset=utf-8>{script}",
                      "model.js": module(format).source}, headers=ISOLATED)
    assert page.evaluate(PAGE, 2) == ["wasm", 2, True, []]
    assert page.evaluate(PAGE, 3) == ["wasm", 3, True, []]
    page = host.open({"index.html": f"<!doctype html><meta charset=utf-8>{script}",
                      "model.js": module(format).source}, headers={})
    *found, skipped = page.evaluate(PAGE, 2)
    assert found == ["wasm", 1, True]
    assert [s["target"] for s in skipped] == ["threads"]
