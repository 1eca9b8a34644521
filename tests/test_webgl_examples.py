"""Every example on the target webgl, in a real browser, against NumPy."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from test_examples import NAMES, expected, model_of
from test_examples_frameworks import SOURCES, framework_model

import transpile
from transpile.ir.interpret import interpret
from transpile.verify.browser import BrowserHost
from transpile.verify.samples import random_inputs

pytestmark = pytest.mark.browser

STRICT = {"Content-Security-Policy": "default-src 'none'; script-src 'self'"}


@pytest.fixture(scope="module")
def host() -> Iterator[BrowserHost]:
    with BrowserHost(headers=STRICT, timeout=300) as host:
        yield host


@pytest.mark.parametrize("name", NAMES)
def test_the_module_gives_the_expected_output(host: BrowserHost, name: str) -> None:
    inputs, outputs = expected(name)
    module = transpile.compile(model_of(name), targets=["js", "webgl"])
    got = host.run(module.source, inputs, "webgl")
    for key, wanted in outputs.items():
        np.testing.assert_allclose(got[key], wanted, rtol=1e-4, atol=1e-4)
    assert host.messages == []


@pytest.mark.parametrize("name", SOURCES)
def test_models_of_other_frameworks_agree_with_numpy(host: BrowserHost, name: str) -> None:
    module = transpile.compile(framework_model(name), targets=["js", "webgl"])
    inputs = next(random_inputs(module.graph, module.ranges))
    got = host.run(module.source, inputs, "webgl")
    for key, wanted in interpret(module.graph, inputs).items():
        np.testing.assert_allclose(got[key], wanted, rtol=1e-4, atol=1e-4)
    assert host.messages == []
