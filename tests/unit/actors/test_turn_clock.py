"""A turn's time is its own: neither the turn before it nor a question to a person shortens or lengthens it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from openclaw_actors.actors import turn_clock
from openclaw_actors.actors.turn_clock import TurnClock

__all__: list[str] = []


class Scene:
    """A clock of ten seconds in a time that passes when it is told to."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 100.0
        self.passed: list[tuple[float, str]] = []
        self._timers: list[tuple[float, Callable[..., Any], tuple[Any, ...], _Handle]] = []
        monkeypatch.setattr(turn_clock.time, "monotonic", lambda: self.now)
        self.clock = TurnClock(self._call_later, 10.0, self._passed, began=lambda: None)

    def _passed(self, turn_id: str) -> None:
        self.passed.append((self.now, turn_id))

    def _call_later(self, delay_s: float, fn: Callable[..., Any], *args: Any) -> asyncio.TimerHandle:
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


def test_each_turn_has_all_of_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    scene = Scene(monkeypatch)
    scene.clock.start("a", "c")
    scene.wait_until(106.0)
    scene.clock.start("b", "c")
    scene.wait_until(115.9)
    assert scene.passed == []
    scene.wait_until(120.0)
    assert scene.passed == [(116.0, "b")]
    scene.clock.start("c", "c")
    scene.wait_until(140.0)
    assert scene.passed[1:] == [(130.0, "c")]


def test_the_time_in_which_a_person_is_asked_does_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    scene = Scene(monkeypatch)
    scene.clock.start("a", "c")
    scene.wait_until(104.0)
    scene.clock.hold()
    scene.wait_until(150.0)
    scene.clock.go_on()
    scene.wait_until(155.9)
    assert scene.passed == []
    scene.wait_until(160.0)
    assert scene.passed == [(156.0, "a")]
