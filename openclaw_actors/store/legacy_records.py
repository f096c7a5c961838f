"""Decides what a conversation of OpenClaw.NET is in our records.

{"id":"sms:+1555…","history":[{"role":"user","content":"hi",…},{"role":"assistant","toolCalls":[…],…},…],…}
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

import msgspec

from openclaw_actors.core.conversation import Conversation, apply
from openclaw_actors.core.records import (
    AssistantSpoke,
    Record,
    ToolFinished,
    ToolStarted,
    TurnBegan,
    TurnEnded,
    UserSaid,
    turn_id_of,
)
from openclaw_actors.messages.events import TurnStatus, Usage
from openclaw_actors.messages.history import HistoryTurn
from openclaw_actors.messages.model import ToolCall

__all__ = ["OldMessage", "OldSession", "records_of", "unix_time", "window_of"]

_UNASKED = "(No question is stored for what follows.)"


class _Tool(msgspec.Struct, rename="camel"):
    tool_name: str = "tool"
    arguments: str = "{}"
    result: str = ""


class OldMessage(msgspec.Struct, rename="camel"):
    """A message as OpenClaw.NET has stored it."""

    role: str
    content: str | None = ""
    timestamp: str | None = None
    tool_calls: list[_Tool] | None = None


class OldSession(msgspec.Struct, rename="camel"):
    """A conversation as OpenClaw.NET has stored it."""

    id: str
    history: list[OldMessage] = []
    created_at: str | None = None
    total_input_tokens: int = 0
    total_output_tokens: int = 0


def records_of(session: OldSession) -> list[Record]:
    """The history as records: each user's message, the tools of its turn, and its end."""
    records = _records(session.history)
    if records and (session.total_input_tokens or session.total_output_tokens):
        last = records[-1]
        assert isinstance(last, TurnEnded)
        usage = Usage(input_tokens=session.total_input_tokens, output_tokens=session.total_output_tokens)
        records[-1] = msgspec.structs.replace(last, usage=usage)
    return records


def window_of(history: Sequence[OldMessage]) -> list[HistoryTurn]:
    """The history as ended turns."""
    state = Conversation(key="")
    for record in _records(history):
        apply(state, record, window_turns=len(history) + 1)
    return state.window


def _records(history: Sequence[OldMessage]) -> list[Record]:
    builder = _Builder()
    for message in history:
        builder.add(message)
    builder.finish()
    return builder.records


class _Builder:
    def __init__(self) -> None:
        self.records: list[Record] = []
        self._seq = 0
        self._turns = 0
        self._open = ""
        self._answers: list[str] = []
        self._at = 0.0

    def add(self, message: OldMessage) -> None:
        self._at = unix_time(message.timestamp) or self._at
        text = message.content or ""
        match message.role:
            case "user":
                self.finish()
                self._begin(text)
            case "assistant":
                if not self._open:
                    self._begin(_UNASKED)
                if message.tool_calls:
                    self._tools(message)
                else:
                    self._answers.append(text)
            case _ if text:
                # A summary of what was compacted. It was made of what people said: data, never instructions.
                self.finish()
                self._begin(text)
                self._answers.append("")
                self.finish()

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

    def _tools(self, message: OldMessage) -> None:
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

    def finish(self) -> None:
        if not self._open:
            return
        status: TurnStatus = "completed" if self._answers else "interrupted"
        self._write(
            TurnEnded(
                number=self._number(),
                at=self._at,
                seq=self._next_seq(),
                turn_id=turn_id_of(self._open),
                message_id=self._open,
                status=status,
                text="\n\n".join(filter(None, self._answers)),
                usage=Usage(),
            )
        )
        self._open = ""
        self._answers = []

    def _number(self) -> int:
        return len(self.records) + 1

    def _next_seq(self) -> int:
        self._seq += 1
        return self._seq

    def _write(self, record: Record) -> None:
        self.records.append(record)


def unix_time(timestamp: str | None) -> float:
    """Seconds since 1970; 0 if there is no time or none that can be understood."""
    try:
        moment = datetime.fromisoformat(timestamp or "")
    except ValueError:
        return 0.0
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
