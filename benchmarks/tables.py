"""The measurements as tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.table import Table

from benchmarks import goals, webgl
from benchmarks.runs import NATIVE, OURS, PEERS, SIDE, SLOW, ratio

SHORT = {"transpile js": "ours js", "transpile wasm": "ours wasm", "onnxruntime-web": "ORT-web",
         "transpile wasm, side file": "with side file", "onnxruntime native": "ORT native"}

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
    return f"[{colour}]{text}[/] ({goal:.3g}{unit})"


def timed(results: Results, runtimes: Sequence[str]) -> list[str]:
    """Those of `runtimes` that were timed on some model."""
    return [n for n in runtimes if any(n in r["latency"]["runtimes"] for r in results.values())]


def times_table(results: Results) -> Table:
    """Milliseconds per call."""
    names = timed(results, (*OURS, *PEERS, *SLOW, NATIVE))
    table = Table("model", *map(heading, names), title_justify="left",
                  title="Latency under Node, one thread: ms a call, median")
    for model, result in results.items():
        found = result["latency"]["runtimes"]
        table.add_row(model, *(f"{found[n]['median']:.3g}" if n in found else "" for n in names))
    return table


def ratio_table(results: Results, ours: str, wanted: Mapping[str, Mapping[str, float]]) -> Table:
    """How many times as fast as each peer `ours` is, goals in brackets."""
    peers = timed(results, (*PEERS, *SLOW, NATIVE))
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
    goal = {OURS[1]: goals.COLD_START, SIDE: goals.COLD_START_SIDE}
    table = Table("model", *map(heading, (*goal, *PEERS)), title_justify="left",
                  title="Cold start in Chromium: ms to the first prediction, over an empty page "
                        "(share of the fastest peer's, and the goal)")
    for model, result in results.items():
        found = result["browser"]
        over = {n: found[n]["first"] - found["empty"]["first"] for n in found if n != "empty"}
        best = min((t for n, t in over.items() if n in PEERS), default=None)
        shares = {n: over[n] / best if best and n in over else None for n in goal}
        table.add_row(model, *(
            f"{over[n]:.0f}, {verdict(shares[n], goal[n].get(model), '', False)}" if n in goal
            else f"{over[n]:.0f}" for n in (*goal, *PEERS) if n in over))
    return table


def webgl_table(results: Results) -> Table:
    """WebGL2 against tfjs-webgl."""
    table = Table("model", *goals.WEBGL, title_justify="left",
                  title="WebGL2 in Chromium: tfjs-webgl's time of a run and to the first result, "
                        "draws and programs, over ours (the goal)")
    for model, result in results.items():
        found = webgl.ratios(result["webgl"])
        table.add_row(model, *(verdict(found[k], goal) for k, goal in goals.WEBGL.items()))
    return table


def memory_table(results: Results, part: str) -> Table:
    """Peak memory in MB, in Node (`part` "memory") or Chromium ("browser")."""
    names = (OURS[1], SIDE, *PEERS)
    where = {"memory": "process under Node", "browser": "page in Chromium"}[part]
    table = Table("model", "weights", *map(heading, names), title_justify="left",
                  title=f"Peak memory over an empty {where}, MB (the bound)")
    for model, result in results.items():
        size, found = result["size"], peaks(result[part])
        cells = []
        for name in names:
            bound = None if name in PEERS else goals.memory(
                size["weight_bytes"], size["memory"] - size["weight_bytes"], name == SIDE) / 1e6
            value = found[name] / 1e6 if name in found else None
            cells.append(verdict(value, bound, "", False))
        table.add_row(model, f"{size['weight_bytes'] / 1e6:.1f}", *cells)
    return table


def peaks(found: Mapping[str, Any]) -> dict[str, float]:
    """Bytes by runtime: as measured under Node, or pages less the empty one."""
    if "empty" not in found:
        return dict(found)
    return {n: page["peak"] - found["empty"]["peak"] for n, page in found.items()}


def all_tables(results: Results) -> list[Table]:
    """The tables of what was measured."""
    def has(part: str) -> Results:
        return {m: r for m, r in results.items() if part in r}
    tables = []
    if calls := has("latency"):
        wanted = {OURS[1]: goals.SPEED, OURS[0]: goals.PLAIN_SPEED}
        tables.append(times_table(calls))
        tables += [ratio_table(calls, ours, wanted[ours]) for ours in timed(calls, list(wanted))]
    if has("size"):
        tables.append(size_table(has("size")))
    if pages := has("browser"):
        tables.append(cold_table(pages))
    if has("webgl"):
        tables.append(webgl_table(has("webgl")))
    tables += [memory_table(has(part), part) for part in ("memory", "browser") if has(part)]
    return tables
