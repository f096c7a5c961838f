"""What each way to fail means: whether it is repeated, whether the provider is to blame, and what people are told."""

from __future__ import annotations

import pytest

from openclaw_actors.core.breaker import Outcome
from openclaw_actors.providers import failures
from openclaw_actors.providers.base import CallError

__all__: list[str] = []

ALIVE, FAILED, UNKNOWN = Outcome.ALIVE, Outcome.FAILED, Outcome.UNKNOWN


def refused(status: int, reason: str = "") -> CallError:
    return failures.refused(status, model="m1", reason=reason, detail="d", retry_after_s=3.0)


@pytest.mark.parametrize(
    ("status", "reason", "code", "retryable", "outcome"),
    [
        (204, "", "provider", False, FAILED),
        (301, "", "configuration", False, ALIVE),
        (400, "", "provider", False, ALIVE),
        (400, "context_length_exceeded", "provider", False, ALIVE),
        (400, "content_filter", "provider", False, ALIVE),
        (401, "", "configuration", False, ALIVE),
        (402, "", "configuration", False, ALIVE),
        (403, "", "configuration", False, ALIVE),
        (404, "", "configuration", False, ALIVE),
        (408, "", "provider", True, FAILED),
        (413, "", "provider", False, ALIVE),
        (418, "", "provider", False, ALIVE),
        (429, "", "provider", True, FAILED),
        (429, "insufficient_quota", "configuration", False, ALIVE),
        (500, "", "provider", True, FAILED),
        (500, "context_length_exceeded", "provider", False, ALIVE),
        (503, "", "provider", True, FAILED),
    ],
)
def test_statuses(status: int, reason: str, code: str, retryable: bool, outcome: Outcome) -> None:
    failure = refused(status, reason)

    assert (failure.code, failure.retryable, failure.outcome) == (code, retryable, outcome)
    assert failure.retry_after_s == (3.0 if retryable else None)
    assert str(failure) == f"{code}: d"


@pytest.mark.parametrize(
    ("reason", "like"),
    [
        ("429", 429),
        ("401", 401),
        ("invalid_api_key", 401),
        ("model_not_found", 404),
        ("invalid_request_error", 400),
        ("server_error", 500),
        ("", 500),
        ("200", 500),
        ("40100", 500),
    ],
)
def test_an_error_in_an_answer_is_like_the_status_that_it_means(reason: str, like: int) -> None:
    failure = failures.reported(reason, model="m1", detail="d")

    assert (failure.code, failure.text, failure.retryable) == (
        refused(like).code,
        refused(like).text,
        refused(like).retryable,
    )


@pytest.mark.parametrize("status", [403, 404, 413])
def test_the_model_is_named(status: int) -> None:
    assert "'m1'" in refused(status).text


def test_an_empty_answer_is_only_a_failure_where_something_kept_it_back() -> None:
    assert failures.empty("stop") is None
    assert failures.empty("") is None
    for reason in ("length", "content_filter"):
        failure = failures.empty(reason)
        assert failure is not None
        assert (failure.retryable, failure.outcome) == (False, ALIVE)


@pytest.mark.parametrize(
    ("failure", "outcome"),
    [
        (failures.connection_failed("d"), FAILED),
        (failures.garbage("d"), FAILED),
        (failures.broken_stream("d"), FAILED),
        (failures.timed_out("d"), FAILED),
        (failures.too_large("d"), FAILED),
        (failures.circuit_open(1.0), UNKNOWN),
        (failures.overloaded("d"), UNKNOWN),
        (failures.unsendable("d"), UNKNOWN),
        (failures.misconfigured("t", "d"), ALIVE),
    ],
)
def test_what_counts_against_the_provider(failure: CallError, outcome: Outcome) -> None:
    assert failure.outcome is outcome


def test_the_texts_that_people_know() -> None:
    assert failures.connection_failed("d").text == (
        "Sorry, I'm having trouble reaching my AI provider right now. Please try again shortly."
    )
    assert failures.circuit_open(1.0).text == "I'm temporarily unavailable. Please try again shortly."
