"""Owns a router without processes for tests: the core, its watchdog, a clock, and sessions that can do anything."""

from __future__ import annotations

__all__ = ["Session", "World", "delivery"]

from collections import deque
from collections.abc import Iterable

from openclaw_actors.core.moves import Moves
from openclaw_actors.core.router import RouterCore
from openclaw_actors.core.routing import (
    AnswerStop,
    EndTurnsOf,
    Fork,
    Kill,
    MoveSession,
    Phase,
    PingSession,
    RouterEffect,
    RouterLimits,
    SendToSession,
    Tell,
)
from openclaw_actors.core.watchdog import Watchdog
from openclaw_actors.messages import (
    Accepted,
    DecideApproval,
    Deliver,
    EndSession,
    Message,
    Passivate,
    PassivationAsked,
    PassivationDeclined,
    PassivationGranted,
    Pong,
    Refused,
    Replay,
    SessionEvents,
    SessionLost,
    Settled,
    StopOutcome,
    StopTurn,
)


def delivery(session: str, name: str) -> Deliver:
    return Deliver(
        session=session,
        delivery_id=name,
        message_id=f"id-{name}",
        text=name,
        channel="websocket",
        received_at=0.0,
        correlation_id=name,
    )


class Session:
    """A session's process: its mailbox, and what it has done."""

    def __init__(self, key: str, incarnation: int, deaths: int) -> None:
        self.key = key
        self.incarnation = incarnation
        self.deaths = deaths
        self.is_ready = False
        self.killed = False
        self.granted = False
        self.asked = False
        self.mailbox: deque[Message | PingSession] = deque()


