"""A summary that takes too long is given up, here and at the model; one that is there is left alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from openclaw_actors.actors.session_model import ModelCalls
from openclaw_actors.agent.system_prompt import SystemPrompt
from openclaw_actors.config import GatewayConfig
from openclaw_actors.core.admission import SessionLimits
from openclaw_actors.core.compaction import CompactionLimits
from openclaw_actors.core.effects import SummariseHistory
from openclaw_actors.messages import CallFailed, CancelCall, Complete
from tests.unit.core.session_world import World, delivery

__all__: list[str] = []


class Surroundings:
    """The session's actor and the directory, as far as model calls see them."""

    def __init__(self) -> None:
        self.sent: list[Complete | CancelCall] = []
        self.timers: list[tuple[float, Callable[..., None], tuple[Any, ...]]] = []
        self.failed: list[CallFailed] = []
        self.incarnation = 7
        self.address = "model"

    def find(self, name: str) -> Surroundings:
        return self

    def send(self, address: object, message: Complete | CancelCall) -> None:
        self.sent.append(message)

    def call_later(self, delay_s: float, callback: Callable[..., None], *arguments: Any) -> None:
        self.timers.append((delay_s, callback, arguments))


def asked() -> tuple[World, Surroundings, SummariseHistory]:
    world = World(
        SessionLimits(compaction=CompactionLimits(automatic=True, threshold_turns=4, keep_recent=2))
    )
    for number in range(5):
        world.deliver(delivery(f"m{number}"))
        world.store_writes_all()
        world.model_answers("the answer")
        world.store_writes_all()
    assert world.summary is not None
    around = Surroundings()
    calls = ModelCalls(
        cast(Any, around),
        world.core,
        cast(Any, around),
        SystemPrompt(GatewayConfig()),
        (),
        around.failed.append,
        summary_timeout_s=60.0,
    )
    calls.carry_out(world.summary)
    assert calls.called_incarnation == 7
    return world, around, world.summary


def test_a_summary_is_asked_for_as_one_and_in_the_name_of_its_message() -> None:
    _, around, effect = asked()
    (call,) = around.sent
    assert isinstance(call, Complete)
    assert (call.purpose, call.call_id, call.correlation_id) == ("summary", effect.call_id, "c-m4")
    assert call.tools == ()


def test_a_late_one_is_given_up() -> None:
    world, around, effect = asked()
    ((delay_s, late, arguments),) = around.timers
    assert delay_s == 60.0
    late(*arguments)
    assert around.sent[1:] == [CancelCall(call_id=effect.call_id)]
    assert [failure.code for failure in around.failed] == ["timeout"]
    world.do(world.core.model_failed(around.failed[0], world.now))
    assert world.core.idle


def test_one_that_has_come_is_left_alone() -> None:
    world, around, _ = asked()
    world.summary_comes()
    ((_, late, arguments),) = around.timers
    late(*arguments)
    assert len(around.sent) == 1
    assert around.failed == []
