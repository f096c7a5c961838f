"""Decides what a person sees of work that takes its time: a bar on stderr, once it has taken a second."""

from __future__ import annotations

__all__ = ["Bar"]

import sys
import time
from typing import Any

_AFTER_S = 1.0


class Bar:
    """A bar of bytes. Without a terminal nothing is shown.

    Args:
        total: how many there are.
        what: is done with them.
    """

    def __init__(self, total: int, what: str) -> None:
        self._total = max(1, total)
        self._what = what
        self._done = 0
        self._began = time.monotonic()
        self._progress: Any = None
        self._task: Any = None

    def advance(self, count: int) -> None:
        """So many more are done."""
        self._done += count
        if self._progress is not None:
            self._progress.update(self._task, completed=self._done)
        elif sys.stderr.isatty() and time.monotonic() - self._began > _AFTER_S:
            self._begin()

    def _begin(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            DownloadColumn(),
            TimeRemainingColumn(),
            console=Console(stderr=True),
            transient=True,
        )
        self._task = self._progress.add_task(self._what, total=self._total, completed=self._done)
        self._progress.start()

    def close(self) -> None:
        """Take it away."""
        if self._progress is not None:
            self._progress.stop()
