"""Requests that a client makes again by itself are told from those that only look the same."""

from __future__ import annotations

import pytest

from openclaw_actors.channels.openai.models import Models
from openclaw_actors.channels.openai.problems import ApiProblem
from openclaw_actors.channels.openai.repeats import Repeats

__all__: list[str] = []


def test_a_retry_is_the_message_that_it_repeats() -> None:
    repeats = Repeats()
    assert repeats.message_id("s", b"yes", "0", "1", 0.0) == "1"
    assert repeats.message_id("s", b"yes", "1", "2", 1.0) == "1"
    assert repeats.message_id("s", b"yes", "2", "3", 2.0) == "1"


def test_the_same_words_said_twice_are_two_messages() -> None:
    repeats = Repeats()
    assert repeats.message_id("s", b"yes", "0", "1", 0.0) == "1"
    assert repeats.message_id("s", b"yes", "0", "2", 1.0) == "2"
    assert repeats.message_id("s", b"yes", None, "3", 2.0) == "3"
    assert repeats.message_id("s", b"yes", "1", "4", 3.0) == "3"


def test_other_sessions_and_other_words_are_other_messages() -> None:
    repeats = Repeats()
    repeats.message_id("s", b"yes", "0", "1", 0.0)
    assert repeats.message_id("t", b"yes", "1", "2", 0.0) == "2"
    assert repeats.message_id("s", b"no", "1", "3", 0.0) == "3"


@pytest.mark.parametrize("count", ["", "-1", "x", "²", "0"])
def test_a_count_that_is_none_is_no_retry(count: str) -> None:
    repeats = Repeats()
    repeats.message_id("s", b"yes", "0", "1", 0.0)
    assert repeats.message_id("s", b"yes", count, "2", 0.0) == "2"


def test_the_memory_is_bounded_in_number_and_time() -> None:
    repeats = Repeats(max_requests=2, seconds=10.0)
    for number in range(5):
        repeats.message_id("s", b"%d" % number, "0", str(number), 0.0)
    assert len(repeats) == 2
    assert repeats.message_id("s", b"4", "1", "new", 10.0) == "4"
    assert repeats.message_id("s", b"3", "1", "new", 10.1) == "new"


def test_models() -> None:
    models = Models("gpt-4o")
    assert models.names == ("gpt-4o", "openclaw")
    assert models.find(None) == models.find("gpt-4o") == "gpt-4o"
    assert models.find("openclaw/default") == "openclaw/default"
    with pytest.raises(ApiProblem) as caught:
        models.find("gpt-5")
    assert (caught.value.status, caught.value.code, caught.value.param) == (404, "model_not_found", "model")
