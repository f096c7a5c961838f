"""The PersistenceActor's answers about people who write from a telephone."""

from __future__ import annotations

from openclaw_actors.actors.store_handlers import StoreHandlers
from openclaw_actors.actors.store_refusals import refusals
from openclaw_actors.actorsystem import handles
from openclaw_actors.messages import Address, Contact, GetContact, SetDoNotText, TouchContact

__all__ = ["ContactHandlers"]


class ContactHandlers(StoreHandlers):
    """Of contacts."""

    @handles(GetContact)
    async def get_contact(self, message: GetContact, sender: Address) -> Contact:
        """Says what is known of a number."""
        with refusals():
            return await self._open_store().contacts.get(message.phone)

    @handles(TouchContact)
    async def touch_contact(self, message: TouchContact, sender: Address) -> Contact:
        """Notes that a number wrote."""
        with refusals():
            return await self._open_store().contacts.touch(message.phone, message.at)

    @handles(SetDoNotText)
    async def set_do_not_text(self, message: SetDoNotText, sender: Address) -> Contact:
        """Notes that a number said STOP or START."""
        with refusals():
            return await self._open_store().contacts.set_do_not_text(
                message.phone,
                do_not_text=message.do_not_text,
                at=message.at,
                message_id=message.message_id,
            )
