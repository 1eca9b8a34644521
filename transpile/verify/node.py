"""Emitted modules under Node: one child process that answers requests over its pipes."""

from __future__ import annotations

import atexit
import json
import os
import re
import shutil
import subprocess
import tempfile
import threading
from collections import deque
from collections.abc import Mapping
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from queue import Empty, Queue
from types import TracebackType
from typing import Any

import numpy as np

from transpile.errors import DependencyError, TranspileError
from transpile.verify.tensors import decode_outputs, encode_inputs

RUNNER = Path(__file__).with_name("node_runner.mjs")
MINIMUM = (14, 8)
FLAGS = ("--disallow-code-generation-from-strings", "--max-old-space-size=4096")
RELAXED_SIMD = "--experimental-wasm-relaxed-simd"
"""Node's flag for it: unknown to versions that lack it, and to those that need no flag."""
SUFFIX = {"esm": ".mjs", "cjs": ".cjs", "iife": ".js"}


class JavaScriptError(TranspileError):
    """The module threw, hung, or took the process down."""


def find_node(node: str | os.PathLike[str] | None = None) -> str:
    """The path of a Node executable.

    Looked for in `node`, the environment's `TRANSPILE_NODE`, the package nodejs-bin, and PATH.

    Raises:
        DependencyError: there is none, or the one that was asked for does not work or is too old.
    """
    wanted = node or os.environ.get("TRANSPILE_NODE")
    if wanted:
        return _checked(shutil.which(str(wanted)) or str(wanted))
    found = _bundled() or shutil.which("node")
    if found is None:
        raise DependencyError("Node was not found", why="emitted modules are verified under Node",
                              fix="pip install nodejs-bin, or give --node PATH or TRANSPILE_NODE")
    return _checked(found)


def _bundled() -> str | None:
    from importlib.util import find_spec
    package = find_spec("nodejs")
    for folder in (package.submodule_search_locations or []) if package else []:
        for name in ("bin/node", "node.exe"):
            path = Path(folder) / name
            if path.is_file():
                return str(path)
    return None


@lru_cache
def _checked(path: str) -> str:
    try:
        text = subprocess.run([path, "--version"], capture_output=True, text=True, timeout=30,
                              check=True).stdout
    except (OSError, subprocess.SubprocessError) as error:
        raise DependencyError(f"Node does not start: {path}", why=str(error),
                              fix="give another with --node PATH, or pip install nodejs-bin"
                              ) from None
    version = re.match(r"v(\d+)\.(\d+)", text)
    if not version or (int(version[1]), int(version[2])) < MINIMUM:
        raise DependencyError(f"{path} is too old: {text.strip() or 'no version'}",
                              why=f"Node {MINIMUM[0]}.{MINIMUM[1]} is the oldest that works",
                              fix="pip install nodejs-bin, or give --node PATH")
    return path


