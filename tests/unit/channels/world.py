"""Owns a channel without sockets for tests: the core, clients that keep their frames, and sessions with journals."""

from __future__ import annotations

__all__ = ["JOURNAL_STEPS", "Client", "Journal", "World"]

import json
from typing import Any

from hypothesis import strategies as st

from openclaw_actors.channels.websocket.answers import Answers
from openclaw_actors.channels.websocket.channel import ChannelLimits, WebSocketCore
from openclaw_actors.channels.websocket.connection import Connection
from openclaw_actors.channels.websocket.frames import received
from openclaw_actors.messages import (
    Accepted,
    AssistantChunk,
    Deliver,
    DurableEvent,
    Event,
    Message,
    MessageAccepted,
    Replay,
    ReplayPage,
    SessionEvents,
    SessionLost,
    TurnDone,
    TurnStarted,
    Usage,
)


def payload(frame: bytes) -> bytes:
    size, start = frame[1], 2
    if size == 126:
        size, start = int.from_bytes(frame[2:4], "big"), 4
    elif size == 127:
        size, start = int.from_bytes(frame[2:10], "big"), 10
    assert frame[0] == 0x81
    assert len(frame) == start + size
    return frame[start:]


class Client:
    """One connection's frames, and how it was closed."""

    def __init__(self) -> None:
        self.frames: list[str] = []
        self.closed: tuple[int, str] | None = None

    @property
    def events(self) -> list[dict[str, Any]]:
        return [json.loads(frame) for frame in self.frames]

    def durable(self, session_id: str = "s") -> list[dict[str, Any]]:
        return [
            event
            for event in self.events
            if "seq" in event and event["sessionId"] == session_id and not event.get("duplicate")
        ]


class World:
    """The core with everything around it recorded. Time stands until a test moves it."""

    def __init__(self, *, router: bool = True, **limits: Any) -> None:
        self.now = 1000.0
        self.clients: dict[str, Client] = {}
        self.routed: list[Message] = []
        self.paging: list[str] = []
        self.core = WebSocketCore(
            channel="websocket", instance="i1", limits=ChannelLimits(**limits), outputs=self
        )
        if router:
            self.core.router_replaced(self.now)

    # Outputs

    def frame(self, connection: str, frame: bytes) -> None:
        if self.clients[connection].closed is None:
            self.clients[connection].frames.append(payload(frame).decode())

    def close(self, connection: str, code: int, reason: str) -> None:
        self.clients[connection].closed = self.clients[connection].closed or (code, reason)

    def route(self, message: Message) -> None:
        self.routed.append(message)

    def page_sent(self, connection: str) -> None:
        self.paging.append(connection)

    # What tests do

    def connect(
        self, name: str = "c", *, v2: bool = True, session_id: str | None = None, principal: str = "local"
    ) -> Client:
        self.clients[name] = Client()
        answers = None if v2 else Answers(lambda frame: self.frame(name, frame))
        self.core.opened(
            Connection(
                id=name,
                principal=principal,
                address="127.0.0.1",
                session_id=session_id if v2 or session_id else name,
                bound=not v2 and session_id is None,
                answers=answers,
                messages_per_minute=self.core.limits.messages_per_minute,
            )
        )
        return self.clients[name]

    def say(self, frame: str | dict[str, Any], name: str = "c") -> None:
        text = frame if isinstance(frame, str) else json.dumps(frame)
        received(self.core, self.core.connections[name], text, now=self.now)

    def send(self, text: str, message_id: str, name: str = "c", session_id: str = "s") -> None:
        self.say(
            {"type": "user_message", "sessionId": session_id, "text": text, "messageId": message_id}, name
        )

    def resume(self, last_seq: int | None, name: str = "c", session_id: str = "s") -> None:
        self.say({"type": "resume", "sessionId": session_id, "lastSeq": last_seq}, name)

    def drained(self) -> None:
        """Every client has read what it was sent."""
        paging, self.paging = self.paging, []
        for name in paging:
            self.core.drained(name, self.now)

    def of(self, kind: type[Message]) -> list[Any]:
        return [message for message in self.routed if type(message) is kind]

    def take(self, kind: type[Message]) -> list[Any]:
        """The messages of a type, and no longer routed."""
        taken = self.of(kind)
        self.routed = [message for message in self.routed if type(message) is not kind]
        return taken


JOURNAL_STEPS = (
    st.tuples(st.just("start"), st.just(0)),
    st.tuples(st.just("chunk"), st.integers(1, 3)),
    st.tuples(st.just("done"), st.just(0)),
    st.tuples(st.just("accepted"), st.just(0)),
    st.tuples(st.just("arrive"), st.integers(0, 4)),
    st.tuples(st.just("pages"), st.integers(1, 3)),
    st.tuples(st.just("die"), st.integers(0, 4)),
)
"""What may happen to a `Journal`."""


