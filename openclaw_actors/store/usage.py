"""Owns the usage ledger: one line a turn, and what each principal has used today.

A line follows from the record of a turn's end as it becomes part of the conversation, so there is one for each. It is
written behind the commit, by a thread of its own: a crash in between may lose the last lines, and doubles none. Only
the newest file counts for the day: each begins with what the day had used when the one before was set aside.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

from openclaw_actors import logs
from openclaw_actors.core.conversation import Conversation
from openclaw_actors.core.daily import DayTotals, day_of
from openclaw_actors.core.principals import principal_of
from openclaw_actors.core.records import Record, TurnEnded
from openclaw_actors.linewriter import LineWriter
from openclaw_actors.messages.usage import DayUsage, UsageNoted

__all__ = ["LEDGER_NAME", "UsageLedger", "UsageLine", "read_ledger"]

logger = logging.getLogger(__name__)

LEDGER_NAME = "usage.jsonl"
BACKUPS = 9
MAX_BYTES = 10_485_760
_CLOSE_S = 2.0


class UsageLine(msgspec.Struct, omit_defaults=True):
    """One turn, or one call without a session; or, as `carried`, what the day had used before this file."""

    at: float
    """Unix time, seconds, of its end."""
    session: str = ""
    principal: str = ""
    turn: str = ""
    model: str = ""
    tokens_in: int = 0
    tokens_out: int = 0
    seconds: float = 0.0
    """From its beginning to its end, questions to people included."""
    status: str = ""
    code: str | None = None
    carried: dict[str, int] | None = None
    total: int = 0


class UsageLedger:
    """The ledger of one store. Lives in the event loop.

    Args:
        directory: the store's.
        model: what answers where a conversation wants nothing else, and a turn does not say who did.
        later: calls back in a moment: the lines of that time are handed over together. None: each at once.
    """

    def __init__(
        self,
        directory: Path,
        model: str,
        *,
        max_bytes: int = MAX_BYTES,
        later: Callable[[Callable[[], None]], object] | None = None,
    ) -> None:
        self._later = later
        self._gathered: list[bytes] = []
        self.path = directory / LEDGER_NAME
        self._model = model
        self._max_bytes = max_bytes
        self._today = DayTotals()
        self._size = 0
        self._read()
        self._file = logs.SharedFile(self.path)
        self._lines = LineWriter(self._write, what="usage ledger")

    def answers_by_default(self, model: str) -> None:
        """Another model answers where a conversation wants nothing else."""
        self._model = model

    def note(self, state: Conversation, record: Record) -> None:
        """A record is about to become part of a conversation."""
        if not isinstance(record, TurnEnded):
            return
        message = next((each for each in state.open if each.message_id == record.message_id), None)
        if message is None or message.absorbed:
            return  # a command, or a message that another one's turn answers
        began_at = message.began_at or message.at
        self._add(
            UsageLine(
                at=record.at,
                session=state.key,
                principal=principal_of(state.key),
                turn=record.turn_id,
                model=record.model or state.settings.get("model", self._model),
                tokens_in=record.usage.input_tokens,
                tokens_out=record.usage.output_tokens,
                seconds=round(max(0.0, record.at - began_at), 3),
                status=record.status,
                code=record.code,
            )
        )

    def note_call(self, noted: UsageNoted) -> None:
        """A call was made that belongs to no session."""
        self._add(
            UsageLine(
                at=noted.at,
                session=noted.caller,
                principal=principal_of(noted.caller),
                model=noted.model,
                tokens_in=noted.usage.input_tokens,
                tokens_out=noted.usage.output_tokens,
                seconds=round(noted.seconds, 3),
                status=noted.status,
            )
        )

    def today(self, principal: str | None) -> DayUsage:
        """What was used today."""
        self._today.begin(time.time())
        used = self._today.principals
        wanted = dict(used) if principal is None else {principal: used.get(principal, 0)}
        return DayUsage(day=self._today.day, total=self._today.total, principals=wanted)

    def close(self) -> None:
        """Write what waits. Blocks briefly."""
        self._hand_over()
        if not self._lines.close(_CLOSE_S):
            logger.error("the last lines of the usage ledger could not be written in time")

    def _add(self, line: UsageLine) -> None:
        if self._size >= self._max_bytes:
            used = dict(self._today.principals)
            self._put(UsageLine(at=line.at, carried=used, total=self._today.total), fresh=True)
        self._today.add(line.principal, line.tokens_in + line.tokens_out, line.at)
        self._put(line)

    def _put(self, line: UsageLine, *, fresh: bool = False) -> None:
        data = msgspec.json.encode(line)
        self._size = len(data) + (0 if fresh else self._size)
        if fresh:
            self._hand_over()
            data = b"\n" + data
        self._gathered.append(data)
        if self._later is None or fresh:
            self._hand_over()
        elif len(self._gathered) == 1:
            self._later(self._hand_over)

    def _hand_over(self) -> None:
        gathered, self._gathered = self._gathered, []
        if gathered:
            self._lines.put(b"\n".join(gathered))

    def _write(self, data: bytes) -> None:
        """In the thread: a line; one that begins with a line's end begins the next file."""
        if data.startswith(b"\n"):
            self._file.close()
            logs.rotate_if_needed(self.path, max_bytes=0, backups=BACKUPS)
            data = data[1:]
        self._file.write(data)

    def _read(self) -> None:
        try:
            with self.path.open("rb") as file:
                self._size = os.fstat(file.fileno()).st_size
                for data in file:
                    self._count(data)
        except FileNotFoundError:
            return
        except OSError as error:
            logger.error("what was used today cannot be read: %s", error)

    def _count(self, data: bytes) -> None:
        line = _decode(data)
        if line is None:
            return
        if line.carried is None:
            if day_of(line.at) >= self._today.day:
                self._today.add(line.principal, line.tokens_in + line.tokens_out, line.at)
            return
        self._today.begin(line.at)
        self._today.principals.update(line.carried)
        self._today.total = max(self._today.total, line.total)


def read_ledger(directory: Path) -> Iterator[UsageLine]:
    """The lines of a ledger, the oldest first; a gateway that runs goes on writing it.

    Args:
        directory: the store's.
    """
    newest = directory / LEDGER_NAME
    for path in (*(directory / f"{LEDGER_NAME}.{number}" for number in range(BACKUPS, 0, -1)), newest):
        try:
            with path.open("rb") as file:
                for data in file:
                    line = _decode(data)
                    if line is not None and line.carried is None:
                        yield line
        except FileNotFoundError:
            continue


def _decode(data: bytes) -> UsageLine | None:
    """A line; None for one that a crash has torn."""
    try:
        return msgspec.json.decode(data, type=UsageLine)
    except (msgspec.MsgspecError, UnicodeError):
        return None
