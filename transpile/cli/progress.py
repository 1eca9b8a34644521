"""Progress on stderr for what takes over a second, and tables on stdout."""

from __future__ import annotations

import sys
import threading
from types import TracebackType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

PATIENCE = 1.0
"""Seconds before anything is shown."""


class ConsoleProgress:
    """A `progress` callback that shows itself once `PATIENCE` is over.

    A terminal gets a bar; a log gets one line for each stage from then on.
    """

    def __init__(self, enabled: bool = True) -> None:
        self.enabled = enabled
        self._stage = ("", 0, 0)
        self._told: set[str] = set()
        self._lock = threading.RLock()
        self._shown = False
        self._bar: Progress | None = None
        self._task: TaskID | None = None
        self._timer = threading.Timer(PATIENCE, self._show)
        self._timer.daemon = True

    def __enter__(self) -> ConsoleProgress:
        if self.enabled:
            self._timer.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None,
                 trace: TracebackType | None) -> None:
        self._timer.cancel()
        with self._lock:
            self.enabled = False
            if self._bar:
                self._bar.stop()

    def __call__(self, stage: str, done: int, total: int) -> None:
        with self._lock:
            fresh = stage != self._stage[0]
            self._stage = (stage, done, total)
            if self._shown:
                self._update(fresh)

    def _show(self) -> None:
        with self._lock:
            if not self.enabled:
                return
            self._shown = True
            if sys.stderr.isatty():
                from rich.console import Console
                from rich.progress import Progress
                self._bar = Progress(console=Console(stderr=True), transient=True)
                self._task = self._bar.add_task("", total=None)
                self._bar.start()
            self._update(fresh=True)

    def _update(self, fresh: bool) -> None:
        stage, done, total = self._stage
        if not stage:
            return
        if self._bar and self._task is not None:
            self._bar.update(self._task, description=stage, completed=done, total=total or None)
        elif fresh and stage not in self._told:
            self._told.add(stage)
            sys.stderr.write(f"transpile: {stage} ...\n")
            sys.stderr.flush()
