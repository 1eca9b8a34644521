"""Cold start and memory in Chromium, a new browser for every page.

No debugger is attached: one that watches the network keeps what a page fetches in the page's own
memory. A page tells the server what it found.
"""

from __future__ import annotations

import json
import re
import statistics
import subprocess
import tempfile
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from queue import Empty, Queue
from typing import Any, ClassVar
from urllib.parse import quote

FLAGS = ("--no-sandbox", "--disable-quic", "--no-first-run", "--disable-background-networking",
         "--disable-component-update", "--disable-sync", "--disable-extensions",
         "--disable-component-extensions-with-background-pages", "--no-default-browser-check")
SETTLE = 1500
"""Milliseconds that a new browser gets before it navigates."""

TOLD: Queue[dict[str, Any]] = Queue()
"""What pages have posted."""

PATIENCE = 120
"""Seconds that a page may take."""


OWN_PAGES = ("--top-chrome-webui", "--extension-process")
"""What a renderer is started with that shows the browser's own pages."""


class Handler(SimpleHTTPRequestHandler):
    """Files of the folder, never from a cache; what pages post goes into `TOLD`."""

    extensions_map: ClassVar = {**SimpleHTTPRequestHandler.extensions_map,
                                ".mjs": "text/javascript", ".wasm": "application/wasm"}

    def do_POST(self) -> None:
        length = int(self.headers["Content-Length"])
        TOLD.put(json.loads(self.rfile.read(length)))
        self.send_response(204)
        super().end_headers()

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


def bundle(folder: Path, node: str, models: Iterable[str]) -> None:
    """Make every runtime's page in `folder`/site."""
    subprocess.run([node, "bundle.mjs", *models], cwd=folder, check=True)


def measure(stem: Path, runtimes: Sequence[str], repeats: int) -> dict[str, dict[str, float]]:
    """By runtime, and for an empty page as "empty", milliseconds and bytes.

    Returns:
        `first`: from navigation to the first prediction, the fastest of `repeats`, and `median`;
        `peak`: the renderer's largest resident memory after some calls (not told everywhere).
    """
    shape = json.loads(stem.with_suffix(".shape").read_text())
    found: dict[str, list[tuple[float, float]]] = {}
    with served(stem.parent.parent.resolve()) as address:
        for _ in range(repeats):
            for name in ("empty", *runtimes):
                path = (f"/site/{page_name(name, stem.name)}.html?model={stem.name}"
                        f"&shape={json.dumps(shape, separators=(',', ':'))}")
                found.setdefault(name, []).append(_visit(address, path))
    return {name: {"first": min(t for t, _ in visits),
                   "median": statistics.median(t for t, _ in visits),
                   "peak": min(m for _, m in visits)} for name, visits in found.items()}


def page_name(runtime: str, model: str) -> str:
    """The name that bundle.mjs gives to a runtime's page; our own wasm modules have one each."""
    name = re.sub(r"[ ,]+", "-", runtime)
    return f"{name}.{model}" if runtime.startswith("transpile wasm") else name


def _visit(address: str, path: str) -> tuple[float, float]:
    """Milliseconds to the first prediction, and the renderer's peak memory in bytes."""
    from transpile.verify.browser import find_chromium
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        start = f"{address}/site/start.html?after={SETTLE}&page={quote(path, safe='')}"
        browser = subprocess.Popen(
            [find_chromium(), "--headless", f"--user-data-dir={profile}", *FLAGS, start],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            told = TOLD.get(timeout=PATIENCE)
            peak = max(map(_peak_bytes, _renderers(browser.pid)), default=0)
        except Empty:
            raise RuntimeError(f"{path}: nothing was told in {PATIENCE} s") from None
        finally:
            browser.terminate()
            browser.wait()
    if "failed" in told:
        raise RuntimeError(f"{path}: {told['failed']}")
    return told["first"], peak


def _renderers(browser: int) -> list[int]:
    """The browser's processes that run pages; none outside Linux."""
    parents: dict[int, int] = {}
    renderers = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
            command = (folder / "cmdline").read_text()
        except OSError:  # it has ended
            continue
        parents[int(folder.name)] = int(fields[1])
        if "--type=renderer" in command and not any(own in command for own in OWN_PAGES):
            renderers.append(int(folder.name))
    return [pid for pid in renderers if browser in _ancestors(pid, parents)]


def _ancestors(pid: int, parents: Mapping[int, int]) -> Iterator[int]:
    while pid in parents:
        pid = parents[pid]
        yield pid


def _peak_bytes(pid: int) -> int:
    """The largest resident size that a process had, without mapped files; 0 outside Linux."""
    try:
        text = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0
    kilobytes = {key: int(value.split()[0]) for key, _, value in
                 (line.partition(":") for line in text.splitlines()) if key in ("VmHWM", "RssFile")}
    return 1024 * (kilobytes["VmHWM"] - kilobytes["RssFile"])
