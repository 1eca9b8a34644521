"""What several test files share: the browser, and pages opened from files."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import HealthCheck, settings

from transpile.errors import DependencyError

if TYPE_CHECKING:
    from playwright.sync_api import Page

# The same examples in every run, however slow or busy the machine is.
settings.register_profile("steady", derandomize=True, deadline=None,
                          suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("steady")

ROOT = Path(__file__).resolve().parent.parent


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Browser tests need a Chromium: without one they are skipped, or fail where required."""
    if item.get_closest_marker("browser") is None:
        return
    from transpile.verify.browser import find_chromium
    try:
        find_chromium()
    except DependencyError as error:
        if os.environ.get("TRANSPILE_REQUIRE_BROWSER"):
            pytest.fail(f"TRANSPILE_REQUIRE_BROWSER is set, but {error}")
        pytest.skip(str(error))


@pytest.fixture(autouse=True)
def _seeded() -> None:
    """Tests that forget to seed are reproducible nevertheless."""
    random.seed(0)
    np.random.seed(0)  # noqa: NPY002  (the legacy generator is what a test might forget)


@pytest.fixture(scope="session")
def node() -> str:
    """The path of the Node that modules are verified under."""
    from transpile.verify.node import find_node
    return find_node()


@dataclass
class FilePage:
    """A page opened from `file://`, and everything that went wrong in it."""

    page: Page
    errors: list[str] = field(default_factory=list)

    def open(self, path: Path) -> Page:
        """Go to a file and wait until it has loaded."""
        self.errors.clear()
        self.page.goto(path.resolve().as_uri())
        return self.page


@pytest.fixture(scope="module")
def file_page() -> Iterator[FilePage]:
    """One page of a headless Chromium, used by all tests of a file."""
    from transpile.verify.browser import launch
    browser = launch()
    opened = FilePage(browser.new_page())
    opened.page.set_default_timeout(20_000)
    opened.page.on("console", lambda message: opened.errors.append(message.text)
                   if message.type in ("error", "warning") else None)
    opened.page.on("pageerror", lambda error: opened.errors.append(str(error)))
    yield opened
    browser.close()