class Journal:
    """A session as the router and its process do it: what is journalled stays, what runs may be lost."""

    def __init__(self, world: World, key: str = "websocket:local:s") -> None:
        self.world = world
        self.key = key
        self.incarnation = 1
        self.events: list[DurableEvent] = []
        self.running: AssistantChunk | None = None
        self.attempt = 0
        self.wire: list[Message] = []
        """Sent to the channel and not arrived; in order."""

    def happen(self, what: str, number: int) -> None:
        """One of `JOURNAL_STEPS`, where it is possible now."""
        match what:
            case "start" if self.running is None:
                self.turn_started()
            case "chunk":
                self.chunk("abc"[:number])
            case "done" if self.running is not None:
                self.done()
            case "accepted":
                self.accepted(f"m{len(self.events)}")
            case "arrive":
                self.arrive(number)
            case "pages":
                self.answer_replays(page_events=number)
            case "die":
                self.die(on_the_wire=number)

    # What the session does

    def turn_started(self) -> None:
        number = len(self.events) + 1
        self.attempt += 1
        self._publish(TurnStarted(seq=number, turn_id="t", message_id="m", attempt=self.attempt))
        self.running = AssistantChunk(turn_id="t", attempt=self.attempt, offset=0, text="")

    def accepted(self, message_id: str, text: str = "x") -> None:
        self._publish(MessageAccepted(seq=len(self.events) + 1, message_id=message_id, text=text, queued=0))

    def chunk(self, text: str) -> None:
        if self.running is None:
            return
        before = self.running
        self.running = AssistantChunk(turn_id="t", attempt=before.attempt, offset=0, text=before.text + text)
        self._publish(AssistantChunk(turn_id="t", attempt=before.attempt, offset=len(before.text), text=text))

    def done(self, message_id: str = "m") -> None:
        text = self.running.text if self.running is not None else ""
        self.running = None
        self._publish(
            TurnDone(
                seq=len(self.events) + 1,
                turn_id="t",
                message_id=message_id,
                status="completed",
                text=text,
                usage=Usage(),
            )
        )

    def _publish(self, event: Event) -> None:
        if not isinstance(event, AssistantChunk):
            self.events.append(event)  # type: ignore[arg-type]
        self.wire.append(SessionEvents(session=self.key, incarnation=self.incarnation, events=(event,)))

    def answer_replays(self, *, page_events: int = 500) -> None:
        for replay in self.world.of(Replay):
            if replay.session == self.key:
                self.world.routed.remove(replay)
                self.wire.append(self.page(replay, page_events))

    def page(self, replay: Replay, page_events: int = 500) -> ReplayPage:
        missed = [] if replay.after_seq is None else self.events[replay.after_seq :]
        complete = len(missed) <= page_events
        return ReplayPage(
            session=self.key,
            incarnation=self.incarnation,
            connection=replay.connection,
            after_seq=replay.after_seq,
            events=tuple(missed[:page_events]),
            complete=complete,
            running=self.running if complete else None,
            last_seq=len(self.events),
        )

    def die(self, *, on_the_wire: int) -> None:
        """The process dies; of what it sent only so much still arrives. The next one runs at once."""
        lost, self.incarnation = self.incarnation, self.incarnation + 1
        self.wire = self.wire[:on_the_wire]
        self.wire.append(SessionLost(session=self.key, incarnation=lost, reason=""))
        if self.running is not None:
            self.turn_started()

    def arrive(self, count: int | None = None) -> None:
        """So many of the messages on the wire reach the channel; None: all."""
        count = len(self.wire) if count is None else count
        arrived, self.wire = self.wire[:count], self.wire[count:]
        core, now = self.world.core, self.world.now
        for message in arrived:
            if isinstance(message, SessionEvents):
                core.session_events(message, now)
            elif isinstance(message, ReplayPage):
                core.replay_page(message, now)
            elif isinstance(message, SessionLost):
                core.session_lost(message, now)

    def settle(self) -> None:
        """Until nothing is asked, sent or paged any more."""
        for _ in range(1_000):
            self.answer_replays()
            if not self.wire and not self.world.paging:
                return
            self.arrive()
            self.world.drained()
        raise AssertionError("it never comes to rest")

    def accept(self, deliver: Deliver, **fields: Any) -> None:
        self.world.core.accepted(
            Accepted(
                session=deliver.session,
                delivery_id=deliver.delivery_id,
                message_id=deliver.message_id,
                **fields,
            ),
            self.world.now,
        )
