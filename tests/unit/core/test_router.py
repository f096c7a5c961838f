"""Tests where messages go: to the session that lives, to the next incarnation, or back to who sent them."""

from __future__ import annotations

import pytest

from openclaw_actors.core.routing import Phase, RouterLimits
from openclaw_actors.messages import (
    Deliver,
    EndSession,
    PassivationAsked,
    PassivationDeclined,
    Replay,
    Unfollow,
)
from tests.unit.core.router_world import World, delivery


def test_the_first_message_forks_its_session_and_reaches_it_when_it_is_ready() -> None:
    world = World()
    world.deliver("a", "m1")
    assert list(world.sessions) == ["a"]
    assert not world.sessions["a"].mailbox
    world.deliver("a", "m2")
    world.get_ready("a")
    world.deliver("a", "m3")
    world.settle(for_s=1)
    assert world.recorded["a"] == ["m1", "m2", "m3"]


def test_fifty_first_messages_make_one_process_and_keep_their_order() -> None:
    world = World(RouterLimits(max_pending=50))
    names = [f"m{number}" for number in range(50)]
    for name in names:
        world.deliver("a", name)
    world.settle(for_s=1)
    assert len(world.forks) == 1
    assert world.recorded["a"] == names


def test_what_had_no_receipt_goes_to_the_next_incarnation_in_order() -> None:
    world = World()
    world.deliver("a", "m1")
    world.get_ready("a")
    for name in ("m2", "m3"):
        world.deliver("a", name)
    world.step("a")
    world.die("a")
    world.deliver("a", "m4")
    world.settle(for_s=5)
    assert world.recorded["a"] == ["m1", "m2", "m3", "m4"]


def test_a_repeated_hand_over_is_not_passed_on_twice() -> None:
    world = World()
    world.deliver("a", "m1")
    world.deliver("a", "m1")
    world.settle(for_s=1)
    assert world.recorded["a"] == ["m1"]


def test_too_many_messages_without_a_receipt_are_refused() -> None:
    world = World(RouterLimits(max_pending=2))
    for name in ("m1", "m2", "m3"):
        world.deliver("a", name)
    assert {name: refused.code for name, refused in world.refused.items()} == {"m3": "busy"}


def test_a_message_that_the_sessions_queue_does_not_take_is_refused_and_forgotten() -> None:
    world = World()
    world.deliver("a", "m1")
    world.get_ready("a")
    world.do(world.core.not_sent(delivery("a", "m1")))
    assert world.refused["m1"].code == "busy"
    assert not world.core.entries["a"].unsettled


# Passivation


def test_a_message_that_crosses_with_the_wish_to_leave_keeps_the_session() -> None:
    world = World()
    world.deliver("a", "m1")
    world.get_ready("a")
    world.do(world.core.passivation_asked(PassivationAsked(session="a", incarnation=1), world.now))
    assert isinstance(world.sessions["a"].mailbox[-1], PassivationDeclined)
    assert world.phase("a") is Phase.LIVE


def test_what_arrives_after_the_leave_was_granted_goes_to_the_next_incarnation() -> None:
    world = World()
    world.deliver("a", "m1")
    world.settle(for_s=1)
    world.ask_to_leave("a")
    world.deliver("a", "m2")
    world.step("a")
    world.die("a")
    world.settle(for_s=1)
    assert world.recorded["a"] == ["m1", "m2"]
    assert [fork.deaths for fork in world.forks] == [0, 0]


def test_a_replay_that_is_asked_for_after_the_leave_was_granted_is_answered_by_the_next_incarnation() -> None:
    world = World()
    world.deliver("a", "m1")
    world.settle(for_s=1)
    world.ask_to_leave("a")
    world.replay("a", "d")
    world.die("a")
    world.get_ready("a")
    assert any(isinstance(message, Replay) for message in world.sessions["a"].mailbox)


def test_a_leave_that_the_store_does_not_allow_gives_the_buffer_to_the_same_session() -> None:
    world = World()
    world.deliver("a", "m1")
    world.settle(for_s=1)
    world.ask_to_leave("a")
    world.deliver("a", "m2")
    world.step("a")
    world.decline("a")
    world.settle(for_s=1)
    assert world.recorded["a"] == ["m1", "m2"]
    assert len(world.forks) == 1


