"""Knows how long a drain takes, and how long the last one took: nobody can ask a gateway that has ended."""

from __future__ import annotations

import logging
import time
from pathlib import Path

__all__ = ["FILE_NAME", "DrainTime"]

logger = logging.getLogger(__name__)

FILE_NAME = "last-drain-seconds"


class DrainTime:
    """The duration of drains.

    Args:
        state_dir: where that of the last one is kept for the next start.
    """

    def __init__(self, state_dir: str) -> None:
        self._file = Path(state_dir).expanduser() / FILE_NAME
        self._began_at: float | None = None
        try:
            self._last_s = max(0.0, float(self._file.read_text()))
        except (OSError, ValueError):
            self._last_s = 0.0  # there was none, or what is there says nothing

    def seconds(self) -> float:
        """For how long it has drained, or how long it took the last time; 0 before the first."""
        return self._last_s if self._began_at is None else time.monotonic() - self._began_at

    def begins(self) -> None:
        """A drain begins."""
        self._began_at = time.monotonic()

    def ends(self) -> float:
        """The drain is done; returns its duration in seconds."""
        seconds = self.seconds()
        try:
            self._file.write_text(f"{seconds:.3f}\n")
        except OSError as error:
            logger.warning("the duration of the drain is not kept: %s", error.strerror)
        return seconds
