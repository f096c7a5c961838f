"""Decides who has a place: which sessions have a process, which wait for one, and who is asked to leave for them."""

from __future__ import annotations

from collections import OrderedDict

from openclaw_actors.core.routing import (
    Entry,
    Fork,
    Phase,
    RouterEffect,
    RouterLimits,
    SendToSession,
    least_recently_used,
)
from openclaw_actors.messages.conversation import Passivate

__all__ = ["Places"]


class Places:
    """The places of one router's sessions: `max_live` with a process, `max_waiting` before them.

    Args:
        entries: the router's sessions, by key.
    """

    def __init__(self, limits: RouterLimits, entries: dict[str, Entry]) -> None:
        self.limits = limits
        self._entries = entries
        self._waiting: OrderedDict[str, None] = OrderedDict()
        self._starting: dict[str, Entry] = {}
        """Those that start, and some that have since begun to live, or ended."""
        self._occupied = 0
        self._closed = False

    @property
    def occupied(self) -> int:
        """How many sessions have a process."""
        return self._occupied

    def none_for(self, entry: Entry) -> bool:
        """Whether the session is new, and all places are taken, also those to wait in."""
        is_new = entry.phase is Phase.WAITING and entry.key not in self._waiting
        taken = self._occupied + len(self._waiting)
        return is_new and taken >= self.limits.max_live + self.limits.max_waiting

    def too_many_ask(self) -> bool:
        """Whether as many sessions sleep while they ask a person as may."""
        return sum(each.wakes_at is not None for each in self._entries.values()) >= self.limits.max_asking

    def queue(self, key: str) -> None:
        """The session waits behind all others, until `fill`."""
        self._waiting[key] = None

    def leave_queue(self, entry: Entry) -> bool:
        """The session waits no more; says whether it did."""
        waited = entry.key in self._waiting
        self._waiting.pop(entry.key, None)
        return waited

    def freed(self) -> None:
        """A session's process is gone."""
        self._occupied -= 1

    def close(self) -> None:
        """Starts nobody any more."""
        self._closed = True

    def wait(self, entry: Entry, now: float) -> list[RouterEffect]:
        """The session needs a process: it starts as soon as there is a place."""
        entry.enter(Phase.WAITING, now)
        self._waiting.setdefault(entry.key)
        return self.fill(now)

    def wake(self, now: float) -> None:
        """Those whose rest is over wait before all others. It looks at every session, and so not at every message."""
        for entry in list(self._entries.values()):
            asks_in_vain = (
                entry.phase is Phase.ASLEEP and entry.wakes_at is not None and entry.wakes_at <= now
            )
            if asks_in_vain or (entry.phase is Phase.BACKING_OFF and entry.restart_at <= now):
                entry.enter(Phase.WAITING, now)
                self._waiting[entry.key] = None
                self._waiting.move_to_end(entry.key, last=False)

    def fill(self, now: float) -> list[RouterEffect]:
        """Starts who waits and has a place; asks idle sessions to leave if more wait than there are places."""
        effects: list[RouterEffect] = []
        if not self._waiting or self._closed:
            return effects
        starting = self._count_starting(now)
        for key in list(self._waiting) if self._enough_may_start(starting) else ():
            entry = self._entries[key]
            if self._occupied >= self.limits.max_live or starting >= self.limits.max_starting:
                break
            if entry.recovering and not entry.unsettled and starting >= self.limits.max_recovering:
                continue
            starting += 1
            effects += self._fork(entry, now)
        return effects + self._make_room(now)

    def _enough_may_start(self, starting: int) -> bool:
        """Where many wait, half of those who may start do so together: processes that are forked one right after the
        other share the memory that their parent writes on between two forks, half a megabyte a fork."""
        free = self.limits.max_starting - starting
        return free >= max(1, min(len(self._waiting), self.limits.max_starting // 2))

    def _count_starting(self, now: float) -> int:
        self._starting = {
            key: entry
            for key, entry in self._starting.items()
            if entry.phase is Phase.STARTING and self._entries.get(key) is entry
        }
        return sum(now - entry.since < self.limits.slow_start_s for entry in self._starting.values())

    def _fork(self, entry: Entry, now: float) -> list[RouterEffect]:
        self._waiting.pop(entry.key, None)
        self._occupied += 1
        entry.enter(Phase.STARTING, now)
        self._starting[entry.key] = entry
        why = "restart" if entry.death else "recovery" if entry.recovering else "message"
        entry.woken_to_hear = why == "message"
        entry.kill_reason, entry.death, entry.accused, entry.ended = "", "", "", 0
        entry.innocent = entry.blameless = entry.was_live = entry.asked_to_leave = False
        entry.doing, entry.active_at, entry.wakes_at = "starting", max(entry.active_at, now), None
        return [Fork(entry.key, int(entry.died_guilty), entry.audience, why)]

    def _make_room(self, now: float) -> list[RouterEffect]:
        if not self._waiting or self._occupied < self.limits.max_live:
            return []
        leaving = sum(e.asked_to_leave or e.phase is Phase.PASSIVATING for e in self._entries.values())
        wanted = len(self._waiting) - leaving
        if wanted <= 0:
            return []
        idle = least_recently_used(self._entries.values(), now)[:wanted]
        for entry in idle:
            entry.asked_to_leave = True
        return [SendToSession(entry.key, Passivate()) for entry in idle]
