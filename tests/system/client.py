"""Owns a `openclaw.v2` client for tests, over the real `websockets` client: it keeps everything that it saw."""

from __future__ import annotations

__all__ = ["Client", "assert_one_answer_each", "assert_seqs_unbroken"]

import asyncio
import json
import ssl
import uuid
from collections.abc import Sequence
from types import TracebackType
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.typing import Subprotocol

DEADLINE_S = 30.0
DURABLE = frozenset(
    ("message_accepted", "turn_started", "tool_start", "tool_result", "tool_approval_required", "turn_done")
)


class Client:
    """One connection, and everything that was seen on it.

    Use as `async with Client(gateway.ws_url) as client`. `events` holds all events in the order of their arrival.

    Args:
        url: of the WebSocket channel.
        session: default session id of what is sent.
        token: sent as bearer token.
        ssl: whom to trust, at a `wss` address.
    """

    def __init__(
        self,
        url: str,
        *,
        session: str = "main",
        token: str | None = None,
        ssl: ssl.SSLContext | None = None,
    ) -> None:
        self.url = url
        self.session = session
        self.events: list[dict[str, Any]] = []
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._read = 0
        self._ssl = ssl
        self.connection: ClientConnection

    async def __aenter__(self) -> Client:
        await self.connect()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def connect(self) -> None:
        """Connect, or connect again; what was seen before is kept."""
        self.connection = await connect(
            self.url,
            ssl=self._ssl,
            subprotocols=[Subprotocol("openclaw.v2")],
            additional_headers=self._headers,
            open_timeout=DEADLINE_S,
            close_timeout=2.0,
            max_size=None,
            proxy=None,
        )
        assert self.connection.subprotocol == "openclaw.v2"

    async def close(self) -> None:
        await self.connection.close()

    def cut(self) -> None:
        """Break the connection off without a word, as a lost network does."""
        self.connection.transport.abort()

    # Sending

    async def send_raw(self, frame: str | bytes | dict[str, Any]) -> None:
        """Send a frame as it is; a dict as JSON."""
        await self.connection.send(json.dumps(frame) if isinstance(frame, dict) else frame)

    async def send(self, text: str, *, message_id: str | None = None, session: str | None = None) -> str:
        """Send a user's message; returns its message id."""
        message_id = message_id or uuid.uuid4().hex
        await self.send_raw(
            {
                "type": "user_message",
                "sessionId": session or self.session,
                "text": text,
                "messageId": message_id,
            }
        )
        return message_id

    async def resume(self, last_seq: int | None = None, *, session: str | None = None) -> None:
        """Follow the session from after `last_seq`, which None leaves out."""
        frame: dict[str, Any] = {"type": "resume", "sessionId": session or self.session}
        if last_seq is not None:
            frame["lastSeq"] = last_seq
        await self.send_raw(frame)

    async def stop_turn(self, *, queue: bool = False, session: str | None = None) -> None:
        await self.send_raw({"type": "stop", "sessionId": session or self.session, "queue": queue})

    # Receiving

    async def next(self, *, deadline_s: float = DEADLINE_S) -> dict[str, Any]:
        """The next event, whatever it is. Raises TimeoutError, or ConnectionClosed of websockets."""
        frame = await asyncio.wait_for(self.connection.recv(decode=True), deadline_s)
        event: dict[str, Any] = json.loads(frame)
        self.events.append(event)
        return event

    async def expect(self, type_: str, *, deadline_s: float = DEADLINE_S, **fields: Any) -> dict[str, Any]:
        """The next event of this type with these fields; what comes before it is kept in `events` only.

        Fields are named as on the wire: `expect("turn_done", messageId=id)`. Raises AssertionError with what came.
        """
        first = len(self.events)
        try:
            async with asyncio.timeout(deadline_s):
                while True:
                    event = await self.next(deadline_s=deadline_s)
                    if event["type"] == type_ and all(event.get(name) == fields[name] for name in fields):
                        return event
        except TimeoutError:
            came = self.events[first:][-20:]
            raise AssertionError(f"no {type_} {fields} within {deadline_s} s, but {came}") from None

    async def turn(
        self,
        text: str,
        *,
        message_id: str | None = None,
        session: str | None = None,
        deadline_s: float = DEADLINE_S,
    ) -> dict[str, Any]:
        """Send a message and return its `turn_done`."""
        message_id = await self.send(text, message_id=message_id, session=session)
        return await self.expect("turn_done", messageId=message_id, deadline_s=deadline_s)

    # What was seen

    @property
    def last_seq(self) -> int:
        """The highest number seen of the default session; 0 before the first."""
        return max((event["seq"] for event in self.durable()), default=0)

    def durable(self, *, session: str | None = None) -> list[dict[str, Any]]:
        """The durable events of a session, without those that only answer a repeated message once more."""
        wanted = session or self.session
        found: list[dict[str, Any]] = []
        repeated: set[str] = set()
        for event in self.events:
            if event["type"] not in DURABLE or event.get("sessionId") != wanted:
                continue
            if event.get("duplicate"):
                repeated.add(event["messageId"])
            elif event["type"] == "turn_done" and event["messageId"] in repeated and event in found:
                repeated.remove(event["messageId"])
            else:
                found.append(event)
        return found

    def done(self, *, session: str | None = None) -> list[dict[str, Any]]:
        return [event for event in self.durable(session=session) if event["type"] == "turn_done"]

    def streamed(self, turn_id: str) -> str:
        """What the chunks of a turn's last attempt add up to."""
        chunks = [e for e in self.events if e["type"] == "assistant_chunk" and e["turnId"] == turn_id]
        attempt = max((chunk["attempt"] for chunk in chunks), default=0)
        text = ""
        for chunk in chunks:
            if chunk["attempt"] == attempt:
                assert chunk["offset"] <= len(text), f"a gap before {chunk}"
                text = text[: chunk["offset"]] + chunk["text"]
        return text


def assert_seqs_unbroken(events: Sequence[dict[str, Any]], *, first: int = 1) -> None:
    """Assert that the durable events are numbered from `first`, rising by one, none missing, none twice."""
    seqs = [event["seq"] for event in events]
    assert seqs == list(range(first, first + len(seqs))), f"numbers: {seqs}"


def assert_one_answer_each(events: Sequence[dict[str, Any]], message_ids: Sequence[str]) -> None:
    """Assert that each message was answered exactly once, in the order of the messages."""
    answered = [event["messageId"] for event in events if event["type"] == "turn_done"]
    assert answered == list(message_ids), f"answered {answered}, sent {list(message_ids)}"
