"""What the outbox's actor and operators ask the PersistenceActor for about replies that have to be sent."""

from __future__ import annotations

from openclaw_actors.actors.store_handlers import StoreHandlers
from openclaw_actors.actors.store_refusals import refusals
from openclaw_actors.actorsystem import handles
from openclaw_actors.errors import AskRefused
from openclaw_actors.messages import (
    Address,
    DeliveryRecorded,
    ListOutbox,
    ListUndelivered,
    NextReply,
    NextUndelivered,
    OutboxDone,
    OutboxPage,
    PurgeOutbox,
    RecordDelivery,
    RetryOutbox,
    Undelivered,
)

__all__ = ["OutboxHandlers"]


class OutboxHandlers(StoreHandlers):
    """Of replies that have to be sent."""

    _sender_incarnation = 0

    @handles(ListUndelivered)
    def list_undelivered(self, message: ListUndelivered, sender: Address) -> Undelivered:
        """Says which sessions have something to send."""
        return self._open_store().outbox.undelivered(message.limit)

    @handles(NextUndelivered)
    async def next_undelivered(self, message: NextUndelivered, sender: Address) -> NextReply:
        """Reads what a session has to send next."""
        with refusals():
            return await self._open_store().outbox.next(message.session)

    @handles(RecordDelivery)
    async def record_delivery(self, message: RecordDelivery, sender: Address) -> DeliveryRecorded:
        """Notes how far a reply has come; what a dead incarnation sent last counts no more."""
        if message.incarnation < self._sender_incarnation:
            raise AskRefused("fenced", f"incarnation {self._sender_incarnation} sends now")
        self._sender_incarnation = message.incarnation
        with refusals():
            await self._open_store().outbox.record(message.delivery)
        return DeliveryRecorded()

    @handles(ListOutbox)
    def list_outbox(self, message: ListOutbox, sender: Address) -> OutboxPage:
        """Lists what was not sent."""
        return self._open_store().outbox.page(message.states, message.offset, message.limit)

    @handles(RetryOutbox)
    async def retry_outbox(self, message: RetryOutbox, sender: Address) -> OutboxDone:
        """Has what was set aside tried again."""
        with refusals():
            return await self._open_store().outbox.retry(message.session, message.seq, message.states)

    @handles(PurgeOutbox)
    async def purge_outbox(self, message: PurgeOutbox, sender: Address) -> OutboxDone:
        """Forgets what was set aside."""
        with refusals():
            return await self._open_store().outbox.purge(message.session, message.seq, message.states)