def test_a_wish_to_leave_is_always_answered() -> None:
    world = World()
    world.deliver("a", "m1")
    world.do(world.core.passivation_asked(PassivationAsked(session="a", incarnation=1), world.now))
    assert isinstance(world.sessions["a"].mailbox[-1], PassivationDeclined)


def test_a_passivated_session_is_forgotten_once_nobody_follows_it() -> None:
    world = World()
    world.deliver("a", "m1")
    world.settle(for_s=1)
    world.ask_to_leave("a")
    world.settle(for_s=1)
    assert world.phase("a") is Phase.ASLEEP
    world.do(world.core.unfollow(Unfollow(session="a", channel="websocket")))
    assert not world.core.entries


def test_no_entry_is_left_of_sessions_that_came_and_went() -> None:
    world = World(RouterLimits(max_live=3))
    for number in range(200):
        key = f"s{number}"
        world.deliver(key, f"m{number}")
        world.settle(for_s=1)
        world.do(world.core.unfollow(Unfollow(session=key, channel="websocket")))
        world.do(world.core.end_session(EndSession(session=key), world.now))
        world.settle(for_s=1)
    assert not world.core.entries
    assert not world.sessions


# Stop


def test_a_stop_reaches_the_session_and_its_confirmation_ends_it() -> None:
    world = World()
    world.deliver("a", "m1")
    world.get_ready("a")
    world.step("a")
    world.stop("a")
    world.step("a")
    assert [(answer.stopped, answer.connection) for answer in world.answers] == [(1, "c")]
    world.tick(5.0)
    assert not world.sessions["a"].killed


def test_a_stop_is_not_heard_before_what_was_said_before_it() -> None:
    """Else there is nothing to stop yet, and what it was about runs after it."""
    world = World()
    world.deliver("a", "m1")
    world.stop("a")
    world.deliver("a", "m2")
    world.tick(2.0)
    assert not world.sessions["a"].killed, "a process that is slow to start has not refused to stop"
    world.get_ready("a")
    heard = [type(message).__name__ for message in world.sessions["a"].mailbox]
    assert heard == ["Deliver", "Deliver", "StopTurn"]
    world.settle(for_s=1)
    assert [answer.stopped for answer in world.answers] == [1]


@pytest.mark.parametrize("leaves", [True, False])
def test_a_stop_ends_what_was_said_to_a_session_that_is_about_to_leave(leaves: bool) -> None:
    world = World()
    world.deliver("a", "m1")
    world.settle(for_s=1)
    world.ask_to_leave("a")
    world.deliver("a", "m2")
    world.stop("a")
    assert not world.answers, "there is something to stop"
    world.step("a")
    if leaves:
        world.die("a")
    else:
        world.decline("a")
    world.settle(for_s=1)
    assert world.recorded["a"] == ["m1", "m2"]
    assert [answer.stopped for answer in world.answers] == [1]


def test_a_session_that_does_not_stop_in_time_is_killed_and_the_stop_recorded_before_it_starts_again() -> (
    None
):
    world = World()
    world.deliver("a", "m1")
    world.get_ready("a")
    world.step("a")
    world.deliver("a", "m2")
    world.stop("a")
    world.tick(0.3)
    assert not world.sessions["a"].killed
    world.tick(0.3)
    assert world.sessions["a"].killed
    world.die("a")
    assert [ending.key for ending in world.endings] == ["a"]
    world.tick(60.0)
    assert not world.sessions, "started before the stop was recorded"
    world.end_turns()
    assert [answer.stopped for answer in world.answers] == [1]
    assert list(world.sessions) == ["a"]
    assert world.forks[-1].deaths == 0
    world.settle(for_s=1)
    assert world.recorded["a"] == ["m1", "m2"]


def test_repeated_stops_do_not_put_the_end_off_and_end_one_turn_only() -> None:
    world = World()
    world.deliver("a", "m1")
    world.get_ready("a")
    world.step("a")
    world.deliver("a", "m2")
    world.step("a")
    for number in range(4):
        world.stop("a", connection=f"c{number}")
        world.tick(0.2)
    assert world.sessions["a"].killed
    world.die("a")
    world.stop("a", connection="c4")
    assert len(world.endings) == 1
    world.end_turns()
    assert [(answer.connection, answer.stopped) for answer in world.answers] == [
        (f"c{number}", 1) for number in range(5)
    ]
    assert world.open["a"] == ["m2"]


