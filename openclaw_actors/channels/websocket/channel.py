"""Decides everything between clients' frames and the router: the WebSocket channel without its sockets.

Nothing here knows a socket, a clock or an actor. Times come in as arguments, effects leave through `Outputs`.
"""

from __future__ import annotations

from collections.abc import MutableMapping
from dataclasses import dataclass

import msgspec

from openclaw_actors.channels.follow import Follow
from openclaw_actors.channels.hold import Held, Hold
from openclaw_actors.channels.sessions import session_key
from openclaw_actors.channels.websocket.connection import Connection
from openclaw_actors.channels.websocket.decisions import Decisions
from openclaw_actors.channels.websocket.fanout import Fanout
from openclaw_actors.channels.websocket.outputs import Outputs
from openclaw_actors.channels.websocket.replays import Replays
from openclaw_actors.channels.websocket.subscriptions import Subscriptions
from openclaw_actors.channels.websocket.wire import encode_event, session_suffix
from openclaw_actors.core.metrics import rejected
from openclaw_actors.core.rate import RateWindows
from openclaw_actors.core.refusals import REFUSAL_TEXTS
from openclaw_actors.core.series import Tally, series
from openclaw_actors.messages import (
    Accepted,
    ApprovalOutcome,
    Deliver,
    EndSession,
    ErrorEvent,
    Message,
    Notice,
    Refused,
    ReplayPage,
    SessionEvents,
    SessionLost,
    StopOutcome,
    StopTurn,
    Unfollow,
)

__all__ = ["ChannelLimits", "WebSocketCore"]

_MAX_FOLLOWED = 1_024
_MAX_CONTROL = 10_000
_NOT_STOPPED = "The stop could not be carried out in time. Please retry."
_NOT_DECIDED = "The decision could not be taken in time. Please retry."
_NOTHING_TO_STOP = "There is nothing to stop."
_TRUNCATED = "The text was longer than {limit} characters and was cut there."


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelLimits:
    """Limits of the channel, from the configuration."""

    max_pending: int = 32
    max_text_chars: int = 1_000_000
    messages_per_minute: int = 120
    """Of one connection."""
    max_connections_per_address: int = 50
    accept_timeout_s: float = 10.0


