"""Decides where messages go: which sessions live, are forked, restarted, passivated, given up.

Every message from a person is remembered until its session has accepted or refused it; if the session dies before,
the message goes, in its order, to the next incarnation. Times are monotonic seconds, passed in.
"""

from __future__ import annotations

from collections.abc import Iterable

from openclaw_actors.core.blame import accuse, blame, strike
from openclaw_actors.core.commands import stops
from openclaw_actors.core.places import Places
from openclaw_actors.core.routing import (
    HAS_PROCESS,
    NEVER,
    REACHABLE,
    AnswerStop,
    EndTurnsOf,
    Entry,
    Kill,
    MoveSession,
    Phase,
    RouterEffect,
    RouterLimits,
    SendToSession,
    forget,
    outcome_of,
    refuse,
    refuse_all,
    tell_lost,
)
from openclaw_actors.core.supervision import RestartPolicy
from openclaw_actors.messages.approvals import DecideApproval
from openclaw_actors.messages.base import Message
from openclaw_actors.messages.conversation import (
    Deliver,
    EndSession,
    Followers,
    PassivationAsked,
    PassivationDeclined,
    PassivationGranted,
    Replay,
    SessionGivesUp,
    Settled,
    StopOutcome,
    StopTurn,
    Unfollow,
)

__all__ = ["RouterCore"]

_STAY_S = 0.5
_MAX_STOPS = 64
_STOPPED_ASLEEP = "its turn is ended while it has no process"


