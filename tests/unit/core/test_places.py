"""Tests who has a place among the sessions that live, who waits for one, and who makes room."""

from __future__ import annotations

from openclaw_actors.core.routing import RouterLimits
from openclaw_actors.messages import (
    Passivate,
)
from tests.unit.core.router_world import World


def test_the_least_recently_used_idle_session_makes_room() -> None:
    world = World(RouterLimits(max_live=2))
    for key in ("a", "b"):
        world.deliver(key, f"{key}1")
        world.settle(for_s=1)
    world.deliver("a", "a2")
    world.settle(for_s=1)
    world.deliver("c", "c1")
    assert any(isinstance(message, Passivate) for message in world.sessions["b"].mailbox)
    assert not any(isinstance(message, Passivate) for message in world.sessions["a"].mailbox)
    world.settle(for_s=1)
    assert set(world.sessions) == {"a", "c"}
    assert world.recorded["c"] == ["c1"]


def test_so_many_start_at_once_and_who_came_first_is_ready_first() -> None:
    world = World(RouterLimits(max_starting=2))
    for key in "abcde":
        world.deliver(key, f"{key}1")
    assert list(world.sessions) == ["a", "b"]
    world.get_ready("b")
    assert list(world.sessions) == ["a", "b", "c"]
    world.get_ready("a")
    world.die("c")
    assert list(world.sessions) == ["a", "b", "d", "c"], "who has died comes before who has not begun"
    world.settle(for_s=5)
    assert set(world.sessions) == set("abcde")
    assert all(world.recorded[key] == [f"{key}1"] for key in "abcde")


def test_where_many_wait_half_of_those_who_may_start_do_so_together() -> None:
    world = World(RouterLimits(max_starting=4))
    for key in "abcdefghij":
        world.deliver(key, f"{key}1")
    assert list(world.sessions) == list("abcd")
    world.get_ready("a")
    assert list(world.sessions) == list("abcd"), "one place is not enough for seven that wait"
    world.get_ready("b")
    assert list(world.sessions) == list("abcdef")
    world.settle(for_s=5)
    assert all(world.recorded[key] == [f"{key}1"] for key in "abcdefghij"), "the last one waits for nobody"


def test_who_is_slow_to_start_holds_up_nobody_else() -> None:
    world = World(RouterLimits(max_starting=2, slow_start_s=2.0))
    for key in "abc":
        world.deliver(key, f"{key}1")
    for _ in range(4):
        world.tick()
    assert list(world.sessions) == ["a", "b"]
    for _ in range(5):
        world.tick()
    assert list(world.sessions) == ["a", "b", "c"]


def test_who_waits_for_a_place_gets_one_when_the_busy_ones_are_done() -> None:
    world = World(RouterLimits(max_live=1))
    world.deliver("a", "a1")
    world.get_ready("a")
    world.step("a")  # its turn runs
    world.deliver("b", "b1")
    world.step("a")
    world.tick(1.0)
    assert list(world.sessions) == ["a"]
    world.settle(for_s=5)
    assert world.recorded["b"] == ["b1"]


def test_a_session_that_was_asked_to_leave_and_died_holds_no_place_in_the_count() -> None:
    world = World(RouterLimits(max_live=1))
    world.deliver("a", "a1")
    world.get_ready("a")
    world.step("a")
    world.answer("a")
    world.deliver("b", "b1")
    assert world.core.entries["a"].asked_to_leave
    world.core.entries["a"].policy.died(world.now)  # so that its next start is not at once
    world.die("a")
    assert list(world.sessions) == ["b"]
    world.get_ready("b")
    world.step("b")
    world.answer("b")
    world.deliver("c", "c1")
    assert any(isinstance(message, Passivate) for message in world.sessions["b"].mailbox)


def test_beyond_the_places_and_those_who_wait_nobody_is_taken() -> None:
    world = World(RouterLimits(max_live=1, max_waiting=1))
    for key in ("a", "b", "c"):
        world.deliver(key, f"{key}1")
    assert world.refused["c1"].code == "busy"
    assert "c" not in world.core.entries
