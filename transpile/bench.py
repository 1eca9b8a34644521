"""How fast a built module is: calls, single kernels, and both against what the machine can do."""

from __future__ import annotations

import base64
import json
import re
import statistics
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from transpile.program import Program

RUNNER = Path(__file__).with_name("bench_runner.mjs")
TARGETS = ("js", "wasm")
"""Those that are timed under Node; `bench_browser` times the others."""

CHAINS = 13
"""Independent sums in the peak loop: they hide the latency of two pipes, in 15 registers. Fewer are
slower, more spill; a matrix product may still come out a few percent above it."""


@dataclass(frozen=True)
class KernelTime:
    """All calls of one kernel in a run.

    Attributes:
        milliseconds: the fastest that each of its calls took, added up.
        flops, bytes: of all its calls; bytes are those of its operands.
    """

    name: str
    calls: int
    milliseconds: float
    flops: int
    bytes: int

    @property
    def gflops(self) -> float:
        return self.flops / self.milliseconds / 1e6 if self.milliseconds else 0.0


@dataclass(frozen=True)
class TargetTime:
    """One target: milliseconds of single calls and of loading, and the kernels of a run."""

    target: str
    times: tuple[float, ...]
    load: float
    kernels: tuple[KernelTime, ...] = ()

    @property
    def median(self) -> float:
        return statistics.median(self.times)


@dataclass(frozen=True)
class Bench:
    """What `measure` found; `peak` is in GFLOP/s of one thread, 0 if it was not measured."""

    targets: tuple[TargetTime, ...]
    peak: float = 0.0


def measure(source: str, format: str, inputs: Mapping[str, Any], targets: Sequence[str],
            node: str, seconds: float, debug: str = "",
            programs: Sequence[Program] = (), files: Mapping[str, bytes] | None = None) -> Bench:
    """Time a module under Node, all targets in turns in one process.

    Args:
        source, format: the module, as `transpile.module.read_module` gives it.
        debug: a debug build of the same model, for the times of its kernels.
        programs: what `debug` was built from, for their work.
        files: what lies beside the module, by name.

    Raises:
        JavaScriptError: Node failed.
    """
    from transpile.verify.node import FLAGS, JavaScriptError
    from transpile.verify.tensors import encode_inputs
    with tempfile.TemporaryDirectory(prefix="transpile-bench-") as name:
        folder = Path(name)
        request = {"module": _save(folder / "module", source, format), "targets": list(targets),
                   "debug": _save(folder / "debug", debug, "esm") if debug else "",
                   "inputs": encode_inputs(inputs, None), "seconds": seconds,
                   "peak": base64.b64encode(peak_binary()).decode()}
        (folder / "request.json").write_text(json.dumps(request))
        for beside, data in (files or {}).items():
            (folder / beside).write_bytes(data)
        done = subprocess.run([node, *FLAGS, str(RUNNER), str(folder / "request.json"),
                               str(folder / "answer.json")], capture_output=True, text=True,
                              cwd=folder)
        if done.returncode:
            raise JavaScriptError("the module could not be timed", why=done.stderr.strip()[-600:])
        answer = json.loads((folder / "answer.json").read_text())
    return _bench(answer, {p.target: p for p in programs}, inputs)


def _save(stem: Path, source: str, format: str) -> str:
    """Write a module where Node can import it; a script's global becomes its export."""
    if format == "iife":
        name = re.search(r"^(?:const|let|var)\s+([\w$]+)\s*=", source, re.MULTILINE)
        source += f"\nmodule.exports = {name[1]};\n" if name else ""
    path = stem.with_suffix(".mjs" if format == "esm" else ".cjs")
    path.write_text(source, encoding="utf-8")
    return str(path)


def _bench(answer: Mapping[str, Any], programs: Mapping[str, Program],
           inputs: Mapping[str, Any]) -> Bench:
    flops = 8 * CHAINS * answer["peakLoops"]
    targets = []
    for target, found in answer["targets"].items():
        program = programs.get(target) or next(iter(programs.values()), None)
        work = kernel_work(program, inputs) if program else {}
        targets.append(TargetTime(target, tuple(found["times"]), found["load"],
                                  _kernels(found["steps"], work)))
    return Bench(tuple(targets), flops / answer["peakTime"] / 1e6)


def _kernels(steps: Sequence[Mapping[str, Any]], work: Mapping[str, tuple[int, int]]
             ) -> tuple[KernelTime, ...]:
    """Steps grouped by kernel, the slowest first."""
    times: dict[str, list[float]] = {}
    for step in steps:
        times.setdefault(step["kernel"], []).append(step["fastest"])
    kernels = [KernelTime(name, len(t), sum(t), *work.get(name, (0, 0)))
               for name, t in times.items()]
    return tuple(sorted(kernels, key=lambda k: -k.milliseconds))


def kernel_work(program: Program, inputs: Mapping[str, Any]) -> dict[str, tuple[int, int]]:
    """FLOPs and bytes of operands per run, by kernel."""
    from transpile.ir.dims import evaluate
    from transpile.ir.interpret import bind_dims
    dims = bind_dims(program.graph, {n: np.asarray(a) for n, a in inputs.items()})
    kernels = {k.name: k for k in program.kernels}
    types = {b.name: b.type for b in program.buffers}
    result: dict[str, tuple[int, int]] = {}
    for call in program.calls:
        flops, nbytes = result.get(call.kernel, (0, 0))
        for arg in call.args:
            nbytes += evaluate(types[arg].size, dims) * np.dtype(types[arg].dtype).itemsize
        result[call.kernel] = flops + evaluate(kernels[call.kernel].flops, dims), nbytes
    return result


def peak_binary() -> bytes:
    """A module with `peak(n)`: n times a product and a sum in each of `CHAINS` f32x4 registers."""
    from transpile.targets.wasm.encoder import Function, Instruction, encode_module
    factor, term = CHAINS + 1, CHAINS + 2
    code: list[Instruction] = [("v128.const", (0.5,) * 4), ("local.set", factor),
                               ("v128.const", (1.0,) * 4), ("local.set", term), ("loop",)]
    for chain in range(1, CHAINS + 1):
        code += [("local.get", chain), ("local.get", factor), ("f32x4.mul",),
                 ("local.get", term), ("f32x4.add",), ("local.set", chain)]
    code += [("local.get", 0), ("i32.const", 1), ("i32.sub",), ("local.tee", 0), ("br_if", 0),
             ("end",)]
    for chain in range(1, CHAINS + 1):
        code += [("i32.const", 16 * chain), ("local.get", chain), ("v128.store", 0)]
    return encode_module([Function("peak", 1, ("v128",) * (CHAINS + 2), tuple(code))])


def read_history(path: Path) -> list[dict[str, Any]]:
    """Earlier runs, the oldest first; none if there is no file.

    Raises:
        SourceError: the file holds something else.
    """
    from transpile.errors import SourceError
    if not path.exists():
        return []
    try:
        runs = json.loads(path.read_text())
        return [{**run, "targets": dict(run["targets"])} for run in runs]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise SourceError(f"{path} is not a history of transpile bench", why=str(error),
                          fix="remove it, or name another file") from None


def append_history(path: Path, bench: Bench, digest: str) -> None:
    """Add a run of the module with content hash `digest` to the file."""
    run = {"time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), "content": digest,
           "peak": round(bench.peak, 2), "targets": {
               t.target: {"median": round(t.median, 6), "fastest": round(min(t.times), 6),
                          "kernels": {k.name: round(k.milliseconds, 6) for k in t.kernels}}
               for t in bench.targets}}
    path.write_text(json.dumps([*read_history(path), run], indent=1) + "\n")
