"""Cold start and memory in Chromium, a new browser for every page."""

from __future__ import annotations

import json
import re
import statistics
import subprocess
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

FLAGS = ("--no-sandbox", "--disable-quic", "--no-first-run", "--disable-background-networking",
         "--disable-component-update", "--disable-sync")
SETTLE = 800
"""Milliseconds that a new browser gets before it navigates."""


class Handler(SimpleHTTPRequestHandler):
    """Files of the folder, never from a cache."""

    extensions_map: ClassVar = {**SimpleHTTPRequestHandler.extensions_map,
                                ".mjs": "text/javascript", ".wasm": "application/wasm"}

    def end_headers(self) -> None:
        self.send_header("Cache-Control", "no-store")
        super().end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing is printed."""


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """The address at which `folder` is served."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=str(folder)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()


def bundle(folder: Path, node: str) -> None:
    """Make every runtime's page in `folder`/site."""
    subprocess.run([node, "bundle.mjs"], cwd=folder, check=True)


def measure(stem: Path, runtimes: Sequence[str], repeats: int) -> dict[str, dict[str, float]]:
    """By runtime, and for an empty page as "empty", milliseconds and bytes.

    Returns:
        `first`: from navigation to the first prediction, the fastest of `repeats`, and `median`;
        `peak`: the renderer's largest resident memory after some calls (not told everywhere).
    """
    from playwright.sync_api import sync_playwright

    from transpile.verify.browser import find_chromium
    shape = json.loads(stem.with_suffix(".shape").read_text())
    found: dict[str, list[tuple[float, float]]] = {}
    with sync_playwright() as playwright, served(stem.parent.parent.resolve()) as address:
        for _ in range(repeats):
            for name in ("empty", *runtimes):
                url = (f"{address}/site/{page_name(name)}.html?model={stem.name}"
                       f"&shape={json.dumps(shape, separators=(',', ':'))}")
                launched = playwright.chromium.launch(executable_path=find_chromium(),
                                                      args=list(FLAGS))
                try:
                    found.setdefault(name, []).append(_visit(launched, url))
                finally:
                    launched.close()
    return {name: {"first": min(t for t, _ in visits),
                   "median": statistics.median(t for t, _ in visits),
                   "peak": min(m for _, m in visits)} for name, visits in found.items()}


def page_name(runtime: str) -> str:
    """The name that bundle.mjs gives to a runtime's page."""
    return re.sub(r"[ ,]+", "-", runtime)


def _visit(browser: Any, url: str) -> tuple[float, float]:
    """Milliseconds to the first prediction, and the renderer's peak memory in bytes."""
    page = browser.new_page()
    page.wait_for_timeout(SETTLE)
    page.goto(url, wait_until="commit")
    page.wait_for_function("window.finished || window.failed", polling=100, timeout=120_000)
    problem = page.evaluate("window.failed")
    if problem:
        raise RuntimeError(f"{url}: {problem}")
    session = browser.new_browser_cdp_session()
    processes = session.send("SystemInfo.getProcessInfo")["processInfo"]
    renderers = [p["id"] for p in processes if p["type"] == "renderer"]
    return page.evaluate("window.first"), max(map(_peak_bytes, renderers), default=0)


def _peak_bytes(pid: int) -> int:
    """The largest resident size that a process had, without mapped files; 0 outside Linux."""
    try:
        text = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0
    kilobytes = {key: int(value.split()[0]) for key, _, value in
                 (line.partition(":") for line in text.splitlines()) if key in ("VmHWM", "RssFile")}
    return 1024 * (kilobytes["VmHWM"] - kilobytes["RssFile"])
