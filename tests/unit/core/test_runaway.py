"""Tests that a turn which goes round in circles, or has spent enough, ends before the next call is made."""

from __future__ import annotations

import pytest

from openclaw_actors.core.admission import SessionLimits
from openclaw_actors.core.records import ToolFinished
from openclaw_actors.core.runaway import looping, over_budget
from openclaw_actors.messages import ToolCall, Usage
from openclaw_actors.messages.history import Step
from tests.unit.core.session_world import World, delivery


def call(arguments: str, *, name: str = "a", call_id: str = "c") -> ToolCall:
    return ToolCall(call_id=call_id, name=name, arguments=arguments)


def steps(*arguments: str) -> list[Step]:
    return [Step(text="", calls=(call(each),)) for each in arguments]


def test_equal_calls_are_counted_however_their_arguments_are_written() -> None:
    before = steps('{"a": 1, "b": 2}', '{"b":2,"a":1}')
    found = looping(before, [call('{ "b" : 2, "a" : 1 }')], 3)
    assert list(found.refused) == ["c"]
    assert "call 3 of a" in found.refused["c"]
    assert not found.ends
    assert not looping(before, [call('{"a": 1, "b": 3}')], 3).refused
    assert not looping(before, [call('{"a": 1, "b": 2}', name="other")], 3).refused


def test_calls_that_are_no_json_are_counted_too() -> None:
    found = looping(steps("{no", "{no"), [call("{no")], 3)
    assert found.refused


def test_many_equal_calls_in_one_answer_are_cut_off_and_end_nothing() -> None:
    found = looping([], [call("{}", call_id=f"c{number}") for number in range(7)], 5)
    assert list(found.refused) == ["c4", "c5", "c6"]
    assert not found.ends


def test_who_was_told_and_goes_on_is_ended() -> None:
    assert looping(steps("{}", "{}", "{}"), [call("{}")], 3).ends
    assert not looping(steps("{}", "{}", "{}"), [call("{}")], 0).ends


def test_a_looping_turn_is_told_and_then_ended() -> None:
    world = World(SessionLimits(max_equal_calls=3))
    world.deliver(delivery("m1"))
    world.store_writes()
    for _ in range(4):
        world.model_answers("", "a")
        world.store_writes_all()
        if world.tools:
            world.tool_ends()
            world.store_writes_all()
    statuses = [record.status for record in world.journal if isinstance(record, ToolFinished)]
    assert statuses == ["ok", "ok", "error"]
    assert [(end.status, end.code) for end in world.ends()] == [("failed", "loop")]
    assert world.core.idle


@pytest.mark.parametrize(
    ("limits", "turn", "session", "text"),
    [
        (SessionLimits(turn_token_budget=10), 9, 1_000, None),
        (SessionLimits(turn_token_budget=1_000), 1_100, 0, "token limit (1,100/1,000 tokens)"),
        (SessionLimits(turn_token_budget=0), 10**9, 0, None),
        (SessionLimits(token_budget=100), 50, 50, "token limit for this session"),
        (SessionLimits(token_budget=100), 50, 49, None),
    ],
)
def test_budgets_hold_before_the_next_call(
    limits: SessionLimits, turn: int, session: int, text: str | None
) -> None:
    spent = over_budget(limits, turn=Usage(input_tokens=turn), session=Usage(output_tokens=session))
    if text is None:
        assert spent is None
    else:
        assert spent is not None
        assert text in spent


def test_a_turn_over_its_budget_makes_no_further_call() -> None:
    world = World(SessionLimits(turn_token_budget=6))
    world.deliver(delivery("m1"))
    world.store_writes()
    for _ in range(2):  # three tokens each
        assert world.call is not None
        world.model_answers("", "a")
        world.store_writes()
        world.tool_ends()
        world.store_writes_all()
    assert world.call is None
    assert [(end.status, end.code, end.usage.total) for end in world.ends()] == [("failed", "budget", 6)]


def test_a_crash_gives_a_turn_no_further_calls() -> None:
    world = World(SessionLimits(max_model_calls=2))
    world.deliver(delivery("m1"))
    world.store_writes()
    world.model_answers("", "a")
    world.store_writes()
    world.crash(deaths=1)
    world.store_writes()
    assert world.call is not None
    world.model_answers("", "a")
    world.settle()
    assert [end.code for end in world.ends()] == ["tool_iterations"]
