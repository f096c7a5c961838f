"""Measures for how long nobody can have a message accepted while one `start` follows another."""

from __future__ import annotations

__all__ = ["measure_upgrade"]

import asyncio
import contextlib
import itertools
import json
import time
from pathlib import Path
from urllib.parse import urlsplit

from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake
from websockets.typing import Subprotocol

from benchmarks.gateway import Gateway
from benchmarks.table import Row, median

_MAX_GAP_S = 3.0
_PEOPLE = 10
_GRACE_S = 1.0
"""Of the stop; the take-over's own is the same."""
_AROUND_S = 1.0
"""So long everybody talks before and after it."""
_AGAIN_S = 0.02
_WITHIN_S = 60.0


class _Talk:
    """What all people together see of one gateway after the other."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.accepted_at: list[float] = []
        self.refused = 0
        """Connections that found nobody listening."""
        self.ends = False

    def gap_s(self) -> float:
        """The longest time without an accepted message."""
        return max(b - a for a, b in zip(self.accepted_at, self.accepted_at[1:], strict=False))

    async def person(self, number: int, text: str) -> None:
        """Send the next message when the last one is answered; connect again and repeat whatever was not."""
        said, last_seq, session = 0, 0, f"upgrade{number}"
        while not self.ends:
            try:
                async with connect(
                    self.url, subprotocols=[Subprotocol("openclaw.v2")], max_size=None, proxy=None
                ) as connection:
                    await connection.send(
                        json.dumps({"type": "resume", "sessionId": session, "lastSeq": last_seq})
                    )
                    while not self.ends:
                        message_id = f"{session}-{said}"
                        frame = {"type": "user_message", "sessionId": session, "text": text}
                        await connection.send(json.dumps({**frame, "messageId": message_id}))
                        while True:
                            event = json.loads(await asyncio.wait_for(connection.recv(), _WITHIN_S))
                            last_seq = max(last_seq, event.get("seq", 0))
                            if event["type"] == "message_accepted" and not event.get("duplicate"):
                                self.accepted_at.append(time.perf_counter())
                            ours = event.get("messageId") == message_id
                            if ours and event["type"] == "turn_done":
                                said += 1
                                break
                            if ours and event["type"] == "error":
                                await asyncio.sleep(_AGAIN_S)
                                break
            except ConnectionRefusedError:
                self.refused += 1
                await asyncio.sleep(_AGAIN_S)
            except (ConnectionClosed, InvalidHandshake, OSError):
                await asyncio.sleep(_AGAIN_S)


def measure_upgrade(directory: Path, *, runs: int) -> list[Row]:
    """Ten people talk without a pause; then ten whose turns take longer than the grace period; each way of upgrading.

    Args:
        runs: how often each.
    """
    rows = []
    kinds = (("short turns", "hi"), ("turns longer than the grace period", "/demo slow 4"))
    for way, (name, text) in itertools.product(("--take-over", "stop, then start"), kinds):
        gaps_s, took_s = [], []
        for number in range(runs):
            place = directory / f"{way[:4]}{text[:3].strip('/')}{number}"
            gap_s, took = asyncio.run(_one(place, text, take_over=way == "--take-over"))
            gaps_s.append(gap_s)
            took_s.append(took)
        rows.append(
            Row(
                name=f"an upgrade by {way} with {_PEOPLE} people and {name}: longest time without an accepted message",
                value=median(gaps_s),
                unit="s",
                target=_MAX_GAP_S,
                runs=gaps_s,
                digits=2,
                beside=f"{median(took_s):.1f} s from the command to ready",
            )
        )
    return rows


async def _one(directory: Path, text: str, *, take_over: bool) -> tuple[float, float]:
    old = Gateway(directory)
    with contextlib.ExitStack() as stack:
        await asyncio.to_thread(stack.enter_context, old)
        talk = _Talk(old.url)
        probe = asyncio.create_task(_knock(talk))
        people = [asyncio.create_task(talk.person(number, text)) for number in range(_PEOPLE)]
        await asyncio.sleep(_AROUND_S)
        began = time.perf_counter()
        if take_over:
            new = Gateway(directory, arguments=["--take-over"])
        else:
            await asyncio.to_thread(old.stop, grace_s=_GRACE_S)
            new = Gateway(directory, ports=(_port(old.url), _port(old.http_url)))
        await asyncio.to_thread(stack.enter_context, new)
        took_s = time.perf_counter() - began
        assert new.url == old.url
        await asyncio.sleep(_AROUND_S)
        talk.ends = True
        await asyncio.wait_for(asyncio.gather(*people, probe), _WITHIN_S)
        return talk.gap_s(), took_s


def _port(url: str) -> int:
    port = urlsplit(url).port
    assert port is not None
    return port


async def _knock(talk: _Talk) -> None:
    """One more person, with short messages: the others' may all be waiting for their answers."""
    await talk.person(_PEOPLE, "hi")
