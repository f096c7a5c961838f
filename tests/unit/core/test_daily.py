"""Tests that a day's budgets hold before a call, over restarts of who counts, and over midnight."""

from __future__ import annotations

import pytest

from openclaw_actors.core.daily import DayBudget
from openclaw_actors.core.principals import principal_of
from openclaw_actors.messages import Usage

NOON = 20_000 * 86_400 + 43_200.0
TEN = Usage(input_tokens=4, output_tokens=6)


def test_who_has_used_a_days_budget_makes_no_further_call_and_others_do() -> None:
    budget = DayBudget(each=20, all_=0)
    for _ in range(2):
        assert budget.refusal("alice", NOON) is None
        budget.spend("alice", TEN, NOON)
    assert budget.refusal("alice", NOON) == (
        "You have reached today's token budget (20/20 tokens). Please come back tomorrow."
    )
    assert budget.refusal("bob", NOON) is None


def test_the_budget_of_all_holds_for_each() -> None:
    budget = DayBudget(each=0, all_=1_000)
    budget.spend("alice", Usage(input_tokens=1_100), NOON)
    assert budget.refusal("bob", NOON) == (
        "This gateway has reached today's token budget (1,100/1,000 tokens). Please come back tomorrow."
    )


def test_a_day_begins_at_midnight_and_a_clock_that_goes_back_brings_none_back() -> None:
    budget = DayBudget(each=10, all_=0)
    budget.spend("alice", TEN, NOON)
    assert budget.refusal("alice", NOON + 86_400) is None
    budget.spend("alice", TEN, NOON + 86_400)
    assert budget.refusal("alice", NOON) is not None, "yesterday again, and what was used today is forgotten"


def test_what_the_ledger_knows_and_what_was_seen_here_are_not_added_up() -> None:
    budget = DayBudget(each=100, all_=0)
    budget.spend("alice", TEN, NOON)
    budget.learn(20_000, {"alice": 10, "bob": 100}, 110)
    assert budget.refusal("alice", NOON) is None
    assert budget.refusal("bob", NOON) is not None
    budget.learn(20_000, {"alice": 100}, 200)
    assert budget.refusal("alice", NOON) is not None
    budget.learn(19_999, {"carol": 1_000}, 1_000)
    assert budget.refusal("carol", NOON) is None, "that was yesterday"


@pytest.mark.parametrize(
    ("session", "principal"),
    [
        ("websocket:alice:main", "alice"),
        ("websocket:alice:with:colons", "alice"),
        ("http:alice", "alice"),
        ("sms:+15551234567", "sms:+15551234567"),
    ],
)
def test_whose_a_session_is(session: str, principal: str) -> None:
    assert principal_of(session) == principal
