"""Talks in one conversation as a stubborn person does: sends again until it is answered, comes back after every cut."""

from __future__ import annotations

import asyncio
import json
import random
import time
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake
from websockets.typing import Subprotocol

from chaos.ledger import Conversation, Message

__all__ = ["Talker", "replay"]

_OPEN_WITHIN_S = 5.0
_RETRY_S = 0.1
_SEND_AGAIN_S = 3.0
_FINAL = frozenset(("message_id_conflict", "quarantined", "bad_field", "session_id_invalid"))
"""Refusals after which sending again would change nothing."""


class Talker:
    """One person in one conversation.

    Args:
        url: of the WebSocket; asked anew for every connection, as the gateway may come back elsewhere.
        conversation: where everything is noted.
        dice: decides what is said and when; the campaign's seed is in it.
        troublesome: every so often it asks for a fault of its own conversation.
    """

    def __init__(
        self, url: str, conversation: Conversation, dice: random.Random, *, troublesome: bool
    ) -> None:
        self._url = url
        self.conversation = conversation
        self._dice = dice
        self._pauses = random.Random(dice.random())
        self._troublesome = troublesome
        self._connection: ClientConnection | None = None
        self._said = 0
        self._away_until = 0.0
        self._reading = asyncio.Event()
        self._reading.set()

    async def talk(self, end: float) -> None:
        """Say something every now and then until `end`, monotonic seconds."""
        while time.monotonic() < end:
            await asyncio.sleep(self._pauses.uniform(0.05, 1.0))
            if len(self.conversation.open) < 8:
                await self.say(self._words())

    async def listen(self) -> None:
        """Stay connected, and hear everything, until cancelled."""
        while True:
            try:
                async with connect(
                    self._url,
                    subprotocols=[Subprotocol("openclaw.v2")],
                    open_timeout=_OPEN_WITHIN_S,
                    close_timeout=1,
                    max_size=None,
                    proxy=None,
                ) as connection:
                    self.conversation.connections += 1
                    self._connection = connection
                    await self._resume(connection)
                    await self._hear(connection)
            except (OSError, TimeoutError, ConnectionClosed, InvalidHandshake, EOFError):
                pass  # it comes back
            finally:
                self._connection = None
            await asyncio.sleep(max(_RETRY_S, self._away_until - time.monotonic()))

    async def nag(self) -> None:
        """Send again what has no receipt, until cancelled."""
        while True:
            await asyncio.sleep(1.0)
            message = self._first_without_receipt()
            if message is not None and time.monotonic() - message.sent_at > _SEND_AGAIN_S:
                await self._send(message)

    def cut(self) -> None:
        """Break the connection off without a word."""
        if self._connection is not None:
            self._connection.transport.abort()

    def leave(self, seconds: float) -> None:
        """Break the connection off, and come back after so many seconds."""
        self._away_until = time.monotonic() + seconds
        self.cut()

    async def stall(self, seconds: float) -> None:
        """Read nothing for a while."""
        self._reading.clear()
        await asyncio.sleep(seconds)
        self._reading.set()

    def _words(self) -> str:
        self._said += 1
        if self._troublesome and self._dice.random() < 0.2:
            return self._dice.choice(("/demo crash", "/demo spin", "/demo eat 4000", "/demo fail 2"))
        if self._dice.random() < 0.2:
            return f"/demo slow {self._dice.choice((0.3, 1, 2))}"
        return f"say {self.conversation.id} {self._said} {'x' * self._dice.choice((1, 10, 1000))}"

    async def say(self, text: str) -> None:
        """Say something; it is sent when all before it has its receipt."""
        name = f"{self.conversation.id}-{len(self.conversation.messages) + 1}"
        message = Message(
            name, text, time.monotonic(), may_fail=text.startswith("/demo") and "slow" not in text
        )
        if self._troublesome:
            message.may_fail = True  # what waits behind a fault may be given up with it
        self.conversation.messages[name] = message
        if self._first_without_receipt() is message:
            await self._send(message)

    def _first_without_receipt(self) -> Message | None:
        """What was said first has to be taken first: only this one is on its way."""
        return next((each for each in self.conversation.open if each.accepted_at is None), None)

    async def _send(self, message: Message) -> None:
        connection = self._connection
        if connection is None:
            return
        message.sends += 1
        message.sent_at = time.monotonic()
        frame = {
            "type": "user_message",
            "sessionId": self.conversation.id,
            "text": message.text,
            "messageId": message.id,
        }
        try:
            await connection.send(json.dumps(frame))
        except ConnectionClosed:
            pass

    async def _resume(self, connection: ClientConnection) -> None:
        last = self.conversation.last_seq
        await connection.send(
            json.dumps({"type": "resume", "sessionId": self.conversation.id, "lastSeq": last})
        )
        message = self._first_without_receipt()
        if message is not None:
            await self._send(message)

    async def _hear(self, connection: ClientConnection) -> None:
        async for frame in connection:
            await self._reading.wait()
            event: dict[str, Any] = json.loads(frame)
            now = time.monotonic()
            self.conversation.heard(event, now)
            if event["type"] == "error" and event.get("messageId") in self.conversation.messages:
                message = self.conversation.messages[event["messageId"]]
                if event["code"] in _FINAL and message.accepted_at is None:
                    message.refused = event["code"]
            if event["type"] == "message_accepted":
                next_one = self._first_without_receipt()
                if next_one is not None and not next_one.sends:
                    await self._send(next_one)


async def replay(url: str, session: str, deadline_s: float) -> list[dict[str, Any]]:
    """All durable events of a session, from its first number on."""
    events: dict[int, dict[str, Any]] = {}
    probe = f"{session}-probe-{time.monotonic_ns()}"
    async with (
        asyncio.timeout(deadline_s),
        connect(url, subprotocols=[Subprotocol("openclaw.v2")], max_size=None, proxy=None) as connection,
    ):
        await connection.send(json.dumps({"type": "resume", "sessionId": session, "lastSeq": 0}))
        await connection.send(
            json.dumps(
                {"type": "user_message", "sessionId": session, "text": "say goodbye", "messageId": probe}
            )
        )
        async for frame in connection:
            event = json.loads(frame)
            if "seq" in event:
                events[event["seq"]] = event
            if event["type"] == "turn_done" and event["messageId"] == probe:
                break
    first = min(seq for seq, event in events.items() if event.get("messageId") == probe)
    return [events[seq] for seq in sorted(events) if seq < first]
