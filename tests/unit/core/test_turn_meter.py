"""What records say of the gateway's work: each counted once, by the right name, within bounds."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from openclaw_actors.core.conversation import Conversation, apply
from openclaw_actors.core.drafts import tool_finished, turn_began, turn_ended, user_said
from openclaw_actors.core.records import Record
from openclaw_actors.core.series import Tally
from openclaw_actors.core.turn_meter import MAX_NAMES, UNKNOWN_TOOL, TurnMeter
from openclaw_actors.messages import Deliver, ToolCall


class World:
    """A conversation whose records are metered before they change it, as the store does it."""

    def __init__(self, values: Tally | None = None, key: str = "websocket:local:main") -> None:
        self.state = Conversation(key=key)
        self.values = Tally() if values is None else values
        self.meter = TurnMeter(self.values)
        self.now = 1_000.0

    def store(self, record: Record, *, after_s: float = 0.0) -> None:
        changes: dict[str, Any] = {"number": self.state.number + 1, "at": self.now}
        if hasattr(record, "seq"):
            changes["seq"] = self.state.seq + 1
        record = msgspec.structs.replace(record, **changes)
        self.now += after_s
        self.meter.note(self.state, record, self.now)
        apply(self.state, record, window_turns=50)

    def said(self, message_id: str = "m1", *, channel: str = "websocket") -> None:
        deliver = Deliver(
            session=self.state.key,
            delivery_id="d",
            message_id=message_id,
            text="hello",
            channel=channel,
            received_at=0.0,
            correlation_id="c",
        )
        self.store(user_said(deliver, 0))

    def began(self, attempt: int = 1) -> None:
        self.store(turn_began("m1", attempt=attempt))

    def ended(self, *, status: Any = "completed", waited_s: float | None = 0.0, took_s: float = 0.0) -> None:
        self.store(turn_ended(self.state.open[0], status, "", waited_s=waited_s), after_s=took_s)

    def tool(self, name: str, status: str = "ok", text: str = "") -> None:
        call = ToolCall(call_id="c1", name=name, arguments="{}")
        self.store(tool_finished("turn-m1", call, status, text))

    def count(self, name: str) -> float:
        return sum(value for key, value in self.values.items() if key.startswith(f"{name}_bucket"))


def test_a_turn_is_counted_with_its_time_and_what_of_it_was_ours() -> None:
    world = World()
    world.said()
    world.began()
    world.now += 2.0
    world.ended(waited_s=1.5, took_s=0.25)
    assert world.values['turns_total{status="completed"}'] == 1
    assert world.values['messages_accepted_total{channel="websocket"}'] == 1
    assert world.values["turn_seconds_sum"] == pytest.approx(2.25)
    assert world.values["turn_overhead_seconds_sum"] == pytest.approx(0.75)
    assert world.values['turn_seconds_bucket{le="2.5"}'] == 1
    assert world.count("turn_seconds") == world.count("turn_overhead_seconds") == 1


def test_a_turn_lasts_from_its_first_attempt() -> None:
    world = World()
    world.said()
    world.began()
    world.now += 3.0
    world.began(attempt=2)
    world.now += 1.0
    world.ended(waited_s=None)
    assert world.values["turn_seconds_sum"] == pytest.approx(4.0)
    assert world.count("turn_overhead_seconds") == 0, "what the lost attempt waited for is not known"


def test_a_message_that_was_ended_in_the_queue_had_no_time() -> None:
    world = World()
    world.said()
    world.ended(status="stopped")
    assert world.values['turns_total{status="stopped"}'] == 1
    assert world.count("turn_seconds") == 0


def test_messages_are_counted_by_the_channel_that_people_know() -> None:
    world = World(key="sms:+15551234567")
    world.said(channel="http")
    assert world.values['messages_accepted_total{channel="sms"}'] == 1


def test_tools_are_counted_by_name_and_end() -> None:
    world = World()
    world.tool("memory")
    world.tool("memory", "timeout")
    world.tool("rm -rf", "error", UNKNOWN_TOOL)
    assert world.values['tool_calls_total{status="ok",tool="memory"}'] == 1
    assert world.values['tool_calls_total{status="timeout",tool="memory"}'] == 1
    assert world.values['tool_calls_total{status="error",tool="unknown"}'] == 1
    assert not any("rm" in key for key in world.values)


def test_names_that_the_model_invents_fill_nothing() -> None:
    world = World()
    for number in range(MAX_NAMES + 50):
        world.tool(f"tool-{number}", f"status-{number}")
    tools = {key for key in world.values if key.startswith("tool_calls_total")}
    assert len(tools) <= MAX_NAMES + 1
    assert world.values['tool_calls_total{status="other",tool="other"}'] >= 50
    again = World(world.values)  # the next incarnation of who counts
    again.tool("one more")
    assert len({key for key in world.values if key.startswith("tool_calls_total")}) <= MAX_NAMES + 2
    assert not any("one more" in key for key in world.values)
