"""A tool is recorded as begun when it begins: what waited behind another was not run, and the model is told so."""

from __future__ import annotations

import pytest

from openclaw_actors.core.records import ToolFinished, ToolStarted
from openclaw_actors.core.tool_order import startable
from openclaw_actors.messages import ToolCall
from tests.unit.core.session_world import World, delivery


def calls(names: str) -> list[ToolCall]:
    return [ToolCall(call_id=name, name=name, arguments="{}") for name in names]


@pytest.mark.parametrize(
    ("names", "started", "settled", "found"),
    [
        ("abc", "", "", "abc"),
        ("abC", "", "", "ab"),
        ("AbC", "", "", "A"),
        ("AbC", "A", "", ""),
        ("AbC", "A", "A", "b"),
        ("AbC", "Ab", "A", ""),
        ("AbC", "Ab", "Ab", "C"),
        ("aBc", "a", "", ""),  # c does not overtake B
        ("AbC", "", "A", "b"),  # A waits for a person
        ("ABc", "B", "", ""),  # A was approved while B runs
        ("", "", "", ""),
    ],
)
def test_which_tools_start(names: str, started: str, settled: str, found: str) -> None:
    """Capital letters run alone."""
    due = startable(calls(names), started=set(started), settled=set(settled), beside=str.islower)
    assert "".join(call.call_id for call in due) == found


def running(*names: str, alone: str = "", asking: str = "") -> World:
    world = World()
    world.alone, world.asking = frozenset(alone), frozenset(asking)
    world.deliver(delivery("m1"))
    world.store_writes()
    world.model_answers("", *names)
    world.store_writes()
    return world


def started(world: World) -> list[str]:
    return [record.name for record in world.journal if isinstance(record, ToolStarted)]


def results(world: World) -> list[tuple[str, str, str]]:
    return [(each.name, each.status, each.text) for each in world.journal if isinstance(each, ToolFinished)]


def test_each_begins_in_the_commit_that_ends_the_one_before() -> None:
    world = running("A", "B", "c", alone="AB")
    assert started(world) == ["A"]
    world.tool_ends()
    world.store_writes()
    assert started(world) == ["A", "B"]
    assert [tool.call.name for tool in world.tools] == ["B"]
    world.settle()
    assert started(world) == ["A", "B", "c"]
    assert [status for _, status, _ in results(world)] == ["ok"] * 3
    world.check_all_answered()


def test_what_had_not_begun_when_the_process_died_was_not_run_and_is_not() -> None:
    world = running("A", "B", "c", alone="AB")
    world.tool_ends()
    world.store_writes()
    world.crash(deaths=1)
    world.store_writes()
    assert not world.tools
    assert results(world) == [
        ("A", "ok", "result"),
        ("B", "interrupted", "Interrupted: the outcome of this call is unknown."),
        ("c", "interrupted", "Not run: the conversation's process ended before it was this call's turn."),
    ]
    assert world.call is not None, "the model goes on"
    world.settle()
    assert started(world) == ["A", "B"]
    world.check_all_answered()


def test_one_that_was_approved_waits_for_those_that_run() -> None:
    world = running("A", "B", alone="AB", asking="A")
    assert started(world) == ["B"], "nobody waits for who waits for a person"
    world.decides(world.asked[0], approved=True)
    world.store_writes()
    assert started(world) == ["B"]
    world.tool_ends()
    world.store_writes()
    assert started(world) == ["B", "A"]
    world.settle()
    world.check_all_answered()


def test_a_start_that_could_not_be_written_is_written_once() -> None:
    world = running("A", "B", alone="AB")
    world.tool_ends()
    world.store_refuses()
    world.do(world.core.try_again(world.now))
    world.store_writes()
    assert started(world) == ["A", "B"]
    world.settle()
    assert started(world) == ["A", "B"]
    world.check_all_answered()


def test_a_stop_starts_nothing_that_waited() -> None:
    world = running("A", "B", alone="AB")
    world.stop()
    world.store_writes_all()
    assert started(world) == ["A"]
    assert [end.status for end in world.ends()] == ["stopped"]
