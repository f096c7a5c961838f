"""When a provider call is tried again, and what a Retry-After header means."""

from __future__ import annotations

import math
import random
from typing import Any

import pytest

from openclaw_actors.core.retry import Retries, RetryPolicy, parse_retry_after

__all__: list[str] = []

NOON = 1_445_342_400.0  # Tue, 20 Oct 2015 12:00:00 GMT


class Draws(random.Random):
    """A random source that says what it is told."""

    def __init__(self, value: float) -> None:
        super().__init__()
        self.value = value

    def random(self) -> float:
        return self.value


def begin(draw: float = 0.5, **given: Any) -> Retries:
    policy = {"retries": 3, "backoff_s": 1.0, "backoff_max_s": 30.0, "jitter": 0.5, "longest_wait_s": 60.0}
    return RetryPolicy(**{**policy, **given}).begin(Draws(draw))


def delay_s(retries: Retries, **given: Any) -> float | None:
    failure: dict[str, Any] = {"retryable": True, "retry_after_s": None, "left_s": math.inf}
    return retries.next_delay_s(**{**failure, **given})


def test_waits_grow_and_end() -> None:
    retries = begin()

    assert [delay_s(retries) for _ in range(5)] == [1.0, 2.0, 4.0, None, None]


def test_waits_have_a_limit() -> None:
    retries = begin(retries=100, backoff_max_s=3.0)

    assert [delay_s(retries) for _ in range(4)] == [1.0, 2.0, 3.0, 3.0]


def test_what_cannot_succeed_is_not_repeated() -> None:
    assert delay_s(begin(), retryable=False) is None


def test_without_retries_there_is_one_attempt() -> None:
    assert delay_s(begin(retries=0)) is None


def test_jitter_is_applied() -> None:
    assert delay_s(begin(draw=0.0)) == 0.5


@pytest.mark.parametrize("draw", [0.0, 0.5, 0.99])
def test_never_earlier_than_the_provider_asked_for(draw: float) -> None:
    delay = delay_s(begin(draw), retry_after_s=20.0)

    assert delay is not None
    assert 20.0 <= delay <= 22.0


def test_a_short_retry_after_does_not_shorten_the_back_off() -> None:
    assert delay_s(begin(), retry_after_s=0.0) == 1.0


def test_a_pause_that_is_too_long_is_not_waited_for() -> None:
    assert delay_s(begin(), retry_after_s=61.0) is None


def test_no_attempt_beyond_the_calls_own_deadline() -> None:
    assert delay_s(begin(), left_s=0.9) is None
    assert delay_s(begin(), left_s=1.1) == 1.0


@pytest.mark.parametrize(
    ("value", "expected_s"),
    [
        ("0", 0.0),
        ("7", 7.0),
        (" 1.5 ", 1.5),
        ("Tue, 20 Oct 2015 12:00:30 GMT", 30.0),
        ("Tue, 20 Oct 2015 11:00:00 GMT", 0.0),
        ("Tue, 20 Oct 2015 12:00:30", 30.0),
        ("Tuesday, 20-Oct-15 12:00:30 GMT", 30.0),
        (None, None),
        ("", None),
        ("soon", None),
        ("-5", None),
        ("٣", None),
        ("1e9", None),
        ("nan", None),
        ("Tue, 99 Oct 2015 12:00:30 GMT", None),
        ("9" * 500, None),
    ],
)
def test_retry_after(value: str | None, expected_s: float | None) -> None:
    assert parse_retry_after(value, wall_now_s=NOON) == expected_s