class RouterCore:
    """The router's decisions."""

    def __init__(self, limits: RouterLimits) -> None:
        self.entries: dict[str, Entry] = {}
        self.draining = False
        self.closed = False  # new messages are refused; everything else goes on
        self.recovered = False
        """The list of open turns is known: who has no entry has nothing open."""
        self.places = Places(limits, self.entries)

    @property
    def limits(self) -> RouterLimits:
        """The limits that hold now."""
        return self.places.limits

    def use(self, limits: RouterLimits) -> None:
        """Other limits hold."""
        self.places.limits = limits
        for entry in self.entries.values():
            entry.policy.use(limits.restarts)

    # Messages from channels

    def deliver(self, message: Deliver, now: float) -> list[RouterEffect]:
        """A person's message: to its session, which is forked if it does not live."""
        if self.draining or self.closed:
            return [refuse(message, "draining")]
        entry = self.entry_of(message.session, now)
        if message.delivery_id in entry.unsettled:
            return []
        if len(entry.unsettled) >= self.limits.max_pending:
            return [refuse(message, "busy")]
        if self.places.none_for(entry):
            del self.entries[entry.key]
            return [refuse(message, "busy")]
        entry.unsettled[message.delivery_id] = message
        entry.active_at = now
        if stops(message.text) and entry.phase is Phase.LIVE and len(entry.stops) < _MAX_STOPS:
            # Said in words, a stop is a message like any other; only that its session must heed it in time.
            if not entry.stops:
                entry.stop_deadline = now + self.limits.stop_timeout_s
            entry.stops.append(StopTurn(session=entry.key, connection=message.delivery_id))
        followed = [] if entry.outbox else self._follow(entry, message.channel)
        return followed + self._pass_on(entry, message, now)

    def replay(self, message: Replay, now: float) -> list[RouterEffect]:
        """A connection follows the session and wants what it missed."""
        entry = self.entry_of(message.session, now)
        if self.places.none_for(entry):
            del self.entries[entry.key]
            return []
        followed = self._follow(entry, message.channel)
        return followed + self._hold_or_send(entry, message, now)

    def decide(self, message: DecideApproval, now: float) -> list[RouterEffect]:
        """Somebody lets a tool run that waits, or does not."""
        entry = self.entry_of(message.session, now)
        if self.places.none_for(entry):
            del self.entries[entry.key]
            return []
        return self._hold_or_send(entry, message, now)

    def unfollow(self, message: Unfollow) -> list[RouterEffect]:
        """Nobody on this channel follows the session any more."""
        entry = self.entries.get(message.session)
        if entry is None:
            return []
        entry.followers.discard(message.channel)
        if entry.phase is Phase.ASLEEP and not entry.followers and entry.wakes_at is None:
            del self.entries[entry.key]
            return []
        return self._tell_followers(entry)

    def end_session(self, message: EndSession, now: float) -> list[RouterEffect]:
        """The connection that the session was bound to is gone."""
        entry = self.entries.get(message.session)
        if entry is None:
            return []
        if entry.phase is Phase.ASLEEP:
            if entry.wakes_at is not None:
                entry.held.append(message)
            else:
                del self.entries[entry.key]
            return []
        return self._hold_or_send(entry, message, now)

    def stop(self, request: StopTurn, now: float) -> list[RouterEffect]:
        """Somebody wants the session's running turn ended: within `stop_timeout_s`, or without its process."""
        entry = self.entries.get(request.session)
        if entry is None and not self.recovered:
            entry = self.entry_of(request.session, now)
        leaves = entry is not None and entry.phase in (Phase.ASLEEP, Phase.PASSIVATING)
        if entry is None or (leaves and entry.wakes_at is None and not entry.unsettled):
            return [AnswerStop(outcome_of(request, 0))]
        if len(entry.stops) >= _MAX_STOPS:
            return []
        if not entry.stops:
            entry.stop_deadline = now + self.limits.stop_timeout_s
        entry.stops.append(request)
        if entry.phase is Phase.LIVE:
            return [SendToSession(entry.key, request)]
        if entry.phase in HAS_PROCESS or entry.ending or entry.moving:
            return []  # it hears of it after what was said before, or its turns are ended in its place
        if entry.phase is Phase.ASLEEP:
            return self.places.wait(entry, now)
        return self.end_without_place(entry, now)

    def channel_restarted(self, channel: str) -> list[RouterEffect]:
        """A channel's new incarnation follows nothing until it says so."""
        effects: list[RouterEffect] = []
        for entry in list(self.entries.values()):
            if channel in entry.followers:
                effects += self.unfollow(Unfollow(session=entry.key, channel=channel))
        return effects

    # Messages from sessions

    def settled(self, message: Settled) -> None:
        """Deliveries were accepted or refused."""
        entry = self.entries.get(message.session)
        if entry is None or (entry.incarnation and message.incarnation != entry.incarnation):
            return
        for delivery_id in message.delivery_ids:
            forget(entry, delivery_id)
        entry.stops = [stop for stop in entry.stops if stop.connection not in message.delivery_ids]

    def not_sent(self, message: Deliver) -> list[RouterEffect]:
        """Too much waits for the session's process: the message did not go out to it."""
        entry = self.entries.get(message.session)
        if entry is None or message.delivery_id not in entry.unsettled:
            return []
        forget(entry, message.delivery_id)
        return [refuse(message, "busy")]

    def stop_confirmed(self, outcome: StopOutcome, now: float) -> list[RouterEffect]:
        """The session has ended its turn; the record is durable, and who asked knows it."""
        entry = self.entries.get(outcome.session)
        if entry is None:
            return []
        asked = (outcome.channel, outcome.connection)
        for index, request in enumerate(entry.stops):
            if (request.channel, request.connection) == asked:
                del entry.stops[index]
                break
        entry.stop_deadline = now + self.limits.stop_timeout_s
        if entry.moving and entry.phase in REACHABLE:
            entry.innocent = True
            return self.kill(entry, "its conversation is moved", now)
        return []

    def passivation_asked(self, message: PassivationAsked, now: float) -> list[RouterEffect]:
        """The session is idle and would leave."""
        entry = self.entries.get(message.session)
        if entry is None or entry.phase not in REACHABLE:
            return []
        entry.leaves_for = "room" if entry.asked_to_leave else message.reason
        entry.asked_to_leave = False
        asks_on = message.decided_within_s is not None and (entry.moving or self.places.too_many_ask())
        if entry.phase is not Phase.LIVE or entry.unsettled or entry.stops or asks_on:
            entry.stays_until = now + _STAY_S
            declined = PassivationDeclined(session=entry.key, incarnation=message.incarnation)
            return [SendToSession(entry.key, declined)]
        if message.decided_within_s is not None:
            entry.wakes_at, entry.doing = now + message.decided_within_s, "waits for a person"
        entry.ends = message.reason == "connection_closed"
        entry.enter(Phase.PASSIVATING, now)
        return [SendToSession(entry.key, PassivationGranted())]

    def passivation_declined(self, message: PassivationDeclined, now: float) -> list[RouterEffect]:
        """The session stays: it is not idle, or its records wait for the store."""
        entry = self.entries.get(message.session)
        if entry is None:
            return []
        entry.asked_to_leave, entry.stays_until = False, now + _STAY_S
        if entry.phase is not Phase.PASSIVATING:
            return self.fill(now)
        entry.wakes_at = None
        entry.enter(Phase.LIVE, now)
        return self._send_what_waits(entry) + self.fill(now)

    # Life and death

    def recover(self, keys: Iterable[str], now: float) -> list[RouterEffect]:
        """These sessions, and no others, have turns to resume, oldest first."""
        self.recovered = True
        for key in keys:
            if key not in self.entries:
                self.entry_of(key, now).recovering = True
                self.places.queue(key)
        return self.fill(now)

    def ready(self, key: str, incarnation: int, pid: int, now: float, *, resumes: bool) -> list[RouterEffect]:
        """The session has opened its conversation.

        Args:
            resumes: it takes up a turn that had begun, and has counted the last death against it, if it was one.
        """
        entry = self.entries.get(key)
        if entry is None or entry.phase is not Phase.STARTING:
            return []
        entry.incarnation, entry.pid, entry.recovering = incarnation, pid, False
        entry.doing, entry.pong_at, entry.ping_sent_at = "idle", now, None
        entry.enter(Phase.LIVE, now)
        suspect, entry.suspect, entry.died_guilty = entry.suspect, "", False
        effects = strike(entry, suspect) if suspect and not resumes else []
        return effects + self._send_what_waits(entry) + self.places.fill(now)

    def start_failed(self, key: str, code: str, reason: str) -> None:
        """The session could not open its conversation; its process ends by itself."""
        entry = self.entries.get(key)
        if entry is None:
            return
        entry.kill_reason = entry.kill_reason or "its conversation could not be opened"
        if code == "corrupt":
            entry.fatal = ("persistence_failed", reason)

    def crashes(self, key: str, message_id: str | None) -> None:
        """The session says that it crashes, and on which message; `exited` follows."""
        entry = self.entries.get(key)
        if entry is not None and message_id is not None:
            accuse(entry, message_id)

    def gives_up(self, message: SessionGivesUp) -> None:
        """The session cannot go on for no fault of its own; `exited` follows."""
        entry = self.entries.get(message.session)
        if entry is not None and entry.incarnation in (0, message.incarnation):
            entry.blameless, entry.death = True, entry.death or "store_refused"
            entry.kill_reason = entry.kill_reason or message.reason

    def exited(self, key: str, now: float) -> list[RouterEffect]:
        """The session's process is gone and reaped."""
        entry = self.entries.get(key)
        if entry is None or entry.phase not in HAS_PROCESS:
            return []
        self.places.freed()
        left_by_itself = entry.phase is Phase.PASSIVATING
        entry.was_live = entry.was_live or entry.phase is Phase.LIVE
        lost, entry.incarnation = entry.incarnation, 0
        entry.pid, entry.ping_sent_at, entry.asked_to_leave = None, None, False
        if entry.moving:
            return [*self.move_now(entry, now), *self.fill(now)]
        if entry.fatal is not None:
            return self._give_up(entry, *entry.fatal) + self.fill(now)
        if self.draining:
            return self._gone_in_drain(entry, now)
        if left_by_itself:
            return self._asleep(entry, now) + self.fill(now)
        return self._died(entry, lost, now) + self.fill(now)

    def restart_by_hand(self, key: str, now: float) -> list[RouterEffect] | None:
        """A person restarts the session; None if it has no process and none is due."""
        entry = self.entries.get(key)
        if entry is None or (entry.phase is Phase.ASLEEP and entry.wakes_at is None):
            return None
        entry.policy.restarted_by_hand()
        if entry.phase is Phase.ASLEEP:
            return self.places.wait(entry, now)
        if entry.phase in HAS_PROCESS:
            entry.innocent = True
            return self.kill(entry, "restarted by an operator", now, cause="operator")
        if not entry.ending:
            entry.restart_at = now
        return self.fill(now)

    def move_now(self, entry: Entry, now: float) -> list[RouterEffect]:
        """The session has no process: its conversation may be moved, and it starts again only afterwards."""
        self.places.leave_queue(entry)
        entry.enter(Phase.BACKING_OFF, now)
        entry.restart_at, entry.ending, entry.wakes_at = NEVER, False, None
        return [MoveSession(entry.key)]

    def end_without_place(self, entry: Entry, now: float) -> list[RouterEffect]:
        """A session without a process is to stop: its turns end in the journal, which those who follow it read."""
        waited = self.places.leave_queue(entry)
        told = tell_lost(entry, 0, _STOPPED_ASLEEP) if waited else []
        return told + self._end_turns(entry, now)

    def kill(self, entry: Entry, reason: str, now: float, *, cause: str = "") -> list[RouterEffect]:
        """Ends the session's process, for a reason for people; with a cause, for the metrics, it is replaced."""
        entry.kill_reason, entry.death = reason, cause
        entry.was_live = entry.was_live or entry.phase is Phase.LIVE
        entry.enter(Phase.STOPPING, now)
        return [Kill(entry.key, reason)]

    def turns_ended(self, done: EndTurnsOf, stopped: int, now: float) -> list[RouterEffect]:
        """The end of a dead session's turns stands in the journal."""
        entry = self.entries.get(done.key)
        if entry is None or not entry.ending:
            return []
        entry.ended += stopped
        if entry.moving:
            return self.move_now(entry, now)
        if not done.queue and any(request.queue for request in entry.stops):
            return [EndTurnsOf(entry.key, queue=True)]
        stops, entry.stops, entry.ending = entry.stops, [], False
        answers: list[RouterEffect] = [AnswerStop(outcome_of(request, entry.ended)) for request in stops]
        if self.draining:
            del self.entries[entry.key]
            return answers
        entry.restart_at = now
        return answers + self.fill(now)

    def drain(self) -> list[RouterEffect]:
        """Takes nothing more; what no living session has been given is refused."""
        self.draining = True
        self.places.close()
        effects: list[RouterEffect] = []
        for entry in self.entries.values():
            if entry.phase is not Phase.LIVE:
                effects += refuse_all(entry, "draining")
        return effects

    def fill(self, now: float) -> list[RouterEffect]:
        """Starts what is due and has a place; asks idle sessions to leave if more wait than there are places."""
        self.places.wake(now)
        return self.places.fill(now)

    # Steps

    def entry_of(self, key: str, now: float) -> Entry:
        """What is known of the session; an entry is made where there is none."""
        entry = self.entries.get(key)
        if entry is None:
            entry = Entry(key, RestartPolicy(self.limits.restarts), since=now, created_at=now)
            self.entries[key] = entry
        return entry

    def _follow(self, entry: Entry, channel: str) -> list[RouterEffect]:
        if channel in entry.followers:
            return []
        entry.followers.add(channel)
        return self._tell_followers(entry)

    def _tell_followers(self, entry: Entry) -> list[RouterEffect]:
        told = SendToSession(entry.key, Followers(channels=entry.audience))
        return [told] if entry.phase in REACHABLE else []

    def _hold_or_send(self, entry: Entry, message: Message, now: float) -> list[RouterEffect]:
        if entry.phase is not Phase.LIVE or entry.moving:
            entry.held.append(message)
            while len(entry.held) > self.limits.max_held:
                entry.held.popleft()
        return self._pass_on(entry, message, now)

    def _pass_on(self, entry: Entry, message: Message, now: float) -> list[RouterEffect]:
        if entry.moving:
            return []
        if entry.phase is Phase.LIVE:
            return [SendToSession(entry.key, message)]
        return self.places.wait(entry, now) if entry.phase in (Phase.ASLEEP, Phase.WAITING) else []

    def _send_what_waits(self, entry: Entry) -> list[RouterEffect]:
        messages = [*entry.unsettled.values(), *entry.held, *entry.stops]
        entry.held.clear()
        return [SendToSession(entry.key, message) for message in messages]

    def _asleep(self, entry: Entry, now: float) -> list[RouterEffect]:
        if entry.wakes_at is not None and entry.ends:
            entry.held.append(EndSession(session=entry.key))
        if entry.unsettled or entry.stops or any(not isinstance(each, EndSession) for each in entry.held):
            entry.enter(Phase.WAITING, now)
            self.places.queue(entry.key)
        elif entry.followers or entry.wakes_at is not None:
            entry.enter(Phase.ASLEEP, now)
        else:
            del self.entries[entry.key]
        return []

    def _died(self, entry: Entry, incarnation: int, now: float) -> list[RouterEffect]:
        reason = entry.kill_reason or "its process ended unexpectedly"
        entry.death, entry.wakes_at = entry.death or "died", None
        effects = tell_lost(entry, incarnation, reason)
        entry.held = type(entry.held)(m for m in entry.held if not isinstance(m, Replay))
        entry.restart_at = now if entry.innocent else now + entry.policy.died(now).delay_s
        if entry.stops:
            return effects + self._end_turns(entry, now)
        entry.enter(Phase.BACKING_OFF, now)
        return effects if entry.innocent else effects + blame(entry)

    def _end_turns(self, entry: Entry, now: float) -> list[RouterEffect]:
        entry.enter(Phase.BACKING_OFF, now)
        entry.restart_at, entry.ending, entry.wakes_at = NEVER, True, None
        return [EndTurnsOf(entry.key, queue=any(request.queue for request in entry.stops))]

    def _gone_in_drain(self, entry: Entry, now: float) -> list[RouterEffect]:
        refused = refuse_all(entry, "draining")
        if entry.stops:
            return refused + self._end_turns(entry, now)
        del self.entries[entry.key]
        return refused

    def _give_up(self, entry: Entry, code: str, text: str) -> list[RouterEffect]:
        del self.entries[entry.key]
        stops: list[RouterEffect] = [AnswerStop(outcome_of(request, 0)) for request in entry.stops]
        return refuse_all(entry, code, text) + stops
