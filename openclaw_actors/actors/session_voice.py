"""Owns what a session says to channels: events gathered for each tick, receipts kept until a channel has taken them."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from openclaw_actors.actors.directory import ServiceDirectory
from openclaw_actors.actorsystem import AsyncActor
from openclaw_actors.core.routing import outbox_of
from openclaw_actors.messages import (
    Accepted,
    Address,
    AssistantChunk,
    Event,
    Message,
    Refused,
    SessionEvents,
    StopOutcome,
    ToolApprovalRequired,
    TurnDone,
)

__all__ = ["Voice"]

_MAX_UNDELIVERED = 256
_SAY_AGAIN_S = 0.5


class Voice:
    """Speaks for one session.

    Args:
        actor: the session's actor, which has its incarnation by now.
        key: the session's.
        followers: names of the channels that are told of its events.
        said_so_far: all that the running attempt has streamed.
    """

    def __init__(
        self,
        actor: AsyncActor,
        key: str,
        directory: ServiceDirectory,
        followers: frozenset[str],
        said_so_far: Callable[[], AssistantChunk | None],
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
        self._undelivered: list[Accepted | Refused | StopOutcome] = []
        self._newest: Event | None = None
        """The durable event that was published last."""
        self._newest_end: TurnDone | None = None
        self._said_so_far = said_so_far
        self._behind: set[str] = set()
        self._says_again = False
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
        says = False
        for event in events:
            if isinstance(event, AssistantChunk):
                continue
            if hasattr(event, "seq"):
                self._newest = event
            if isinstance(event, TurnDone):
                self._newest_end, says = event, True
            elif isinstance(event, ToolApprovalRequired):
                says = True
        for channel in self.followers:
            if says or channel != self._outbox:  # which has no use for anything but ends and questions
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

    def not_taken(self, address: Address, message: object) -> None:
        """A channel has more to do than it can, and this was not sent to it: it is told again in a moment.

        Of events it then gets the newest only. Who follows the session sees the gap before it, and asks for a replay.
        """
        match message:
            case StopOutcome() if self._directory.address(message.channel or "") != address:
                return  # it was for the router
            case Accepted() | Refused() | StopOutcome() if len(self._undelivered) < _MAX_UNDELIVERED:
                self._undelivered.append(message)
            case SessionEvents():
                self._behind |= {each for each in self.followers if self._directory.address(each) == address}
            case _:
                return  # pages of a replay are asked for again
        if not self._says_again:
            self._says_again = True
            self._actor.call_later(_SAY_AGAIN_S, self._say_again)

    def _say_again(self) -> None:
        self._says_again = False
        self.flush()
        self.tell_again()
        behind, self._behind = self._behind & self.followers, set()
        for channel in behind:
            said = (self._newest_end,) if channel == self._outbox else (self._newest, self._said_so_far())
            events = tuple(each for each in said if each is not None)
            self.tell(channel, SessionEvents(session=self._key, incarnation=self._incarnation, events=events))

    def tell_again(self) -> None:
        """Send what was kept: addresses have changed, or there is room again."""
        kept, self._undelivered = self._undelivered, []
        for each in kept:
            channel = (
                each.channel if isinstance(each, StopOutcome) else self._channel_of.get(each.delivery_id)
            )
            self.tell(channel or "", each)
