"""Talks to a gateway as many people at once, in a process of its own, each waiting for the answer to go on.

    python -m benchmarks.load URL --sessions 50 --prefix a

Connects, says `connected` on standard output, and then carries out what standard input says, a JSON object a line,
answered by one: `{"seconds": 5}` (talk that long) or `{"turns": 10}` (that many in each session).
"""

from __future__ import annotations

__all__ = ["Round", "main"]

import argparse
import asyncio
import contextlib
import json
import resource
import sys
import time
from dataclasses import asdict, dataclass
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.typing import Subprotocol

_ANSWER_WITHIN_S = 60.0
_ACCEPTED = '"type":"message_accepted"'
_DONE = '"type":"turn_done"'
_ERROR = '"type":"error"'


@dataclass(frozen=True)
class Round:
    """What one process saw in one round."""

    turns: int
    """Ended within the time."""
    seconds: float
    done_ms: list[float]
    """From the sending of each message to its `turn_done`."""
    accepted_ms: list[float]
    """From the sending of each message to its `message_accepted`."""
    cpu_s: float
    """Processor time of this process."""


class Person:
    """One connection with one session.

    Args:
        text: what is said each time.
    """

    def __init__(self, connection: ClientConnection, session: str, text: str) -> None:
        self._connection = connection
        self._session = session
        self._text = text
        self._said = 0
        self.accepted_ms: list[float] = []
        self.done_ms: list[float] = []
        self.done_at: list[float] = []

    async def turn(self) -> None:
        """Say something and wait for the end of the answer. Raises RuntimeError if it was not completed."""
        self._said += 1
        message = (
            f'{{"type":"user_message","sessionId":"{self._session}","text":"{self._text}",'
            f'"messageId":"{self._session}-{self._said}"}}'
        )
        began = time.perf_counter()
        await self._connection.send(message)
        while True:
            frame = await self._connection.recv(decode=True)
            if _DONE in frame:
                now = time.perf_counter()
                if '"status":"completed"' not in frame:
                    raise RuntimeError(f"the turn was not completed: {frame}")
                self.done_ms.append((now - began) * 1e3)
                self.done_at.append(now)
                return
            if _ACCEPTED in frame:
                self.accepted_ms.append((time.perf_counter() - began) * 1e3)
            elif _ERROR in frame:
                raise RuntimeError(f"the gateway said: {frame}")

    def forget(self) -> None:
        """Begin a new round."""
        self.accepted_ms.clear()
        self.done_ms.clear()
        self.done_at.clear()


async def _round(people: list[Person], order: dict[str, float]) -> Round:
    for person in people:
        person.forget()
    cpu_s = _cpu_s()
    began = time.perf_counter()
    end = began + order["seconds"] if "seconds" in order else float("inf")
    turns = order.get("turns", float("inf"))

    async def talk(person: Person) -> None:
        while len(person.done_ms) < turns and time.perf_counter() < end:
            async with asyncio.timeout(_ANSWER_WITHIN_S):
                await person.turn()

    await asyncio.gather(*map(talk, people))
    used_s = _cpu_s() - cpu_s
    return Round(
        turns=sum(at <= end for person in people for at in person.done_at),
        seconds=order.get("seconds", time.perf_counter() - began),
        done_ms=[each for person in people for each in person.done_ms],
        accepted_ms=[each for person in people for each in person.accepted_ms],
        cpu_s=used_s,
    )


def _cpu_s() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


async def _talk(arguments: argparse.Namespace) -> None:
    loop = asyncio.get_running_loop()
    async with contextlib.AsyncExitStack() as stack:
        people = []
        for number in range(arguments.sessions):
            connection = await stack.enter_async_context(
                connect(
                    arguments.url,
                    subprotocols=[Subprotocol("openclaw.v2")],
                    compression=None,
                    ping_interval=None,
                    max_size=None,
                    proxy=None,
                )
            )
            people.append(Person(connection, f"{arguments.prefix}{number}", arguments.text))
        _say("connected")
        while order := await loop.run_in_executor(None, sys.stdin.readline):
            _say(asdict(await _round(people, json.loads(order))))


def _say(what: Any) -> None:
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


def main() -> None:
    """Run the process."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.load")
    parser.add_argument("url")
    parser.add_argument("--sessions", type=int, default=1)
    parser.add_argument("--prefix", default="bench-")
    parser.add_argument("--text", default="hi")
    asyncio.run(_talk(parser.parse_args()))


if __name__ == "__main__":
    main()
