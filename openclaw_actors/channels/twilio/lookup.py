"""Decides whether Twilio's list of messages shows one whose fate is unknown.

The list is not filtered by the day of sending: a message that still waits for being sent has none. Its day of creation
stands in each of its entries.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC
from email.utils import parsedate_to_datetime

import msgspec

from openclaw_actors.channels.twilio.outbound import Sender
from openclaw_actors.core.outbox_lane import Absent, Found, Unclear

__all__ = ["MAX_PAGES", "ListPage", "Listed", "Unreadable", "goes_on", "list_query", "read_page", "search"]

MAX_PAGES = 5
_PAGE_SIZE = 100
_CLOCKS_S = 300.0
"""By so much Twilio's clock and ours may differ."""
_TRIAL = "Sent from your Twilio trial account - "


class Unreadable(Exception):
    """Raised when an answer is no page of the list."""


class Listed(msgspec.Struct):
    """A message as the list shows it."""

    sid: str
    to: str = ""
    body: str | None = None
    direction: str = "outbound-api"
    messaging_service_sid: str | None = None
    date_created: str | None = None
    sender: str | None = msgspec.field(default=None, name="from")


class ListPage(msgspec.Struct):
    """A page of the list, the newest message first."""

    messages: list[Listed]
    next_page_uri: str | None = None


_decoder = msgspec.json.Decoder(ListPage)


def list_query(sender: Sender, to: str) -> dict[str, str]:
    """What is asked for: the messages to a number, from ours if there is just one."""
    query = {"To": to, "PageSize": str(_PAGE_SIZE)}
    if not sender.messaging_service_sid and sender.from_number:
        query["From"] = sender.from_number
    return query


def read_page(body: bytes) -> ListPage:
    """A page from its JSON. Raises Unreadable."""
    try:
        return _decoder.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Unreadable(str(error)) from None


def goes_on(page: ListPage, since: float) -> bool:
    """Whether older messages may matter, too."""
    # A path alone: an address elsewhere would be given our credentials.
    return (page.next_page_uri or "").startswith("/2010-04-01/") and any(
        _in_time(message, since) for message in page.messages
    )


def search(
    messages: Collection[Listed],
    sender: Sender,
    *,
    to: str,
    bodies: Collection[str],
    since: float,
    known_sids: Collection[str],
) -> Found | Absent | Unclear:
    """Whether these messages show one with one of the bodies.

    Args:
        since: Unix time of the first attempt.
        known_sids: messages that are known to be others.
    """
    wanted = {_plain(body) for body in bodies}
    ours = [
        message
        for message in messages
        if message.sid not in known_sids
        and message.to == to
        and message.direction == "outbound-api"
        and _in_time(message, since)
        and _sent_by(message, sender)
    ]
    # Of several the oldest: it is the first attempt's.
    for message in reversed(ours):
        if _plain(message.body or "") in wanted:
            return Found(message.sid)
    return Unclear() if ours else Absent()


def _plain(body: str) -> str:
    return " ".join(body.removeprefix(_TRIAL).split())


def _sent_by(message: Listed, sender: Sender) -> bool:
    if sender.messaging_service_sid:
        return message.messaging_service_sid in (None, sender.messaging_service_sid)
    return message.sender in (None, sender.from_number)


def _in_time(message: Listed, since: float) -> bool:
    if message.date_created is None:
        return True
    try:
        created = parsedate_to_datetime(message.date_created)
    except (ValueError, IndexError, OverflowError):
        return True
    if created.tzinfo is None:
        created = created.replace(tzinfo=UTC)
    return created.timestamp() >= since - _CLOCKS_S