class World:
    """What surrounds a router. It fails as soon as the router breaks a promise."""

    def __init__(self, limits: RouterLimits | None = None, *, recovered: bool = True) -> None:
        self.limits = limits or RouterLimits()
        self.core = RouterCore(self.limits)
        self.watchdog = Watchdog(self.core)
        self.now = 0.0
        self.incarnations = 0
        self.sessions: dict[str, Session] = {}
        self.recorded: dict[str, list[str]] = {}
        """What was taken, by session, in order."""
        self.open: dict[str, list[str]] = {}
        """Of that, what has no answer yet; it survives every death."""
        self.asking: set[str] = set()
        """Whose running turn waits for a person."""
        self.refused: dict[str, Refused] = {}
        self.lost: list[SessionLost] = []
        self.answers: list[StopOutcome] = []
        self.endings: deque[EndTurnsOf] = deque()
        self.forks: list[Fork] = []
        self.moves = Moves(self.core)
        self.to_move: list[str] = []
        self.told: list[SessionEvents] = []
        self.accepted: list[str] = []
        if recovered:
            self.core.recovered = True

    def do(self, effects: Iterable[RouterEffect]) -> None:
        for effect in effects:
            match effect:
                case Fork():
                    assert effect.key not in self.sessions, "two processes for one key"
                    assert len(self.sessions) < self.limits.max_live, "more than max_live"
                    self.incarnations += 1
                    self.forks.append(effect)
                    self.sessions[effect.key] = Session(effect.key, self.incarnations, effect.deaths)
                case SendToSession():
                    session = self.sessions[effect.key]
                    assert not session.granted or not isinstance(effect.message, Deliver), (
                        "sent to who leaves"
                    )
                    session.mailbox.append(effect.message)
                case Kill():
                    self.sessions[effect.key].killed = True
                case PingSession():
                    self.sessions[effect.key].mailbox.append(effect)
                case Tell():
                    self._tell(effect.message)
                case AnswerStop():
                    self.answers.append(effect.outcome)
                case MoveSession():
                    assert effect.key not in self.sessions, "moves the conversation of a session that lives"
                    self.to_move.append(effect.key)
                case EndTurnsOf():
                    assert effect.key not in self.sessions, "ends turns of a session that lives"
                    self.endings.append(effect)

    def _tell(self, message: Message) -> None:
        match message:
            case Refused():
                self.refused[message.delivery_id] = message
            case SessionLost():
                self.lost.append(message)
            case SessionEvents():
                self.told.append(message)
            case Accepted():
                self.accepted.append(message.delivery_id)

    # Channels

    def deliver(self, session: str, name: str) -> None:
        self.do(self.core.deliver(delivery(session, name), self.now))

    def stop(self, session: str, *, queue: bool = False, connection: str = "c") -> None:
        request = StopTurn(session=session, queue=queue, channel="websocket", connection=connection)
        self.do(self.core.stop(request, self.now))

    def replay(self, session: str, connection: str = "c") -> None:
        self.do(
            self.core.replay(
                Replay(session=session, channel="websocket", connection=connection, after_seq=0), self.now
            )
        )

    # Sessions

    def get_ready(self, key: str) -> None:
        """The session opens its conversation, and with it what has no answer yet."""
        session = self.sessions[key]
        session.is_ready = True
        resumes = bool(self.open.get(key))
        self.do(self.core.ready(key, session.incarnation, 1, self.now, resumes=resumes))

    def step(self, key: str) -> None:
        """The session handles one message, as a good session does."""
        session = self.sessions[key]
        message = session.mailbox.popleft()
        match message:
            case Deliver():
                assert message.delivery_id not in self.recorded.get(key, ()), "taken twice"
                self.recorded.setdefault(key, []).append(message.delivery_id)
                self.open.setdefault(key, []).append(message.delivery_id)
                self.settled(key, message.delivery_id)
            case StopTurn():
                stopped = self._end(key, queue=message.queue)
                outcome = StopOutcome(
                    session=key, stopped=stopped, channel=message.channel, connection=message.connection
                )
                self.answers.append(outcome)
                self.do(self.core.stop_confirmed(outcome, self.now))
            case Passivate():
                self.ask_to_leave(key)
                if not session.asked:
                    self.decline(key)
            case PassivationDeclined():
                session.asked = False
            case PassivationGranted() if self.open.get(key) and key not in self.asking:
                session.asked = False
                self.decline(key)
            case PassivationGranted():
                session.granted = True
            case DecideApproval() if key in self.asking:
                self.answer(key)
            case EndSession():
                self.ask_to_leave(key, "connection_closed")
            case PingSession():
                pong = Pong(pid=1, incarnation=session.incarnation, doing="idle")
                self.watchdog.ponged(key, pong, self.now)
            case _:
                pass

    def settled(self, key: str, delivery_id: str) -> None:
        incarnation = self.sessions[key].incarnation
        self.core.settled(Settled(session=key, incarnation=incarnation, delivery_ids=(delivery_id,)))

    def ask_to_leave(self, key: str, reason: str = "idle") -> None:
        """It leaves if it has nothing to do, or nothing but to wait for a person, which takes 20 seconds at most."""
        session = self.sessions[key]
        waits = key in self.asking
        if (waits or not self.open.get(key)) and not session.asked:
            session.asked = True
            asked = PassivationAsked(
                session=key,
                incarnation=session.incarnation,
                reason=reason,
                decided_within_s=20.0 if waits else None,
            )
            self.do(self.core.passivation_asked(asked, self.now))

    def decide(self, key: str) -> None:
        """A person lets a tool run that waits."""
        decision = DecideApproval(session=key, approval_id="", approved=True, by="operator")
        self.do(self.core.decide(decision, self.now))

    def decline(self, key: str) -> None:
        session = self.sessions[key]
        session.granted = False
        declined = PassivationDeclined(session=key, incarnation=session.incarnation)
        self.do(self.core.passivation_declined(declined, self.now))

    def answer(self, key: str) -> None:
        """The running turn ends by itself."""
        self.open[key].pop(0)
        self.asking.discard(key)

    def die(self, key: str) -> None:
        """The process is gone and reaped."""
        del self.sessions[key]
        self.do(self.core.exited(key, self.now))

    def end_turns(self) -> None:
        """The store has written the ends that the router asked for."""
        done = self.endings.popleft()
        assert done.key not in self.sessions, "a session was started while its turns were being ended"
        self.do(self.core.turns_ended(done, self._end(done.key, queue=done.queue), self.now))

    def _end(self, key: str, *, queue: bool) -> int:
        ended = self.open.get(key, [])[: None if queue else 1]
        self.asking.discard(key)
        self.open[key] = self.open.get(key, [])[len(ended) :]
        return len(ended)

    # Time

    def tick(self, seconds: float = 0.25) -> None:
        self.now += seconds
        self.do(self.watchdog.tick(self.now))

    def settle(self, *, for_s: float = 120.0) -> None:
        """Everybody does what is expected of them, until nothing is left to do."""
        end = self.now + for_s
        while self.now < end:
            for key in list(self.sessions):
                session = self.sessions[key]
                if session.killed or session.granted:
                    self.die(key)
                elif not session.is_ready:
                    self.get_ready(key)
                else:
                    while session.mailbox:
                        self.step(key)
                    if self.open.get(key):
                        self.answer(key)
            while self.endings:
                self.end_turns()
            self.tick()

    def phase(self, key: str) -> Phase | None:
        entry = self.core.entries.get(key)
        return entry.phase if entry is not None else None
