"""The router while a conversation goes to the archive or comes back: nobody waits in vain, nothing is taken twice."""

from __future__ import annotations

import pytest

from openclaw_actors.core.router import RouterCore
from openclaw_actors.core.routing import Phase, RouterLimits
from openclaw_actors.messages import Notice, TurnDone, Usage
from tests.unit.core.router_world import World, delivery

KEY = "websocket:local:a"


def ended(name: str) -> TurnDone:
    return TurnDone(
        seq=7, turn_id=f"turn-{name}", message_id=f"id-{name}", status="stopped", text="", usage=Usage()
    )


def live_world(limits: RouterLimits | None = None) -> World:
    """A router with one session that has answered a message."""
    world = World(limits)
    world.deliver(KEY, "first")
    world.get_ready(KEY)
    world.step(KEY)
    world.answer(KEY)
    return world


def begin(world: World) -> None:
    effects = world.moves.begin(KEY, world.now)
    assert effects is not None
    world.do(effects)


def moved(world: World, *ends: str, incarnation: int = 99) -> None:
    assert world.to_move == [KEY]
    world.to_move.clear()
    world.open.pop(KEY, None)
    world.do(world.moves.moved(KEY, incarnation, [ended(name) for name in ends], "it is gone", world.now))


def test_idle_session_is_ended_before_its_conversation_moves() -> None:
    world = live_world()
    begin(world)
    assert world.to_move == []
    world.step(KEY)  # the stop
    assert world.sessions[KEY].killed
    assert world.to_move == []
    world.die(KEY)
    moved(world)
    assert world.phase(KEY) is Phase.ASLEEP, "its connection follows it still"
    assert world.lost == []


def test_running_turn_is_stopped_and_what_waits_behind_it() -> None:
    world = live_world()
    for name in ("second", "third"):
        world.deliver(KEY, name)
        world.step(KEY)
    begin(world)
    world.step(KEY)
    assert world.answers[-1].stopped == 2
    world.die(KEY)
    moved(world)
    world.settle()
    assert len(world.forks) == 1, "nothing is left to resume"


def test_message_that_comes_meanwhile_goes_to_the_new_conversation() -> None:
    world = live_world()
    begin(world)
    world.deliver(KEY, "second")
    world.step(KEY)
    assert not world.sessions[KEY].mailbox, "the old incarnation is not given it"
    world.die(KEY)
    world.deliver(KEY, "third")
    assert len(world.forks) == 1
    moved(world)
    world.settle()
    assert world.recorded[KEY] == ["first", "second", "third"]
    assert world.refused == {}


def test_message_that_was_accepted_as_the_process_died_is_not_taken_again() -> None:
    world = live_world()
    world.deliver(KEY, "second")  # its acceptance is journalled, but never heard of
    begin(world)
    world.sessions[KEY].mailbox.clear()
    world.tick(1.0)
    assert world.sessions[KEY].killed, "a session that does not stop is killed"
    world.die(KEY)
    moved(world, "second")
    assert world.accepted == ["second"]
    world.settle()
    assert world.recorded[KEY] == ["first"]
    events = world.told[-1].events
    assert [type(event) for event in events] == [TurnDone, Notice]
    assert world.told[-1].incarnation == 99


@pytest.mark.parametrize("when", ["starting", "backing off", "asleep", "unknown", "passivating", "stopping"])
def test_session_in_any_phase_can_be_moved(when: str) -> None:
    world = World()
    if when == "starting":
        world.deliver(KEY, "first")
        begin(world)
        assert world.sessions[KEY].killed
        world.die(KEY)
    elif when == "unknown":
        begin(world)
    else:
        world = live_world()
        if when == "backing off":
            while world.phase(KEY) is not Phase.BACKING_OFF:
                if KEY in world.sessions:
                    world.die(KEY)
            begin(world)
        elif when == "stopping":
            entry = world.core.entries[KEY]
            world.do(world.core.kill(entry, "for a test", world.now))
            begin(world)
            world.die(KEY)
        else:
            world.ask_to_leave(KEY)
            world.step(KEY)
            if when == "asleep":
                world.die(KEY)
                begin(world)
            else:
                begin(world)
                world.die(KEY)
    forks = len(world.forks)
    world.tick(60.0)
    assert len(world.forks) == forks, "it must not start before the store is done"
    moved(world)
    if when == "starting":
        world.settle()
        assert world.recorded[KEY] == ["first"]
    else:
        assert KEY not in world.core.entries or world.phase(KEY) is Phase.ASLEEP
    world.deliver(KEY, "next")
    world.settle()
    assert world.recorded[KEY][-1] == "next"


