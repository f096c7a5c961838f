"""A time that passes when a test says so, with an actor's timers in it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

import pytest

__all__ = ["Timers"]


class Timers:
    """What `time.monotonic` says, and what was asked for later."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 100.0
        self._timers: list[tuple[float, Callable[..., Any], tuple[Any, ...], _Handle]] = []
        monkeypatch.setattr(time, "monotonic", lambda: self.now)

    def call_later(self, delay_s: float, fn: Callable[..., Any], *args: Any) -> asyncio.TimerHandle:
        handle: Any = _Handle()
        self._timers.append((self.now + delay_s, fn, args, handle))
        return handle  # type: ignore[no-any-return]

    def wait_until(self, then: float) -> None:
        """Timers go off in their order."""
        while due := [timer for timer in self._timers if timer[0] <= then and not timer[3].cancelled]:
            timer = min(due, key=lambda each: each[0])
            self._timers.remove(timer)
            self.now = timer[0]
            timer[1](*timer[2])
        self.now = then


class _Handle:
    cancelled = False

    def cancel(self) -> None:
        self.cancelled = True