class NodeHost:
    """A long-lived Node that loads modules and runs them; usable from several threads.

    Args:
        node: an executable; else see `find_node`.
        timeout: seconds for one request.
        restart_after: modules after which a new process is started, as Node never frees one.
        flags: further ones for Node.
    """

    def __init__(self, node: str | None = None, *, timeout: float = 120.0,
                 restart_after: int = 200, flags: tuple[str, ...] = ()) -> None:
        self.executable, self.flags = find_node(node), flags
        self.timeout, self.restart_after = timeout, restart_after
        self._lock = threading.RLock()
        self._folder = tempfile.TemporaryDirectory(prefix="transpile-")
        self._process: subprocess.Popen[str] | None = None
        self._answers: Queue[str] = Queue()
        self._stderr: deque[str] = deque(maxlen=40)
        self._loaded: set[str] = set()
        self._files: dict[str, str] = {}
        self._count = 0
        atexit.register(self.close)

    def __enter__(self) -> NodeHost:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None,
                 trace: TracebackType | None) -> None:
        self.close()

    def describe(self, source: str, target: str = "js", format: str = "esm") -> dict[str, Any]:
        """The module's `target`, `inputs`, `outputs` and `skipped`."""
        result: dict[str, Any] = self._on_module("describe", source, target, format)
        return result

    def run(self, source: str, inputs: Mapping[str, object], target: str = "js",
            format: str = "esm", *, files: Mapping[str, bytes] | None = None
            ) -> dict[str, np.ndarray]:
        """The outputs, by name, of the module `source` for `inputs`; `files` lie beside it.

        Raises:
            JavaScriptError: the module threw, or does not have the target.
        """
        with self._lock:
            self.provide(files or {})
            answer = self._on_module("run", source, target, format, inputs)
            return decode_outputs(answer["outputs"])

    def debug(self, source: str, inputs: Mapping[str, object], target: str = "js"
              ) -> list[tuple[str, np.ndarray]]:
        """The label and output of every kernel call of a debug build, in order."""
        with self._lock:
            answer = self._on_module("debug", source, target, "esm", inputs)
            return [(step["label"], decode_outputs({"": step["output"]})[""])
                    for step in answer["steps"]]

    def bench(self, source: str, inputs: Mapping[str, object], target: str = "js",
              format: str = "esm", *, min_runs: int = 5, milliseconds: float = 500.0
              ) -> dict[str, Any]:
        """Times of a module in milliseconds.

        Returns:
            `times` of single runs after a first one, `loadTime`, and `profile`: the self time per
            run of each function by `name:line`.
        """
        result: dict[str, Any] = self._on_module(
            "bench", source, target, format, inputs, minRuns=min_runs, milliseconds=milliseconds)
        return result

    def self_test(self, source: str, target: str = "js", format: str = "esm") -> Any:
        """What the module's own `selfTest()` says."""
        return self._on_module("selfTest", source, target, format)

    def provide(self, files: Mapping[str, bytes]) -> None:
        """Put files beside the modules; their names tell their contents apart."""
        with self._lock:
            self._make_folder()
            for name, data in files.items():
                path = Path(self._folder.name) / name
                if not path.is_file():
                    path.write_bytes(data)
                self._files[name] = str(path)

    def close(self) -> None:
        """End the process and remove its files; further calls start a new one."""
        with self._lock:
            self._stop()
            atexit.unregister(self.close)
            self._folder.cleanup()

    def _on_module(self, op: str, source: str, target: str, format: str,
                   inputs: Mapping[str, object] | None = None, **fields: Any) -> Any:
        with self._lock:
            path = self._module_file(source, format)
            if inputs is not None:
                fields["inputs"] = encode_inputs(inputs, Path(self._folder.name))
            if format == "iife":  # a script in a context of its own can neither fetch nor import
                fields["weights"] = next((p for n, p in self._files.items() if n in source), None)
            return self._request({"op": op, "path": path, "target": target, "format": format,
                                  **fields})

    def _module_file(self, source: str, format: str) -> str:
        self._make_folder()
        digest = sha256(source.encode()).hexdigest()[:24]
        path = Path(self._folder.name) / (digest + SUFFIX[format])
        if str(path) not in self._loaded:
            if len(self._loaded) >= self.restart_after:
                self._stop()
            path.write_text(source, encoding="utf-8")
            self._loaded.add(str(path))
        return str(path)

    def _make_folder(self) -> None:
        if not Path(self._folder.name).is_dir():
            self._folder = tempfile.TemporaryDirectory(prefix="transpile-")
            self._files.clear()

    def _start(self) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [self.executable, *FLAGS, *self.flags, str(RUNNER), self._folder.name],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            encoding="utf-8")
        self._answers, self._stderr = Queue(), deque(maxlen=40)
        for stream, sink in ((process.stdout, self._answers.put),
                             (process.stderr, self._stderr.append)):
            threading.Thread(target=_pump, args=(stream, sink), daemon=True).start()
        self._process = process
        return process

    def _stop(self) -> None:
        process, self._process = self._process, None
        for path in self._loaded:
            Path(path).unlink(missing_ok=True)
        self._loaded.clear()
        if process is None:
            return
        process.kill()
        process.wait()
        if process.stdin:
            process.stdin.close()

    def _request(self, request: dict[str, Any]) -> Any:
        process = self._process
        if process is None or process.poll() is not None:
            process = self._start()
        self._count += 1
        assert process.stdin is not None
        try:
            process.stdin.write(json.dumps({"id": self._count, **request}) + "\n")
            process.stdin.flush()
        except OSError:
            pass  # the process has ended: its stdout says so below, its stderr why
        answer = json.loads(self._answer())
        if "error" in answer:
            raise JavaScriptError(f"{answer['error']['name']}: {answer['error']['message']}",
                                  where=_frame(answer["error"]["stack"]))
        return answer["result"]

    def _answer(self) -> str:
        try:
            line = self._answers.get(timeout=self.timeout)
        except Empty:
            self._stop()
            raise JavaScriptError(f"the module gave no result within {self.timeout:g} s",
                                  fix="run smaller inputs, or raise the timeout") from None
        if not line:
            process = self._process
            code = process.wait() if process else None
            self._stop()
            raise JavaScriptError(f"Node ended with status {code} while it ran the module",
                                  why="".join(list(self._stderr)[-12:]).strip())
        return line


def _pump(stream: Any, sink: Any) -> None:
    for line in stream:
        sink(line)
    sink("")
    stream.close()


def _frame(stack: str) -> str:
    """The function and line of the innermost stack frame that lies in the module itself."""
    frame = re.search(r"at (?:async )?(?:([\w$.]+) \()?\S*/[0-9a-f]{24}\.\w+:(\d+):\d+", stack)
    return f"{frame[1] or 'top level'}, line {frame[2]} of the module" if frame else ""


_SHARED: dict[tuple[str, tuple[str, ...]], NodeHost] = {}
_SHARED_LOCK = threading.Lock()


def shared_host(node: str | None = None, flags: tuple[str, ...] = ()) -> NodeHost:
    """One host for the whole process, executable and flags, closed at exit."""
    key = find_node(node), flags
    with _SHARED_LOCK:
        if key not in _SHARED:
            _SHARED[key] = NodeHost(key[0], flags=flags)
        return _SHARED[key]


@lru_cache
def relaxed_simd_flags(node: str | None = None) -> tuple[str, ...]:
    """What makes a Node run relaxed SIMD that does not do so by itself; empty if nothing does."""
    from transpile.targets.wasm.encoder import Function, encode_module
    zeros = (("f32.const", 0.0), ("f32x4.splat",)) * 3
    probe = encode_module([Function("f", 0, (), (*zeros, ("f32x4.relaxed_madd",), ("drop",)))])
    script = f"new WebAssembly.Module(Buffer.from('{probe.hex()}', 'hex'))"
    tried = subprocess.run([find_node(node), RELAXED_SIMD, "-e", script], capture_output=True,
                           check=False, timeout=30)
    return (RELAXED_SIMD,) if tried.returncode == 0 else ()
