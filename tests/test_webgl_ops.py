"""Every op's samples and random graphs as shaders, in a real browser, against NumPy."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from lowering import differences
from test_random_graphs import generated
from test_targets_js import KINDS
from webgl_batch import WebglCase, run_webgl, webgl_case

from transpile.verify.browser import BrowserHost

GRAPHS = 200


@pytest.fixture(scope="module")
def host() -> Iterator[BrowserHost]:
    with BrowserHost(timeout=300) as host:
        yield host


def wrong(host: BrowserHost, cases: dict[str, WebglCase]) -> dict[str, str]:
    """What is wrong with each case that differs."""
    fits = {name: case for name, case in cases.items() if not case.needs_cpu}
    found = zip(fits.items(), run_webgl(host, list(fits.values())), strict=True)
    texts = {name: differences(case.graph, case.inputs, answer, cancelling=True)
             for (name, case), answer in found}
    return {name: text for name, text in texts.items() if text}


@pytest.mark.browser
@pytest.mark.parametrize("kind", KINDS)
def test_shaders_agree_with_the_references(host: BrowserHost, kind: str) -> None:
    cases = {name: webgl_case(graph, inputs) for name, (graph, inputs) in KINDS[kind]().items()}
    assert wrong(host, cases) == {}


@pytest.mark.browser
def test_random_graphs_agree_with_numpy(host: BrowserHost) -> None:
    cases = {str(i): webgl_case(e.graph, e.inputs) for i, e in enumerate(generated(GRAPHS))}
    assert wrong(host, cases) == {}
