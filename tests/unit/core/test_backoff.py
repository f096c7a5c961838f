"""Tests how long is waited before the next try."""

from __future__ import annotations

import random

import pytest

from openclaw_actors.core.backoff import Backoff


def test_delays_double_up_to_the_maximum_and_begin_again_after_a_reset() -> None:
    backoff = Backoff(0.1, 1.0, jitter=0.0)
    assert [backoff.next_delay_s() for _ in range(6)] == pytest.approx([0.1, 0.2, 0.4, 0.8, 1.0, 1.0])
    backoff.reset()
    assert backoff.next_delay_s() == pytest.approx(0.1)


def test_jitter_spreads_the_delays_and_never_exceeds_the_maximum() -> None:
    backoff = Backoff(0.1, 30.0, jitter=0.5, random_source=random.Random(7))
    delays = [backoff.next_delay_s() for _ in range(200)]
    assert 0.05 <= delays[0] <= 0.15
    assert all(0.0 < delay <= 30.0 for delay in delays)
    assert len(set(delays[20:])) > 20


def test_very_many_tries_overflow_nothing() -> None:
    backoff = Backoff(0.1, 30.0, jitter=0.0, tries=100_000)
    assert backoff.next_delay_s() == 30.0
