"""Reads sessions, notes and branches as OpenClaw.NET stored them, and as older versions of it named them.

    sessions/<base64 of id>.json   {"id":"sms:+1555…","history":[{"role":"user","content":"hi",…},…],…}
    sessions/<id>.json             the same, from before names were encoded

A file is found by the id that stands in it: no path is ever made from an id.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import msgspec

from openclaw_actors.core.records import (
    AssistantSpoke,
    Record,
    ToolFinished,
    ToolStarted,
    TurnBegan,
    TurnEnded,
    UserSaid,
    encode_record,
    turn_id_of,
)
from openclaw_actors.messages.events import TurnStatus, Usage
from openclaw_actors.messages.model import ToolCall
from openclaw_actors.store.files import Files
from openclaw_actors.store.journal import frame, header_line

__all__ = ["LegacySession", "LegacySessions", "records_of"]

logger = logging.getLogger(__name__)

_MAX_FILE_BYTES = 268_435_456
_OWN_LINES = b'{"crc":"'


class _Tool(msgspec.Struct, rename="camel"):
    tool_name: str = "tool"
    arguments: str = "{}"
    result: str = ""


class _Message(msgspec.Struct, rename="camel"):
    role: str
    content: str | None = ""
    timestamp: str | None = None
    tool_calls: list[_Tool] | None = None


class _Session(msgspec.Struct, rename="camel"):
    id: str
    history: list[_Message] = []
    created_at: str | None = None
    total_input_tokens: int = 0
    total_output_tokens: int = 0


class _Id(msgspec.Struct):
    id: str


_session_decoder = msgspec.json.Decoder(_Session)
_id_decoder = msgspec.json.Decoder(_Id)


class LegacySession:
    """One conversation of an older gateway, as a journal of ours."""

    def __init__(self, path: Path, journal: bytes, retired: Path, files: Files) -> None:
        self.path = path
        self.journal = journal
        self._retired = retired
        self._files = files

    def retire(self) -> None:
        """Moves the old file out of the way; it is kept."""
        self._files.rename(self.path, self._retired)
        self._files.flush_directory(self.path.parent)


class LegacySessions:
    """The old files that have not been taken over yet, by the id that stands in them.

    Args:
        root: the store's directory.
    """

    def __init__(self, root: Path, files: Files) -> None:
        self._retired = root / "legacy"
        self._files = files
        self._paths = dict(_scan(root / "sessions"))

    def __len__(self) -> int:
        return len(self._paths)

    def find(self, key: str) -> LegacySession | None:
        """The old conversation under this key, if there is one that can be read. Raises OSError."""
        for old in _old_ids(key):
            path = self._paths.get(old)
            if path is None:
                continue
            try:
                session = _session_decoder.decode(path.read_bytes())
            except msgspec.DecodeError as error:
                logger.warning("%s cannot be taken over: %s", path.name, error)
                continue
            del self._paths[old]
            records = records_of(session)
            journal = header_line(key)
            if records:
                bodies = [encode_record(record) for record in records]
                journal += b"".join(frame(bodies, [0] * len(bodies)))
            return LegacySession(path, journal, self._retired / path.name, self._files)
        return None

    def ids(self) -> list[str]:
        """What is left to take over."""
        return list(self._paths)


def _old_ids(key: str) -> Iterator[str]:
    """The ids under which older gateways may have kept this key's conversation: they knew no principals."""
    yield key
    channel, _, rest = key.partition(":")
    principal, colon, session = rest.partition(":")
    if channel == "websocket" and colon and principal in ("local", "default"):
        yield f"{channel}:{session}"


def _scan(directory: Path) -> Iterator[tuple[str, Path]]:
    """Files that are no snapshots of ours, by the id that stands in each."""
    with os.scandir(directory) as entries:
        names = {entry.name for entry in entries if entry.name.endswith((".json", ".jsonl"))}
    for name in names:
        if not name.endswith(".json") or f"{name}l" in names:
            continue
        path = directory / name
        try:
            if path.stat().st_size > _MAX_FILE_BYTES:
                logger.warning("%s is too large to be taken over", name)
                continue
            data = path.read_bytes()
            if not data.startswith(_OWN_LINES):
                yield _id_decoder.decode(data).id, path
        except (OSError, msgspec.DecodeError) as error:
            logger.warning("%s is no conversation that could be taken over: %s", name, error)


