"""Why sessions start, die and leave, in the words that are counted."""

from __future__ import annotations

from openclaw_actors.core.metrics import RESTART_REASONS
from openclaw_actors.core.routing import RouterLimits
from openclaw_actors.messages import PassivationAsked, SessionGivesUp
from tests.unit.core.router_world import World

LIMITS = RouterLimits(ping_timeout_s=4.0, start_timeout_s=10.0, stop_timeout_s=0.5)


def live(limits: RouterLimits = LIMITS) -> World:
    world = World(limits)
    world.deliver("a", "m1")
    world.get_ready("a")
    world.step("a")
    return world


def death_of(world: World) -> str:
    """The word for a death, and that the next process is a replacement."""
    death = world.core.entries["a"].death or "died"
    world.die("a")
    while world.endings:
        world.end_turns()
    while "a" not in world.sessions:
        world.tick()
    assert [fork.why for fork in world.forks] == ["message", "restart"]
    assert world.core.entries["a"].death == ""
    assert death in RESTART_REASONS
    return death


def test_somebody_writes() -> None:
    assert [fork.why for fork in live().forks] == ["message"]


def test_a_turn_was_open_at_the_start() -> None:
    world = World(recovered=False)
    world.do(world.core.recover(["a"], world.now))
    assert [fork.why for fork in world.forks] == ["recovery"]


def test_it_dies() -> None:
    assert death_of(live()) == "died"


def test_it_does_not_answer() -> None:
    world = live()
    while not world.sessions["a"].killed:
        world.tick()
    assert death_of(world) == "stuck"


def test_it_does_not_stop() -> None:
    world = live()
    world.stop("a")
    while not world.sessions["a"].killed:
        world.tick()
    assert death_of(world) == "stop_timeout"


def test_it_does_not_get_ready() -> None:
    world = World(LIMITS)
    world.deliver("a", "m1")
    while not world.sessions["a"].killed:
        world.tick()
    assert death_of(world) == "start_timeout"


def test_an_operator_restarts_it() -> None:
    world = live()
    effects = world.core.restart_by_hand("a", world.now)
    assert effects is not None
    world.do(effects)
    assert death_of(world) == "operator"


def test_the_store_refuses_it() -> None:
    world = live()
    world.core.gives_up(SessionGivesUp(session="a", incarnation=1, reason="fenced"))
    assert death_of(world) == "store_refused"


def test_it_does_not_leave() -> None:
    world = live()
    world.answer("a")
    world.ask_to_leave("a")
    world.deliver("a", "m2")
    while not world.sessions["a"].killed:
        world.tick()
    assert death_of(world) == "passivation_timeout"


def leaves_for(world: World, reason: str = "idle") -> str:
    asked = PassivationAsked(session="a", incarnation=1, reason=reason)
    world.do(world.core.passivation_asked(asked, world.now))
    return world.core.entries["a"].leaves_for


def test_it_is_idle() -> None:
    world = live()
    world.answer("a")
    assert leaves_for(world) == "idle"


def test_its_connection_is_closed() -> None:
    world = live()
    world.answer("a")
    assert leaves_for(world, "connection_closed") == "connection_closed"


def test_it_makes_room() -> None:
    world = live(RouterLimits(max_live=1))
    world.answer("a")
    world.deliver("b", "m1")
    assert leaves_for(world) == "room"


def test_who_comes_back_after_a_leave_replaces_nobody() -> None:
    world = live()
    world.answer("a")
    world.ask_to_leave("a")
    world.step("a")
    world.die("a")
    world.deliver("a", "m2")
    assert [fork.why for fork in world.forks] == ["message", "message"]
