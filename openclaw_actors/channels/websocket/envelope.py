"""Owns dialect 2's envelopes: which frames are one, and the bytes of those that go out."""

from __future__ import annotations

from typing import Literal

import msgspec

from openclaw_actors.channels.websocket.wire import encode_json, text_frame
from openclaw_actors.messages import Value

__all__ = ["Envelope", "EnvelopeType", "encode_envelope", "parse_envelope"]

EnvelopeType = Literal[
    "assistant_chunk", "tool_start", "tool_result", "error", "assistant_done", "assistant_message"
]


class Envelope(Value, rename="camel"):
    """A user's message in dialect 2."""

    type: Literal["user_message"]
    text: str
    message_id: str | None = None
    reply_to_message_id: str | None = None


class _Answer(Value, rename="camel", omit_defaults=True):
    type: str
    text: str
    in_reply_to_message_id: str | None = None


_decoder = msgspec.json.Decoder(Envelope)


def parse_envelope(frame: str) -> Envelope | None:
    """The envelope in this frame, or None: then the whole frame is the user's text."""
    if not frame.lstrip(" \t\r\n").startswith("{"):
        return None
    try:
        return _decoder.decode(frame)
    except (msgspec.DecodeError, RecursionError):
        return None


def encode_envelope(type_: EnvelopeType, text: str, in_reply_to: str | None) -> bytes:
    """The frame of one answer."""
    return text_frame(encode_json(_Answer(type=type_, text=text, in_reply_to_message_id=in_reply_to)))
