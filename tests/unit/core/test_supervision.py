"""Tests whether, and after how long, a dead child is started again."""

from __future__ import annotations

import pytest

from openclaw_actors.core.supervision import Restart, RestartLimits, RestartPolicy

LIMITS = RestartLimits(max_restarts=5, window_s=60.0, backoff_s=0.1, backoff_max_s=30.0)


def test_the_first_death_costs_no_time_and_the_next_ones_ever_more() -> None:
    policy = RestartPolicy(LIMITS)
    delays = [policy.died(float(second)).delay_s for second in range(5)]
    assert delays[0] == 0.0
    assert delays[1:] == pytest.approx([0.1, 0.2, 0.4, 0.8], rel=0.11)
    assert not policy.failed


def test_beyond_the_intensity_the_child_is_failed_and_tried_at_the_longest_backoff() -> None:
    policy = RestartPolicy(LIMITS)
    restarts = [policy.died(0.1 * number) for number in range(6)]
    assert [restart.failed for restart in restarts] == [False] * 5 + [True]
    assert restarts[-1].delay_s == 30.0


def test_a_failed_child_stays_failed_while_it_dies_at_every_retry() -> None:
    policy = RestartPolicy(LIMITS)
    now = 0.0
    for _ in range(20):
        restart = policy.died(now)
        now += restart.delay_s + 0.5
    assert policy.failed
    assert restart.delay_s == 30.0
    assert len(policy.deaths) <= LIMITS.max_restarts + 1


def test_time_that_a_child_spent_waiting_for_its_restart_is_no_life() -> None:
    limits = RestartLimits(max_restarts=1, window_s=10.0, backoff_max_s=100.0)
    policy = RestartPolicy(limits)
    policy.died(0.0)
    assert policy.died(1.0).failed
    assert policy.died(101.5).failed
    policy.lived(150.0)
    assert policy.failed


def test_a_whole_window_of_life_makes_good_what_was_before() -> None:
    policy = RestartPolicy(LIMITS)
    for _ in range(6):
        policy.died(0.0)
    policy.lived(89.0)
    assert policy.failed
    policy.lived(91.0)
    assert not policy.failed
    assert policy.died(92.0).delay_s == 0.0


def test_deaths_that_lie_far_apart_are_each_the_first() -> None:
    policy = RestartPolicy(LIMITS)
    assert [policy.died(100.0 * number).delay_s for number in range(10)] == [0.0] * 10
    assert policy.total == 10


def test_a_restart_by_hand_forgets_the_deaths_but_not_how_many_there_were() -> None:
    policy = RestartPolicy(LIMITS)
    for _ in range(6):
        policy.died(0.0)
    policy.restarted_by_hand()
    assert not policy.failed
    assert policy.died(1.0).delay_s == 0.0
    assert policy.total == 7


def test_other_limits_hold_at_once_and_the_deaths_before_count_by_them() -> None:
    policy = RestartPolicy(LIMITS)
    for _ in range(3):
        policy.died(0.0)
    policy.use(RestartLimits(max_restarts=3, window_s=60.0, backoff_s=0.1, backoff_max_s=7.0))
    assert policy.died(1.0) == Restart(7.0, failed=True)


def test_the_same_limits_again_do_not_shorten_the_back_off() -> None:
    policy = RestartPolicy(LIMITS)
    for _ in range(4):
        delay_s = policy.died(0.0).delay_s
    policy.use(RestartLimits(max_restarts=5, window_s=60.0, backoff_s=0.1, backoff_max_s=30.0))
    assert policy.died(0.0).delay_s > delay_s
