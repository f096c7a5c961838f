"""Owns the bytes of what goes out: JSON bodies, and the WebSocket frames around them."""

from __future__ import annotations

import re
import struct
from typing import Any

import msgspec

from openclaw_actors.messages import Event

__all__ = ["encode_event", "encode_json", "session_suffix", "text_frame"]

_encoder = msgspec.json.Encoder()
_LONE_SURROGATE = re.compile("[\ud800-\udfff]")


def text_frame(payload: bytes) -> bytes:
    """One unfragmented, unmasked text frame: made once, written to as many sockets as want it."""
    size = len(payload)
    if size < 126:
        return b"\x81" + bytes((size,)) + payload
    if size < 65536:
        return struct.pack("!BBH", 0x81, 126, size) + payload
    return struct.pack("!BBQ", 0x81, 127, size) + payload


def encode_json(value: Any) -> bytes:
    """JSON in UTF-8. Lone surrogates, which UTF-8 cannot carry, become U+FFFD."""
    try:
        return _encoder.encode(value)
    except UnicodeEncodeError:
        return _encoder.encode(_mended(msgspec.to_builtins(value)))


def session_suffix(session_id: str) -> bytes:
    """What ends the body of every event of this session; `encode_event` takes it."""
    return b',"sessionId":' + encode_json(session_id) + b"}"


def encode_event(event: Event, suffix: bytes = b"}") -> bytes:
    """The frame of an event in `openclaw.v2`.

    Args:
        suffix: of the session that it belongs to (`session_suffix`); the default is for one without session.
    """
    return text_frame(encode_json(event)[:-1] + suffix)


def _mended(value: Any) -> Any:
    if isinstance(value, str):
        return _LONE_SURROGATE.sub("\ufffd", value)
    if isinstance(value, dict):
        return {key: _mended(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_mended(item) for item in value]
    return value
