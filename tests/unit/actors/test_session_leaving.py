"""When a session asks to leave memory, and that it never does while somebody waits for it."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from openclaw_actors.actors.session_leaving import SessionLeaving
from openclaw_actors.messages import Message, PassivationAsked, PassivationDeclined
from tests.unit.actors.timers import Timers
from tests.unit.core.session_world import INSTANCE, World, delivery

IDLE_S = 60.0


class Scene(Timers):
    """An open conversation whose session leaves after a minute; it is 100 o'clock."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *, bound_to: str | None = None) -> None:
        super().__init__(monkeypatch)
        self.world = World()
        self.told: list[Message] = []
        no_questions: Any = SimpleNamespace(left_s=None)
        self.leaving = SessionLeaving(
            self.world.core,
            7,
            no_questions,
            idle_s=IDLE_S,
            call_later=self.call_later,
            tell_router=self.told.append,
        )
        self.leaving.watch()
        self._bound_to = bound_to

    def say(self, name: str) -> None:
        message = delivery(name, bound_to=self._bound_to)
        self.leaving.delivered(message)
        self.world.deliver(message)
        self.leaving.look()

    def settle(self) -> None:
        self.world.settle()
        self.leaving.look()

    @property
    def asked(self) -> list[str]:
        """Why it would leave, each time that it asked."""
        return [each.reason for each in self.told if isinstance(each, PassivationAsked)]

    @property
    def declined(self) -> int:
        return sum(isinstance(each, PassivationDeclined) for each in self.told)


def test_it_asks_once_when_nobody_has_said_anything_for_long_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    scene = Scene(monkeypatch)
    scene.wait_until(159.0)
    assert scene.asked == []
    scene.wait_until(400.0)
    assert scene.asked == ["idle"]
    assert [each.incarnation for each in scene.told if isinstance(each, PassivationAsked)] == [7]


def test_a_person_s_message_begins_the_time_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    scene = Scene(monkeypatch)
    scene.wait_until(150.0)
    scene.say("m1")
    scene.settle()
    scene.wait_until(209.0)
    assert scene.asked == []
    scene.wait_until(211.0)
    assert scene.asked == ["idle"]


def test_a_turn_that_runs_keeps_it(monkeypatch: pytest.MonkeyPatch) -> None:
    scene = Scene(monkeypatch)
    scene.say("m1")
    assert not scene.leaving.became_idle.is_set()
    scene.wait_until(400.0)
    assert scene.asked == []
    scene.leaving.wanted()
    assert scene.declined == 1
    scene.settle()
    assert scene.leaving.became_idle.is_set()
    scene.wait_until(402.0)
    assert scene.asked == ["idle"]


def test_after_it_was_declined_it_asks_again_when_its_time_has_come_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    scene = Scene(monkeypatch)
    scene.wait_until(160.0)
    scene.leaving.declined()
    scene.wait_until(162.0)
    assert scene.asked == ["idle", "idle"]


def test_a_conversation_of_a_connection_ends_with_its_channel_once_its_turn_has_ended(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    scene = Scene(monkeypatch, bound_to=INSTANCE)
    scene.say("m1")
    scene.leaving.channels({INSTANCE})
    scene.leaving.channels({"another"})
    assert scene.asked == []
    scene.settle()
    assert scene.asked == ["connection_closed"]
    scene.leaving.declined()
    scene.wait_until(101.5)
    assert scene.asked == ["connection_closed"] * 2


def test_another_idle_time_holds_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    scene = Scene(monkeypatch)
    scene.wait_until(110.0)
    scene.leaving.use(5.0)
    assert scene.asked == ["idle"]
    scene.leaving.stays()
    assert scene.declined == 1
    scene.leaving.use(500.0)
    scene.wait_until(400.0)
    assert scene.asked == ["idle"]
