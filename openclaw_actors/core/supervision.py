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
    _started_at: float = 0.0
    """When it was, or is to be, started after its last death."""

    def __post_init__(self) -> None:
        self.backoff = Backoff(self.limits.backoff_s, self.limits.backoff_max_s)

    def use(self, limits: RestartLimits) -> None:
        """Other limits hold; the deaths before count by them, and the back-off begins anew."""
        if limits != self.limits:
            self.limits = limits
            self.backoff = Backoff(limits.backoff_s, limits.backoff_max_s)

    def died(self, now: float) -> Restart:
        """The child died at `now` (monotonic seconds)."""
        self.lived(now)
        limits = self.limits
        self.total += 1
        self.deaths.append(now)
        while now - self.deaths[0] > limits.window_s or len(self.deaths) > limits.max_restarts + 1:
            self.deaths.popleft()
        self.failed = self.failed or len(self.deaths) > limits.max_restarts
        delay_s = limits.backoff_max_s if self.failed else self._delay_s()
        self._started_at = now + delay_s
        return Restart(delay_s, failed=self.failed)

    def _delay_s(self) -> float:
        return 0.0 if len(self.deaths) == 1 and not self.backoff.tries else self.backoff.next_delay_s()

    def lived(self, now: float) -> None:
        """The child is, or was until, up at `now`; a whole window of life makes good what was before."""
        if self.deaths and now - self._started_at > self.limits.window_s:
            self.restarted_by_hand()

    def restarted_by_hand(self) -> None:
        """A person restarts the child: what it did before no longer counts."""
        self.deaths.clear()
        self.backoff.reset()
        self.failed = False
