"""A turn's time is its own: neither the turn before it nor a question to a person shortens or lengthens it."""

from __future__ import annotations

import pytest

from openclaw_actors.actors.turn_clock import TurnClock
from tests.unit.actors.timers import Timers

__all__: list[str] = []


class Scene(Timers):
    """A clock of ten seconds."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        super().__init__(monkeypatch)
        self.passed: list[tuple[float, str]] = []
        self.clock = TurnClock(self.call_later, 10.0, self._passed, began=lambda: None)

    def _passed(self, turn_id: str) -> None:
        self.passed.append((self.now, turn_id))


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
