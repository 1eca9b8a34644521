"""`transpile bench`: latency per target, and per kernel time, FLOPs and bytes."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import numpy as np

from transpile.cli.options import array_files, debug_option, node_option
from transpile.report import count, size

if TYPE_CHECKING:
    from transpile.bench import Bench, TargetTime
    from transpile.module import Module


@click.command("bench")
@click.argument("out", metavar="OUT.js", type=click.Path(exists=True, dir_okay=False))
@click.argument("source", required=False)
@click.option("--input", "inputs", multiple=True, callback=array_files,
              metavar="NAME=FILE.npy | FILE.npz", help="Default: random, named dims 1.")
@click.option("--target", default="all", show_default=True,
              help="js, wasm, webgl, or all that run under Node.")
@click.option("--seconds", type=click.FloatRange(0.0, 600.0), default=1.0, show_default=True)
@click.option("--kernels", "rows", type=click.IntRange(0), default=20, show_default=True,
              help="The slowest so many are shown.")
@click.option("--history", is_flag=False, flag_value="", metavar="FILE",
              help="Compare with earlier runs kept in FILE, and add this one. Without FILE: "
                   "OUT.bench.json beside OUT.js.")
@node_option
@debug_option
def command(out: str, source: str | None, inputs: dict[str, Any], target: str, seconds: float,
            rows: int, history: str | None, node: str | None) -> None:
    """Measure the built module OUT.js under Node, webgl in a Chromium; SOURCE adds its kernels."""
    from rich.console import Console

    from transpile import bench
    from transpile.bench_browser import measure_webgl
    from transpile.module import files_beside, read_module
    from transpile.verify.node import NodeHost, find_node
    text, kind = read_module(Path(out))
    files = files_beside(Path(out), text)
    targets = _targets(text, target)
    console = Console()
    with NodeHost(node) as host:
        host.provide(files)
        inputs = inputs or random_arrays(host.describe(text, "auto", kind)["inputs"])
    module = _compiled(source, text, targets, console) if source else None
    given = (seconds, module.debug_source if module else "", module.programs if module else ())
    result = (measure_webgl(text, kind, inputs, *given, files) if targets == ("webgl",)
              else bench.measure(text, kind, inputs, targets, find_node(node), *given, files))
    path = None if history is None else Path(history or Path(out).with_suffix(".bench.json"))
    earlier = bench.read_history(path) if path else []
    console.print(_latency_table(result, len(text), earlier))
    for one in result.targets if rows and source else ():
        console.print(_kernel_table(one, result.peak, rows))
    if path:
        bench.append_history(path, result, _header(text, "content"))


def _header(text: str, key: str) -> str:
    """A line of the comment that a module starts with."""
    found = re.search(rf"^// {key}\s+(.*)$", text, re.MULTILINE)
    return found[1].strip() if found else ""


def _targets(text: str, wanted: str) -> tuple[str, ...]:
    from transpile.bench import TARGETS
    from transpile.errors import UnsupportedError
    built = _header(text, "targets").split(", ")
    if wanted != "all" and wanted not in built:
        raise UnsupportedError(f"the module cannot be timed with the target {wanted}",
                               fix=f"use {' or '.join(built)}")
    return tuple(t for t in TARGETS if t in built) if wanted == "all" else (wanted,)


def _compiled(source: str, text: str, targets: tuple[str, ...], console: Any) -> Module:
    """The model as it is now, with a word if the module was built from another state of it."""
    from transpile.api import compile as compile_model
    from transpile.module import stored_as
    from transpile.sources import resolve
    built = tuple(_header(text, "targets").split(", "))
    with console.status("compiling"):
        module = compile_model(resolve(source), targets=targets, weights=stored_as(text)[0])
        same = built == targets and module.content_hash in text
    if built == targets and not same:
        console.print(f"kernels are those of {source} as it is now, which is not what the module "
                      "was built from, or was built with other options", style="yellow")
    return module


def random_arrays(ports: list[Mapping[str, Any]]) -> dict[str, np.ndarray]:
    """Seeded inputs for a module from its own description; named dimensions are 1."""
    rng = np.random.default_rng(0)
    result = {}
    for port in ports:
        shape = tuple(d if isinstance(d, int) else 1 for d in port["shape"])
        values = rng.standard_normal(shape) if port["dtype"] == "float32" else np.zeros(shape)
        result[port["name"]] = values.astype(port["dtype"])
    return result


def _latency_table(result: Bench, file_bytes: int, earlier: list[dict[str, Any]]) -> Any:
    from rich.table import Table
    table = Table("target", "median ms", "fastest ms", "95 % ms", "runs", "load ms",
                  *(["last time", "best time"] if earlier else []), title_justify="left",
                  title=f"{size(file_bytes)} file" + (
                      f"; SIMD peak here {result.peak:.1f} GFLOP/s" if result.peak else ""))
    for one in result.targets:
        times = sorted(one.times)
        table.add_row(one.target, f"{one.median:.3f}", f"{times[0]:.3f}",
                      f"{times[int(0.95 * (len(times) - 1))]:.3f}", str(len(times)),
                      f"{one.load:.2f}", *_compared(one, earlier))
    return table


def _compared(one: TargetTime, earlier: list[dict[str, Any]]) -> list[str]:
    """The last and the best median of earlier runs, and how much faster this one is."""
    medians = [run["targets"][one.target]["median"] for run in earlier
               if one.target in run["targets"]]
    if not medians:
        return [""] * 2 if earlier else []
    return [f"{past:.3f} ({past / one.median:.2f}x)" for past in (medians[-1], min(medians))]


def _kernel_table(one: TargetTime, peak: float, rows: int) -> Any:
    from rich.table import Table
    total = sum(k.milliseconds for k in one.kernels) or 1.0
    hidden = len(one.kernels) - rows
    table = Table("kernel", "calls", "ms a run", "share", "FLOP", "GFLOP/s", "of peak", "bytes",
                  title=f"{one.target}: kernels, " + (
                      f"the fastest of {len(one.times)} runs" if peak else "the median of each"),
                  caption=f"and {hidden} faster ones" if hidden > 0 else None,
                  title_justify="left", caption_justify="left")
    for kernel in one.kernels[:rows]:
        rate = kernel.gflops
        table.add_row(kernel.name, str(kernel.calls), f"{kernel.milliseconds:.4f}",
                      f"{100 * kernel.milliseconds / total:.0f} %", count(kernel.flops),
                      f"{rate:.2f}" if kernel.flops else "",
                      f"{100 * rate / peak:.0f} %" if kernel.flops and peak else "",
                      size(kernel.bytes))
    return table
