"""Owns actors that stand in for the router and its sessions, so that the real channel process is tested alone.

`StandIn` answers as a session with a journal would: it accepts, numbers its events, echoes, replays, stops. What it
does beside that is told to it by `Behave` and `Do`.
"""

from __future__ import annotations

__all__ = ["Behave", "Do", "Seen", "StandIn", "Use", "WhatWasSeen"]

import os
from typing import Any

from openclaw_actors.actorsystem import AsyncActor, handles
from openclaw_actors.messages import (
    Accepted,
    Address,
    AssistantChunk,
    Deliver,
    Directory,
    DurableEvent,
    EndSession,
    Event,
    GatewayHealth,
    GetHealth,
    GetMetrics,
    Message,
    MessageAccepted,
    Metrics,
    Ping,
    Pong,
    Refused,
    Replay,
    ReplayPage,
    SessionEvents,
    SessionLost,
    StopOutcome,
    StopTurn,
    TurnDone,
    TurnStarted,
    Unfollow,
    Usage,
)


class Use(Message):
    """The channel lives here."""

    channel: Address


class Behave(Message):
    """From now on: what to do with messages."""

    silent: bool = False
    """Take no message: no receipt."""
    page_events: int = 500
    split: int = 0
    """Stream answers in so many chunks, without ending the turn; 0: at once, and end it."""
    ready: bool = True


class Do(Message):
    """Something at once: `finish` the open turns, `lose` the session's process, `say` N events of BYTES each."""

    what: str
    session: str = ""
    count: int = 1
    size: int = 0


class Seen(Message):
    messages: tuple[Any, ...]


class WhatWasSeen(Message):
    """Answered by `Seen`: everything that the channel sent."""


class _Session:
    def __init__(self) -> None:
        self.events: list[DurableEvent] = []
        self.known: dict[str, str] = {}
        self.open: dict[str, str] = {}
        self.running: AssistantChunk | None = None
        self.incarnation = 1

    @property
    def next_seq(self) -> int:
        return len(self.events) + 1