def test_a_stop_of_the_queue_that_comes_while_one_turn_is_ended_ends_the_queue_too() -> None:
    world = World()
    world.deliver("a", "m1")
    world.get_ready("a")
    world.step("a")
    world.deliver("a", "m2")
    world.step("a")
    world.stop("a")
    world.tick(0.6)
    world.die("a")
    world.stop("a", queue=True, connection="d")
    world.end_turns()
    world.end_turns()
    assert [(answer.connection, answer.stopped) for answer in world.answers] == [("c", 2), ("d", 2)]
    assert world.open["a"] == []


def test_a_stop_before_the_open_turns_are_known_is_recorded_and_not_lost() -> None:
    world = World(recovered=False)
    world.open["a"] = ["m1"]
    world.stop("a")
    assert [ending.key for ending in world.endings] == ["a"]
    world.do(world.core.recover(["a"], world.now))
    assert not world.sessions
    world.end_turns()
    assert [answer.stopped for answer in world.answers] == [1]
    assert world.open["a"] == []


def test_a_stop_that_a_dying_process_never_heard_is_answered_once() -> None:
    world = World()
    world.deliver("a", "m1")
    world.stop("a")
    world.die("a")
    world.end_turns()
    world.tick(1.0)
    world.get_ready("a")
    while world.sessions["a"].mailbox:
        world.step("a")
    assert len(world.answers) == 1


def test_a_stop_of_a_session_that_does_not_live_says_that_nothing_was_stopped() -> None:
    world = World()
    world.stop("a")
    assert [answer.stopped for answer in world.answers] == [0]
    assert not world.core.entries


# Recovery and drain


def test_recovery_is_oldest_first_and_within_its_limits() -> None:
    world = World(RouterLimits(max_live=4, max_recovering=2), recovered=False)
    for key in "abcdef":
        world.open[key] = [key]
    world.do(world.core.recover("abcdef", world.now))
    assert [fork.key for fork in world.forks] == ["a", "b"]
    world.get_ready("a")
    assert [fork.key for fork in world.forks] == ["a", "b", "c"]
    world.settle(for_s=10)
    assert [fork.key for fork in world.forks] == list("abcdef")
    assert not any(world.open.values())


def test_a_person_who_writes_does_not_wait_for_the_recovery_of_others() -> None:
    world = World(RouterLimits(max_recovering=1), recovered=False)
    world.do(world.core.recover("abc", world.now))
    world.deliver("new", "m1")
    assert [fork.key for fork in world.forks] == ["a", "new"]


def test_a_drain_refuses_what_no_living_session_has_and_starts_nothing() -> None:
    world = World(RouterLimits(max_live=2))
    world.deliver("a", "a1")
    world.get_ready("a")
    world.step("a")
    world.deliver("b", "b1")
    world.deliver("c", "c1")
    world.do(world.core.drain())
    world.deliver("d", "d1")
    world.get_ready("b")
    assert {name: refused.code for name, refused in world.refused.items()} == dict.fromkeys(
        ("b1", "c1", "d1"), "draining"
    )
    assert not any(isinstance(message, Deliver) for message in world.sessions["b"].mailbox)
    world.die("a")
    world.tick(60.0)
    assert list(world.sessions) == ["b"]


def test_a_session_that_dies_in_the_drain_leaves_no_message_without_an_answer() -> None:
    world = World()
    world.deliver("a", "m1")
    world.get_ready("a")
    world.do(world.core.drain())
    world.die("a")
    assert world.refused["m1"].code == "draining"
    assert not world.core.entries


def test_a_stop_in_the_drain_is_recorded_in_the_place_of_a_session_that_does_not_answer() -> None:
    world = World()
    world.deliver("a", "m1")
    world.get_ready("a")
    world.step("a")
    world.do(world.core.drain())
    world.stop("a")
    world.tick(0.6)
    world.die("a")
    world.end_turns()
    assert [answer.stopped for answer in world.answers] == [1]
    assert world.open["a"] == []
    assert not world.core.entries


def test_followers_hear_of_a_death_and_their_old_replays_are_forgotten() -> None:
    world = World()
    world.replay("a")
    world.get_ready("a")
    world.deliver("a", "m1")
    world.die("a")
    world.replay("a", "d")
    assert [(lost.session, lost.incarnation) for lost in world.lost] == [("a", 1)]
    world.tick(1.0)
    world.get_ready("a")
    replays = [m.connection for m in world.sessions["a"].mailbox if isinstance(m, Replay)]
    assert replays == ["d"]
