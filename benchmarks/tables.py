"""The measurements as tables."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.table import Table

from benchmarks import goals
from benchmarks.runs import NATIVE, OURS, PEERS, SLOW, ratio

SHORT = {"transpile js": "ours js", "transpile wasm": "ours wasm", "onnxruntime-web": "ORT-web",
         "onnxruntime native": "ORT native"}

Results = Mapping[str, Mapping[str, Any]]
"""By model: `latency`, `code_gzip`, `memory`, `browser`; a part that was left out is missing."""


def heading(name: str) -> str:
    """A runtime's name in the head of a table."""
    return SHORT.get(name, name)


def verdict(value: float | None, goal: float | None, unit: str = "x", up: bool = True) -> str:
    """A number, green or red where there is a goal for it, which follows in brackets."""
    if value is None:
        return ""
    text = f"{value:.2f}{unit}" if value < 10 else f"{value:.0f}{unit}"
    if goal is None:
        return text
    colour = "green" if (value >= goal if up else value <= goal) else "red"
    return f"[{colour}]{text}[/] ({goal:.2g}{unit})"


def times_table(results: Results) -> Table:
    """Milliseconds per call."""
    names = [*OURS, *PEERS, *SLOW, NATIVE]
    table = Table("model", *map(heading, names), title_justify="left",
                  title="Latency under Node, one thread: ms a call, median")
    for model, result in results.items():
        found = result["latency"]["runtimes"]
        table.add_row(model, *(f"{found[n]['median']:.3g}" if n in found else "" for n in names))
    return table


def ratio_table(results: Results, ours: str, wanted: Mapping[str, Mapping[str, float]]) -> Table:
    """How many times as fast as each peer `ours` is, goals in brackets."""
    peers = [*PEERS, *SLOW, NATIVE]
    table = Table("model", *map(heading, peers), title_justify="left",
                  title=f"{ours}: times as fast (the goal), median of rounds, processor time")
    for model, result in results.items():
        found, goal = result["latency"]["runtimes"], wanted.get(model, {})
        table.add_row(model, *(verdict(ratio(found, p, ours), goal.get(p)) for p in peers))
    return table


def size_table(results: Results) -> Table:
    """Bytes of code under gzip."""
    table = Table("model", "code, gzip -9", "weights", "kernels", title_justify="left",
                  title="Modules with js and wasm")
    for model, result in results.items():
        size = result["size"]
        goal = goals.CODE_GZIP.get(model)
        table.add_row(model, verdict(size["code_gzip"] / 1000, goal and goal / 1000, " kB", False),
                      f"{size['weight_bytes'] / 1e6:.2f} MB", str(size["kernels"]))
    return table


def cold_table(results: Results) -> Table:
    """Milliseconds from navigation to the first prediction, over an empty page."""
    names = [OURS[1], *PEERS]
    table = Table("model", *map(heading, names), "of the fastest peer", title_justify="left",
                  title="Cold start in Chromium: ms to the first prediction, over an empty page")
    for model, result in results.items():
        found = result["browser"]
        over = {n: found[n]["first"] - found["empty"]["first"] for n in names if n in found}
        best = min((t for n, t in over.items() if n in PEERS), default=None)
        share = over[OURS[1]] / best if best else None
        table.add_row(model, *(f"{over[n]:.0f}" if n in over else "" for n in names),
                      verdict(share, goals.COLD_START.get(model), "", False))
    return table


def memory_table(results: Results) -> Table:
    """Peak memory in MB."""
    names = [OURS[1], *PEERS]
    table = Table("model", "weights", *map(heading, names), title_justify="left",
                  title="Peak memory over an empty process, MB: Node / Chromium")
    for model, result in results.items():
        node, pages = result.get("memory", {}), result.get("browser", {})
        cells = []
        for name in names:
            parts = [f"{node[name] / 1e6:.0f}" if name in node else "-"]
            if name in pages:
                parts.append(f"{(pages[name]['peak'] - pages['empty']['peak']) / 1e6:.0f}")
            cells.append(" / ".join(parts))
        table.add_row(model, f"{result['size']['weight_bytes'] / 1e6:.1f}", *cells)
    return table


def all_tables(results: Results) -> list[Table]:
    """The tables of what was measured."""
    def has(part: str) -> Results:
        return {m: r for m, r in results.items() if part in r}
    tables = []
    if timed := has("latency"):
        tables += [times_table(timed), ratio_table(timed, OURS[1], goals.SPEED),
                   ratio_table(timed, OURS[0], goals.PLAIN_SPEED)]
    if has("size"):
        tables.append(size_table(has("size")))
    if pages := has("browser"):
        tables.append(cold_table(pages))
    if has("memory") or has("browser"):
        tables.append(memory_table({**has("memory"), **has("browser")}))
    return tables
