"""What others ask the PersistenceActor for about what was used."""

from __future__ import annotations

from openclaw_actors.actors.store_handlers import StoreHandlers
from openclaw_actors.actorsystem import handles
from openclaw_actors.messages import Address, DayUsage, GetDayUsage, UsageNoted

__all__ = ["UsageHandlers"]


class UsageHandlers(StoreHandlers):
    """Of the ledger."""

    @handles(GetDayUsage)
    def day_usage(self, message: GetDayUsage, sender: Address) -> DayUsage:
        """Says what was used today."""
        return self._open_store().usage.today(message.principal)

    @handles(UsageNoted)
    def usage_noted(self, message: UsageNoted, sender: Address) -> None:
        """Notes a call that belongs to no session."""
        self._open_store().usage.note_call(message)
