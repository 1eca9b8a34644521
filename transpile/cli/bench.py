"""`transpile bench`: latency per target, and per kernel time, FLOPs and bytes."""

from __future__ import annotations

import re
import statistics
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import numpy as np

from transpile.cli.options import array_files, debug_option, node_option
from transpile.report import count, size

if TYPE_CHECKING:
    from transpile.program import Program


@click.command("bench")
@click.argument("out", metavar="OUT.js", type=click.Path(exists=True, dir_okay=False))
@click.argument("source", required=False)
@click.option("--input", "inputs", multiple=True, callback=array_files,
              metavar="NAME=FILE.npy | FILE.npz", help="Default: random, named dims 1.")
@click.option("--target", default="auto", show_default=True, help="One that the module has.")
@click.option("--seconds", type=click.FloatRange(0.0, 600.0), default=1.0, show_default=True)
@node_option
@debug_option
def command(out: str, source: str | None, inputs: dict[str, Any], target: str, seconds: float,
            node: str | None) -> None:
    """Measure the built module OUT.js under Node; SOURCE adds FLOPs and bytes per kernel."""
    from rich.console import Console

    from transpile.module import read_module
    from transpile.verify.node import NodeHost
    text, kind = read_module(Path(out))
    program = _program(source, text) if source else None
    with NodeHost(node, timeout=60.0 + 20 * seconds) as host:
        about = host.describe(text, target, kind)
        inputs = inputs or random_arrays(about["inputs"])
        result = host.bench(text, inputs, target, kind, milliseconds=1000 * seconds)
    console = Console()
    console.print(_latency_table(about["target"], result, len(text)))
    console.print(_kernel_table(kernel_times(result["profile"], text), program, inputs))


def random_arrays(ports: list[Mapping[str, Any]]) -> dict[str, np.ndarray]:
    """Seeded inputs for a module from its own description; named dimensions are 1."""
    rng = np.random.default_rng(0)
    result = {}
    for port in ports:
        shape = tuple(d if isinstance(d, int) else 1 for d in port["shape"])
        values = rng.standard_normal(shape) if port["dtype"] == "float32" else np.zeros(shape)
        result[port["name"]] = values.astype(port["dtype"])
    return result


def kernel_times(profile: Mapping[str, float], text: str) -> dict[str, float]:
    """Milliseconds per run of the functions that the module's `compute` calls, by name."""
    body = re.search(r"function compute\([^)]*\)\s*\{(.*?)\n?\}", text, re.DOTALL)
    called = dict.fromkeys(re.findall(r"([\w$]+)\(heap\b", body[1])) if body else {}
    times = dict.fromkeys(called, 0.0)
    for place, milliseconds in profile.items():
        name = place.rpartition(":")[0]
        if name in times:
            times[name] += milliseconds
    return times


def _program(source: str, text: str) -> Program:
    from transpile.api import compile as compile_model
    from transpile.errors import SourceError
    from transpile.sources import resolve
    program = compile_model(resolve(source)).programs[0]
    if len({call.kernel for call in program.calls}) != len(kernel_times({}, text)):
        raise SourceError(f"the module was not built from {source} as it is now",
                          fix="build it again")
    return program


def _latency_table(target: str, result: Mapping[str, Any], file_bytes: int) -> Any:
    from rich.table import Table
    times = sorted(result["times"])
    table = Table("target", "median ms", "fastest ms", "95 % ms", "runs", "load ms", "file")
    table.add_row(target, f"{statistics.median(times):.3f}", f"{times[0]:.3f}",
                  f"{times[int(0.95 * (len(times) - 1))]:.3f}", str(len(times)),
                  f"{result['loadTime']:.2f}", size(file_bytes))
    return table


def _kernel_table(times: Mapping[str, float], program: Program | None,
                  inputs: Mapping[str, np.ndarray]) -> Any:
    from rich.table import Table
    work = dict(zip(times, _work(program, inputs), strict=True)) if program else {}
    total = sum(times.values()) or 1.0
    table = Table("kernel", "ms a run", "share", "FLOP", "GFLOP/s", "bytes")
    for name, milliseconds in sorted(times.items(), key=lambda item: -item[1]):
        flops, nbytes = work.get(name, (0, 0))
        rate = f"{flops / milliseconds / 1e6:.2f}" if flops and milliseconds else ""
        table.add_row(name, f"{milliseconds:.4f}", f"{100 * milliseconds / total:.0f} %",
                      count(flops) if work else "", rate, size(nbytes) if work else "")
    return table


def _work(program: Program, inputs: Mapping[str, np.ndarray]) -> list[tuple[int, int]]:
    """FLOPs and bytes read and written per run, for each kernel in the order of first calls."""
    from transpile.ir.dims import evaluate
    from transpile.ir.interpret import bind_dims
    dims = bind_dims(program.graph, inputs)
    kernels = {k.name: k for k in program.kernels}
    result: dict[str, tuple[int, int]] = {}
    for call in program.calls:
        flops, nbytes = result.get(call.kernel, (0, 0))
        for arg in call.args:
            type_ = program.buffer(arg).type
            nbytes += evaluate(type_.size, dims) * np.dtype(type_.dtype).itemsize
        result[call.kernel] = flops + evaluate(kernels[call.kernel].flops, dims), nbytes
    return list(result.values())
