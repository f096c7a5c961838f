"""Talks to a gateway as one person, and says when what happened: for measurements that look into a turn."""

from __future__ import annotations

__all__ = ["Person", "people"]

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.typing import Subprotocol

_WITHIN_S = 60.0


class Person:
    """One connection with one session of `openclaw.v2`."""

    def __init__(self, connection: ClientConnection, session: str) -> None:
        self.session = session
        self._connection = connection
        self._said = 0

    async def say(self, text: str) -> str:
        """Send a message; returns its id."""
        self._said += 1
        message_id = f"{self.session}-{self._said}"
        frame = {"type": "user_message", "sessionId": self.session, "text": text, "messageId": message_id}
        await self._connection.send(json.dumps(frame))
        return message_id

    async def stop(self) -> None:
        """Ask for the end of the running turn."""
        await self._connection.send(json.dumps({"type": "stop", "sessionId": self.session}))

    async def hear(self, kind: str, **fields: Any) -> dict[str, Any]:
        """The next event of this type with these fields.

        Raises:
            TimeoutError: it did not come within a minute.
        """
        async with asyncio.timeout(_WITHIN_S):
            while True:
                event: dict[str, Any] = json.loads(await self._connection.recv(decode=True))
                if event["type"] == kind and all(event.get(name) == fields[name] for name in fields):
                    return event

    async def turn(self, text: str) -> tuple[float, dict[str, Any]]:
        """Say something; returns the seconds until the end of the turn, and that end."""
        began = time.perf_counter()
        done = await self.hear("turn_done", messageId=await self.say(text))
        return time.perf_counter() - began, done


@asynccontextmanager
async def people(url: str, count: int, *, prefix: str) -> AsyncIterator[list[Person]]:
    """So many, each with a connection and a session of their own."""
    async with AsyncExitStack() as stack:
        found: list[Person] = []
        for number in range(count):
            connection = await stack.enter_async_context(
                connect(
                    url,
                    subprotocols=[Subprotocol("openclaw.v2")],
                    compression=None,
                    ping_interval=None,
                    max_size=None,
                    proxy=None,
                )
            )
            found.append(Person(connection, f"{prefix}{number}"))
        yield found
