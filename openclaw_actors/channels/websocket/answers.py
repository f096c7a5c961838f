"""Decides what a connection of dialect 1 or 2 is told: the answers to its own messages, and nothing else."""

from __future__ import annotations

import zlib
from collections.abc import Callable

from openclaw_actors.channels.websocket.envelope import EnvelopeType, encode_envelope
from openclaw_actors.channels.websocket.wire import text_frame
from openclaw_actors.core.approvals import asking_text
from openclaw_actors.messages import (
    AssistantChunk,
    Event,
    ToolApprovalRequired,
    ToolResult,
    ToolStart,
    TurnDone,
    TurnStarted,
)

__all__ = ["INTERRUPTED_TEXT", "Answers"]

INTERRUPTED_TEXT = "The answer was interrupted and starts again."

_WITHOUT_TEXT = {
    "failed": "Internal error.",
    "interrupted": "The answer was interrupted.",
    "stopped": "Stopped.",
}


class _Own:
    """A message of this connection whose end it has not been told."""

    __slots__ = ("attempt", "checksum", "in_reply_to", "streamed", "turn_id", "waiting")

    def __init__(self, in_reply_to: str | None) -> None:
        self.in_reply_to = in_reply_to
        self.waiting = 0
        """How often it was sent; each wants its end."""
        self.turn_id = ""
        self.attempt = 0
        self.streamed = 0
        """Characters of the attempt that the client has."""
        self.checksum = 0

    def begin(self, turn_id: str, attempt: int) -> None:
        self.turn_id, self.attempt = turn_id, attempt
        self.streamed, self.checksum = 0, 0

    def add(self, text: str) -> None:
        self.streamed += len(text)
        self.checksum = zlib.crc32(text.encode("utf-8", "replace"), self.checksum)

    def is_start_of(self, text: str) -> bool:
        start = text[: self.streamed].encode("utf-8", "replace")
        return len(text) >= self.streamed and zlib.crc32(start) == self.checksum


class Answers:
    """Turns receipts and events into the frames of dialects 1 and 2. Events come in order, none twice.

    Args:
        emit: takes each frame, to be sent to this connection.
    """

    def __init__(self, emit: Callable[[bytes], None]) -> None:
        self._emit = emit
        self._own: dict[str, _Own] = {}
        self._turns: dict[str, _Own] = {}
        self.enveloped = False
        """Whether an envelope came: from then on every answer is one."""

    def sent(self, message_id: str, in_reply_to: str | None) -> None:
        """A message of this connection is on its way."""
        own = self._own.setdefault(message_id, _Own(in_reply_to))
        own.waiting += 1

    def refused(self, message_id: str, text: str) -> None:
        """It was not taken after all."""
        own = self._one_less(message_id)
        if own is not None:
            self.tell(text, own.in_reply_to)

    def repeated(self, message_id: str, done: TurnDone) -> None:
        """It was known already, and its turn has ended so."""
        own = self._one_less(message_id)
        if own is not None:
            self._end(own, done, fresh=True)

    def abandon(self) -> None:
        """No more events will come: every message that still has none gets its end."""
        own, self._own = self._own, {}
        self._turns.clear()
        for each in own.values():
            for _ in range(each.waiting):
                if self.enveloped:
                    self._send("error", _WITHOUT_TEXT["interrupted"], each.in_reply_to)
                    self._send("assistant_done", "", each.in_reply_to)
                else:
                    self.tell(_WITHOUT_TEXT["interrupted"], each.in_reply_to)

    def tell(self, text: str, in_reply_to: str | None) -> None:
        """The one and only answer to a message: what a person should know."""
        if self.enveloped:
            self._send("assistant_message", text, in_reply_to)
        else:
            self._emit(text_frame(text.encode("utf-8", "replace")))

    def event(self, event: Event) -> None:
        """Something happened in the session."""
        if isinstance(event, AssistantChunk):
            self._chunk(event)
        elif isinstance(event, TurnStarted):
            self._started(event)
        elif isinstance(event, (ToolStart, ToolResult)):
            self._tool(event)
        elif isinstance(event, ToolApprovalRequired):
            self._asked(event)
        elif isinstance(event, TurnDone):
            self._done(event)

    def _started(self, event: TurnStarted) -> None:
        own = self._own.get(event.message_id)
        if own is None:
            return
        self._turns[event.turn_id] = own
        if not own.turn_id:
            own.begin(event.turn_id, event.attempt)

    def _chunk(self, chunk: AssistantChunk) -> None:
        own = self._turns.get(chunk.turn_id)
        if own is None or not self.enveloped:
            return
        if chunk.attempt > own.attempt:
            self._restart(own, chunk.attempt)
        if chunk.attempt < own.attempt or chunk.offset != own.streamed:
            return  # what is missing comes with the end of the turn
        own.add(chunk.text)
        self._send("assistant_chunk", chunk.text, own.in_reply_to)

    def _tool(self, event: ToolStart | ToolResult) -> None:
        own = self._turns.get(event.turn_id)
        if own is None or not self.enveloped:
            return
        if isinstance(event, ToolStart):
            self._send("tool_start", event.name, own.in_reply_to)
        else:
            self._send("tool_result", event.text, own.in_reply_to)

    def _asked(self, event: ToolApprovalRequired) -> None:
        own = self._turns.get(event.turn_id)
        if own is None:
            return
        text = asking_text(event.approval_id, event.name, event.arguments)
        if self.enveloped:
            self._send("error", text, own.in_reply_to)
        else:
            self._emit(text_frame(text.encode("utf-8", "replace")))

    def _done(self, done: TurnDone) -> None:
        self._turns.pop(done.turn_id, None)
        own = self._own.pop(done.message_id, None)
        if own is None:
            return
        for again in range(own.waiting):
            self._end(own, done, fresh=again > 0)

    def _end(self, own: _Own, done: TurnDone, *, fresh: bool) -> None:
        """Tell the end of a turn; `fresh`: to a message of which nothing was streamed yet."""
        text = done.text or _WITHOUT_TEXT.get(done.status, "")
        if not self.enveloped:
            self.tell(text, own.in_reply_to)
            return
        if done.status in ("failed", "interrupted"):
            self._send("error", text, own.in_reply_to)
        else:
            self._rest(own, done.text, fresh=fresh)
        self._send("assistant_done", "", own.in_reply_to)

    def _rest(self, own: _Own, text: str, *, fresh: bool) -> None:
        known = 0 if fresh else own.streamed
        if known and not own.is_start_of(text):
            self._send("error", INTERRUPTED_TEXT, own.in_reply_to)
            known = 0
        if len(text) > known:
            self._send("assistant_chunk", text[known:], own.in_reply_to)

    def _restart(self, own: _Own, attempt: int) -> None:
        if own.streamed:
            self._send("error", INTERRUPTED_TEXT, own.in_reply_to)
        own.begin(own.turn_id, attempt)

    def _one_less(self, message_id: str) -> _Own | None:
        own = self._own.get(message_id)
        if own is None:
            return None
        own.waiting -= 1
        if not own.waiting:
            del self._own[message_id]
            self._turns.pop(own.turn_id, None)
        return own

    def _send(self, type_: EnvelopeType, text: str, in_reply_to: str | None) -> None:
        self._emit(encode_envelope(type_, text, in_reply_to))
