"""A session that waits for nothing but a person needs no process meanwhile, and loses nothing by that."""

from __future__ import annotations

import pytest

from openclaw_actors.core.routing import Phase, RouterLimits
from openclaw_actors.messages import DecideApproval, EndSession, Unfollow
from tests.unit.core.router_world import World


def asking(world: World, *keys: str) -> None:
    """Sessions whose turns wait for a person, and that nobody follows."""
    for key in keys:
        world.deliver(key, f"{key}1")
        world.get_ready(key)
        world.step(key)
        world.asking.add(key)
    unfollow(world, *keys)


def unfollow(world: World, *keys: str) -> None:
    for key in keys:
        world.do(world.core.unfollow(Unfollow(session=key, channel="websocket")))


def leave(world: World, key: str) -> None:
    """The session does what it was asked, and its process ends if it may."""
    while world.sessions[key].mailbox:
        world.step(key)
    if world.sessions[key].granted:
        world.die(key)


def test_who_waits_for_a_person_gives_its_place_up_and_goes_on_when_the_time_is_over() -> None:
    world = World(RouterLimits(max_live=2))
    asking(world, "a", "b")
    world.deliver("c", "c1")
    leave(world, "a")
    assert set(world.sessions) == {"b", "c"}
    assert world.phase("a") is Phase.ASLEEP, "nobody follows it, and yet it is not forgotten"
    world.get_ready("c")
    world.step("c")
    world.answer("c")
    world.tick(19.0)
    assert world.phase("a") is Phase.ASLEEP
    world.tick(1.0)
    leave(world, "b")
    assert set(world.sessions) == {"a", "c"}


@pytest.mark.parametrize("what", ["decide", "deliver", "restart"])
def test_who_sleeps_while_a_person_is_asked_is_woken_by(what: str) -> None:
    world = World()
    asking(world, "a")
    world.ask_to_leave("a")
    leave(world, "a")
    match what:
        case "decide":
            world.decide("a")
        case "deliver":
            world.deliver("a", "a2")
        case "restart":
            world.do(world.core.restart_by_hand("a", world.now) or [])
    assert list(world.sessions) == ["a"]
    world.settle(for_s=2)
    assert not world.open["a"]


def test_a_decision_that_crosses_with_the_leave_keeps_the_session() -> None:
    world = World()
    asking(world, "a")
    world.ask_to_leave("a")
    world.asking.clear()  # it was decided before the grant came
    leave(world, "a")
    assert list(world.sessions) == ["a"]
    assert world.phase("a") is Phase.LIVE
    world.answer("a")
    world.ask_to_leave("a")
    leave(world, "a")
    assert not world.core.entries, "an idle one is forgotten as ever"


@pytest.mark.parametrize("when", ["leaving", "asleep"])
def test_a_stop_reaches_who_sleeps_while_a_person_is_asked(when: str) -> None:
    world = World()
    asking(world, "a")
    world.ask_to_leave("a")
    if when == "asleep":
        leave(world, "a")
    else:
        world.step("a")
    world.stop("a")
    if when == "leaving":
        leave(world, "a")
    world.get_ready("a")
    world.step("a")
    assert [answer.stopped for answer in world.answers] == [1]
    assert not world.open["a"]
    assert not world.core.entries["a"].stops


def test_a_stop_of_who_sleeps_and_finds_no_place_is_recorded_and_told() -> None:
    world = World(RouterLimits(max_live=1))
    asking(world, "a")
    world.replay("a")
    world.deliver("b", "b1")
    leave(world, "a")
    world.get_ready("b")
    world.step("b")  # its turn runs
    world.stop("a")
    assert not world.endings
    world.tick(0.6)
    world.end_turns()
    assert [answer.stopped for answer in world.answers] == [1]
    assert [lost.session for lost in world.lost] == ["a"], "who follows asks for the end of the turn"
    world.settle(for_s=5)
    assert world.phase("a") is None or not world.core.entries["a"].stops


def test_a_stop_of_who_was_woken_and_waits_for_a_place_is_told() -> None:
    world = World(RouterLimits(max_live=1))
    asking(world, "a")
    world.replay("a")
    world.deliver("b", "b1")
    leave(world, "a")
    world.get_ready("b")
    world.step("b")  # its turn runs
    world.decide("a")
    assert world.phase("a") is Phase.WAITING
    world.stop("a")
    world.end_turns()
    assert [answer.stopped for answer in world.answers] == [1]
    assert [lost.session for lost in world.lost] == ["a"]


def test_the_end_of_a_connection_is_told_to_who_sleeps_when_it_wakes() -> None:
    world = World()
    asking(world, "a")
    world.ask_to_leave("a")
    leave(world, "a")
    world.do(world.core.end_session(EndSession(session="a"), world.now))
    assert not world.sessions
    world.decide("a")
    world.get_ready("a")
    kinds = [type(message) for message in world.sessions["a"].mailbox]
    assert kinds == [EndSession, DecideApproval]


def test_only_so_many_sleep_while_people_are_asked() -> None:
    world = World(RouterLimits(max_asking=1))
    asking(world, "a", "b")
    for key in ("a", "b"):
        world.ask_to_leave(key)
        leave(world, key)
    assert list(world.sessions) == ["b"]
