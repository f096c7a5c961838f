"""Owns what a session says to channels: events gathered for each tick, receipts kept until a channel has taken them."""

from __future__ import annotations

from collections.abc import Iterable

from openclaw_actors.actors.directory import ServiceDirectory
from openclaw_actors.actorsystem import AsyncActor
from openclaw_actors.core.routing import outbox_of
from openclaw_actors.messages import Accepted, Address, Event, Message, Refused, SessionEvents, TurnDone

__all__ = ["Voice"]

_MAX_UNDELIVERED = 256


class Voice:
    """Speaks for one session.

    Args:
        actor: the session's actor, which has its incarnation by now.
        key: the session's.
        followers: names of the channels that are told of its events.
    """

    def __init__(
        self, actor: AsyncActor, key: str, directory: ServiceDirectory, followers: frozenset[str]
    ) -> None:
        assert actor.incarnation is not None
        self.followers = followers
        self._actor = actor
        self._key = key
        self._outbox = outbox_of(key)
        self._incarnation = actor.incarnation
        self._directory = directory
        self._events: list[Event] = []
        self._flush_due = False
        self._undelivered: list[Accepted | Refused] = []
        self._channel_of: dict[str, str] = {}

    def publish(self, events: Iterable[Event]) -> None:
        """Tell every follower, at the end of this tick of the loop."""
        self._events += events
        if self._events and not self._flush_due:
            self._flush_due = True
            self._actor.call_at_tick_end(self.flush)

    def flush(self) -> None:
        """Send what was published in this tick, in one message to each follower."""
        self._flush_due = False
        if not self._events:
            return
        events, self._events = tuple(self._events), []
        message = SessionEvents(session=self._key, incarnation=self._incarnation, events=events)
        ends = any(isinstance(event, TurnDone) for event in events)
        for channel in self.followers:
            if ends or channel != self._outbox:  # which has no use for anything but ends
                self.tell(channel, message)

    def tell(self, channel: str, message: Message) -> None:
        """Send to one channel, at once; nothing happens where it has no address."""
        address = self._directory.address(channel)
        if isinstance(message, Accepted | Refused):
            self._channel_of[message.delivery_id] = channel
            while len(self._channel_of) > _MAX_UNDELIVERED:
                del self._channel_of[next(iter(self._channel_of))]
        if address is not None:
            self._actor.send(address, message)

    def not_delivered(self, address: Address, message: object) -> None:
        """Keep the receipts that a dying channel did not take, for its next incarnation."""
        if isinstance(message, Accepted | Refused):
            channel = self._channel_of.get(message.delivery_id, "")
            if self._directory.address(channel) not in (None, address):
                self.tell(channel, message)
            elif len(self._undelivered) < _MAX_UNDELIVERED:
                self._undelivered.append(message)

    def tell_again(self) -> None:
        """Send the receipts that were kept: addresses have changed."""
        kept, self._undelivered = self._undelivered, []
        for receipt in kept:
            self.tell(self._channel_of.get(receipt.delivery_id, ""), receipt)
