"""What people are told whose message was not taken, in the same words wherever it was refused."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from openclaw_actors.messages.conversation import Deliver, Refused

__all__ = ["QUARANTINED", "REFUSAL_TEXTS", "TOO_LARGE", "refusal_of"]

REFUSAL_TEXTS: Mapping[str, str] = MappingProxyType(
    {
        "busy": "Server is busy. Please retry.",
        "draining": "The gateway is shutting down. Please retry in a moment.",
        "not_accepted": "The message could not be taken in time. Please retry.",
        "rate_limited": "You're sending messages too quickly. Please wait a moment and try again.",
    }
)
"""By code, where nothing more can be said."""

QUARANTINED = "This message ended its session twice and is given up. The conversation goes on."
TOO_LARGE = "The message is too large for this gateway."


def refusal_of(deliver: Deliver, code: str, text: str = "") -> Refused:
    """The refusal of a delivery.

    Args:
        text: for its sender; by default what the code stands for.
    """
    return Refused(
        session=deliver.session,
        delivery_id=deliver.delivery_id,
        message_id=deliver.message_id,
        code=code,
        text=text or REFUSAL_TEXTS[code],
    )
