"""Owns a person who goes on talking whatever happens to the gateway: reconnects, resumes, sends again, keeps count."""

from __future__ import annotations

__all__ = ["Chatter", "chatting"]

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

from websockets.exceptions import ConnectionClosed, InvalidHandshake

from tests.system.client import Client, assert_one_answer_each, assert_seqs_unbroken

RECONNECT_S = 0.05
THINKS_S = 0.03
"""What a person takes for the next message. Without it the talk alone fills the machine, and what is tested waits."""
NOT_TAKEN = frozenset(("not_accepted", "busy", "draining", "persistence_failed", "rate_limited"))


class Chatter:
    """One person in one session, who sends the next message when the last one is answered.

    Args:
        url: gives the address of the channel at each connection, since it may change between starts.
        session: the session's id.
        text: what message number N says.
    """

    def __init__(
        self, url: Callable[[], str], session: str, text: Callable[[int], str] = "message {}".format
    ) -> None:
        self._url = url
        self.session = session
        self._text = text
        self.sent: list[str] = []
        self.answers: dict[str, dict[str, Any]] = {}
        self.refusals: list[str] = []
        self.reconnects = 0
        self._client = Client(url(), session=session)
        self._stopping = False
        self.answered = asyncio.Event()
        """Set at each answer; whoever waits for the next one clears it first."""

    async def run(self) -> None:
        """Talk until `finish`."""
        while not self._stopping:
            self.sent.append(f"{self.session}-{len(self.sent)}")
            await self._until_answered(self.sent[-1], self._text(len(self.sent) - 1))
            await asyncio.sleep(THINKS_S)

    async def wait_for_answers(self, count: int, *, deadline_s: float = 30.0) -> None:
        """Wait until `count` more answers came."""
        wanted = len(self.answers) + count
        async with asyncio.timeout(deadline_s):
            while len(self.answers) < wanted:
                self.answered.clear()
                await self.answered.wait()

    def finish(self) -> None:
        """Let the message that was sent last be answered, and end."""
        self._stopping = True

    async def close(self) -> None:
        with contextlib.suppress(Exception):
            await self._client.close()

    async def _until_answered(self, message_id: str, text: str) -> None:
        accepted = False
        fresh = not hasattr(self._client, "connection")
        while True:
            try:
                if fresh:
                    await self._reconnect()
                    fresh = False
                if not accepted:
                    await self._client.send(text, message_id=message_id)
                accepted = await self._read_until_done(message_id)
                if message_id in self.answers:
                    return
                await asyncio.sleep(RECONNECT_S)  # refused: a person tries again in a moment
            except (ConnectionClosed, InvalidHandshake, OSError, TimeoutError):
                fresh = True
                accepted = False
                self.reconnects += 1
                await asyncio.sleep(RECONNECT_S)

    async def _reconnect(self) -> None:
        self._client.url = self._url()
        await self._client.connect()
        await self._client.resume(self._client.last_seq)

    async def _read_until_done(self, message_id: str) -> bool:
        """Returns False if the message was not taken."""
        while True:
            event = await self._client.next(deadline_s=60.0)
            if event["type"] == "turn_done" and event["messageId"] == message_id:
                self.answers[message_id] = event
                self.answered.set()
                return True
            if event["type"] == "error" and event.get("messageId") == message_id:
                self.refusals.append(event["code"])
                assert event["code"] in NOT_TAKEN, event
                return False

    def check(self, *, texts: Sequence[str] | None = None) -> None:
        """Assert that every message was answered once, in order, with its own answer, and no number is missing."""
        events = self._client.durable(session=self.session)
        assert_seqs_unbroken(events)
        assert_one_answer_each(events, self.sent)
        for number, message_id in enumerate(self.sent):
            answer = self.answers[message_id]
            wanted = texts[number] if texts is not None else f"echo: {self._text(number)}"
            assert (answer["status"], answer["text"]) == ("completed", wanted), answer


@contextlib.asynccontextmanager
async def chatting(
    url: Callable[[], str], count: int, *, deadline_s: float = 200.0
) -> AsyncIterator[list[Chatter]]:
    """`count` people who talk while the block runs; at its end each gets the last answer, and all is checked."""
    chatters = [Chatter(url, f"chat-{number}") for number in range(count)]
    tasks = [asyncio.create_task(each.run(), name=each.session) for each in chatters]
    try:
        async with asyncio.timeout(deadline_s):
            await asyncio.gather(*(each.wait_for_answers(1) for each in chatters))
            yield chatters
            for each in chatters:
                each.finish()
            await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for each in chatters:
            await each.close()
    for each in chatters:
        each.check()
