"""`python -m benchmarks`: measure and print the tables, keep the numbers in FOLDER/results.json."""

from __future__ import annotations

import json
import platform
import shutil
from pathlib import Path
from typing import Any

import click
from rich.console import Console

from benchmarks import browser, prepare, runs, tables, webgl
from benchmarks.models import MODELS
from transpile.verify.node import find_node

PARTS = ("latency", "memory", "browser", "webgl")


@click.command()
@click.argument("models", nargs=-1, type=click.Choice(tuple(MODELS)))
@click.option("--part", "parts", multiple=True, type=click.Choice(PARTS), default=PARTS,
              help="Sizes are always told. Default: all.")
@click.option("--folder", type=click.Path(path_type=Path), default=Path("build/bench"),
              show_default=True)
@click.option("--seconds", default=15.0, show_default=True, help="Of timing for each model.")
@click.option("--repeats", default=5, show_default=True, help="Browsers for each page.")
@click.option("--runtime", "runtimes", multiple=True, help="Default: all that suit the model.")
@click.option("--node", help="Default: node on PATH, else the one of nodejs-bin.")
def main(models: tuple[str, ...], parts: tuple[str, ...], folder: Path, seconds: float,
         repeats: int, runtimes: tuple[str, ...], node: str | None) -> None:
    """Compare emitted modules with other runtimes on MODELS (default: all of them)."""
    console = Console()
    node = find_node(node or shutil.which("node"))
    with console.status("installing the peers"):
        prepare.install_peers(folder)
        if {"browser", "webgl"} & set(parts):
            browser.bundle(folder, node, models or MODELS)
    results: dict[str, Any] = {}
    for name in models or MODELS:
        with console.status(name) as status:
            stem = prepare.prepare_model(name, folder, status.update)
            status.update(f"{name}: building the module")
            report = prepare.build_module(name, stem).report
            results[name] = {"size": report.as_dict()}
            if set(parts) != {"latency"}:
                prepare.build_module(name, stem, weights_file=True)
            for part in parts:
                if part == "webgl" and name not in webgl.MODELS:
                    continue
                status.update(f"{name}: {part}")
                results[name][part] = _part(part, stem, node, seconds, repeats,
                                            runtimes or runs.runtimes_for(name))
        _save(folder / "results.json", node, results)
    for table in tables.all_tables(results):
        console.print(table)
    for name, result in results.items():
        for runtime, reason in result.get("latency", {}).get("failed", {}).items():
            console.print(f"{name}: {runtime} was left out: {reason}", style="red", markup=False)


ROUNDS = 12
"""Runs of each runtime in turns on WebGL2."""


def _part(part: str, stem: Path, node: str, seconds: float, repeats: int,
          runtimes: Any) -> Any:
    if part == "latency":
        return runs.latency(stem, node, seconds, runtimes)
    if part == "webgl":
        prepare.build_webgl(stem.name, stem)
        return webgl.measure(stem, ROUNDS, repeats)
    compared = [r for r in (runs.OURS[1], runs.SIDE, *runs.PEERS)
                if r in (*runtimes, runs.SIDE)]
    if part == "memory":
        return runs.memory(stem, node, compared)
    return browser.measure(stem, compared, repeats)


def _save(path: Path, node: str, results: dict[str, Any]) -> None:
    machine = {"system": platform.platform(), "processor": platform.machine(), "node": node}
    path.write_text(json.dumps({"machine": machine, "models": results}, indent=1))


main()
