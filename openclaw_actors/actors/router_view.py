"""Decides how the router's sessions look in the tree and in the metrics; takes its limits from the configuration."""

from __future__ import annotations

from collections.abc import Collection

from openclaw_actors.actors.proc import resident_bytes
from openclaw_actors.actors.restart_limits import restart_limits
from openclaw_actors.config import GatewayConfig
from openclaw_actors.core.routing import Entry, Phase, RouterLimits
from openclaw_actors.core.series import series
from openclaw_actors.messages import StatusNode

__all__ = ["SessionGauges", "limits_of", "node_of", "shows", "state_of"]

_RESIDENT_FOR_S = 5.0

_STATE_NAMES = {
    Phase.ASLEEP: "passivated",
    Phase.WAITING: "waiting",
    Phase.STARTING: "starting",
    Phase.LIVE: "running",
    Phase.PASSIVATING: "passivating",
    Phase.STOPPING: "stopping",
    Phase.BACKING_OFF: "restarting",
}


def shows(entry: Entry) -> bool:
    """Whether `status` shows a session: it lives or will, or waits asleep for a person."""
    return entry.phase is not Phase.ASLEEP or entry.wakes_at is not None


def state_of(entry: Entry) -> str:
    """A session's state in a word."""
    if entry.moving:
        return "moving"
    return "failed" if entry.policy.failed else _STATE_NAMES[entry.phase]


def node_of(entry: Entry, now: float) -> StatusNode:
    """A session as `status` shows it."""
    return StatusNode(
        name=entry.key,
        kind="session",
        state=state_of(entry),
        pid=entry.pid,
        incarnation=entry.incarnation,
        restarts=entry.policy.total,
        mailbox_depth=entry.mailbox_depth + len(entry.unsettled),
        age_seconds=now - entry.created_at,
        rss_bytes=resident_bytes(entry.pid),
        doing=entry.doing,
    )


class SessionGauges:
    """What the metrics say of all sessions together."""

    def __init__(self) -> None:
        self._resident = 0
        self._resident_of: set[int] = set()
        self._resident_until = 0.0

    def of(self, entries: Collection[Entry], live: int, now: float) -> dict[str, float]:
        """The numbers of the present.

        Args:
            live: how many have a process.
            now: monotonic seconds.
        """
        waiting = sum(entry.mailbox_depth + len(entry.unsettled) for entry in entries)
        pids = {entry.pid for entry in entries if entry.pid is not None}
        return {
            "sessions_live": live,
            "actors_failed": sum(entry.policy.failed for entry in entries),
            series("mailbox_depth", actor="sessions"): waiting,
            series("process_resident_bytes", actor="sessions"): self._resident_bytes(pids, now),
        }

    def _resident_bytes(self, pids: set[int], now: float) -> int:
        """Looked up when it can have changed much, for it takes milliseconds where there are many."""
        if now >= self._resident_until or pids != self._resident_of:
            self._resident = sum(map(resident_bytes, pids))
            self._resident_of, self._resident_until = pids, now + _RESIDENT_FOR_S
        return self._resident


def limits_of(config: GatewayConfig) -> RouterLimits:
    """The router's limits."""
    sessions = config.sessions
    return RouterLimits(
        max_live=sessions.max_live,
        max_pending=sessions.max_pending + 1,  # the running one, too, whose receipt may still be on its way
        ping_timeout_s=sessions.ping_timeout_seconds,
        start_timeout_s=max(sessions.start_timeout_seconds, 1.0),
        restarts=restart_limits(config),
    )
