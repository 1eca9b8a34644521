"""Each pass on small graphs: `tests/passes/*.txt` hold the graph before and after.

A file starts with `# pass: NAME` (several, joined by commas, run in order), then the input, a line
`# expect`, and the result. `TRANSPILE_UPDATE=1` writes the results anew.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from transpile.errors import InternalError
from transpile.ir.dims import evaluate
from transpile.ir.graph import Graph
from transpile.ir.interpret import interpret
from transpile.ir.text import format_graph, parse_graph
from transpile.passes import PIPELINE, Pass, PassRecord, run_pipeline
from transpile.passes.verify import verify_graph
from transpile.targets import TARGETS

PASSES = {p.name: p for p in (*PIPELINE, *(p for t in TARGETS.values() for p in t.passes))}
FILES = sorted((Path(__file__).parent / "passes").glob("*.txt"))


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.stem)
def test_golden(path: Path) -> None:
    text = path.read_text()
    head, _, rest = text.partition("\n")
    before_text, _, expected = rest.partition("# expect\n")
    before = after = parse_graph(before_text)
    verify_graph(before)
    for name in head.removeprefix("# pass: ").split(", "):
        after = PASSES[name].run(after)
        verify_graph(after)
    if os.environ.get("TRANSPILE_UPDATE"):
        path.write_text(f"{head}\n{before_text}# expect\n{format_graph(after)}")
    else:
        assert format_graph(after) == expected
    assert_equal_results(before, after)


def assert_equal_results(before: Graph, after: Graph) -> None:
    rng = np.random.default_rng(0)
    sizes = {"batch": 3, "n": 4}
    inputs = {i.name: rng.uniform(0.5, 2, [evaluate(d, sizes) for d in i.shape]
                                  ).astype(i.dtype) for i in before.inputs}
    expected, got = interpret(before, inputs), interpret(after, inputs)
    for name in expected:
        np.testing.assert_allclose(got[name], expected[name], rtol=1e-5, atol=1e-6)


def test_every_pass_has_golden_files() -> None:
    tested = {n for p in FILES for n in p.read_text().split("\n")[0][len("# pass: "):].split(", ")}
    assert {p.name for p in PIPELINE} <= tested <= set(PASSES)
    assert all(p.doc for p in PASSES.values())


def test_a_failing_pass_is_named_with_those_before_it() -> None:
    def explode(graph: Graph) -> Graph:
        raise ValueError("boom")

    graph = parse_graph('graph "g"\n  %x = input : float32[n]\n  return y=%x')
    with pytest.raises(InternalError, match=r"(?s)explode.*g: boom.*already run: dce, cse"):
        run_pipeline(graph, passes=(*PIPELINE[-2:], Pass("explode", explode)))


def test_a_pass_that_rebuilds_nothing_ends_the_repetition() -> None:
    graph = parse_graph('graph "g"\n  %x = input : float32[n]\n  return y=%x')
    runs: list[Graph] = []

    def idle(graph: Graph) -> Graph:
        runs.append(graph)
        return graph.rewrite(lambda _: None)

    after, records = run_pipeline(graph, passes=(Pass("idle", idle),))
    assert after is graph
    assert ([r.changed for r in records], len(runs)) == ([False], 1)


def test_debug_finds_a_wrong_type() -> None:
    wrong = parse_graph('graph "g"\n  %x = input : float32[n]\n'
                        '  %y = neg(%x) : float32[2]\n  return y=%y')
    with pytest.raises(InternalError, match="infers float32"):
        run_pipeline(wrong, passes=PIPELINE[-1:], debug=True)


def test_observer_sees_every_change() -> None:
    graph = parse_graph('graph "g"\n  %x = input : float32[n]\n  %c = constant 1.0 : float32[]\n'
                        '  %y = mul(%x, %c) : float32[n]\n  return y=%y')
    seen: list[tuple[PassRecord, int, int]] = []
    after, records = run_pipeline(
        graph, lambda r, a, b: seen.append((r, len(a.nodes), len(b.nodes))))
    assert [s[0] for s in seen] == records
    changed = [(r.name, r.summary) for r in records if r.changed]
    assert changed == [("algebra", "constant -1, mul -1")]
    assert len(after.nodes) == 1