class StandIn(AsyncActor):
    """Router, all sessions and supervisor in one process."""

    def __init__(self) -> None:
        super().__init__()
        self.behaviour = Behave()
        self.channel: Address = None
        self.sessions: dict[str, _Session] = {}
        self.seen: list[Any] = []

    @handles(Use)
    def use(self, message: Use, sender: Address) -> None:
        self.channel = message.channel

    @handles(Behave)
    def behave(self, message: Behave, sender: Address) -> str:
        self.behaviour = message
        return "done"

    @handles(WhatWasSeen)
    def what_was_seen(self, message: WhatWasSeen, sender: Address) -> Seen:
        return Seen(messages=tuple(self.seen))

    @handles(Ping)
    def ping(self, message: Ping, sender: Address) -> Pong:
        return Pong(pid=os.getpid(), incarnation=1)

    @handles(GetHealth)
    def health(self, message: GetHealth, sender: Address) -> GatewayHealth:
        ready = self.behaviour.ready
        problems = () if ready else ("persistence: restarting",)
        return GatewayHealth(live=True, ready=ready, problems=problems, uptime_seconds=12.5)

    @handles(GetMetrics)
    def metrics(self, message: GetMetrics, sender: Address) -> Metrics:
        return Metrics(values={'turns_total{status="completed"}': 3.0, "sessions_live": 1.0})

    # As sessions

    @handles(Deliver)
    def deliver(self, message: Deliver, sender: Address) -> None:
        self.seen.append(message)
        if self.behaviour.silent:
            return
        session = self.sessions.setdefault(message.session, _Session())
        if message.text == "refuse":
            self._reply(message, Refused, code="busy", text="Server is busy. Please retry.")
            return
        if message.message_id in session.known:
            self._repeat(message, session)
            return
        session.known[message.message_id] = message.text
        self._reply(message, Accepted)
        turn = f"t-{message.message_id}"
        self._say(
            message.session,
            MessageAccepted(
                seq=session.next_seq,
                message_id=message.message_id,
                text=message.text,
                queued=len(session.open),
            ),
            TurnStarted(seq=session.next_seq + 1, turn_id=turn, message_id=message.message_id, attempt=1),
        )
        session.open[turn] = message.message_id
        text = f"echo: {message.text}"
        pieces = max(1, self.behaviour.split)
        size = -(-len(text) // pieces)
        for offset in range(0, len(text), size):
            self._chunk(message.session, turn, offset, text[offset : offset + size])
        if not self.behaviour.split:
            self._finish(message.session)

    def _repeat(self, message: Deliver, session: _Session) -> None:
        if session.known[message.message_id] != message.text:
            self._reply(message, Refused, code="message_id_conflict", text="Another text has this id.")
            return
        of_it = [e for e in session.events if getattr(e, "message_id", None) == message.message_id]
        done = next((e for e in of_it if isinstance(e, TurnDone)), None)
        self._reply(message, Accepted, duplicate=of_it[0], turn_done=done)

    def _reply(self, message: Deliver, kind: type[Message], **fields: Any) -> None:
        self.send(
            self.channel,
            kind(
                session=message.session,
                delivery_id=message.delivery_id,
                message_id=message.message_id,
                **fields,
            ),
        )

    def _chunk(self, key: str, turn: str, offset: int, text: str, attempt: int = 1) -> None:
        session = self.sessions[key]
        before = session.running.text if session.running is not None and offset else ""
        session.running = AssistantChunk(turn_id=turn, attempt=attempt, offset=0, text=before + text)
        self._say(key, AssistantChunk(turn_id=turn, attempt=attempt, offset=offset, text=text))

    def _finish(self, key: str, status: str = "completed") -> int:
        session = self.sessions[key]
        ended = len(session.open)
        for turn, message_id in session.open.items():
            self._say(
                key,
                TurnDone(
                    seq=session.next_seq,
                    turn_id=turn,
                    message_id=message_id,
                    status=status,
                    text=f"echo: {session.known[message_id]}",
                    usage=Usage(input_tokens=1, output_tokens=2),
                ),
            )
        session.open.clear()
        session.running = None
        return ended

    def _say(self, key: str, *events: Event) -> None:
        session = self.sessions[key]
        session.events += [event for event in events if hasattr(event, "seq")]
        self.send(self.channel, SessionEvents(session=key, incarnation=session.incarnation, events=events))

    @handles(Replay)
    def replay(self, message: Replay, sender: Address) -> None:
        self.seen.append(message)
        session = self.sessions.setdefault(message.session, _Session())
        after = message.after_seq
        missed = [] if after is None else session.events[after:]
        page, complete = missed, True
        if len(missed) > self.behaviour.page_events:
            page, complete = missed[: self.behaviour.page_events], False
        self.send(
            self.channel,
            ReplayPage(
                session=message.session,
                incarnation=session.incarnation,
                connection=message.connection,
                after_seq=after,
                events=tuple(page),
                complete=complete,
                running=session.running if complete else None,
                last_seq=len(session.events),
            ),
        )

    @handles(StopTurn)
    def stop_turn(self, message: StopTurn, sender: Address) -> None:
        self.seen.append(message)
        session = self.sessions.get(message.session)
        self.send(
            self.channel,
            StopOutcome(
                session=message.session,
                stopped=self._finish(message.session, "stopped") if session else 0,
                channel=message.channel,
                connection=message.connection,
            ),
        )

    @handles(Unfollow, EndSession, Directory)
    def note(self, message: Message, sender: Address) -> None:
        self.seen.append(message)

    @handles(Do)
    def do(self, message: Do, sender: Address) -> str:
        session = self.sessions.setdefault(message.session, _Session())
        if message.what == "finish":
            self._finish(message.session)
        elif message.what == "say":
            for _ in range(message.count):
                self._say(
                    message.session,
                    MessageAccepted(
                        seq=session.next_seq,
                        message_id=f"n{session.next_seq}",
                        text="x" * message.size,
                        queued=0,
                    ),
                )
        elif message.what == "lose":
            lost, session.incarnation = session.incarnation, session.incarnation + 1
            self.send(
                self.channel,
                SessionLost(session=message.session, incarnation=lost, reason="The process was replaced."),
            )
        return "done"