def records_of(session: _Session) -> list[Record]:
    """The history as records: each user's message, the tools of its turn, and its end."""
    builder = _Builder()
    for message in session.history:
        builder.add(message)
    builder.finish("interrupted", "")
    if builder.records and (session.total_input_tokens or session.total_output_tokens):
        last = builder.records[-1]
        assert isinstance(last, TurnEnded)
        usage = Usage(input_tokens=session.total_input_tokens, output_tokens=session.total_output_tokens)
        builder.records[-1] = msgspec.structs.replace(last, usage=usage)
    return builder.records


class _Builder:
    def __init__(self) -> None:
        self.records: list[Record] = []
        self._seq = 0
        self._turns = 0
        self._open = ""
        self._at = 0.0

    def add(self, message: _Message) -> None:
        self._at = _unix_time(message.timestamp) or self._at
        match message.role:
            case "user":
                self.finish("interrupted", "")
                self._begin(message.content or "")
            case "assistant" if self._open:
                if message.tool_calls:
                    self._tools(message)
                else:
                    self.finish("completed", message.content or "")
            case _:
                pass  # what the older gateway told the model itself; ours tells it anew

    def _begin(self, text: str) -> None:
        self._turns += 1
        self._open = f"legacy-{self._turns}"
        self._write(
            UserSaid(
                number=self._number(),
                at=self._at,
                seq=self._next_seq(),
                message_id=self._open,
                text=text,
                queued=0,
                delivery_id=self._open,
                channel="legacy",
                correlation_id="",
            )
        )
        self._write(
            TurnBegan(
                number=self._number(),
                at=self._at,
                seq=self._next_seq(),
                turn_id=turn_id_of(self._open),
                message_id=self._open,
                attempt=1,
            )
        )

    def _tools(self, message: _Message) -> None:
        turn_id = turn_id_of(self._open)
        calls = [
            ToolCall(
                call_id=f"{self._open}-{len(self.records)}-{index}",
                name=tool.tool_name,
                arguments=tool.arguments,
            )
            for index, tool in enumerate(message.tool_calls or ())
        ]
        text = "" if message.content == "[tool_use]" else message.content or ""
        self._write(
            AssistantSpoke(
                number=self._number(),
                at=self._at,
                turn_id=turn_id,
                text=text,
                tool_calls=tuple(calls),
                usage=Usage(),
            )
        )
        for call, tool in zip(calls, message.tool_calls or (), strict=True):
            self._write(
                ToolStarted(
                    number=self._number(),
                    at=self._at,
                    seq=self._next_seq(),
                    turn_id=turn_id,
                    call_id=call.call_id,
                    name=call.name,
                    arguments=call.arguments,
                )
            )
            self._write(
                ToolFinished(
                    number=self._number(),
                    at=self._at,
                    seq=self._next_seq(),
                    turn_id=turn_id,
                    call_id=call.call_id,
                    name=call.name,
                    status="ok",
                    text=tool.result,
                )
            )

    def finish(self, status: TurnStatus, text: str) -> None:
        if self._open:
            self._write(
                TurnEnded(
                    number=self._number(),
                    at=self._at,
                    seq=self._next_seq(),
                    turn_id=turn_id_of(self._open),
                    message_id=self._open,
                    status=status,
                    text=text,
                    usage=Usage(),
                )
            )
            self._open = ""

    def _number(self) -> int:
        return len(self.records) + 1

    def _next_seq(self) -> int:
        self._seq += 1
        return self._seq

    def _write(self, record: Record) -> None:
        self.records.append(record)


def _unix_time(timestamp: str | None) -> float:
    if not timestamp:
        return 0.0
    try:
        return datetime.fromisoformat(timestamp[:19] + timestamp[timestamp.rfind("+") :]).timestamp()
    except ValueError:
        return 0.0
