"""Decides what a client's frame means in its dialect, and tells it what is wrong."""

from __future__ import annotations

import hashlib

from openclaw_actors.channels.websocket.answers import Answers
from openclaw_actors.channels.websocket.channel import WebSocketCore
from openclaw_actors.channels.websocket.connection import Connection
from openclaw_actors.channels.websocket.envelope import parse_envelope
from openclaw_actors.channels.websocket.v2 import (
    MAX_ID_CHARS,
    BadFrame,
    Heartbeat,
    Request,
    Resume,
    Stop,
    ToolApprovalDecision,
    UserMessage,
    bad_field,
    parse,
)
from openclaw_actors.channels.websocket.wire import text_frame
from openclaw_actors.core.refusals import REFUSAL_TEXTS
from openclaw_actors.messages import ErrorEvent

__all__ = ["RATE_LIMIT_EXCEEDED", "received"]

RATE_LIMIT_EXCEEDED = (1008, "rate limit exceeded")
_PONG = text_frame(b'{"type":"pong"}')
_EMPTY = "The message is empty."
_MAX_ENVELOPE_ID_CHARS = 1_024
_LONG_ID = f"messageId must be a string of at most {_MAX_ENVELOPE_ID_CHARS:,} characters."


def received(core: WebSocketCore, connection: Connection, frame: str, *, now: float) -> None:
    """A client sent a text frame.

    Args:
        now: monotonic seconds.
    """
    if connection.answers is None:
        _v2(core, connection, frame, now)
    else:
        _text(core, connection, connection.answers, frame, now)


def _text(core: WebSocketCore, connection: Connection, answers: Answers, frame: str, now: float) -> None:
    envelope = parse_envelope(frame)
    if envelope is not None:
        answers.enveloped = True
    text = envelope.text if envelope is not None else frame
    in_reply_to = envelope.message_id if envelope is not None else None
    if not connection.messages.hit(now):
        answers.tell(REFUSAL_TEXTS["rate_limited"], in_reply_to)
        core.rejected("rate_limited")
        core.outputs.close(connection.id, *RATE_LIMIT_EXCEEDED)
        return
    if not text:
        core.rejected("bad_field")
        answers.tell(_EMPTY, in_reply_to)
        return
    if in_reply_to is not None and len(in_reply_to) > _MAX_ENVELOPE_ID_CHARS:
        core.rejected("bad_field")
        answers.tell(_LONG_ID, in_reply_to)  # every frame of an answer would repeat it
        return
    problem = core.deliver(
        connection,
        session_id=connection.session_id or connection.id,
        text=text,
        message_id=_short(in_reply_to),
        in_reply_to=in_reply_to,
        reply_to=_short(envelope.reply_to_message_id) if envelope is not None else None,
        now=now,
    )
    if problem is not None:
        answers.tell(REFUSAL_TEXTS[problem], in_reply_to)


def _v2(core: WebSocketCore, connection: Connection, frame: str, now: float) -> None:
    request = parse(frame, connection.session_id)
    if isinstance(request, Heartbeat):
        core.outputs.frame(connection.id, _PONG)
        return
    if not connection.messages.hit(now):
        message_id = request.message_id if isinstance(request, (UserMessage, BadFrame)) else None
        session_id = getattr(request, "session_id", None)
        error = ErrorEvent(code="rate_limited", text=REFUSAL_TEXTS["rate_limited"], message_id=message_id)
        core.notify(connection, error, session_id)
        if isinstance(request, (UserMessage, BadFrame)):
            core.rejected("rate_limited")
        else:
            core.rate_limited()
        core.outputs.close(connection.id, *RATE_LIMIT_EXCEEDED)
        return
    if isinstance(request, BadFrame):
        core.rejected(request.code)
        error = ErrorEvent(code=request.code, text=request.text, message_id=request.message_id)
        core.notify(connection, error, request.session_id)
        return
    _carry_out(core, connection, request, now)


def _carry_out(core: WebSocketCore, connection: Connection, request: Request, now: float) -> None:
    match request:
        case UserMessage():
            problem = core.deliver(
                connection,
                session_id=request.session_id,
                text=request.text,
                message_id=request.message_id,
                reply_to=request.reply_to,
                now=now,
            )
            if problem is not None:
                _error(core, connection, problem, request.session_id, request.message_id)
        case Resume():
            problem = core.resume(connection, request.session_id, request.last_seq, now)
            if problem is not None:
                _error(core, connection, problem, request.session_id, None)
        case Stop():
            core.stop(connection, request.session_id, queue=request.queue, now=now)
        case ToolApprovalDecision():
            if not core.decisions.decide(
                connection, request.approval_id, request.session_id, now, approved=request.approved
            ):
                text = bad_field("approvalId", request.approval_id, "must name an approval that is waiting")
                core.notify(connection, ErrorEvent(code="bad_field", text=text), request.session_id)


def _error(
    core: WebSocketCore, connection: Connection, code: str, session_id: str, message_id: str | None
) -> None:
    error = ErrorEvent(code=code, text=REFUSAL_TEXTS[code], message_id=message_id)
    core.notify(connection, error, session_id)


def _short(client_id: str | None) -> str | None:
    """A client's id as we keep it: a very long one by its digest."""
    if not client_id or len(client_id) <= MAX_ID_CHARS:
        return client_id or None
    return "sha256-" + hashlib.sha256(client_id.encode("utf-8", "replace")).hexdigest()