class WebSocketCore:
    """The channel's decisions.

    Args:
        channel: name of the channel's service.
        instance: of this channel's process, unique for ever.
        outputs: takes the effects.
        counters: where it is counted what becomes of messages.
    """

    def __init__(
        self,
        *,
        channel: str,
        instance: str,
        limits: ChannelLimits,
        outputs: Outputs,
        counters: MutableMapping[str, float] | None = None,
    ) -> None:
        self.channel = channel
        self.instance = instance
        self.limits = limits
        self.outputs = outputs
        self.connections: dict[str, Connection] = {}
        self.hold = Hold(max_per_session=limits.max_pending + 1, timeout_s=limits.accept_timeout_s)
        self.subscriptions = Subscriptions()
        self.replays = Replays(channel, self._route, outputs.page_sent)
        self.decisions = Decisions(channel, self._route, timeout_s=limits.accept_timeout_s)
        self.fanout = Fanout(outputs, self.subscriptions, self.replays, self._tell_held_back)
        self.counters = Tally() if counters is None else counters
        self.draining = False
        self._router_known = False
        self._ended: list[EndSession] = []
        self._stops: dict[tuple[str, str], tuple[StopTurn, float]] = {}
        self._senders = RateWindows(limits.messages_per_minute * limits.max_connections_per_address)

    def use(self, limits: ChannelLimits) -> None:
        """Other limits hold, for the connections that are there, too."""
        self.limits = limits
        self.hold.use(max_per_session=limits.max_pending + 1, timeout_s=limits.accept_timeout_s)
        self.decisions.use(timeout_s=limits.accept_timeout_s)
        self._senders.use(limits.messages_per_minute * limits.max_connections_per_address)
        for connection in self.connections.values():
            connection.messages.limit = max(1, limits.messages_per_minute)

    # Connections

    def opened(self, connection: Connection) -> None:
        """A client is connected."""
        self.connections[connection.id] = connection

    def closed(self, connection_id: str) -> None:
        """It is gone. What it said before goes on; sessions that nobody follows any more are let go."""
        connection = self.connections.pop(connection_id, None)
        if connection is None:
            return
        self.replays.forget(connection)
        for session in self.subscriptions.leave(connection):
            if connection.bound:
                self.hold.release_session(session)
                self._end_session(EndSession(session=session))
            elif self._router_known:
                self._route(Unfollow(session=session, channel=self.channel))

    def drained(self, connection_id: str, now: float) -> None:
        """The connection has taken all that it was sent."""
        connection = self.connections.get(connection_id)
        if connection is not None:
            self.replays.drained(connection, now)

    # From clients

    def deliver(
        self,
        connection: Connection,
        *,
        session_id: str,
        text: str,
        message_id: str | None,
        in_reply_to: str | None = None,
        reply_to: str | None,
        now: float,
    ) -> str | None:
        """Take a person's message on its way. Returns why not, as an error code, or None.

        Args:
            message_id: the client's key for it.
            in_reply_to: what dialect 2's answers to it repeat.
            reply_to: the message that it answers.
            now: monotonic seconds.
        """
        problem = self._admission(connection, now)
        session = session_key(connection.principal, session_id)
        if problem is None and session not in connection.follows and len(connection.follows) >= _MAX_FOLLOWED:
            problem = "busy"
        if problem is not None:
            return self.rejected(problem)
        delivery_id = connection.next_delivery_id()
        message = Deliver(
            session=session,
            delivery_id=delivery_id,
            message_id=message_id or f"m-{delivery_id}",
            text=text[: self.limits.max_text_chars],
            channel=self.channel,
            received_at=now,
            correlation_id=delivery_id,
            reply_to=reply_to,
            bound_to=self.instance if connection.bound else None,
            truncated=len(text) > self.limits.max_text_chars,
        )
        held = self.hold.put(message, connection.id, now)
        if held is None:
            return self.rejected("busy")
        self._follow_from_now(connection, session, session_id, now)
        follow = connection.follows[session]
        held.newest_before = None if follow.replaying else follow.last_seq
        if connection.answers is not None:
            connection.answers.sent(message.message_id, in_reply_to)
        self._hand_over(held)
        if message.truncated and connection.answers is None:
            text = _TRUNCATED.format(limit=f"{self.limits.max_text_chars:,}")
            self.notify(connection, Notice(code="text_truncated", text=text), session_id)
        return None

    def resume(self, connection: Connection, session_id: str, last_seq: int | None, now: float) -> str | None:
        """Follow a session from a number on. Returns why not, as an error code, or None."""
        session = session_key(connection.principal, session_id)
        follow = connection.follows.get(session)
        if follow is None:
            if len(connection.follows) >= _MAX_FOLLOWED:
                return "busy"
            follow = self.subscriptions.follow(connection, session, session_id, last_seq)
        follow.start_anew()
        self.replays.ask(connection, follow, last_seq, now)
        return None

    def stop(self, connection: Connection, session_id: str, *, queue: bool, now: float) -> None:
        """End the running turn of a session. Until its outcome is known, each new router is told again."""
        session = session_key(connection.principal, session_id)
        stop = StopTurn(session=session, queue=queue, channel=self.channel, connection=connection.id)
        key = (session, connection.id)
        if key in self._stops or len(self._stops) < _MAX_CONTROL:
            before, _ = self._stops.get(key, (stop, now))
            wanted = msgspec.structs.replace(stop, queue=queue or before.queue)
            self._stops[key] = (wanted, now + self.limits.accept_timeout_s)
        self._route(stop)

    def notify(self, connection: Connection, event: Notice | ErrorEvent, session_id: str | None) -> None:
        """Tell one connection of `openclaw.v2` something."""
        suffix = session_suffix(session_id) if session_id is not None else b"}"
        self.outputs.frame(connection.id, encode_event(event, suffix))

    # From sessions and the router

    def accepted(self, receipt: Accepted, now: float) -> None:
        """A message stands in the journal: it is held no more."""
        held = self.hold.release(receipt.delivery_id)
        if held is None:
            return
        if receipt.duplicate is None:
            return
        self.counters[series("messages_duplicate_total", channel=self.channel)] += 1
        connection = self.connections.get(held.connection)
        if connection is None:
            return
        if connection.answers is not None:
            if receipt.turn_done is not None:
                connection.answers.repeated(receipt.message_id, receipt.turn_done)
        elif self._was_repeated_by_client(connection, held, receipt.duplicate.seq, now):
            self._tell_outcome(connection, receipt)

    def refused(self, refusal: Refused) -> None:
        """A message was not taken; its sender is told."""
        held = self.hold.release(refusal.delivery_id)
        if held is not None:
            self._tell_refused(held, refusal.code, refusal.text)

    def session_events(self, message: SessionEvents, now: float) -> None:
        """Events for who follows the session."""
        self.fanout.events(message, now)

    def replay_page(self, message: ReplayPage, now: float) -> None:
        """What somebody missed."""
        self.fanout.page(message, now)

    def session_lost(self, message: SessionLost, now: float) -> None:
        """A session's process died: what it was asked is asked again."""
        self.fanout.lost(message, now)
        self.decisions.send_again(message.session)

    def stop_outcome(self, outcome: StopOutcome) -> None:
        """What a stop has stopped; told where that is nothing."""
        self._stops.pop((outcome.session, outcome.connection or ""), None)
        connection = self.connections.get(outcome.connection or "")
        if outcome.stopped == 0 and connection is not None and connection.answers is None:
            session_id = outcome.session.split(":", 2)[-1]
            self.notify(connection, Notice(code="nothing_to_stop", text=_NOTHING_TO_STOP), session_id)

    def approval_outcome(self, outcome: ApprovalOutcome) -> None:
        """What became of a decision; that a tool runs now, or not, its session's followers see anyway."""
        self.decisions.settled(outcome.session, outcome.approval_id, outcome.connection or "")
        connection = self.connections.get(outcome.connection or "")
        if connection is None or connection.answers is not None or outcome.status == "decided":
            return
        session_id = outcome.session.split(":", 2)[-1]
        event: Notice | ErrorEvent = Notice(code="already_decided", text=outcome.text)
        if outcome.status == "unknown":
            event = ErrorEvent(code="bad_field", text=outcome.text)
        self.notify(connection, event, session_id)

    def router_replaced(self, now: float) -> None:
        """A router that knows nothing of us serves now: it gets all that is held, in order, then the replays."""
        self._router_known = True
        nobody_follows: dict[str, None] = {}
        for held in self.hold:
            self._hand_over(held)
            if held.deliver.session not in self.subscriptions:
                nobody_follows[held.deliver.session] = None
        for connection, follow in self.subscriptions.pairs():
            self.replays.ask_again(connection, follow, now)
        for session in nobody_follows:
            self._route(Unfollow(session=session, channel=self.channel))
        for stop, _ in self._stops.values():
            self._route(stop)
        self.decisions.send_again()
        ended, self._ended = self._ended, []
        for message in ended:
            self._route(message)

    def router_lost(self, undelivered: Message | None = None) -> None:
        """No router serves, for now.

        Args:
            undelivered: what it did not take. What people said, and their stops, are held anyway.
        """
        self._router_known = False
        if isinstance(undelivered, EndSession):
            self._end_session(undelivered)

    # Time and drain

    def tick(self, now: float) -> None:
        """Tell the senders of messages that nobody took in time; ask again for pages that did not come."""
        for held in self.hold.expired(now):
            self._tell_refused(held, "not_accepted", REFUSAL_TEXTS["not_accepted"])
        self.replays.tick(now)
        late = [key for key, (_, until) in self._stops.items() if until <= now]
        for key in late:
            stop, _ = self._stops.pop(key)
            connection = self.connections.get(stop.connection or "")
            if connection is not None and connection.answers is None:
                error = ErrorEvent(code="not_accepted", text=_NOT_STOPPED)
                self.notify(connection, error, stop.session.split(":", 2)[-1])

        for decision in self.decisions.late(now):
            connection = self.connections.get(decision.connection or "")
            if connection is not None:
                error = ErrorEvent(code="not_accepted", text=_NOT_DECIDED)
                self.notify(connection, error, decision.session.split(":", 2)[-1])

    def drain(self) -> None:
        """Take no more messages; tell who can understand it."""
        self.draining = True
        notice = encode_event(Notice(code="draining", text=REFUSAL_TEXTS["draining"]))
        for connection in self.connections.values():
            if connection.answers is None:
                self.outputs.frame(connection.id, notice)

    def shut_down(self) -> None:
        """Every connection is about to be closed: tell who still waits that nothing more comes."""
        for held in self.hold:
            self.hold.release(held.deliver.delivery_id)
            self._tell_refused(held, "draining", REFUSAL_TEXTS["draining"])
        for connection in self.connections.values():
            if connection.answers is not None:
                connection.answers.abandon()

    # Inside

    def _admission(self, connection: Connection, now: float) -> str | None:
        if self.draining:
            return "draining"
        if not self._senders.hit(f"{connection.principal} {connection.address}", now):
            return "rate_limited"
        return None

    def _follow_from_now(self, connection: Connection, session: str, session_id: str, now: float) -> None:
        if session in connection.follows:
            return
        if connection.bound:  # a session that nobody knew before: its first event is number 1
            self.subscriptions.follow(connection, session, session_id, 0)
            return
        follow = self.subscriptions.follow(connection, session, session_id, None)
        self.replays.ask(connection, follow, None, now)

    def _hand_over(self, held: Held) -> None:
        if self._router_known:
            self._route(held.deliver)

    def _was_repeated_by_client(self, connection: Connection, held: Held, seq: int, now: float) -> bool:
        """Whether the message was known before this hand-over, rather than by our own second try after a crash.

        In the second case its events reach the connection as live ones or in the replay that follows a crash.
        """
        follow = connection.follows.get(held.deliver.session)
        if follow is None:
            return True
        newest_before = held.newest_before if held.newest_before is not None else follow.newest_at_start
        if newest_before is None:  # nothing of the session was seen yet, and nothing of its past will be
            return True
        return seq <= newest_before

    def _tell_held_back(self, connection: Connection, follow: Follow) -> None:
        receipts, follow.held_back = follow.held_back, []
        for receipt in receipts:
            self._tell_outcome(connection, receipt)

    def _tell_outcome(self, connection: Connection, receipt: Accepted) -> None:
        follow = connection.follows.get(receipt.session)
        if follow is not None and follow.replaying and follow.asked_after is not None:
            follow.held_back.append(receipt)
            return
        suffix = session_suffix(receipt.session.split(":", 2)[-1])
        assert receipt.duplicate is not None
        duplicate = msgspec.structs.replace(receipt.duplicate, duplicate=True)
        self.outputs.frame(connection.id, encode_event(duplicate, suffix))
        if receipt.turn_done is not None:
            self.outputs.frame(connection.id, encode_event(receipt.turn_done, suffix))

    def _tell_refused(self, held: Held, code: str, text: str) -> None:
        self.rejected(code)
        connection = self.connections.get(held.connection)
        if connection is None:
            return
        message = held.deliver
        if connection.answers is not None:
            connection.answers.refused(message.message_id, text)
            return
        error = ErrorEvent(code=code, text=text, message_id=message.message_id)
        self.notify(connection, error, message.session.split(":", 2)[-1])

    def rejected(self, code: str) -> str:
        """Count a message that was not taken; returns the error code."""
        for key in rejected(self.channel, code):
            self.counters[key] += 1
        return code

    def rate_limited(self) -> None:
        """Count a request over a rate limit."""
        self.counters[series("rate_limit_hits_total", channel=self.channel)] += 1

    def _end_session(self, message: EndSession) -> None:
        if self._router_known:
            self._route(message)
        elif len(self._ended) < _MAX_CONTROL:
            self._ended.append(message)

    def _route(self, message: Message) -> None:
        if self._router_known:
            self.outputs.route(message)
