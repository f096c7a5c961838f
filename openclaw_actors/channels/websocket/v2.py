"""Decides what a client's `openclaw.v2` frame means, or says exactly what is wrong with it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from openclaw_actors.channels.sessions import SESSION_ID_RULE, is_session_id
from openclaw_actors.messages import Value

__all__ = [
    "MAX_ID_CHARS",
    "BadFrame",
    "Heartbeat",
    "Request",
    "Resume",
    "Stop",
    "ToolApprovalDecision",
    "UserMessage",
    "bad_field",
    "parse",
]

MAX_ID_CHARS = 128
_MAX_SHOWN = 40
_ID_RULE = f"must be a string of 1 to {MAX_ID_CHARS} characters"
_SEQ_RULE = "must be a whole number, 0 or more"

_decoder = msgspec.json.Decoder()


class UserMessage(Value):
    session_id: str
    text: str
    message_id: str | None = None
    reply_to: str | None = None


class Resume(Value):
    session_id: str
    last_seq: int | None = None


class Stop(Value):
    session_id: str
    queue: bool = False


class ToolApprovalDecision(Value):
    approval_id: str
    approved: bool
    session_id: str | None = None
    """None: one of those that the connection follows."""


class Heartbeat(Value):
    pass


class BadFrame(Value):
    """Why a frame was refused; becomes an `error`."""

    code: str
    text: str
    message_id: str | None = None
    session_id: str | None = None


Request = UserMessage | Resume | Stop | ToolApprovalDecision | Heartbeat


class _Problem(Exception):
    def __init__(self, code: str, text: str) -> None:
        super().__init__(code, text)
        self.code = code
        self.text = text


def parse(frame: str, default_session: str | None = None) -> Request | BadFrame:
    """Read one frame. Unknown fields are ignored, `null` is as good as absent.

    Args:
        default_session: the session id of `?session=`, for frames without one.
    """
    try:
        fields = _decoder.decode(frame)
    except (msgspec.DecodeError, RecursionError) as problem:
        return BadFrame(code="bad_json", text=f"The frame is not JSON: {str(problem)[:200]}.")
    if not isinstance(fields, dict):
        return BadFrame(code="bad_json", text=f"The frame must be one JSON object, not {_kind(fields)}.")
    kind = fields.get("type")
    read = _READERS.get(kind) if isinstance(kind, str) else None
    if read is None:
        return BadFrame(
            code="unknown_type",
            text=f"type: {_shown(kind)} is not known; must be one of {', '.join(_READERS)}.",
            message_id=_echo(fields.get("messageId")),
            session_id=_echo(fields.get("sessionId")) or default_session,
        )
    try:
        return read(fields, default_session)
    except _Problem as problem:
        return BadFrame(
            code=problem.code,
            text=problem.text,
            message_id=_echo(fields.get("messageId")),
            session_id=_echo(fields.get("sessionId")) or default_session,
        )


def bad_field(name: str, value: object, rule: str) -> str:
    """The text of a `bad_field`: the field, its value, cut, and what is allowed."""
    if value is None:
        return f"{name} is missing; it {rule}."
    return f"{name}: {_shown(value)} is not allowed; it {rule}."


def _user_message(fields: Mapping[str, Any], default_session: str | None) -> Request:
    text = fields.get("text")
    if not isinstance(text, str) or not text:
        raise _Problem("bad_field", bad_field("text", text, "must be a string that is not empty"))
    return UserMessage(
        session_id=_session_id(fields, default_session),
        text=text,
        message_id=_id(fields, "messageId", required=False),
        reply_to=_id(fields, "replyToMessageId", required=False),
    )


def _resume(fields: Mapping[str, Any], default_session: str | None) -> Request:
    last_seq = fields.get("lastSeq")
    if last_seq is not None and (type(last_seq) is not int or not 0 <= last_seq < 2**63):
        raise _Problem("bad_field", bad_field("lastSeq", last_seq, _SEQ_RULE))
    return Resume(session_id=_session_id(fields, default_session), last_seq=last_seq)


def _stop(fields: Mapping[str, Any], default_session: str | None) -> Request:
    queue = fields.get("queue")
    if queue is not None and not isinstance(queue, bool):
        raise _Problem("bad_field", bad_field("queue", queue, "must be true or false"))
    return Stop(session_id=_session_id(fields, default_session), queue=bool(queue))


def _decision(fields: Mapping[str, Any], default_session: str | None) -> Request:
    approved = fields.get("approved")
    if not isinstance(approved, bool):
        raise _Problem("bad_field", bad_field("approved", approved, "must be true or false"))
    approval_id = _id(fields, "approvalId", required=True)
    assert approval_id is not None
    session_id = default_session if fields.get("sessionId") is None else _session_id(fields, None)
    return ToolApprovalDecision(approval_id=approval_id, approved=approved, session_id=session_id)


def _heartbeat(_: Mapping[str, Any], __: str | None) -> Request:
    return Heartbeat()


_READERS = {
    "user_message": _user_message,
    "resume": _resume,
    "stop": _stop,
    "tool_approval_decision": _decision,
    "heartbeat": _heartbeat,
}


def _session_id(fields: Mapping[str, Any], default: str | None) -> str:
    value = fields.get("sessionId")
    if value is None and default is not None:
        return default
    if not isinstance(value, str):
        raise _Problem("bad_field", bad_field("sessionId", value, SESSION_ID_RULE))
    if not is_session_id(value):
        raise _Problem("session_id_invalid", bad_field("sessionId", value, SESSION_ID_RULE))
    return value


def _id(fields: Mapping[str, Any], name: str, *, required: bool) -> str | None:
    value = fields.get(name)
    if value is None and not required:
        return None
    if not isinstance(value, str) or not 0 < len(value) <= MAX_ID_CHARS:
        raise _Problem("bad_field", bad_field(name, value, _ID_RULE))
    return value


def _echo(value: object) -> str | None:
    """An id of the client's as far as an error may repeat it."""
    return value if isinstance(value, str) and 0 < len(value) <= MAX_ID_CHARS else None


def _shown(value: object) -> str:
    if isinstance(value, (dict, list)):
        return _kind(value)
    shown = msgspec.json.encode(value[: _MAX_SHOWN + 1] if isinstance(value, str) else value).decode()
    return shown if len(shown) <= _MAX_SHOWN + 2 else shown[:_MAX_SHOWN] + "…"


def _kind(value: object) -> str:
    kinds = {dict: "an object", list: "an array", str: "a string", bool: "a boolean", type(None): "null"}
    return kinds.get(type(value), "a number")
