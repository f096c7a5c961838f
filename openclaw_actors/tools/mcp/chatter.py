"""Decides how much of what a server prints besides its messages is logged."""

from __future__ import annotations

__all__ = ["Chatter"]

import logging
import time
from collections.abc import Callable

from openclaw_actors.tools.mcp.lines import Lines, TooLong
from openclaw_actors.tools.mcp.words import clean

logger = logging.getLogger(__name__)

_LINE_CHARS = 500
_LAST_CHARS = 200
_LINES_A_MINUTE = 100
_MINUTE_S = 60.0
_MOST_BYTES = 4_096


class Chatter:
    """What one server prints: into the log, at debug level, so many lines a minute and no more.

    Args:
        server: its name.
        clock: monotonic seconds.
    """

    def __init__(self, server: str, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._server = server
        self._clock = clock
        self._lines = Lines(_MOST_BYTES)
        self._minute_began = clock()
        self._logged = 0
        self.dropped = 0
        """Lines that were not logged because there were too many."""
        self.last = ""
        """Of its stderr: the first thing to look at when it has died."""

    def feed(self, data: bytes) -> None:
        """Take a piece of its stderr."""
        for line in self._lines.feed(data):
            text = self._text(line)
            if text:
                self.last = text[:_LAST_CHARS]
            self.note("stderr", line)

    def note(self, where: str, line: bytes | TooLong) -> None:
        """Take a line that is no message."""
        text = self._text(line)
        if not text:
            return
        now = self._clock()
        if now - self._minute_began >= _MINUTE_S:
            if self.dropped:
                logger.debug("mcp:%s printed %d lines more", self._server, self.dropped)
            self._minute_began, self._logged, self.dropped = now, 0, 0
        if self._logged >= _LINES_A_MINUTE:
            self.dropped += 1
            return
        self._logged += 1
        logger.debug("mcp:%s %s: %s", self._server, where, text)

    @staticmethod
    def _text(line: bytes | TooLong) -> str:
        raw = line.head if isinstance(line, TooLong) else line
        return clean(raw[:_MOST_BYTES].decode(errors="replace")).strip()[:_LINE_CHARS]
