"""Decides how a message is handed to Twilio, and what its answer says about whether the message was taken.

Of Twilio's documentation: a request that is answered 429 was not processed. An error 4xx says why the message was not
taken. A 5xx leaves it open. There is no idempotency key, so where it is open only the list of messages can tell.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from openclaw_actors.core.outbox_lane import NotTaken, Refused, Taken, Unknown
from openclaw_actors.core.retry import parse_retry_after

__all__ = ["MAX_PART_CHARS", "Outcome", "Sender", "classify", "message_form", "messages_path", "number_of"]

MAX_PART_CHARS = 1_600
"""Of one message; longer ones are refused with the code 21617."""

Outcome = Taken | NotTaken | Refused | Unknown

_OPTED_OUT = 21610
_LATER = frozenset({14107, 20429, 21611, 30001})
"""Too much was sent, or waits, already."""
_OURS = frozenset({21212, 21603, 21606, 21659, 21660, 21701, 21702, 21703, 21704, 21705})
"""The sender or the messaging service is not set up as it should be: no fault of this message's."""
_ACCOUNT = range(20_000, 21_000)
"""Credentials, rights, the account itself."""
_MAX_REASON = 200


class Sender(msgspec.Struct, frozen=True, kw_only=True):
    """Who sends: a messaging service, or else a number."""

    messaging_service_sid: str | None = None
    from_number: str | None = None


class _Answer(msgspec.Struct):
    sid: str = ""
    code: int | None = None
    message: str = ""


_decoder = msgspec.json.Decoder(_Answer)


def number_of(session: str) -> str:
    """The number that wrote, to which its session's replies go."""
    return session.removeprefix("sms:")


def messages_path(account_sid: str) -> str:
    """The path under which an account's messages are, behind the base URL."""
    return f"/2010-04-01/Accounts/{account_sid}/Messages.json"


def message_form(sender: Sender, to: str, body: str) -> dict[str, str]:
    """The form that asks for one message."""
    form = {"To": to, "Body": body.encode("utf-8", "replace").decode()}
    if sender.messaging_service_sid:
        return {**form, "MessagingServiceSid": sender.messaging_service_sid}
    return {**form, "From": sender.from_number or ""}


def classify(status: int, headers: Mapping[str, str], body: bytes, *, wall_now_s: float) -> Outcome:
    """What the answer to such a form says of the message."""
    answer = _read(body)
    if status in (200, 201):
        if answer.sid:
            return Taken(answer.sid)
        return Unknown(f"HTTP {status} without a message's sid")
    code = answer.code
    reason = _reason(status, answer)
    if status in (500, 503):
        return Unknown(reason, answered=True)
    if status >= 500 or status in (408, 425) or status < 300:
        return Unknown(reason)
    if status == 429 or code in _LATER:
        wait_s = parse_retry_after(headers.get("Retry-After"), wall_now_s=wall_now_s)
        return NotTaken(reason, code, wait_s)
    if code in _OURS or (code is not None and code in _ACCOUNT):
        return NotTaken(reason, code)
    if code is None and status in (301, 302, 303, 307, 308, 401, 403, 404, 405, 407):
        return NotTaken(reason)  # whoever answered is not the API that was meant, or does not let us in
    return Refused(reason, code, opted_out=code == _OPTED_OUT)


def _read(body: bytes) -> _Answer:
    try:
        return _decoder.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return _Answer()


def _reason(status: int, answer: _Answer) -> str:
    code = "" if answer.code is None else f", code {answer.code}"
    text = " ".join(answer.message.split())[:_MAX_REASON]
    return f"Twilio answered HTTP {status}{code}" + (f": {text}" if text else "")
