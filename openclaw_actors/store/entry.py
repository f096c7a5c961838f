"""Owns what the store holds in memory of one session."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

from openclaw_actors.core.conversation import Conversation
from openclaw_actors.core.records import Record
from openclaw_actors.store.boxes import Change
from openclaw_actors.store.failures import StoreRefusal
from openclaw_actors.store.journal import Loaded, frame, header_line
from openclaw_actors.store.snapshot import FORMAT, Snapshot, encode_snapshot
from openclaw_actors.store.writer import Job

__all__ = ["Append", "Entry", "Operation", "refuse", "settle"]


class Append:
    """Records on their way to the disk."""

    __slots__ = ("bodies", "future", "keep", "records", "token")

    def __init__(
        self, records: tuple[Record, ...], token: int, *, keep: bool, future: asyncio.Future[Any]
    ) -> None:
        self.records = records
        self.token = token
        self.keep = keep
        self.future = future
        self.bodies: list[bytes] = []


Operation: TypeAlias = Callable[["Entry", asyncio.Future[Any]], None]
"""Something done to a session, in its turn; it settles the future now or later."""


class Entry:
    """One session. `state` holds everything acknowledged, also what waits for a failing disk."""

    __slots__ = (
        "after",
        "attempt",
        "busy",
        "cut",
        "durable_number",
        "end",
        "journal",
        "kept",
        "key",
        "last",
        "live",
        "patience_s",
        "pending",
        "snapshot",
        "snapshot_bytes",
        "snapshot_end",
        "snapshot_failed",
        "snapshot_number",
        "snapshotting",
        "state",
        "timer",
        "token",
        "waiting",
        "writer_token",
    )

    def __init__(self, key: str) -> None:
        self.key = key
        self.state = Conversation(key=key)
        self.journal = Path()
        self.snapshot = Path()
        self.after = 0
        """Number of the last event of an earlier conversation of this key."""
        self.end = 0
        """The journal's acknowledged length."""
        self.last = (0, "")
        """Offset and CRC of its last line."""
        self.token = 0
        """The newest token known; older ones are refused."""
        self.writer_token = 0
        """The token of the last record."""
        self.durable_number = 0
        self.snapshot_number = 0
        self.snapshot_end = 0
        self.snapshot_bytes = 0
        self.snapshot_failed = 0
        """The number at which a snapshot could not be written; 0: the last one could."""
        self.snapshotting = False
        self.live = False
        self.busy = True
        """Being read or written; operations wait."""
        self.waiting: deque[tuple[Operation, asyncio.Future[Any]]] = deque()
        self.pending: Append | None = None
        self.attempt = 0
        self.kept: list[Append] = []
        """Acknowledged without the disk, in order."""
        self.cut = False
        """A write failed: behind `end` may stand what must not be read again."""
        self.timer: asyncio.TimerHandle | None = None
        self.patience_s = 0.0

    @property
    def size(self) -> int:
        """Bytes in memory, roughly: the state is about as large as its snapshot and what was written since."""
        return 1_000 + self.snapshot_bytes + self.end - self.snapshot_end

    @property
    def dirty(self) -> bool:
        """Does anything acknowledged stand in memory alone?"""
        return bool(self.kept)

    @property
    def pinned(self) -> bool:
        """Is there more to this entry than the files say?"""
        return bool(
            self.busy or self.waiting or self.kept or self.cut or self.timer is not None or self.snapshotting
        )

    def fill(self, loaded: Loaded, journal: Path, snapshot: Path, token: int) -> None:
        """Takes over what the files say."""
        self.state = loaded.state
        self.journal = journal
        self.snapshot = snapshot
        self.after = loaded.after
        self.end = loaded.end
        self.last = loaded.last
        self.writer_token = loaded.token
        self.token = max(loaded.token, token)
        self.durable_number = loaded.state.number
        self.snapshot_number = loaded.snapshot_number
        self.snapshot_end = loaded.snapshot_end
        self.snapshot_bytes = loaded.snapshot_bytes
        self.snapshot_failed = 0

    @property
    def unwritten(self) -> list[Append]:
        """What waits for the disk, in order."""
        return [*self.kept, self.pending] if self.pending is not None else self.kept

    def job(self, opens: str, notes: tuple[Change, ...] = ()) -> tuple[Job, tuple[int, str]]:
        """What has to be written, and offset and CRC of the last line when it is."""
        appends = self.unwritten
        bodies = [body for append in appends for body in append.bodies]
        data, last = b"", self.last
        if bodies:
            lines = frame(bodies, [append.token for append in appends for _ in append.bodies])
            if not self.end:
                lines.insert(0, header_line(self.key, after=self.after))
            data = b"".join(lines)
            last = (self.end + len(data) - len(lines[-1]), lines[-1][8:16].decode())
        return Job(self.journal, self.end, data, cut=self.cut, opens=opens, notes=notes, owner=self), last

    def encode_snapshot(self, *, window_turns: int) -> bytes:
        """The snapshot's content as of now. Only while nothing waits for the disk."""
        return encode_snapshot(
            Snapshot(
                format=FORMAT,
                session=self.key,
                offset=self.end,
                last=self.last,
                token=self.writer_token,
                window_turns=window_turns,
                state=self.state,
            )
        )


def settle(future: asyncio.Future[Any], value: object) -> None:
    """Answers, unless nobody waits any more."""
    if not future.done():
        future.set_result(value)


def refuse(future: asyncio.Future[Any], code: str, text: str) -> None:
    """Refuses, unless nobody waits any more."""
    if not future.done():
        future.set_exception(StoreRefusal(code, text))
