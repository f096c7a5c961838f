"""Which message a session's death is blamed on, and how often it may kill before it is set aside."""

from __future__ import annotations

import pytest

from openclaw_actors.messages import (
    SessionGivesUp,
)
from tests.unit.core.router_world import World

# Poison


def _kill_by_own_doing(world: World, key: str) -> None:
    world.die(key)
    world.tick(1.0)
    world.get_ready(key)


def test_only_the_turn_is_to_blame_when_one_ran() -> None:
    world = World()
    world.deliver("a", "m1")
    world.get_ready("a")
    world.step("a")
    world.deliver("a", "m2")
    for _ in range(3):
        _kill_by_own_doing(world, "a")
    assert [fork.deaths for fork in world.forks] == [0, 1, 1, 1]
    assert not world.refused
    world.settle(for_s=1)
    assert world.recorded["a"] == ["m1", "m2"]


def test_the_first_message_without_a_receipt_is_to_blame_when_no_turn_ran() -> None:
    world = World()
    world.deliver("a", "m1")
    world.get_ready("a")
    world.deliver("a", "m2")
    _kill_by_own_doing(world, "a")
    assert not world.refused
    _kill_by_own_doing(world, "a")
    assert {name: refused.code for name, refused in world.refused.items()} == {"m1": "quarantined"}
    world.settle(for_s=1)
    assert world.recorded["a"] == ["m2"]


def test_the_message_that_a_session_names_as_it_crashes_is_to_blame_and_the_turn_is_not() -> None:
    world = World()
    world.deliver("a", "m1")
    world.get_ready("a")
    world.step("a")
    world.deliver("a", "m2")
    world.deliver("a", "m3")
    for _ in range(2):
        world.core.crashes("a", "id-m3")
        _kill_by_own_doing(world, "a")
    assert {name: refused.code for name, refused in world.refused.items()} == {"m3": "quarantined"}
    assert [fork.deaths for fork in world.forks] == [0, 0, 0]
    world.settle(for_s=1)
    assert world.recorded["a"] == ["m1", "m2"]


@pytest.mark.parametrize("how", ["cannot open", "slow to open", "by hand", "store refuses"])
def test_an_end_that_is_no_message_s_fault_blames_none(how: str) -> None:
    world = World()
    world.deliver("a", "m1")
    for _ in range(4):
        match how:
            case "cannot open":
                world.core.start_failed("a", "unavailable", "EMFILE")
            case "slow to open":
                for _ in range(130):
                    world.tick(0.25)
                assert world.sessions["a"].killed
            case "by hand":
                world.get_ready("a")
                world.do(world.core.restart_by_hand("a", world.now) or [])
            case _:
                world.get_ready("a")
                gives_up = SessionGivesUp(
                    session="a", incarnation=world.sessions["a"].incarnation, reason="gap"
                )
                world.core.gives_up(gives_up)
        world.die("a")
        for _ in range(8):
            world.tick(0.25)
        assert "a" in world.sessions
    world.settle(for_s=1)
    assert not world.refused
    assert "its process ended unexpectedly" not in [lost.reason for lost in world.lost]
    assert {fork.deaths for fork in world.forks} == {0}
    assert world.recorded["a"] == ["m1"]


def test_a_death_is_counted_once_though_the_next_start_fails() -> None:
    world = World()
    world.deliver("a", "m1")
    world.get_ready("a")
    world.step("a")
    world.die("a")
    world.die("a")  # while it opens its conversation
    world.tick(1.0)
    assert [fork.deaths for fork in world.forks] == [0, 1, 1]
    world.get_ready("a")
    world.do(world.core.restart_by_hand("a", world.now) or [])
    world.die("a")
    assert [fork.deaths for fork in world.forks] == [0, 1, 1, 0]


def test_a_conversation_that_cannot_be_opened_is_given_up_and_its_senders_told() -> None:
    world = World()
    world.deliver("a", "m1")
    world.core.start_failed("a", "corrupt", "its journal is damaged")
    world.die("a")
    assert world.refused["m1"].code == "persistence_failed"
    assert not world.core.entries


def test_a_session_that_keeps_dying_starts_ever_more_slowly() -> None:
    world = World()
    world.deliver("a", "m1")
    for _ in range(8):
        if "a" in world.sessions:
            world.get_ready("a")
            world.open["a"] = ["x"]
            world.die("a")
        world.tick(1.0)
    assert world.core.entries["a"].policy.failed
    assert world.core.entries["a"].restart_at - world.now > 15.0
    assert world.core.restart_by_hand("a", world.now) is not None
