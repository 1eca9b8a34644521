"""NodeHost against hand-written modules that follow the JavaScript contract."""

from __future__ import annotations

import stat
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from transpile.errors import DependencyError
from transpile.verify.node import JavaScriptError, NodeHost, find_node

BODY = """
function model() {
  const run = ({ x }) => {
    %s
    return { y: { data: x.data.map((v) => 2 * v), shape: x.shape, dtype: 'float32' } };
  };
  return { target: 'js', inputs: [{ name: 'x', dtype: 'float32', shape: ['n'] }],
    outputs: [{ name: 'y', dtype: 'float32', shape: ['n'] }],
    run: async (inputs) => run(inputs), runSync: run };
}
const load = async () => model();
"""
ENDS = {"esm": "export { load };", "cjs": "module.exports = { load };",
        "iife": "globalThis.doubler = { load };"}


def module(statement: str = "", format: str = "esm") -> str:
    return BODY % statement + ENDS[format]


@pytest.fixture(scope="module")
def host() -> Iterator[NodeHost]:
    with NodeHost() as host:
        yield host


@pytest.mark.parametrize("format", ["esm", "cjs", "iife"])
def test_runs_each_format(host: NodeHost, format: str) -> None:
    x = np.arange(5, dtype=np.float32)
    result = host.run(module("", format), {"x": x}, format=format)
    np.testing.assert_array_equal(result["y"], 2 * x)


@pytest.mark.parametrize("size", [0, 1, 7, 300_000])
def test_sizes_below_and_above_the_file_limit(host: NodeHost, size: int) -> None:
    x = np.linspace(-1, 1, size, dtype=np.float32)
    result = host.run(module(), {"x": x})["y"]
    assert (result.dtype, result.shape) == (np.float32, (size,))
    np.testing.assert_array_equal(result, 2 * x)


def test_a_scalar_and_special_values_survive(host: NodeHost) -> None:
    np.testing.assert_array_equal(host.run(module(), {"x": np.float32(3)})["y"], np.float32(6))
    special = np.array([np.nan, np.inf, -np.inf, -0.0], np.float32)
    np.testing.assert_array_equal(host.run(module(), {"x": special})["y"], special)


def test_a_module_that_prints_does_not_disturb_the_protocol(host: NodeHost) -> None:
    result = host.run(module("console.log('hello'); process.stdout.write('x');"), {"x": [1.0]})
    assert result["y"].tolist() == [2.0]


def test_an_exception_is_reported_and_the_process_lives_on(host: NodeHost) -> None:
    with pytest.raises(JavaScriptError, match="TypeError: no such input"):
        host.run(module("throw new TypeError('no such input');"), {"x": [1.0]})
    assert host.run(module(), {"x": [1.0]})["y"].tolist() == [2.0]


def test_code_from_strings_is_refused(host: NodeHost) -> None:
    with pytest.raises(JavaScriptError, match="EvalError"):
        host.run(module("new Function('return 1')();"), {"x": [1.0]})


def test_a_crash_shows_the_end_of_stderr_and_the_next_call_works(host: NodeHost) -> None:
    dying = module("console.error('last words'); process.exit(3);")
    with pytest.raises(JavaScriptError, match="status 3") as caught:
        host.run(dying, {"x": [1.0]})
    assert "last words" in str(caught.value)
    assert host.run(module(), {"x": [4.0]})["y"].tolist() == [8.0]


def test_a_hanging_module_is_ended() -> None:
    with NodeHost(timeout=1.0) as host, pytest.raises(JavaScriptError, match="within 1 s"):
        host.run(module("for (;;) {}"), {"x": [1.0]})


def test_a_target_that_the_module_lacks_is_an_error(host: NodeHost) -> None:
    with pytest.raises(JavaScriptError, match="target wasm is not available"):
        host.run(module(), {"x": [1.0]}, target="wasm")


def test_restarts_after_many_modules() -> None:
    with NodeHost(restart_after=2) as host:
        pids = set()
        for i in range(5):
            host.run(module(f"void {i};"), {"x": [1.0]})
            assert host._process is not None
            pids.add(host._process.pid)
        assert len(pids) == 3


def test_threads_get_their_own_results(host: NodeHost) -> None:
    results: dict[int, float] = {}

    def work(i: int) -> None:
        results[i] = float(host.run(module(), {"x": [float(i)]})["y"][0])

    threads = [threading.Thread(target=work, args=(i,)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == {i: 2.0 * i for i in range(8)}


def test_bench_counts_runs(host: NodeHost) -> None:
    result = host.bench(module(), {"x": [1.0]}, min_runs=4, milliseconds=0)
    assert len(result["times"]) == 4
    assert result["loadTime"] >= 0


def test_a_missing_node_names_the_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRANSPILE_NODE", "/nowhere/node")
    with pytest.raises(DependencyError, match="pip install nodejs-bin"):
        find_node()


def test_an_old_node_is_refused(tmp_path: Path) -> None:
    old = tmp_path / "node"
    old.write_text("#!/bin/sh\necho v8.1.0\n")
    old.chmod(old.stat().st_mode | stat.S_IEXEC)
    with pytest.raises(DependencyError, match="too old"):
        find_node(str(old))