def test_refusal_of_the_store_lets_the_session_go_on() -> None:
    world = live_world()
    begin(world)
    world.deliver(KEY, "second")
    world.step(KEY)
    world.die(KEY)
    world.to_move.clear()
    world.do(world.moves.not_moved(KEY, world.now))
    world.settle()
    assert world.recorded[KEY] == ["first", "second"]


def test_refusal_leaves_nothing_of_a_session_that_was_not_there() -> None:
    world = World()
    begin(world)
    world.do(world.moves.not_moved(KEY, world.now))
    assert KEY not in world.core.entries
    assert world.forks == []


def test_one_move_at_a_time() -> None:
    world = live_world()
    begin(world)
    assert world.moves.begin(KEY, world.now) is None
    assert world.moves.leave(KEY) is None


def test_stop_said_in_words_does_not_keep_the_move_waiting() -> None:
    world = live_world()
    world.do(world.core.deliver(delivery(KEY, "/stop"), world.now))
    begin(world)
    world.step(KEY)  # the words
    world.step(KEY)  # the stop of the move
    assert world.sessions[KEY].killed
    world.die(KEY)
    moved(world)


def test_stop_that_comes_meanwhile_is_answered() -> None:
    world = live_world()
    begin(world)
    world.step(KEY)
    world.die(KEY)
    world.stop(KEY, connection="x")
    moved(world)
    assert [(each.connection, each.stopped) for each in world.answers] == [(None, 0), ("x", 0)]


def test_replay_that_comes_meanwhile_is_answered_by_the_new_conversation() -> None:
    world = live_world()
    begin(world)
    world.replay(KEY)
    world.step(KEY)
    world.die(KEY)
    moved(world)
    assert len(world.forks) == 2


def test_drain_meanwhile_ends_in_a_refusal_and_no_new_session() -> None:
    world = live_world()
    begin(world)
    world.deliver(KEY, "second")
    world.step(KEY)
    world.do(world.core.drain())
    world.die(KEY)
    moved(world)
    assert world.refused["second"].code == "draining"
    assert len(world.forks) == 1
    assert KEY not in world.core.entries


def test_place_is_free_for_another_session_meanwhile() -> None:
    world = live_world(RouterLimits(max_live=1))
    world.deliver("websocket:local:b", "b")
    assert len(world.forks) == 1
    begin(world)
    world.step(KEY)
    world.die(KEY)
    assert len(world.forks) == 2


def test_closed_router_refuses_and_goes_on_with_what_it_has() -> None:
    world = live_world()
    world.deliver(KEY, "second")
    world.core.closed = True
    world.deliver(KEY, "third")
    world.deliver("websocket:local:b", "fourth")
    assert {name: each.code for name, each in world.refused.items()} == {
        "third": "draining",
        "fourth": "draining",
    }
    world.settle()
    assert world.recorded[KEY] == ["first", "second"]
    world.core.closed = False
    world.deliver(KEY, "fifth")
    world.settle()
    assert world.recorded[KEY] == ["first", "second", "fifth"]


def test_only_an_idle_session_leaves_by_hand() -> None:
    world = live_world()
    world.deliver(KEY, "second")
    assert world.moves.leave(KEY) is None
    world.step(KEY)
    world.answer(KEY)
    effects = world.moves.leave(KEY)
    assert effects is not None
    world.do(effects)
    world.step(KEY)
    world.step(KEY)
    assert world.phase(KEY) is Phase.PASSIVATING
    assert world.moves.leave("websocket:local:nobody") is None
    assert isinstance(world.core, RouterCore)
