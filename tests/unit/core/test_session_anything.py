"""Whatever happens to a conversation, a crash at any effect above all: nothing is lost, doubled or reordered."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from openclaw_actors.core.admission import SessionLimits
from openclaw_actors.core.commands import BUSY_MODES, BusyMode
from openclaw_actors.core.effects import Effect
from openclaw_actors.core.records import TurnEnded
from tests.unit.core.session_world import Crash, World, delivery

# Crashes at every effect


def _talk(world: World) -> None:
    """A scene with everything in it; may be called again after a crash, as clients and router repeat themselves."""
    steps: list[Callable[[], None]] = [
        lambda: world.deliver(delivery("m1")),
        lambda: world.store_writes_all(),
        lambda: world.deliver(delivery("m2")),
        lambda: world.deliver(delivery("m3")),
        lambda: world.model_says("let "),
        lambda: world.store_writes_all(),
        lambda: world.model_answers("let me look", "a", "b"),
        lambda: world.store_writes_all(),
        lambda: world.tool_ends(),
        lambda: world.store_writes_all(),
        lambda: world.tool_ends(),
        lambda: world.store_writes_all(),
        lambda: world.model_answers("done"),
        lambda: world.store_writes_all(),
        lambda: world.model_says("half"),
        lambda: world.stop(),
        lambda: world.deliver(delivery("m4")),
        lambda: world.store_writes_all(),
    ]
    for step in steps:
        step()


def _effects_of_the_scene() -> int:
    world = World()
    _talk(world)
    return world.effects


@pytest.mark.parametrize("moment", ["before", "after", "stored but not told"])
def test_a_crash_at_any_effect_loses_doubles_and_reorders_nothing(moment: str) -> None:
    for number in range(1, _effects_of_the_scene() + 1):
        world = World()

        def crash(at: int, effect: Effect, number: int = number) -> None:
            if at == number:
                raise Crash

        if moment == "before":
            world.before = crash
        else:
            world.after = crash
        with pytest.raises(Crash):
            _talk(world)
        world.before = world.after = lambda at, effect: None
        if moment == "stored but not told" and world.write is not None:
            world.store_writes(tells=False)
        stop_was_asked = bool(world.stops)
        ended_before = len(world.ends())
        world.crash()
        for name in ("m1", "m2", "m3", "m4"):  # their clients repeat what they have no receipt for
            if name not in world.accepted:
                world.deliver(delivery(name, hand_over=2))
        world.settle()
        world.check_all_answered()
        assert [end.message_id for end in world.ends()] == ["m1", "m2", "m3", "m4"]
        if stop_was_asked and ended_before < 2:
            assert world.ends()[1].status == "stopped", "a stop did not survive"


COMMANDS = ("/stop", "/approve", "/deny", "/new", "/status", "/queue steer", "/branch x")


class SessionMachine(RuleBasedStateMachine):
    """Anything may happen at any time, a crash above all."""

    @initialize(mode=st.sampled_from(BUSY_MODES))
    def begin(self, mode: BusyMode) -> None:
        self.world = World(SessionLimits(max_pending=4, max_batch_chars=60, busy_mode=mode))
        self.world.asking = frozenset({"b", "D"})
        self.world.alone = frozenset({"C", "D"})
        self.names = 0
        self.texts: dict[str, str] = {}

    @precondition(lambda self: self.world.asked)
    @rule(approved=st.booleans(), which=st.integers(0, 3))
    def decide(self, approved: bool, which: int) -> None:
        asked = self.world.asked
        self.world.decides(asked[which % len(asked)], approved=approved)

    @precondition(lambda self: self.world.asked)
    @rule()
    def let_expire(self) -> None:
        self.world.do(self.world.core.approval_expired(self.world.asked[0], self.world.now))

    @rule(command=st.sampled_from([*[""] * 5, *COMMANDS]))
    def say(self, command: str) -> None:
        self.names += 1
        name = f"m{self.names}"
        self.texts[name] = command or f"text of {name}"
        self.world.deliver(delivery(name, self.texts[name]))

    @rule(number=st.integers(1, 8), hand_over=st.integers(2, 4))
    def repeat(self, number: int, hand_over: int) -> None:
        if number <= self.names:
            name = f"m{number}"
            self.world.deliver(delivery(name, self.texts[name], hand_over=hand_over))

    @precondition(lambda self: self.world.commands)
    @rule()
    def end_command(self) -> None:
        self.world.command_ends()

    @rule(queue=st.booleans())
    def stop(self, queue: bool) -> None:
        self.world.stop(queue=queue)

    @precondition(lambda self: self.world.write is not None)
    @rule(durable=st.booleans())
    def write(self, durable: bool) -> None:
        self.world.store_writes(durable=durable)

    @precondition(lambda self: self.world.write is not None)
    @rule()
    def refuse(self) -> None:
        self.world.store_refuses()

    @precondition(lambda self: self.world.retry)
    @rule()
    def try_again(self) -> None:
        self.world.retry = False
        self.world.do(self.world.core.try_again(self.world.now))

    @precondition(lambda self: self.world.call is not None)
    @rule()
    def piece(self) -> None:
        self.world.model_says("word ")

    @precondition(lambda self: self.world.call is not None)
    @rule(tools=st.lists(st.sampled_from(["a", "b", "C", "D"]), max_size=4, unique=True))
    def answer(self, tools: list[str]) -> None:
        self.world.model_answers("word word", *tools)

    @precondition(lambda self: self.world.call is not None)
    @rule(code=st.sampled_from(["provider", "stream_broken"]))
    def fail(self, code: str) -> None:
        self.world.model_fails(code)

    @rule()
    def lose_model(self) -> None:
        self.world.call = None
        self.world.do(self.world.core.model_lost(self.world.now))

    @precondition(lambda self: self.world.tools)
    @rule()
    def end_tool(self) -> None:
        self.world.tool_ends()

    @rule()
    def time_out(self) -> None:
        if self.world.core.turn is not None:
            self.world.do(self.world.core.turn_timed_out(self.world.core.turn.turn_id, self.world.now))

    @precondition(lambda self: self.world.core.rests)
    @rule()
    def leave_and_come_back(self) -> None:
        assert self.world.write is None
        assert not self.world.tools
        assert self.world.call is None
        self.world.open()

    @rule(deaths=st.integers(0, 1), stored=st.booleans())
    def crash(self, deaths: int, stored: bool) -> None:
        if stored and self.world.write is not None:
            self.world.store_writes(tells=False)
        self.world.crash(deaths=deaths)

    @invariant()
    def the_journal_is_in_order(self) -> None:
        if hasattr(self, "world"):
            self.world.check_journal()

    def teardown(self) -> None:
        if hasattr(self, "world"):
            self.world.settle()
            self.world.check_all_answered()
            statuses = {end.status for end in self.world.journal if isinstance(end, TurnEnded)}
            assert statuses <= {"completed", "stopped", "failed"}


SessionMachine.TestCase.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
test_nothing_is_lost_whatever_happens = SessionMachine.TestCase
