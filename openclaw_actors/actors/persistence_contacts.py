"""The PersistenceActor's answers about people who write from a telephone."""

from __future__ import annotations

from openclaw_actors.actors.store_refusals import refusals
from openclaw_actors.actorsystem import handles
from openclaw_actors.messages import Address, Contact, GetContact, SetDoNotText, TouchContact
from openclaw_actors.store import FileStore

__all__ = ["ContactHandlers"]


class ContactHandlers:
    """Handlers that the actor takes over by deriving from this."""

    def _open_store(self) -> FileStore:
        raise NotImplementedError

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
