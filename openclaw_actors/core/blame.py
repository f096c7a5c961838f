"""Decides whose fault a session's death is, and which delivery is given up for it.

A delivery that the session names as it crashes is to blame itself. Otherwise the turn that ran is, which the next
incarnation finds in the journal; only where none ran, the first message without a receipt. A session that dies before
it has opened its conversation, is killed on a person's order, or ends because the store refuses it, puts no blame on
anybody.

Deaths before any record are counted here, in the router's memory: a router that dies itself begins to count anew.
"""

from __future__ import annotations

from openclaw_actors.core.refusals import QUARANTINED
from openclaw_actors.core.routing import Entry, RouterEffect, forget, refuse

__all__ = ["accuse", "blame", "strike"]

_POISON_STRIKES = 2


def blame(entry: Entry) -> list[RouterEffect]:
    """A session died by its own doing: strikes the delivery that it named, or leaves it to the next incarnation."""
    if entry.accused in entry.unsettled:
        return strike(entry, entry.accused)
    if entry.was_live and not entry.blameless:
        entry.died_guilty = True
        entry.suspect = next(iter(entry.unsettled), "")
    return []


def accuse(entry: Entry, message_id: str) -> None:
    """A session says on which message it crashes."""
    for delivery in entry.unsettled.values():
        if delivery.message_id == message_id:
            entry.accused = delivery.delivery_id
            return


def strike(entry: Entry, delivery_id: str) -> list[RouterEffect]:
    """A delivery is to blame for a death; with the second one it is given up."""
    message = entry.unsettled.get(delivery_id)
    if message is None:
        return []
    strikes = entry.strikes[delivery_id] = entry.strikes.get(delivery_id, 0) + 1
    if strikes < _POISON_STRIKES:
        return []
    forget(entry, delivery_id)
    return [refuse(message, "quarantined", QUARANTINED)]
