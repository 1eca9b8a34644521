"""Measurements under Node: latency in interleaved rounds, and peak memory."""

from __future__ import annotations

import json
import shutil
import statistics
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.prepare import HERE

OURS = ("transpile js", "transpile wasm")
SIDE = "transpile wasm, side file"
"""Our module with its weights in a file of their own: another start-up, the same kernels."""

PEERS = ("onnxruntime-web", "tfjs-wasm", "LiteRT.js")
NATIVE = "onnxruntime native"
SLOW = {"tfjs-cpu": ("linear", "mlp", "lenet")}
"""Runtimes that take seconds for the larger models, and the models that they are timed on."""

WARM_UP, SAMPLE, ROUNDS, TOLERANCE = 1.0, 10.0, 60, 1e-3
"""Seconds before timing, milliseconds of a sample, most samples, largest relative error."""


def runtimes_for(model: str) -> list[str]:
    slow = [name for name, models in SLOW.items() if model in models]
    return [*OURS, *PEERS, *slow, NATIVE]


def latency(stem: Path, node: str, seconds: float, runtimes: Sequence[str]) -> dict[str, Any]:
    """Times in milliseconds by runtime, each checked against NumPy before any is timed.

    Returns:
        `node`, `failed` (reasons by runtime) and `runtimes`: by name, `median` and `fastest` by
        the clock, `cpu` (median processor time), `load`, `first`, `error`, and the samples of
        processor time in the order of the rounds.
    """
    answer = _node_script("latency.mjs", stem, node, {
        "runtimes": list(runtimes), "seconds": seconds, "rounds": ROUNDS, "warmUp": WARM_UP,
        "sample": SAMPLE, "tolerance": TOLERANCE})
    found = {r["name"]: {
        "median": statistics.median(r["times"]), "fastest": min(r["times"]),
        "cpu": statistics.median(r["cpu"]), "load": r["load"], "first": r["first"],
        "error": r["error"], "samples": r["cpu"]} for r in answer["results"]}
    return {"node": answer["node"], "failed": answer["failed"], "runtimes": found}


def ratio(found: Mapping[str, Any], peer: str, ours: str) -> float | None:
    """How many times faster than `peer` ours is: the median over rounds of processor time."""
    if peer not in found or ours not in found:
        return None
    pairs = zip(found[peer]["samples"], found[ours]["samples"], strict=True)
    return statistics.median(a / b for a, b in pairs)


def memory(stem: Path, node: str, runtimes: Sequence[str]) -> dict[str, int]:
    """Peak bytes of a Node process by runtime, over those of one that only starts."""
    def peak(names: list[str]) -> int:
        return int(_node_script("memory.mjs", stem, node, {"runtimes": names})["peak"])
    empty = peak([])
    return {name: peak([name]) - empty for name in runtimes}


def _node_script(script: str, stem: Path, node: str, config: Mapping[str, Any]) -> Any:
    folder = stem.parent.parent.resolve()
    shape = json.loads(stem.with_suffix(".shape").read_text())
    request, answer = folder / "request.json", folder / "answer.json"
    request.write_text(json.dumps({
        "stem": str(stem.resolve()), "shape": shape, "python": sys.executable,
        "script": str(HERE / "native.py"), **config}))
    with (folder / "node.log").open("w") as log:
        subprocess.run([*one_core(), node, script, str(request), str(answer)], cwd=folder,
                       stderr=log, check=True)
    return json.loads(answer.read_text())


def one_core() -> list[str]:
    """The prefix of a command that keeps it, and what it starts, on one core, where there is one.

    Runtimes that share a core share its speed, too.
    """
    taskset = shutil.which("taskset")
    if taskset is None:
        return []
    from os import sched_getaffinity
    return [taskset, "-c", str(max(sched_getaffinity(0)))]
