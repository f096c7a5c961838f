"""Who has a turn done over HTTP reads its events and no others, through deaths and repetitions."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from openclaw_actors.actors.http_deliveries import Deliveries, NotTaken
from openclaw_actors.actors.http_turns import ReaderTooSlow, Turns
from openclaw_actors.channels.backlog import MAX_BACKLOG_BYTES
from openclaw_actors.channels.watch import Watches
from openclaw_actors.core.records import turn_id_of
from openclaw_actors.messages import (
    Accepted,
    AssistantChunk,
    Deliver,
    Event,
    Message,
    MessageAccepted,
    Refused,
    Replay,
    ReplayPage,
    SessionEvents,
    SessionLost,
    TurnDone,
    TurnStarted,
    Unfollow,
    Usage,
)


class Session:
    """A session as the channel sees it: it answers replays at once, and says what a test lets it say."""

    def __init__(self) -> None:
        self.now = 0.0
        self.seq = 0
        self.incarnation = 1
        self.routed: list[Message] = []
        self.delivered: asyncio.Queue[Deliver] = asyncio.Queue()
        self.running: AssistantChunk | None = None
        self.watches = Watches("http", self.route)
        self.deliveries = Deliveries(
            channel="http",
            route=self.route,
            max_per_session=3,
            timeout_s=10,
            settled=self.watches.unfollow,
        )
        self.deliveries.router_replaced()
        self.turns = Turns(self.deliveries, self.watches)

    def route(self, message: Message) -> None:
        self.routed.append(message)
        if isinstance(message, Replay):
            asyncio.get_running_loop().call_soon(self._answer, message)
        elif isinstance(message, Deliver):
            self.delivered.put_nowait(message)

    def _answer(self, replay: Replay) -> None:
        self.watches.page(
            ReplayPage(
                session=replay.session,
                incarnation=self.incarnation,
                connection=replay.connection,
                after_seq=replay.after_seq,
                events=(),
                complete=True,
                running=self.running,
                last_seq=self.seq,
            ),
            self.now,
        )

    def say(self, *events: Event) -> None:
        self.watches.events(SessionEvents(session="s", incarnation=self.incarnation, events=events), self.now)

    def number(self) -> int:
        self.seq += 1
        return self.seq

    def receipt(self, message_id: str) -> MessageAccepted:
        return MessageAccepted(seq=self.number(), message_id=message_id, text="hello", queued=0)

    def accept(
        self, deliver: Deliver, duplicate: MessageAccepted | None = None, done: TurnDone | None = None
    ) -> None:
        self.deliveries.accepted(
            Accepted(
                session="s",
                delivery_id=deliver.delivery_id,
                message_id=deliver.message_id,
                duplicate=duplicate,
                turn_done=done,
            )
        )

    def started(self, message_id: str, attempt: int = 1) -> TurnStarted:
        turn_id = turn_id_of(message_id)
        return TurnStarted(seq=self.number(), turn_id=turn_id, message_id=message_id, attempt=attempt)

    def chunk(self, message_id: str, text: str, *, attempt: int = 1, offset: int = 0) -> AssistantChunk:
        return AssistantChunk(turn_id=turn_id_of(message_id), attempt=attempt, offset=offset, text=text)

    def done(self, message_id: str, text: str) -> TurnDone:
        return TurnDone(
            seq=self.number(),
            turn_id=turn_id_of(message_id),
            message_id=message_id,
            status="completed",
            text=text,
            usage=Usage(),
        )


async def read(session: Session, message_id: str | None = "m") -> list[Event]:
    return [event async for event in session.turns.run(session="s", text="hello", message_id=message_id)]


def play(scene: Callable[[], Awaitable[None]]) -> None:
    async def within() -> None:
        async with asyncio.timeout(5):
            await scene()

    asyncio.run(within())


def kinds(events: list[Event]) -> list[str]:
    return [type(event).__name__ for event in events]


def test_a_turn_from_its_receipt_to_its_end() -> None:
    async def scene() -> None:
        session = Session()
        reading = asyncio.ensure_future(read(session, None))
        deliver = await session.delivered.get()
        name = deliver.message_id
        session.accept(deliver)
        session.say(session.receipt(name), session.started(name), session.chunk(name, "echo"))
        session.say(session.done(name, "echo"))
        assert kinds(await reading) == ["MessageAccepted", "TurnStarted", "AssistantChunk", "TurnDone"]
        assert session.routed[-1] == Unfollow(session="s", channel="http")
        assert len(session.watches) == 0

    play(scene)


def test_the_turns_of_others_are_not_shown() -> None:
    async def scene() -> None:
        session = Session()
        reading = asyncio.ensure_future(read(session))
        deliver = await session.delivered.get()
        session.say(session.started("other"), session.chunk("other", "not yours"))
        session.accept(deliver)
        session.say(session.receipt("m"), session.done("other", "not yours"), session.started("m"))
        session.say(session.done("m", "yours"))
        assert kinds(await reading) == ["MessageAccepted", "TurnStarted", "TurnDone"]

    play(scene)


def test_a_repeated_message_gets_the_first_ones_end() -> None:
    async def scene() -> None:
        session = Session()
        reading = asyncio.ensure_future(read(session))
        deliver = await session.delivered.get()
        receipt, done = session.receipt("m"), session.done("m", "as before")
        session.accept(deliver, receipt, done)
        assert await reading == [receipt, done]

    play(scene)


def test_a_repeated_message_follows_the_turn_that_runs() -> None:
    async def scene() -> None:
        session = Session()
        receipt = session.receipt("m")
        session.started("m")
        session.running = session.chunk("m", "so ")
        reading = asyncio.ensure_future(read(session))
        deliver = await session.delivered.get()
        session.accept(deliver, receipt)
        await asyncio.sleep(0)
        session.say(session.chunk("m", "far", offset=3))
        done = session.done("m", "so far")
        session.say(done)
        events = await reading
        assert [event.text for event in events if isinstance(event, AssistantChunk)] == ["so ", "far"]
        assert events[0] == receipt
        assert events[-1] == done

    play(scene)


def test_a_turn_is_read_through_the_death_of_its_session() -> None:
    async def scene() -> None:
        session = Session()
        reading = asyncio.ensure_future(read(session))
        deliver = await session.delivered.get()
        session.accept(deliver)
        session.say(session.receipt("m"), session.started("m"), session.chunk("m", "lost"))
        session.watches.lost(SessionLost(session="s", incarnation=1, reason="It died."), 0)
        session.incarnation = 2
        await asyncio.sleep(0)
        session.say(session.started("m", attempt=2), session.chunk("m", "again", attempt=2))
        session.say(session.done("m", "again"))
        events = await reading
        assert "Notice" in kinds(events)
        assert kinds(events)[-1] == "TurnDone"

    play(scene)


def test_a_refused_message_has_no_turn() -> None:
    async def scene() -> None:
        session = Session()
        reading = asyncio.ensure_future(read(session))
        deliver = await session.delivered.get()
        session.deliveries.refused(
            Refused(session="s", delivery_id=deliver.delivery_id, message_id="m", code="busy", text="Later.")
        )
        with pytest.raises(NotTaken):
            await reading
        assert len(session.watches) == 0

    play(scene)


def test_a_reader_that_is_too_slow_is_told_so() -> None:
    async def scene() -> None:
        session = Session()
        turn = session.turns.run(session="s", text="hello", message_id="m")
        first = asyncio.ensure_future(anext(turn))
        deliver = await session.delivered.get()
        session.accept(deliver)
        session.say(session.receipt("m"))
        await first
        piece = "x" * (MAX_BACKLOG_BYTES // 2)
        for number in range(4):
            session.say(session.chunk("m", piece, offset=number * len(piece)))
        with pytest.raises(ReaderTooSlow):
            await anext(turn)

    play(scene)


def test_leaving_early_ends_nothing() -> None:
    async def scene() -> None:
        session = Session()
        turn = session.turns.run(session="s", text="hello", message_id="m")
        first = asyncio.ensure_future(anext(turn))
        deliver = await session.delivered.get()
        session.accept(deliver)
        session.say(session.receipt("m"))
        await first
        await turn.aclose()
        assert [type(message).__name__ for message in session.routed] == ["Replay", "Deliver", "Unfollow"]

    play(scene)
