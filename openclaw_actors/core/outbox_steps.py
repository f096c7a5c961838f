"""Decides what a reply's next part is, what its body says, and how a reply stands after each step."""

from __future__ import annotations

from typing import Any

import msgspec

from openclaw_actors.core.outbox_lane import Cut, OutboxLimits
from openclaw_actors.messages.outbox import Delivery, NextReply

__all__ = ["LABEL", "begins", "bodies_of", "body_of", "changed", "prepare", "rest_of", "taken"]

LABEL = "(This may be a repetition.) "
"""Before a part that may have been sent already."""

_CUT_OFF = " …"
"""After the last part of a reply that is too long."""


def changed(delivery: Delivery, **changes: Any) -> Delivery:
    """The delivery in another state, whose time is not known yet."""
    return msgspec.structs.replace(delivery, at=0.0, **changes)


def begins(reply: NextReply) -> Delivery:
    """A reply of which nothing was tried; its times are filled in when that is recorded."""
    return Delivery(session=reply.session, seq=reply.seq, state="waiting", at=0.0, since=0.0)


def prepare(reply: NextReply, before: Delivery | None, limits: OutboxLimits, cut: Cut) -> Delivery:
    """The part that goes out next: the one after the last that was taken, or the same one again."""
    now = before or begins(reply)
    part, start, attempts = now.part, now.start, now.attempts
    if now.state in ("sent", "confirmed"):
        part, start, attempts = now.part + 1, now.end, 0
        now = changed(now, labelled=False, repeat=False)
    longest = limits.part_chars - (len(LABEL) if now.labelled else 0)
    end = cut(reply.text, start, longest)
    if part >= limits.max_parts and rest_of(reply, end):
        end = cut(reply.text, start, longest - len(_CUT_OFF))
    return changed(
        now, state="prepared", part=part, start=start, end=end, attempts=attempts + 1, code=None, reason=""
    )


def rest_of(reply: NextReply, end: int) -> str:
    """What of the reply comes after a part."""
    return reply.text[end:].strip()


def body_of(reply: NextReply, delivery: Delivery, limits: OutboxLimits) -> str:
    """What the part says."""
    body = reply.text[delivery.start : delivery.end].strip()
    if delivery.part >= limits.max_parts and rest_of(reply, delivery.end):
        body += _CUT_OFF
    return LABEL + body if delivery.labelled else body


def bodies_of(reply: NextReply, delivery: Delivery, limits: OutboxLimits) -> tuple[str, ...]:
    """What the part may have said, in this attempt or an earlier one."""
    body = body_of(reply, delivery, limits)
    return (body, body.removeprefix(LABEL)) if delivery.labelled else (body,)


def taken(reply: NextReply, delivery: Delivery, sid: str, state: Any, limits: OutboxLimits) -> Delivery:
    """The part was taken; nothing more is to be done if it was the last."""
    last = delivery.part >= limits.max_parts or not rest_of(reply, delivery.end)
    return changed(
        delivery, state=state, sids=(*delivery.sids, sid), done=last, code=None, reason="", repeat=False
    )
