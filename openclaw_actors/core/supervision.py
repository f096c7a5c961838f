"""Decides whether, and after how long, a dead child is started again.

The window is Erlang's: more than `max_restarts` within `window_s` and the child is `failed`. A failed child is still
tried again, at the longest back-off, and a person can restart it at any time; giving up for good helps nobody.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from openclaw_actors.core.backoff import Backoff

__all__ = ["Restart", "RestartLimits", "RestartPolicy"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RestartLimits:
    """Intensity and back-off of restarts, `supervision.*` of the configuration."""

    max_restarts: int = 5
    window_s: float = 60.0
    backoff_s: float = 0.1
    backoff_max_s: float = 30.0


@dataclass(frozen=True, slots=True)
class Restart:
    """What to do about a death."""

    delay_s: float
    failed: bool
    """The intensity is exceeded: health is degraded until the child has lived for a whole window."""


@dataclass(slots=True)
class RestartPolicy:
    """The restarts of one child."""

    limits: RestartLimits
    deaths: deque[float] = field(default_factory=deque)
    backoff: Backoff = field(init=False)
    failed: bool = False
    total: int = 0

    def __post_init__(self) -> None:
        self.backoff = Backoff(self.limits.backoff_s, self.limits.backoff_max_s)

    def died(self, now: float) -> Restart:
        """The child died at `now` (monotonic seconds)."""
        self.total += 1
        if self.deaths and now - self.deaths[-1] > self.limits.window_s:
            self.backoff.reset()
        self.deaths.append(now)
        while self.deaths and now - self.deaths[0] > self.limits.window_s:
            self.deaths.popleft()
        while len(self.deaths) > self.limits.max_restarts + 1:
            self.deaths.popleft()
        self.failed = len(self.deaths) > self.limits.max_restarts
        if self.failed:
            return Restart(self.limits.backoff_max_s, failed=True)
        if len(self.deaths) == 1:
            return Restart(0.0, failed=False)
        return Restart(self.backoff.next_delay_s(), failed=False)

    def lived(self, now: float) -> None:
        """The child is up at `now`; after a whole window without a death it is no longer failed."""
        if self.failed and self.deaths and now - self.deaths[-1] > self.limits.window_s:
            self.failed = False
            self.deaths.clear()
            self.backoff.reset()

    def restarted_by_hand(self) -> None:
        """A person restarts the child: what it did before no longer counts."""
        self.deaths.clear()
        self.backoff.reset()
        self.failed = False
