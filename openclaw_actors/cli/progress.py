"""Owns what a person sees of work that takes its time: a line on stderr, if that is a terminal, from a second on."""

from __future__ import annotations

__all__ = ["Bar", "CountedFile", "Spinner"]

import io
import sys
import threading
import time
from pathlib import Path
from types import TracebackType
from typing import Any

AFTER_S = 1.0

_shown: list[object] = []
"""Whose line it is; work within other work has none of its own."""


class Bar:
    """A bar of bytes. Without a terminal nothing is shown. Use it as a context manager.

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

    def __enter__(self) -> Bar:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._progress is not None:
            self._progress.stop()
            _shown.remove(self)

    def advance(self, count: int) -> None:
        """So many more are done."""
        self._done += count
        if self._progress is not None:
            self._progress.update(self._task, completed=self._done)
        elif sys.stderr.isatty() and not _shown and time.monotonic() - self._began > AFTER_S:
            self._begin()

    def _begin(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

        _shown.append(self)
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


class Spinner:
    """Says that work goes on of which nobody knows how much there is. Use it as a context manager.

    A thread shows it, so that whoever works need not look at the clock; it has gone when the work is done.

    Args:
        what: goes on.
        on: whether it may be shown at all, if stderr is a terminal.
    """

    def __init__(self, what: str, *, on: bool = True) -> None:
        self._what = what
        self._on = on
        self._lock = threading.Lock()
        self._over = False
        self._timer: threading.Timer | None = None
        self._status: Any = None

    def __enter__(self) -> Spinner:
        if self._on and sys.stderr.isatty() and not _shown:
            _shown.append(self)
            self._timer = threading.Timer(AFTER_S, self._show)
            self._timer.daemon = True
            self._timer.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._timer is None:
            return
        self._timer.cancel()
        with self._lock:
            self._over = True
            if self._status is not None:
                self._status.stop()
        _shown.remove(self)

    def tell(self, what: str) -> None:
        """Something else goes on now, or more of it is done."""
        self._what = what
        status = self._status
        if status is not None:
            status.update(_text(what))

    def _show(self) -> None:
        from rich.console import Console
        from rich.status import Status

        with self._lock:
            if not self._over:
                self._status = Status(_text(self._what), console=Console(stderr=True))
                self._status.start()


def _text(what: str) -> Any:
    from rich.text import Text

    return Text(what)  # not markup: it may name what somebody else has named


class CountedFile(io.BufferedReader):
    """A file whose reader is watched.

    Args:
        path: of the file.
        bar: is told what was read.
    """

    def __init__(self, path: Path, bar: Bar) -> None:
        super().__init__(io.FileIO(path))
        self._bar = bar

    def read(self, size: int | None = -1, /) -> bytes:
        """As of any file."""
        data = super().read(size)
        self._bar.advance(len(data))
        return data
