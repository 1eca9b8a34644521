"""Emitted modules in a Chromium: one page, pages served by routing, without a server."""

from __future__ import annotations

import atexit
import os
import shutil
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from transpile.errors import DependencyError
from transpile.verify.node import JavaScriptError
from transpile.verify.tensors import decode_outputs, encode_inputs

ORIGIN = "https://app.test/"
"""A secure origin, which WebGPU needs; every request to it is answered from memory."""

FLAGS = ("--no-sandbox", "--disable-quic", "--no-first-run", "--disable-background-networking",
         "--disable-component-update", "--disable-sync", "--enable-unsafe-swiftshader",
         "--enable-unsafe-webgpu", "--use-webgpu-adapter=swiftshader")

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")

RUNNER = Path(__file__).with_name("browser_runner.js")
TYPES = {".js": "text/javascript", ".mjs": "text/javascript", ".html": "text/html",
         ".json": "application/json", ".css": "text/css"}


def find_chromium(path: str | None = None) -> str:
    """A Chromium or Chrome: `path`, the environment's `TRANSPILE_CHROMIUM`, or one on PATH.

    Raises:
        DependencyError: there is none.
    """
    wanted = path or os.environ.get("TRANSPILE_CHROMIUM")
    names = (wanted,) if wanted else NAMES
    found = next(filter(None, (shutil.which(name) for name in names)), None)
    if found is None:
        raise DependencyError(
            f"{wanted or 'Chromium'} was not found", why="webgl and webgpu run in a browser only",
            fix="install Chromium or Chrome, and set TRANSPILE_CHROMIUM if it is not on PATH")
    return found


@cache
def driver() -> Any:
    """Playwright's driver: one for the whole process, as its synchronous API allows no second.

    Raises:
        DependencyError: the package is missing.
    """
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        raise DependencyError("the package playwright is missing", why="it drives the browser",
                              fix="pip install 'transpile[browser]'") from None
    started = sync_playwright().start()
    atexit.register(started.stop)
    return started


def launch(chromium: str | None = None) -> Any:
    """A headless Chromium of its own, see `find_chromium`; the caller closes it."""
    executable = find_chromium(chromium)
    return driver().chromium.launch(executable_path=executable, headless=True, args=list(FLAGS))


class BrowserHost:
    """A headless Chromium with one page that is used again and again; for one thread.

    Attributes:
        messages: console errors and policy violations of the current page, cleared by `open`.

    Args:
        chromium: an executable; else see `find_chromium`.
        headers: sent with every page, such as a Content-Security-Policy.
        timeout: seconds for one call.
    """

    def __init__(self, chromium: str | None = None, *, headers: Mapping[str, str] | None = None,
                 timeout: float = 120.0) -> None:
        self.messages: list[str] = []
        self._files: dict[str, str | bytes] = {}
        self._headers = dict(headers or {})
        self._browser = launch(chromium)
        self.page = self._browser.new_page()
        self.page.set_default_timeout(1000 * timeout)
        self.page.route("**/*", self._serve)
        self.page.on("console", lambda m: self.messages.append(m.text)
                     if m.type == "error" else None)
        self.page.on("pageerror", lambda error: self.messages.append(str(error)))
        self._ready = False
        atexit.register(self.close)

    def __enter__(self) -> BrowserHost:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None,
                 trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """End the browser; further calls fail."""
        atexit.unregister(self.close)
        self._browser.close()

    def open(self, files: Mapping[str, str | bytes], path: str = "index.html",
             headers: Mapping[str, str] | None = None) -> Any:
        """Serve `files` under https://app.test/, go to `path`, and return the page.

        Args:
            files: contents by path; anything else is answered with 404, other origins refused.
            headers: instead of the host's own for this page and what it loads.
        """
        self._files = dict(files)
        if headers is not None:
            self._headers = dict(headers)
        self.messages.clear()
        self._ready = False
        self.page.goto(ORIGIN + path)
        return self.page

    def run(self, source: str, inputs: Mapping[str, object], target: str = "js", *,
            files: Mapping[str, bytes] | None = None, precision: str = "float32"
            ) -> dict[str, np.ndarray]:
        """The outputs, by name, of the ES module `source` for `inputs`; `files` lie beside it.

        `precision` is what webgl keeps values in, "half" or "float32".

        Raises:
            JavaScriptError: the module threw, or the browser does not have the target.
        """
        answer = self._call("run", source, target, encode_inputs(inputs, None), files,
                            precision)
        return decode_outputs(answer["outputs"])

    def debug(self, source: str, inputs: Mapping[str, object], target: str = "webgl"
              ) -> list[tuple[str, np.ndarray]]:
        """The label and output of every draw or kernel call of a debug build, in order."""
        answer = self._call("debug", source, target, encode_inputs(inputs, None))
        return [(step["label"], decode_outputs({"": step["output"]})[""])
                for step in answer["steps"]]

    def self_test(self, source: str, target: str = "js") -> Any:
        """What the module's own `selfTest()` says."""
        return self._call("selfTest", source, target, {})["result"]

    def _call(self, op: str, source: str, target: str, inputs: Mapping[str, Any],
              files: Mapping[str, bytes] | None = None, precision: str = "float32") -> Any:
        from hashlib import sha256

        from playwright.sync_api import Error
        if not self._ready:
            self.open({"index.html": "<!doctype html><meta charset=utf-8>"
                                     "<script type=module src=runner.js></script>",
                       "runner.js": RUNNER.read_text(encoding="utf-8")})
            self.page.wait_for_function("() => globalThis.transpileRunner")
            self._ready = True
        path = f"{sha256(source.encode()).hexdigest()[:24]}.js"
        self._files |= {path: source, **(files or {})}
        try:
            answer = self.page.evaluate(
                "([op, ...args]) => transpileRunner[op](...args)",
                [op, "/" + path, target, inputs, precision])
        except Error as error:
            self._ready = False
            raise JavaScriptError(str(error).split("\n")[0],
                                  why="\n".join(self.messages[-5:])) from None
        if "error" in answer:
            raise JavaScriptError(answer["error"], why="\n".join(self.messages[-5:]))
        return answer

    def _serve(self, route: Any) -> None:
        url = route.request.url.split("?")[0]
        path = url[len(ORIGIN):] if url.startswith(ORIGIN) else None
        if path is None:
            route.abort()
        elif path not in self._files:
            route.fulfill(status=404, body="")
        else:
            kind = TYPES.get(Path(path).suffix, "application/octet-stream")
            route.fulfill(body=self._files[path],
                          headers={**self._headers, "Content-Type": f"{kind}; charset=utf-8"})


_SHARED: list[BrowserHost] = []


def shared_browser() -> BrowserHost:
    """One browser for the whole process, closed at exit."""
    if not _SHARED:
        _SHARED.append(BrowserHost())
    return _SHARED[0]
