"""Every op's samples and random graphs as shaders, in a real browser, against NumPy.

What models of some size get, eight render targets, is tried on small graphs as well, and on a
browser that takes four at once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from lowering import differences
from test_random_graphs import generated
from test_targets_js import KINDS
from webgl_batch import WebglCase, run_webgl, webgl_case

import transpile
from transpile import nn
from transpile.targets.glsl import dealing
from transpile.targets.glsl.dealing import FEW, MANY
from transpile.verify.browser import BrowserHost

GRAPHS = 200


@pytest.fixture(scope="module")
def host() -> Iterator[BrowserHost]:
    with BrowserHost(timeout=300) as host:
        yield host


def wrong(host: BrowserHost, cases: dict[str, WebglCase], most: int = MANY) -> dict[str, str]:
    """What is wrong with each case that differs."""
    fits = {name: case for name, case in cases.items() if not case.needs_cpu}
    found = zip(fits.items(), run_webgl(host, list(fits.values()), most), strict=True)
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


def _weights(*shape: int) -> np.ndarray:
    return np.random.default_rng(sum(shape)).standard_normal(shape).astype(np.float32)


def _traced(f: Callable[[Any], Any], *shape: int | str) -> WebglCase:
    spec = transpile.spec("float32", shape)
    graph = transpile.trace(transpile.model(x=spec)(f))
    return webgl_case(graph, {"x": _weights(*(3 if d == "batch" else int(d) for d in shape))})


def _bottleneck(size: int, stride: int) -> WebglCase:
    def bottleneck(x: Any) -> Any:
        hidden = nn.relu(nn.conv2d(x, _weights(48, 16, 1, 1)))
        rows = nn.conv2d(hidden, _weights(48, 1, 3, 3), padding=1, stride=stride, groups=48)
        narrow = nn.conv2d(nn.relu(rows), _weights(16, 48, 1, 1))
        return narrow + x if stride == 1 else narrow
    return _traced(bottleneck, 1, 16, size, size)


def _wide(x: Any) -> Any:
    return nn.max_pool2d(nn.conv2d(x, _weights(24, 16, 3, 3), padding=1), 2)


def _attention(x: Any) -> Any:
    scores = nn.softmax(x @ np.swapaxes(x, 1, 2))
    return (scores @ x) @ _weights(32, 40) + _weights(40)


def dealt() -> dict[str, WebglCase]:
    """Contractions, whose results lie in eight layers, and what reads those or makes them."""
    return {
        **{f"bottleneck, {size} wide, stride {stride}": _bottleneck(size, stride)
           for size in (6, 7, 8, 12, 16) for stride in (1, 2)},
        "windows": _traced(_wide, 2, 16, 16, 16),
        "attention": _traced(_attention, 3, 24, 32),
        "named batch": _traced(_attention, "batch", 16, 32)}


@pytest.mark.browser
@pytest.mark.parametrize("most", [FEW, MANY])
def test_eight_targets(host: BrowserHost, most: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dealing, "WORTHWHILE", 0)
    cases = dealt()
    for name, case in cases.items():
        assert any(t.layers == MANY for t in case.plan.textures), name
    assert wrong(host, cases, most) == {}
    random = {str(i): webgl_case(e.graph, e.inputs) for i, e in enumerate(generated(GRAPHS))}
    assert wrong(host, random, most) == {}
