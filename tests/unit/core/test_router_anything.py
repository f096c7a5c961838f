"""Whatever happens to sessions, in any order, no message is lost and nobody waits for ever."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from openclaw_actors.core.routing import RouterLimits
from openclaw_actors.messages import (
    EndSession,
    SessionGivesUp,
    Unfollow,
)
from tests.unit.core.router_world import World

KEYS = st.sampled_from(["a", "b", "c", "d"])


class RouterMachine(RuleBasedStateMachine):
    """Anything may happen at any time, to any session."""

    @initialize(recovering=st.lists(KEYS, unique=True))
    def begin(self, recovering: list[str]) -> None:
        limits = RouterLimits(
            max_live=2, max_pending=5, max_recovering=1, max_starting=1, start_timeout_s=10.0
        )
        self.world = World(limits, recovered=False)
        self.recovering = recovering
        for key in recovering:
            self.world.open[key] = [f"old-{key}"]
        self.sent: dict[str, list[str]] = {}
        self.stops = 0
        self.count = 0

    def _ready(self, key: str) -> bool:
        session = self.world.sessions.get(key)
        return session is not None and session.is_ready and not session.killed and not session.granted

    @precondition(lambda self: not self.world.core.recovered)
    @rule()
    def recover(self) -> None:
        self.world.do(self.world.core.recover(self.recovering, self.world.now))

    @rule(key=KEYS)
    def deliver(self, key: str) -> None:
        self.count += 1
        name = f"m{self.count}"
        self.sent.setdefault(key, []).append(name)
        self.world.deliver(key, name)

    @rule(key=KEYS, queue=st.booleans())
    def stop(self, key: str, queue: bool) -> None:
        self.stops += 1
        self.world.stop(key, queue=queue, connection=f"c{self.stops}")

    @rule(key=KEYS)
    def follow(self, key: str) -> None:
        self.world.replay(key)

    @rule(key=KEYS)
    def unfollow(self, key: str) -> None:
        self.world.do(self.world.core.unfollow(Unfollow(session=key, channel="websocket")))

    @rule(key=KEYS)
    def end_session(self, key: str) -> None:
        self.world.do(self.world.core.end_session(EndSession(session=key), self.world.now))

    @rule()
    def restart_channel(self) -> None:
        self.world.do(self.world.core.channel_restarted("websocket"))

    @rule(key=KEYS)
    def get_ready(self, key: str) -> None:
        session = self.world.sessions.get(key)
        if session is not None and not session.is_ready and not session.killed:
            self.world.get_ready(key)

    @rule(key=KEYS)
    def handle_one(self, key: str) -> None:
        if self._ready(key) and self.world.sessions[key].mailbox:
            self.world.step(key)

    @rule(key=KEYS)
    def answer(self, key: str) -> None:
        if self._ready(key) and self.world.open.get(key):
            self.world.answer(key)

    @rule(key=KEYS)
    def ask_a_person(self, key: str) -> None:
        if self._ready(key) and self.world.open.get(key):
            self.world.asking.add(key)

    @rule(key=KEYS)
    def decide(self, key: str) -> None:
        self.world.decide(key)

    @rule(key=KEYS)
    def ask_to_leave(self, key: str) -> None:
        if self._ready(key):
            self.world.ask_to_leave(key)

    @rule(key=KEYS)
    def decline(self, key: str) -> None:
        session = self.world.sessions.get(key)
        if session is not None and session.granted and not session.killed:
            session.asked = False
            self.world.decline(key)

    @rule(key=KEYS)
    def die(self, key: str) -> None:
        if key in self.world.sessions:
            self.world.die(key)

    @rule(key=KEYS)
    def restart_by_hand(self, key: str) -> None:
        self.world.do(self.world.core.restart_by_hand(key, self.world.now) or [])

    @rule(key=KEYS)
    def give_up(self, key: str) -> None:
        if self._ready(key):
            incarnation = self.world.sessions[key].incarnation
            self.world.core.gives_up(SessionGivesUp(session=key, incarnation=incarnation, reason="gap"))

    @precondition(lambda self: self.world.endings)
    @rule()
    def end_turns(self) -> None:
        self.world.end_turns()

    @rule(seconds=st.sampled_from([0.1, 0.25, 0.6, 1.0, 5.0, 40.0]))
    def wait(self, seconds: float) -> None:
        self.world.tick(seconds)

    @invariant()
    def places_are_counted_right(self) -> None:
        if hasattr(self, "world"):
            assert self.world.core.places.occupied == len(self.world.sessions)

    def teardown(self) -> None:
        if not hasattr(self, "world"):
            return
        world = self.world
        if not world.core.recovered:
            self.recover()
        world.settle(for_s=300.0)
        for key, sent in self.sent.items():
            taken = [name for name in sent if name not in world.refused]
            assert world.recorded.get(key, []) == taken, "lost, or out of order"
        assert not any(world.open.values()), "nobody goes on with a turn that is open"
        assert not any(world.open.values()), "a turn was not resumed"
        assert len(world.answers) == self.stops, "a stop has no answer"
        assert {refused.code for refused in world.refused.values()} <= {"busy", "quarantined"}
        for key in list(world.core.entries):
            world.do(world.core.unfollow(Unfollow(session=key, channel="websocket")))
            world.do(world.core.end_session(EndSession(session=key), world.now))
        world.settle(for_s=300.0)
        assert not world.core.entries, "an entry is left"


RouterMachine.TestCase.settings = settings(max_examples=80, stateful_step_count=40, deadline=None)
test_nothing_is_lost_and_nothing_waits_for_ever = RouterMachine.TestCase
