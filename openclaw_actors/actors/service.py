"""What the supervisor knows of one of its services."""

from __future__ import annotations

import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass, field

from openclaw_actors.actors.proc import resident_bytes
from openclaw_actors.config import GatewayConfig
from openclaw_actors.core.supervision import RestartPolicy
from openclaw_actors.messages import Address, Pong, ServiceRef, StatusNode

__all__ = ["Service"]

_SILENT_S = 1.0


@dataclass(slots=True)
class Service:
    """One service, through all of its incarnations."""

    name: str
    policy: RestartPolicy
    config: GatewayConfig
    """What its next incarnation runs on."""
    secrets: Mapping[str, str]
    """Dotted key -> reference, of those that it needs."""
    essential: bool = True
    """The gateway is not ready without it."""
    state: str = "starting"
    """`starting`, `running`, `restarting`, `failed`, `stopping` or `stopped`."""
    address: Address | None = None
    """None while no process lives."""
    pid: int | None = None
    incarnation: int = 0
    instance: str = ""
    bound: str = ""
    """HOST:PORT, of a channel."""
    offers: str = ""
    """Stands for what it offers, while it is up."""
    since: float = field(default_factory=time.monotonic)
    stops: bool = False
    """It is ended on purpose: its exit is no death."""
    reason: str = ""
    """Why it died, or does not start."""
    died_of: str = ""
    """Why its process before this one ended."""
    pong: Pong | None = None
    pinged_at: float = 0.0
    """When it was last asked for a sign of life, monotonic."""
    ponged_at: float = 0.0

    def begin(self, address: Address, pid: int | None) -> None:
        """Its next incarnation has a process."""
        self.address, self.pid = address, pid
        self.incarnation += 1
        self.instance = secrets.token_hex(8)
        self.state = "starting"
        self.since = time.monotonic()
        self.pong, self.pinged_at, self.ponged_at = None, 0.0, 0.0
        self.offers = ""

    def ended(self) -> None:
        """Its process is gone."""
        self.died_of = self.reason or "its process ended unexpectedly"
        self.address, self.pid, self.pong = None, None, None

    def silent(self, now: float) -> bool:
        """Whether it has owed a sign of life for long enough to be worth telling."""
        return self.ponged_at < self.pinged_at < now - _SILENT_S

    @property
    def ref(self) -> ServiceRef | None:
        """How others find it; None while no process lives."""
        if self.address is None:
            return None
        return ServiceRef(
            address=self.address,
            incarnation=self.incarnation,
            instance=self.instance,
            bound=self.bound,
            offers=self.offers,
        )

    @property
    def problems(self) -> tuple[str, ...]:
        """Why it is not healthy."""
        if self.state in ("restarting", "failed"):
            return (f"{self.name}: {self.state}" + (f" ({self.reason})" if self.reason else ""),)
        if self.state == "stopped":
            return (f"{self.name}: stopped by an operator",)
        if self.state == "starting":
            return (f"{self.name}: starting",)
        failed = (f"{self.name}: failed {self.policy.total} times",) if self.policy.failed else ()
        if self.pong is None:
            return failed
        return failed + tuple(f"{self.name}: {problem}" for problem in self.pong.problems)

    @property
    def told(self) -> tuple[str, ...]:
        """All that a person should know: why it is not healthy, and what must be seen to."""
        warnings = self.pong.warnings if self.pong is not None else ()
        return self.problems + tuple(f"{self.name}: {warning}" for warning in warnings)

    def node(self, children: tuple[StatusNode, ...] = ()) -> StatusNode:
        """How `status` shows it."""
        pong = self.pong
        return StatusNode(
            name=self.name,
            kind="service",
            state=self.state,
            pid=self.pid,
            incarnation=self.incarnation,
            restarts=self.policy.total,
            mailbox_depth=pong.mailbox_depth if pong is not None else 0,
            age_seconds=time.monotonic() - self.since,
            rss_bytes=resident_bytes(self.pid),
            doing=pong.doing if pong is not None else self.state,
            children=children,
        )
