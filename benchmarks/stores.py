"""Fills stores for the measurements, through the store itself; without fsync, for nothing of it has to survive."""

from __future__ import annotations

__all__ = ["make_conversation", "make_sessions"]

import asyncio
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

from openclaw_actors.core.conversation import decode_state
from openclaw_actors.core.records import turn_id_of
from openclaw_actors.messages import Usage
from openclaw_actors.messages.records import Record, TurnBegan, TurnEnded, UserSaid
from openclaw_actors.store import FileStore, StoreOptions

_AT_ONCE = 200
_TURNS_A_COMMIT = 200
_SPREAD_S = 90 * 86_400.0
_ANSWER = "That is a longer sentence, such as a model may well say in a conversation. " * 2


def make_sessions(path: Path, *, count: int) -> None:
    """Store `count` sessions of one turn each."""

    async def fill(store: FileStore) -> None:
        for first in range(0, count, _AT_ONCE):
            await asyncio.gather(
                *(
                    _talk(store, f"websocket:local:stored-{number}", 1)
                    for number in range(first, min(first + _AT_ONCE, count))
                )
            )

    _in_store(path, fill)


def make_conversation(path: Path, *, key: str, turns: int) -> int:
    """Store one conversation of so many turns in the last three months; returns the size of its journal in bytes."""
    _in_store(path, lambda store: _talk(store, key, turns))
    return max(file.stat().st_size for file in (path / "sessions").glob("*.jsonl"))


def _in_store(path: Path, fill: Callable[[FileStore], Coroutine[Any, Any, None]]) -> None:
    async def work() -> None:
        store = FileStore.open(StoreOptions(path=path, fsync=False))
        try:
            await fill(store)
            await store.flush(deadline_s=60.0)
        finally:
            store.close()

    path.mkdir(parents=True, exist_ok=True)
    asyncio.run(work())


async def _talk(store: FileStore, key: str, turns: int) -> None:
    opened = await store.open_session(key)
    state = decode_state(opened.state)
    began = time.time() - _SPREAD_S
    for first in range(0, turns, _TURNS_A_COMMIT):
        records: list[Record] = []
        for index in range(first, min(first + _TURNS_A_COMMIT, turns)):
            at = began + _SPREAD_S * index / turns
            records += _turn(index, at, number=state.number + 3 * index, seq=state.seq + 3 * index)
        await store.append(key, opened.token, tuple(records), keep=False)
    await store.close_session(key, opened.token)


def _turn(index: int, at: float, *, number: int, seq: int) -> list[Record]:
    message_id = f"stored-{index}"
    turn_id = turn_id_of(message_id)
    return [
        UserSaid(
            number=number + 1,
            seq=seq + 1,
            at=at,
            message_id=message_id,
            text=f"question {index}",
            queued=0,
            delivery_id=f"d-{index}",
            channel="websocket",
            correlation_id=f"c-{index}",
        ),
        TurnBegan(number=number + 2, seq=seq + 2, at=at, turn_id=turn_id, message_id=message_id, attempt=1),
        TurnEnded(
            number=number + 3,
            seq=seq + 3,
            at=at,
            turn_id=turn_id,
            message_id=message_id,
            status="completed",
            text=_ANSWER,
            usage=Usage(input_tokens=10, output_tokens=30),
        ),
    ]
