"""Decides how a session is emptied while its conversation goes to the archive or comes back, and how it goes on.

What runs in it is stopped as a person would stop it; then its process ends, within `stop_timeout_s` or by SIGKILL, and
the store moves the files. Messages without a receipt wait meanwhile, and go to the conversation that is there then.
"""

from __future__ import annotations

from collections.abc import Sequence

from openclaw_actors.core.router import RouterCore
from openclaw_actors.core.routing import (
    AnswerStop,
    Entry,
    Phase,
    RouterEffect,
    SendToSession,
    Tell,
    forget,
    outcome_of,
    refuse_all,
)
from openclaw_actors.messages.conversation import Accepted, EndSession, Passivate, SessionEvents, StopTurn
from openclaw_actors.messages.events import Event, Notice, TurnDone

__all__ = ["Moves"]


class Moves:
    """The moves of a router's sessions."""

    def __init__(self, router: RouterCore) -> None:
        self._router = router

    def begin(self, key: str, now: float) -> list[RouterEffect] | None:
        """Empties a session; None if that is under way already. `MoveSession` follows when it has no process."""
        router = self._router
        entry = router.entries.get(key)
        if entry is None:
            entry = router.entry_of(key, now)
            entry.moving, entry.wakes = True, False
            return router.move_now(entry, now)
        if entry.moving:
            return None
        entry.moving, entry.wakes = True, entry.phase is not Phase.ASLEEP or entry.wakes_at is not None
        match entry.phase:
            case Phase.LIVE:
                stop = StopTurn(session=key, queue=True)
                if not entry.stops:
                    entry.stop_deadline = now + router.limits.stop_timeout_s
                entry.stops.append(stop)
                return [SendToSession(key, stop)]
            case Phase.STARTING:
                entry.innocent = True
                return router.kill(entry, "its conversation is moved", now)
            case Phase.STOPPING | Phase.PASSIVATING:
                return []
        return [] if entry.ending else router.move_now(entry, now)

    def moved(
        self, key: str, incarnation: int, ended: Sequence[TurnDone], text: str, now: float
    ) -> list[RouterEffect]:
        """Another conversation, or none, stands under the key.

        Args:
            incarnation: the fencing token that ended all before.
            ended: the ends of turns that nobody was told of.
            text: what those who follow the session should know.
        """
        entry = self._router.entries.get(key)
        if entry is None or not entry.moving:
            return []
        events: tuple[Event, ...] = (*ended, Notice(code="session_restarted", text=text))
        told = SessionEvents(session=key, incarnation=incarnation, events=events)
        effects: list[RouterEffect] = [Tell(channel, told) for channel in sorted(entry.followers)]
        effects += _accept_what_ended(entry, ended)
        entry.held = type(entry.held)(m for m in entry.held if not isinstance(m, EndSession))
        entry.fatal, entry.suspect, entry.died_guilty, entry.recovering = None, "", False, False
        entry.strikes.clear()
        entry.policy.restarted_by_hand()
        return effects + self._go_on(entry, len(ended), now, wanted=bool(entry.unsettled or entry.held))

    def not_moved(self, key: str, now: float) -> list[RouterEffect]:
        """The store refused: the session goes on as if it had been restarted."""
        entry = self._router.entries.get(key)
        if entry is None or not entry.moving:
            return []
        return self._go_on(entry, 0, now, wanted=bool(entry.wakes or entry.unsettled or entry.held))

    def _go_on(self, entry: Entry, ended: int, now: float, *, wanted: bool) -> list[RouterEffect]:
        entry.moving = entry.innocent = False
        stops, entry.stops = entry.stops, []
        effects: list[RouterEffect] = [AnswerStop(outcome_of(stop, ended)) for stop in stops]
        if self._router.draining:
            del self._router.entries[entry.key]
            return effects + refuse_all(entry, "draining")
        if wanted:
            entry.enter(Phase.BACKING_OFF, now)
            entry.restart_at = now
            return effects + self._router.fill(now)
        if entry.followers:
            entry.enter(Phase.ASLEEP, now)
        else:
            del self._router.entries[entry.key]
        return effects + self._router.fill(now)

    def leave(self, key: str) -> list[RouterEffect] | None:
        """A person wants the session to leave memory; None if it is not one that could."""
        entry = self._router.entries.get(key)
        if entry is None or entry.phase is not Phase.LIVE or entry.moving or entry.unsettled or entry.stops:
            return None
        entry.asked_to_leave = True
        return [SendToSession(key, Passivate())]


def _accept_what_ended(entry: Entry, ended: Sequence[TurnDone]) -> list[RouterEffect]:
    """A message that was accepted as the process ended is answered by that end, and not given to anybody again."""
    ids = {done.message_id for done in ended}
    effects: list[RouterEffect] = []
    for message in list(entry.unsettled.values()):
        if message.message_id in ids:
            accepted = Accepted(
                session=entry.key, delivery_id=message.delivery_id, message_id=message.message_id
            )
            effects.append(Tell(message.channel, accepted))
            forget(entry, message.delivery_id)
    return effects
