"""`transpile bench`: times, work of kernels, the peak loop and the history of runs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import transpile
from transpile import bench
from transpile.cli import main
from transpile.errors import SourceError, UnsupportedError
from transpile.verify.node import find_node

W = np.random.default_rng(0).normal(size=(64, 48)).astype(np.float32)


@transpile.model(x=transpile.spec("float32", ("batch", 64)))
def dense(x: Any) -> Any:
    hidden = np.maximum(x @ W, 0)
    return np.exp(hidden).sum(axis=1)


def measured(format: str, **options: Any) -> bench.Bench:
    module = transpile.compile(dense, targets=("js", "wasm"), format=format)
    inputs = {"x": np.ones((7, 64), np.float32)}
    return bench.measure(module.source, format, inputs, ("js", "wasm"), find_node(), 0.02,
                         module.debug_source, module.programs, **options)


def test_kernels_are_timed_on_each_target_with_their_work() -> None:
    result = measured("esm")
    assert [t.target for t in result.targets] == ["js", "wasm"]
    assert result.peak > 0.5
    for target in result.targets:
        assert target.median > 0
        assert sum(k.milliseconds for k in target.kernels) > 0
        work = {k.name: k for k in target.kernels}
        products = max(work.values(), key=lambda k: k.flops)
        assert products.flops >= 2 * 7 * 64 * 48
        assert products.bytes >= 4 * (7 * 64 + 64 * 48)
        assert products.gflops == pytest.approx(products.flops / products.milliseconds / 1e6)


@pytest.mark.parametrize("format", ["cjs", "iife"])
def test_other_formats_are_timed_too(format: str) -> None:
    assert all(t.kernels for t in measured(format).targets)


def test_a_module_that_fails_is_told() -> None:
    with pytest.raises(transpile.TranspileError, match="could not be timed"):
        bench.measure("throw new Error('no');", "esm", {}, ("js",), find_node(), 0.0)


def test_the_peak_loop_computes_what_it_claims(tmp_path: Path) -> None:
    import subprocess
    script = f"""
    const memory = new WebAssembly.Memory({{ initial: 1 }});
    const bytes = Buffer.from('{bench.peak_binary().hex()}', 'hex');
    const {{ exports }} = new WebAssembly.Instance(new WebAssembly.Module(bytes),
      {{ m: {{ m: memory }} }});
    exports.peak(3);
    console.log(new Float32Array(memory.buffer, 16, 4 * {bench.CHAINS}).join());
    """
    text = subprocess.check_output([find_node(), "-e", script], text=True)
    # x = x / 2 + 1, three times from 0
    assert [float(v) for v in text.split(",")] == [1.75] * 4 * bench.CHAINS


def test_history_grows_and_is_compared(tmp_path: Path, capsys: pytest.CaptureFixture[str],
                                       monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "120")
    transpile.build(dense, tmp_path / "m.mjs", targets=("js", "wasm"), verify=False)
    arguments = ["bench", str(tmp_path / "m.mjs"), "--history", "--seconds", "0.01"]
    for _ in range(2):
        with pytest.raises(SystemExit) as left:
            main(arguments)
        assert left.value.code in (0, None)
    first, second = capsys.readouterr().out.split("SIMD peak")[1:]
    assert "last time" not in first
    assert "last time" in second
    runs = bench.read_history(tmp_path / "m.bench.json")
    assert len(runs) == 2
    assert set(runs[0]["targets"]) == {"js", "wasm"}
    assert runs[0]["content"] in (tmp_path / "m.mjs").read_text()


@pytest.mark.parametrize("content", ["{", "[1]", json.dumps([{"targets": 3}])])
def test_a_file_that_is_no_history_is_refused(tmp_path: Path, content: str) -> None:
    path = tmp_path / "h.json"
    path.write_text(content)
    with pytest.raises(SourceError, match="not a history"):
        bench.read_history(path)


def test_a_target_that_the_module_lacks_is_refused() -> None:
    from transpile.cli.bench import _targets
    header = "// a: made by transpile 0\n// targets  js, webgl\n"
    assert _targets(header, "all") == ("js",)
    with pytest.raises(UnsupportedError, match="wasm"):
        _targets(header, "wasm")
