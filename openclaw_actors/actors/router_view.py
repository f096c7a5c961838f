"""Decides how the router's sessions look in the tree, and takes its limits from the configuration."""

from __future__ import annotations

from openclaw_actors.actors.proc import resident_bytes
from openclaw_actors.config import GatewayConfig
from openclaw_actors.core.routing import Entry, Phase, RouterLimits
from openclaw_actors.core.supervision import RestartLimits
from openclaw_actors.messages import StatusNode

__all__ = ["limits_of", "node_of"]

_STATE_NAMES = {
    Phase.ASLEEP: "passivated",
    Phase.WAITING: "waiting",
    Phase.STARTING: "starting",
    Phase.LIVE: "running",
    Phase.PASSIVATING: "passivating",
    Phase.STOPPING: "stopping",
    Phase.BACKING_OFF: "restarting",
}


def node_of(entry: Entry, now: float) -> StatusNode:
    """A session as `status` shows it."""
    state = "failed" if entry.policy.failed else _STATE_NAMES[entry.phase]
    return StatusNode(
        name=entry.key,
        kind="session",
        state="moving" if entry.moving else state,
        pid=entry.pid,
        incarnation=entry.incarnation,
        restarts=entry.policy.total,
        mailbox_depth=entry.mailbox_depth + len(entry.unsettled),
        age_seconds=now - entry.created_at,
        rss_bytes=resident_bytes(entry.pid),
        doing=entry.doing,
    )


def limits_of(config: GatewayConfig) -> RouterLimits:
    """The router's limits."""
    sessions, supervision = config.sessions, config.supervision
    return RouterLimits(
        max_live=sessions.max_live,
        max_pending=sessions.max_pending + 1,  # the running one, too, whose receipt may still be on its way
        ping_timeout_s=sessions.ping_timeout_seconds,
        start_timeout_s=max(sessions.start_timeout_seconds, 1.0),
        restarts=RestartLimits(
            max_restarts=supervision.max_restarts,
            window_s=supervision.window_seconds,
            backoff_s=supervision.backoff_seconds,
            backoff_max_s=supervision.backoff_max_seconds,
        ),
    )
