"""The circuit breaker opens on failures in a row, lets one probe through, and ignores what is late."""

from __future__ import annotations

import pytest

from openclaw_actors.core.breaker import BreakerState, CircuitBreaker, Outcome, Permit

__all__: list[str] = []


def acquire(breaker: CircuitBreaker, now: float) -> Permit:
    permit = breaker.acquire(now)
    assert permit is not None
    return permit


def assert_state(breaker: CircuitBreaker, expected: BreakerState) -> None:
    assert breaker.state is expected


def call(breaker: CircuitBreaker, outcome: Outcome, now: float) -> None:
    breaker.release(acquire(breaker, now), outcome, now)


def opened(*, threshold: int = 3, cooldown_s: float = 30.0, cooldown_max_s: float = 300.0) -> CircuitBreaker:
    """A breaker that opened at time 0."""
    breaker = CircuitBreaker(threshold=threshold, cooldown_s=cooldown_s, cooldown_max_s=cooldown_max_s)
    for _ in range(threshold):
        call(breaker, Outcome.FAILED, 0.0)
    assert_state(breaker, BreakerState.OPEN)
    return breaker


def test_failures_in_a_row_open_it() -> None:
    breaker = CircuitBreaker(threshold=3)
    call(breaker, Outcome.FAILED, 0.0)
    call(breaker, Outcome.FAILED, 0.0)
    assert_state(breaker, BreakerState.CLOSED)

    call(breaker, Outcome.FAILED, 0.0)

    assert_state(breaker, BreakerState.OPEN)
    assert breaker.acquire(29.9) is None
    assert breaker.retry_after_s(10.0) == 20.0


def test_a_success_in_between_starts_the_count_anew() -> None:
    breaker = CircuitBreaker(threshold=2)
    for _ in range(5):
        call(breaker, Outcome.FAILED, 0.0)
        call(breaker, Outcome.ALIVE, 0.0)

    assert_state(breaker, BreakerState.CLOSED)


def test_cancelled_calls_count_neither_way() -> None:
    breaker = CircuitBreaker(threshold=2)
    call(breaker, Outcome.FAILED, 0.0)
    for _ in range(10):
        call(breaker, Outcome.UNKNOWN, 0.0)
    assert_state(breaker, BreakerState.CLOSED)

    call(breaker, Outcome.FAILED, 0.0)

    assert_state(breaker, BreakerState.OPEN)


def test_half_open_lets_exactly_one_probe_through() -> None:
    breaker = opened()

    permits = [breaker.acquire(30.0 + n) for n in range(100)]

    assert [permit is not None for permit in permits] == [True] + [False] * 99
    assert_state(breaker, BreakerState.HALF_OPEN)


def test_a_successful_probe_closes_it() -> None:
    breaker = opened(threshold=3)

    call(breaker, Outcome.ALIVE, 30.0)

    assert_state(breaker, BreakerState.CLOSED)
    call(breaker, Outcome.FAILED, 30.0)
    call(breaker, Outcome.FAILED, 30.0)
    assert_state(breaker, BreakerState.CLOSED)


def test_cooldowns_double_up_to_the_limit_and_start_over_after_a_success() -> None:
    breaker = opened(cooldown_s=30.0, cooldown_max_s=300.0)
    now, cooldowns = 0.0, []
    for _ in range(6):
        cooldown_s = breaker.retry_after_s(now)
        cooldowns.append(cooldown_s)
        now += cooldown_s
        call(breaker, Outcome.FAILED, now)
    assert cooldowns == [30.0, 60.0, 120.0, 240.0, 300.0, 300.0]

    now += 300.0
    call(breaker, Outcome.ALIVE, now)
    for _ in range(3):
        call(breaker, Outcome.FAILED, now)

    assert breaker.retry_after_s(now) == 30.0


def test_a_cancelled_probe_makes_room_for_the_next_one() -> None:
    breaker = opened()
    call(breaker, Outcome.UNKNOWN, 30.0)

    probe = breaker.acquire(30.0)

    assert probe is not None
    assert breaker.acquire(30.0) is None


@pytest.mark.parametrize("outcome", list(Outcome))
def test_late_outcomes_of_calls_from_before_are_ignored(outcome: Outcome) -> None:
    breaker = CircuitBreaker(threshold=1, cooldown_s=30.0)
    late = acquire(breaker, 0.0)
    call(breaker, Outcome.FAILED, 0.0)

    breaker.release(late, outcome, 10.0)
    assert_state(breaker, BreakerState.OPEN)
    assert breaker.retry_after_s(10.0) == 20.0

    probe = acquire(breaker, 30.0)
    breaker.release(late, outcome, 31.0)
    assert_state(breaker, BreakerState.HALF_OPEN)
    assert breaker.acquire(31.0) is None

    breaker.release(probe, Outcome.ALIVE, 32.0)
    breaker.release(late, outcome, 33.0)
    assert_state(breaker, BreakerState.CLOSED)


def test_a_permit_counts_once_as_a_probe() -> None:
    breaker = opened()
    probe = acquire(breaker, 30.0)
    breaker.release(probe, Outcome.FAILED, 30.0)

    breaker.release(probe, Outcome.ALIVE, 31.0)

    assert_state(breaker, BreakerState.OPEN)


def test_a_threshold_below_one_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 1"):
        CircuitBreaker(threshold=0)
