"""The end of a turn says how long the model and tools took, so that the rest is known to be the gateway's own."""

from __future__ import annotations

import pytest

from openclaw_actors.messages import CallFailed, Completed, ToolCall, Usage
from tests.unit.core.session_world import World, delivery


def running() -> World:
    world = World()
    world.deliver(delivery("m1"))
    world.store_writes()
    return world


def answer(world: World, seconds: float, *tools: str) -> None:
    assert world.call is not None
    call, world.call = world.call, None
    calls = tuple(ToolCall(call_id=name, name=name, arguments="{}") for name in tools)
    done = Completed(call_id=call.call_id, text="hi", usage=Usage(), tool_calls=calls, model_seconds=seconds)
    world.do(world.core.model_done(done, world.now))


def waited(world: World) -> float | None:
    world.settle()
    (end,) = world.ends()
    return end.waited_seconds


def test_the_model_says_itself_how_long_it_took() -> None:
    world = running()
    world.now += 5.0  # of which only a part was the model's
    answer(world, 4.25)
    assert waited(world) == 4.25


def test_a_call_that_fails_took_its_time_too() -> None:
    world = running()
    assert world.call is not None
    failed = CallFailed(
        call_id=world.call.call_id, code="provider", text="no", streamed=False, usage=Usage(), model_seconds=3
    )
    world.do(world.core.model_failed(failed, world.now))
    assert waited(world) == 3


def test_tools_that_run_together_are_not_added_up() -> None:
    world = running()
    answer(world, 1.0, "one", "two")
    world.store_writes()
    world.now += 2.0
    world.tool_ends()
    world.now += 3.0
    world.tool_ends()
    world.now += 10.0  # the store is slow: that is our own doing
    world.store_writes_all()
    answer(world, 0.5)
    assert waited(world) == pytest.approx(6.5)


def test_a_stop_ends_the_wait() -> None:
    world = running()
    world.now += 7.0
    world.stop()
    assert waited(world) == pytest.approx(7.0)


def test_a_turn_that_starts_again_in_the_same_process_forgets_nothing() -> None:
    world = running()
    world.now += 2.0
    world.call = None  # its actor is dead
    world.do(world.core.model_lost(world.now))
    world.store_writes()
    answer(world, 1.0)
    assert waited(world) == pytest.approx(3.0)


def test_what_a_lost_process_waited_for_is_not_made_up() -> None:
    world = running()
    world.now += 2.0
    world.crash()
    world.store_writes()
    answer(world, 1.0)
    assert waited(world) is None


def test_a_turn_begins_with_its_first_attempt() -> None:
    world = running()
    began_at = world.now
    assert world.stored().open[0].began_at == began_at
    world.now += 2.0
    world.crash()
    world.store_writes()
    assert world.stored().open[0].began_at == began_at
