"""Decides which sessions are stuck: who does not answer, start, leave or stop in its time is killed."""

from __future__ import annotations

from openclaw_actors.core.router import RouterCore
from openclaw_actors.core.routing import REACHABLE, Entry, Phase, PingSession, RouterEffect, RouterLimits
from openclaw_actors.messages.lifecycle import Pong

__all__ = ["Watchdog"]

_LATE_S = 1.0
_TICK_S = 0.25
_IDLE_TICK_S = 1.0
_RECENT_S = 60.0


class Watchdog:
    """Watches the sessions of a router.

    A watcher that was itself late forgives: what it did not see in time may be its own doing.
    """

    def __init__(self, router: RouterCore) -> None:
        self._router = router
        self._expected_at: float | None = None

    @property
    def _limits(self) -> RouterLimits:
        return self._router.limits

    def next_tick_s(self) -> float:
        """Seconds until `tick` should be called again."""
        waits = any(
            entry.stops or entry.phase not in (Phase.LIVE, Phase.ASLEEP)
            for entry in self._router.entries.values()
        )
        return _TICK_S if waits else _IDLE_TICK_S

    def tick(self, now: float) -> list[RouterEffect]:
        """Looks at every session."""
        late_s = now - self._expected_at if self._expected_at is not None else 0.0
        if late_s > _LATE_S:
            self._forgive(late_s, now)
        effects: list[RouterEffect] = []
        for entry in list(self._router.entries.values()):
            effects += self._look_at(entry, now)
        effects += self._router.fill(now)
        self._expected_at = now + self.next_tick_s()
        return effects

    def ponged(self, key: str, pong: Pong, now: float) -> None:
        """A session gave a sign of life."""
        entry = self._router.entries.get(key)
        if entry is None or (entry.incarnation and pong.incarnation != entry.incarnation):
            return
        entry.ping_sent_at, entry.pong_at = None, now
        entry.doing, entry.mailbox_depth = pong.doing, pong.mailbox_depth
        entry.policy.lived(now)

    def _look_at(self, entry: Entry, now: float) -> list[RouterEffect]:
        router, limits = self._router, self._limits
        if entry.phase in REACHABLE and entry.stops and not entry.hears_first and now > entry.stop_deadline:
            entry.innocent = True
            return router.kill(entry, "it did not stop when asked", now, cause="stop_timeout")
        match entry.phase:
            case Phase.WAITING if entry.stops and now > entry.stop_deadline:
                return router.end_without_place(entry, now)
            case Phase.STARTING if now - entry.since > limits.start_timeout_s:
                reason = f"it did not get ready within {limits.start_timeout_s:g} s"
                return router.kill(entry, reason, now, cause="start_timeout")
            case Phase.PASSIVATING if now - entry.since > limits.start_timeout_s:
                entry.innocent = True  # it had nothing more to do: only the store can have kept it
                reason = f"it did not leave within {limits.start_timeout_s:g} s"
                return router.kill(entry, reason, now, cause="passivation_timeout")
            case Phase.LIVE if entry.ping_sent_at is not None:
                if now - entry.ping_sent_at > limits.ping_timeout_s:
                    reason = f"it did not answer for {limits.ping_timeout_s:g} s"
                    return router.kill(entry, reason, now, cause="stuck")
            case Phase.LIVE if now - entry.pong_at >= self._interval_s(entry, now):
                entry.ping_sent_at = now
                return [PingSession(entry.key)]
        return []

    def _interval_s(self, entry: Entry, now: float) -> float:
        busy = entry.unsettled or entry.doing != "idle" or now - entry.active_at < _RECENT_S
        return self._limits.ping_timeout_s / 4 if busy else self._limits.idle_ping_s

    def _forgive(self, late_s: float, now: float) -> None:
        """Nothing counts as older than if this watcher had been in time; a stop has all of its time once more."""
        for entry in self._router.entries.values():
            entry.since = min(now, entry.since + late_s)
            entry.stop_deadline = now + self._limits.stop_timeout_s
            if entry.ping_sent_at is not None:
                entry.ping_sent_at = min(now, entry.ping_sent_at + late_s)
