"""Modules with WebAssembly under Node: taken where it works, given up quietly elsewhere."""

from __future__ import annotations

import subprocess
from functools import lru_cache
from pathlib import Path

import numpy as np
import pytest

import transpile
from transpile.verify.node import find_node

WEIGHT = np.random.default_rng(0).normal(size=(24, 13)).astype(np.float32)
X = np.random.default_rng(1).normal(size=(70, 24)).astype(np.float32)
BOTH = ("js", "wasm")


def model(x: np.ndarray) -> np.ndarray:
    return np.tanh(x @ WEIGHT)


@lru_cache
def module(*targets: str) -> str:
    given = {"x": transpile.spec("float32", ("batch", 24))}
    return transpile.compile(model, inputs=given, targets=targets or BOTH, name="model").source


def run(folder: Path, source: str, script: str, before: str = "") -> list[str]:
    """The lines that `script` prints, with the module as `api`, after `before` has run."""
    (folder / "model.mjs").write_text(source)
    (folder / "run.mjs").write_text(
        f"{before}\nconst api = await import('./model.mjs');\nconst show = console.log;\n"
        "const rows = (n) => ({ x: { data: Float32Array.from({ length: 24 * n },"
        " (_, i) => Math.sin(i)), shape: [n, 24] } });\n"
        + script)
    done = subprocess.run([find_node(), "run.mjs"], cwd=folder, capture_output=True, text=True,
                          check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_auto_takes_wasm_and_both_targets_agree(tmp_path: Path) -> None:
    lines = run(tmp_path, module(), """
      const wasm = await api.load();
      const js = await api.load({ target: 'js' });
      show(wasm.target, js.target, wasm.skipped.length);
      const [a, b] = [wasm, js].map((m) => Object.values(m.runSync(rows(5)))[0].data);
      show(a.length, Math.max(...a.map((v, i) => Math.abs(v - b[i]))) < 1e-6);""")
    assert lines == ["wasm js 0", "65 true"]


REFUSALS = {
    "policy": "WebAssembly.Module = class { constructor() { throw new EvalError('refused'); } };",
    "instance": "WebAssembly.Instance = function () { throw new Error('refused'); };",
    "memory": "WebAssembly.Memory = function () { throw new RangeError('refused'); };",
    "absent": "delete globalThis.WebAssembly;",
}


@pytest.mark.parametrize("kind", REFUSALS)
@pytest.mark.parametrize("target", ["auto", "wasm"])
def test_where_wasm_is_refused_js_answers(tmp_path: Path, kind: str, target: str) -> None:
    lines = run(tmp_path, module(), f"""
      const model = await api.load({{ target: '{target}' }});
      const {{ target, reason }} = model.skipped[0];
      show(model.target, target, reason.length > 0);
      const own = await api.load({{ target: 'js' }});
      const [a, b] = [model, own].map((m) => Object.values(m.runSync(rows(3)))[0].data);
      show(a.every((v, i) => v === b[i]), a.length, (await model.selfTest()).ok);""",
                REFUSALS[kind])
    assert lines == ["js wasm true", "true 39 true"]


def test_a_module_with_wasm_alone_says_why_it_cannot_load(tmp_path: Path) -> None:
    lines = run(tmp_path, module("wasm"), """
      await api.load().then(() => show('loaded'), (error) => show(error.message));""",
                REFUSALS["policy"])
    assert lines == ["EvalError: refused"]
    assert "Math.tanh" not in module("wasm")


def test_memory_grows_with_the_batch_and_keeps_the_weights(tmp_path: Path) -> None:
    lines = run(tmp_path, module(), """
      const model = await api.load({ target: 'wasm' });
      const first = Object.values(model.runSync(rows(1)))[0].data;
      for (const n of [1, 3000, 2, 9000, 1]) {
        const { data, shape } = Object.values(model.runSync(rows(n)))[0];
        show(shape.join(), first.every((v, i) => Math.abs(v - data[i]) < 1e-6));
      }""")
    assert lines == [f"{n},13 true" for n in (1, 3000, 2, 9000, 1)]


@pytest.mark.parametrize("batch", [1, 2, 3, 7, 70])
def test_ragged_batches_agree_with_numpy(batch: int) -> None:
    given = {"x": transpile.spec("float32", ("batch", 24))}
    built = transpile.compile(model, inputs=given, targets=BOTH, name="model")
    for target in ("js", "wasm"):
        (found,) = built.run({"x": X[:batch]}, target=target).values()
        np.testing.assert_allclose(found, model(X[:batch]), rtol=1e-5, atol=1e-6)
