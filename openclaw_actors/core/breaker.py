"""Decides whether a provider may be called: the circuit breaker that all sessions share.

Closed: calls pass; `threshold` failures in a row open it. Open: nothing passes until the cooldown is over. Half open:
exactly one probe passes; its success closes the breaker, its failure opens it again for twice as long, up to a limit.

Whoever is let through holds a `Permit` and gives it back with the outcome, exactly once. A permit carries the
generation in which it was issued; every change of state begins a new generation, and outcomes of an earlier one are
ignored: a call that was already under way when the breaker opened can neither close it nor lengthen its cooldown.
"""

from __future__ import annotations

__all__ = ["BreakerState", "CircuitBreaker", "Outcome", "Permit"]

from dataclasses import dataclass
from enum import Enum, IntEnum


class BreakerState(IntEnum):
    """Numbered as the metric `circuit_breaker_state` shows it."""

    CLOSED = 0
    OPEN = 1
    HALF_OPEN = 2


class Outcome(Enum):
    """What a call says about the provider."""

    ALIVE = "alive"
    """It answered, be it with a refusal of this one request."""
    FAILED = "failed"
    """It failed: no connection, a timeout, an error of its own, a broken stream."""
    UNKNOWN = "unknown"
    """The call was cancelled before it could tell."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Permit:
    """The right to make one call."""

    generation: int


class CircuitBreaker:
    """A circuit breaker without a clock: every method is told the monotonic time.

    Args:
        threshold: failures in a row that open it, at least 1.
        cooldown_s: how long it stays open the first time.
        cooldown_max_s: the longest it stays open when its probes keep failing.
        factor: how much longer each cooldown is than the one before it.
    """

    def __init__(
        self,
        *,
        threshold: int = 5,
        cooldown_s: float = 30.0,
        cooldown_max_s: float = 300.0,
        factor: float = 2.0,
    ) -> None:
        if threshold < 1:
            raise ValueError("threshold must be at least 1")
        self._threshold = threshold
        self._first_cooldown_s = cooldown_s
        self._cooldown_max_s = max(cooldown_s, cooldown_max_s)
        self._factor = factor
        self._state = BreakerState.CLOSED
        self._generation = 0
        self._failures = 0
        self._cooldown_s = cooldown_s
        self._open_until = 0.0

    @property
    def state(self) -> BreakerState:
        """Half open means that a probe is under way; an open one whose cooldown is over still says open."""
        return self._state

    @property
    def failures(self) -> int:
        """Failures in a row, counted while closed."""
        return self._failures

    def acquire(self, now: float) -> Permit | None:
        """Ask to make one call; None: not now, see `retry_after_s`."""
        if self._state is BreakerState.CLOSED:
            return Permit(generation=self._generation)
        if self._state is BreakerState.HALF_OPEN or now < self._open_until:
            return None
        self._change(BreakerState.HALF_OPEN)
        return Permit(generation=self._generation)

    def release(self, permit: Permit, outcome: Outcome, now: float) -> None:
        """Give a permit back and say how the call ended."""
        if permit.generation != self._generation:
            return
        if self._state is BreakerState.CLOSED:
            self._count(outcome, now)
        elif outcome is Outcome.ALIVE:
            self._cooldown_s = self._first_cooldown_s
            self._failures = 0
            self._change(BreakerState.CLOSED)
        elif outcome is Outcome.FAILED:
            self._cooldown_s = min(self._cooldown_s * self._factor, self._cooldown_max_s)
            self._open(now)
        else:
            # The probe told nothing: the next call may probe at once, after the same cooldown as this one.
            self._open_until = now
            self._change(BreakerState.OPEN)

    def retry_after_s(self, now: float) -> float:
        """How long until a call may pass; 0 when one may pass now, or while a probe is under way."""
        if self._state is not BreakerState.OPEN:
            return 0.0
        return max(0.0, self._open_until - now)

    def _count(self, outcome: Outcome, now: float) -> None:
        if outcome is Outcome.ALIVE:
            self._failures = 0
        elif outcome is Outcome.FAILED:
            self._failures += 1
            if self._failures >= self._threshold:
                self._open(now)

    def _open(self, now: float) -> None:
        self._open_until = now + self._cooldown_s
        self._change(BreakerState.OPEN)

    def _change(self, state: BreakerState) -> None:
        self._state = state
        self._generation += 1
