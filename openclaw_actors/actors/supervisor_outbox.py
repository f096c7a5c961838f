"""What operators ask the supervisor for about replies that were not sent: the store knows, the outbox's actor acts."""

from __future__ import annotations

from typing import Protocol, cast

from openclaw_actors.actors.operations import Operations
from openclaw_actors.actors.service import Service
from openclaw_actors.actorsystem import handles
from openclaw_actors.messages import (
    Address,
    ListOutbox,
    Message,
    OutboxChanged,
    OutboxDone,
    OutboxPage,
    PurgeOutbox,
    RetryOutbox,
)

__all__ = ["OutboxRequests"]


class _Supervisor(Protocol):
    _operations: Operations
    _services: dict[str, Service]

    def send(self, targetAddr: Address, msg: Message) -> None: ...  # noqa: N803 - Thespian's name


class OutboxRequests:
    """Handlers of the supervisor."""

    @handles(ListOutbox)
    async def list_outbox(self: _Supervisor, message: ListOutbox, sender: Address) -> OutboxPage:
        """Lists what was not sent."""
        return cast(OutboxPage, await self._operations.ask("persistence", message))

    @handles(RetryOutbox, PurgeOutbox)
    async def change_outbox(
        self: _Supervisor, message: RetryOutbox | PurgeOutbox, sender: Address
    ) -> OutboxDone:
        """Has what was set aside tried again, or forgotten."""
        done: OutboxDone = await self._operations.ask("persistence", message)
        outbox = self._services.get("sms")
        if outbox is not None and outbox.address is not None:
            self.send(outbox.address, OutboxChanged(sessions=done.sessions))
        return done
