"""Runs passes in order and records what each did."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from transpile.errors import InternalError
from transpile.ir.graph import Graph, all_graphs, map_graphs

ROUNDS = 12
"""How often the passes that enable each other are repeated at most."""


@dataclass(frozen=True)
class Pass:
    """A named function from graph to graph; `once` if it has no part in the repetition."""

    name: str
    run: Callable[[Graph], Graph]
    once: bool = False

    @property
    def doc(self) -> str:
        """What it does, in one line."""
        return (self.run.__doc__ or "").strip().split("\n")[0]


@dataclass(frozen=True)
class PassRecord:
    """What one run of a pass did.

    Attributes:
        changed: False if the graph came out as it went in.
        summary: how many nodes of which op went or came: `batch_norm -1, add +2`.
    """

    name: str
    nodes_before: int
    nodes_after: int
    changed: bool
    summary: str
    seconds: float


Observer = Callable[[PassRecord, Graph, Graph], None]


def run_pipeline(graph: Graph, observer: Observer | None = None, *,
                 passes: Sequence[Pass] | None = None,
                 debug: bool = False) -> tuple[Graph, list[PassRecord]]:
    """Run `passes` (default: the whole PIPELINE) and repeat them until nothing changes.

    Args:
        observer: called with the record, the graph before and the graph after each pass.
        debug: verify the graph after every pass.

    Returns:
        the graph, and one record for each run of a pass: all of the first round, later ones only
        if they changed something.

    Raises:
        InternalError: a pass failed; names it and those already run.
    """
    if passes is None:
        from transpile.passes import PIPELINE
        passes = PIPELINE
    records: list[PassRecord] = []
    for round_ in range(ROUNDS):
        changed = False
        for one in passes:
            if round_ and one.once:
                continue
            after, record = _run_one(one, graph, records, debug)
            if record.changed or not round_:
                records.append(record)
                if observer:
                    observer(record, graph, after)
            changed, graph = changed or record.changed, after
        if not changed:
            break
    return graph, records


def _run_one(one: Pass, graph: Graph, records: Sequence[PassRecord],
             debug: bool) -> tuple[Graph, PassRecord]:
    start = time.perf_counter()
    try:
        after = map_graphs(graph, one.run)
        if debug:
            from transpile.passes.verify import verify_graph
            verify_graph(after)
    except Exception as error:
        ran = ", ".join(r.name for r in records) or "none"
        raise InternalError(f"the pass {one.name} fails on the graph {graph.name}: {error}",
                            where=getattr(error, "where", ""), why=f"passes already run: {ran}",
                            fix="this is a defect of transpile; please report it") from error
    seconds = time.perf_counter() - start
    return after, PassRecord(one.name, _size(graph), _size(after), after is not graph,
                             _summary(graph, after), seconds)


def _size(graph: Graph) -> int:
    return sum(len(g.nodes) for g in all_graphs(graph))


def _summary(before: Graph, after: Graph) -> str:
    if before is after:
        return ""
    change = Counter(n.op for g in all_graphs(after) for n in g.nodes)
    change.subtract(Counter(n.op for g in all_graphs(before) for n in g.nodes))
    moved = sorted((k, v) for k, v in change.items() if v)
    return ", ".join(f"{op} {count:+d}" for op, count in moved) or "operands or attributes"
