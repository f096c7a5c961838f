"""To the PersistenceActor, about people who write from a telephone; all of them asks, answered by `Contact`."""

from __future__ import annotations

from openclaw_actors.messages.base import Plain

__all__ = ["Contact", "GetContact", "SetDoNotText", "TouchContact"]


class Contact(Plain):
    """What is known of a telephone number."""

    phone: str
    """As E.164, `+15551234567`."""
    do_not_text: bool
    """The person said STOP; also where damage leaves that open, since nobody may be texted against their word."""
    created_at: float | None = None
    """Unix time, seconds; None: the number never wrote."""
    last_seen_at: float | None = None
    certain: bool = True
    """False: the store's damage leaves open whether the person said STOP."""


class GetContact(Plain):
    """What is known of this number?"""

    phone: str


class TouchContact(Plain):
    """This number wrote: create its contact, or note when. Durable before it is answered."""

    phone: str
    at: float
    """Unix time, seconds."""


class SetDoNotText(Plain):
    """This number said STOP or START. Durable before it is answered."""

    phone: str
    do_not_text: bool
    at: float
    """Unix time, seconds."""
    message_id: str = ""
    """Of the message that said so: a repetition of it changes nothing."""
