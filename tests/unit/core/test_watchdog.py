"""Tests who is killed for not answering, and that a watcher which was late itself kills nobody."""

from __future__ import annotations

import pytest

from openclaw_actors.core.routing import PingSession, RouterLimits
from openclaw_actors.messages import Pong
from tests.unit.core.router_world import World

LIMITS = RouterLimits(ping_timeout_s=4.0, idle_ping_s=30.0, start_timeout_s=10.0, stop_timeout_s=0.5)


def _live(world: World) -> None:
    world.deliver("a", "m1")
    world.get_ready("a")
    world.step("a")


def _wait(world: World, seconds: float, step: float = 0.25) -> None:
    for _ in range(round(seconds / step)):
        world.tick(step)


def test_a_session_that_does_not_answer_in_its_limit_is_killed() -> None:
    world = World(LIMITS)
    _live(world)
    _wait(world, 4.5)
    assert not world.sessions["a"].killed
    _wait(world, 2.0)
    assert world.sessions["a"].killed
    assert world.core.entries["a"].kill_reason == "it did not answer for 4 s"


def test_a_session_that_answers_lives_on() -> None:
    world = World(LIMITS)
    _live(world)
    world.settle(for_s=100.0)
    assert not world.sessions["a"].killed
    assert len(world.forks) == 1


def test_an_answer_of_the_incarnation_before_does_not_count() -> None:
    world = World(LIMITS)
    _live(world)
    world.die("a")
    world.get_ready("a")
    _wait(world, 2.0)
    world.watchdog.ponged("a", Pong(pid=1, incarnation=1), world.now)
    assert world.core.entries["a"].ping_sent_at is not None


def test_an_idle_session_is_seldom_pinged() -> None:
    world = World(LIMITS)
    _live(world)
    world.answer("a")
    pings = 0
    for _ in range(400):
        world.now += 1.0
        effects = world.watchdog.tick(world.now)
        pings += sum(isinstance(effect, PingSession) for effect in effects)
        world.watchdog.ponged("a", Pong(pid=1, incarnation=1, doing="idle"), world.now)
    assert pings < 80


@pytest.mark.parametrize("phase", ["starting", "leaving"])
def test_who_does_not_get_ready_or_does_not_leave_in_time_is_killed(phase: str) -> None:
    world = World(LIMITS)
    world.deliver("a", "m1")
    if phase == "leaving":
        world.get_ready("a")
        world.step("a")
        world.answer("a")
        world.ask_to_leave("a")
        world.deliver("a", "m2")
    _wait(world, 9.5)
    assert not world.sessions["a"].killed
    _wait(world, 1.0)
    assert world.sessions["a"].killed
    world.die("a")
    world.settle(for_s=5.0)
    assert not world.refused
    assert [fork.deaths for fork in world.forks] == [0, 0]


def test_a_watcher_whose_tick_came_late_forgives_that_round() -> None:
    world = World(LIMITS)
    _live(world)
    _wait(world, 2.0)
    assert world.core.entries["a"].ping_sent_at is not None
    world.tick(60.0)
    assert not world.sessions["a"].killed
    _wait(world, 5.0)
    assert world.sessions["a"].killed, "the next round counts again"


def test_a_late_tick_gives_a_stop_no_more_than_its_time() -> None:
    world = World(LIMITS)
    _live(world)
    world.tick(0.25)
    world.stop("a")
    world.tick(30.0)
    assert not world.sessions["a"].killed
    _wait(world, 0.75)
    assert world.sessions["a"].killed


def test_it_looks_more_often_while_anybody_waits() -> None:
    world = World(LIMITS)
    assert world.watchdog.next_tick_s() == 1.0
    world.deliver("a", "m1")
    assert world.watchdog.next_tick_s() == 0.25
    world.get_ready("a")
    assert world.watchdog.next_tick_s() == 1.0
    world.stop("a")
    assert world.watchdog.next_tick_s() == 0.25
