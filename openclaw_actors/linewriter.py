"""Writes lines to a file that several processes share, in a thread of its own: who hands one over never waits."""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Callable

__all__ = ["LineWriter"]

logger = logging.getLogger(__name__)

MAX_QUEUED = 1_000
_TELL_EVERY_S = 10.0


class LineWriter:
    """A queue of lines, and the thread that writes them.

    What comes faster than it can be written, beyond `max_queued` lines, is left out and counted in the log: a sink that
    hangs costs its own lines, and nothing else. The thread begins with the first line, and ends with the process.

    Args:
        write: writes one line, its end included.
        what: what the lines are, for the log.
    """

    def __init__(self, write: Callable[[bytes], object], *, what: str, max_queued: int = MAX_QUEUED) -> None:
        self.lost = 0
        """Lines that were left out."""
        self._write = write
        self._what = what
        self._queue: queue.Queue[bytes] = queue.Queue(max_queued)
        self._thread: threading.Thread | None = None
        self._told_at = -_TELL_EVERY_S

    def put(self, line: bytes) -> None:
        """Have a line written, without its end."""
        if self._thread is None:
            self._begin()
        try:
            self._queue.put_nowait(line + b"\n")
        except queue.Full:
            self.lost += 1
            now = time.monotonic()
            if now - self._told_at >= _TELL_EVERY_S:
                self._told_at = now
                logger.error("the %s cannot be written fast enough: %d lines are lost", self._what, self.lost)

    def _begin(self) -> None:
        thread = threading.Thread(target=self._run, name=self._what, daemon=True)
        try:
            thread.start()
        except RuntimeError:
            # No more threads may be had. The next line tries again, and until then all wait.
            if not self._queue.qsize():
                logger.error("the %s waits: the limit of processes is reached", self._what)
        else:
            self._thread = thread

    def close(self, timeout_s: float) -> bool:
        """Wait until what was handed over is written; False if that took too long."""
        end = time.monotonic() + timeout_s
        with self._queue.all_tasks_done:
            while self._queue.unfinished_tasks:
                left_s = end - time.monotonic()
                if left_s <= 0:
                    return False
                self._queue.all_tasks_done.wait(left_s)
        return True

    def _run(self) -> None:
        while True:
            line = self._queue.get()
            try:
                self._write(line)
            except Exception:
                logger.exception("a line of the %s cannot be written", self._what)
            finally:
                self._queue.task_done()
