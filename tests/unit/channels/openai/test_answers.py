"""What becomes of a turn is told so that a client never holds a text that is not the answer's."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openclaw_actors.channels.openai.answers import CallAnswer, TurnAnswer
from openclaw_actors.channels.openai.problems import problem_of_refusal, turn_goes_on
from openclaw_actors.channels.openai.responses import Answering
from openclaw_actors.messages import (
    AssistantChunk,
    CallFailed,
    Completed,
    Event,
    ModelDelta,
    Notice,
    TurnDone,
    TurnStarted,
    TurnStatus,
    Usage,
)

__all__: list[str] = []

ANSWERING = Answering(completion_id="chatcmpl-1", model="openclaw", created=5, include_usage=True)
USAGE = Usage(input_tokens=3, output_tokens=4)


def started(attempt: int) -> TurnStarted:
    return TurnStarted(seq=2, turn_id="t", message_id="m", attempt=attempt)


def chunk(text: str, offset: int, attempt: int = 1) -> AssistantChunk:
    return AssistantChunk(turn_id="t", attempt=attempt, offset=offset, text=text)


def done(text: str, status: TurnStatus = "completed", code: str | None = None) -> TurnDone:
    return TurnDone(seq=9, turn_id="t", message_id="m", status=status, text=text, usage=USAGE, code=code)


def events_of(data: bytes) -> list[Any]:
    events = [line.removeprefix(b"data: ") for line in data.split(b"\n\n") if line]
    return [event.decode() if event == b"[DONE]" else json.loads(event) for event in events]


def text_of(data: bytes) -> str:
    chunks = [event for event in events_of(data) if event != "[DONE]"]
    return "".join(
        choice["delta"].get("content", "") for each in chunks for choice in each.get("choices", ())
    )


def stream(*events: Event) -> tuple[TurnAnswer, bytes]:
    answer = TurnAnswer(ANSWERING, streams=True)
    return answer, b"".join(answer.take(event) for event in events)


# The usual


def test_a_streamed_turn() -> None:
    answer, data = stream(started(1), chunk("echo:", 0), chunk(" hi", 5), done("echo: hi"))
    assert answer.finished
    assert answer.problem is None
    *deltas, end, usage, last = events_of(data)
    assert [delta["choices"][0]["delta"] for delta in deltas] == [{"content": "echo:"}, {"content": " hi"}]
    assert (end["choices"][0]["delta"], end["choices"][0]["finish_reason"]) == ({}, "stop")
    assert (end["usage"], usage["choices"]) == (None, [])
    assert usage["usage"] == {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7}
    assert last == "[DONE]"
    assert {event["id"] for event in (*deltas, end, usage)} == {"chatcmpl-1"}


def test_the_first_event_names_the_role() -> None:
    (event,) = events_of(ANSWERING.role())
    assert event["choices"][0]["delta"] == {"role": "assistant", "content": ""}


def test_no_usage_is_sent_where_none_is_asked_for() -> None:
    plain = Answering(completion_id="c", model="m", created=1)
    assert b"usage" not in plain.role() + plain.delta("x") + plain.end(USAGE)


def test_a_turn_at_once() -> None:
    answer = TurnAnswer(ANSWERING, streams=False)
    for event in (started(1), chunk("void", 0), started(2), done("hi")):
        assert answer.take(event) == b""
    body = json.loads(answer.completion())
    assert body["choices"][0]["message"]["content"] == "hi"
    assert body["choices"][0]["finish_reason"] == "stop"
    assert body["usage"]["total_tokens"] == 7


def test_what_was_missed_comes_with_the_end() -> None:
    _, data = stream(chunk("a", 0), chunk("d", 3), chunk("e", 4), done("abcde"))
    assert text_of(data) == "abcde"


def test_an_overlap_is_heard_once() -> None:
    _, data = stream(chunk("ab", 0), chunk("abc", 0), done("abcd"))
    assert text_of(data) == "abcd"


def test_notices_are_not_for_the_stream() -> None:
    _, data = stream(Notice(code="session_restarted", text="x"), done("a"))
    assert text_of(data) == "a"


# An attempt that is void


def test_a_new_attempt_in_the_same_words_goes_on_where_the_client_is() -> None:
    answer, data = stream(
        chunk("one two", 0), started(2), chunk("one", 0, 2), chunk(" two thr", 3, 2), done("one two three")
    )
    assert text_of(data) == "one two three"
    assert answer.problem is None


def test_a_new_attempt_in_other_words_ends_the_stream_with_an_error() -> None:
    answer, data = stream(chunk("one", 0), started(2), chunk("uno dos", 0, 2), done("uno dos"))
    assert answer.problem is not None
    assert answer.problem.code == "answer_restarted"
    assert text_of(data) == "one"
    assert b"[DONE]" not in data


def test_other_words_are_noticed_at_the_end_at_latest() -> None:
    answer, data = stream(chunk("one two", 0), started(2), done("one"))
    assert answer.problem is not None
    assert b"[DONE]" not in data


def test_what_an_older_attempt_says_late_is_void() -> None:
    answer, data = stream(started(2), chunk("old", 0, 1), chunk("new", 0, 2), done("new"))
    assert (answer.problem, text_of(data)) == (None, "new")


words = st.lists(st.text("ab", min_size=1, max_size=3), max_size=4)


@given(st.lists(words, min_size=1, max_size=4))
def test_whatever_attempts_say_a_stream_without_an_error_is_the_answer(attempts: list[list[str]]) -> None:
    answer = TurnAnswer(ANSWERING, streams=True)
    data = b""
    for number, said in enumerate(attempts, start=1):
        data += answer.take(started(number))
        offset = 0
        for word in said:
            data += answer.take(chunk(word, offset, number))
            offset += len(word)
    text = "".join(attempts[-1])
    data += answer.take(done(text))
    assert answer.finished
    assert (answer.problem is None) == (b"[DONE]" in data)
    if answer.problem is None:
        assert text_of(data) == text


@given(words, words)
def test_a_stream_goes_on_wherever_it_can(said: list[str], rest: list[str]) -> None:
    first = "".join(said)
    answer, data = stream(
        chunk(first, 0), started(2), chunk(first + "".join(rest), 0, 2), done(first + "".join(rest))
    )
    assert (answer.problem, text_of(data)) == (None, first + "".join(rest))


# Turns without an answer


@pytest.mark.parametrize(
    ("code", "status"),
    [
        ("provider", 502),
        ("timeout", 504),
        ("circuit_open", 503),
        ("overloaded", 503),
        ("quarantined", 500),
        ("new", 500),
    ],
)
def test_a_failed_turn_is_an_error_that_is_not_tried_again(code: str, status: int) -> None:
    answer, data = stream(done("It failed.", "failed", code))
    assert data == b""
    problem = answer.problem
    assert problem is not None
    assert (problem.status, problem.code, problem.message) == (status, code, "It failed.")
    assert problem.headers["x-should-retry"] == "false"
    assert problem.body["error"]["type"] == "server_error"


def test_a_stopped_turn_is_what_was_said() -> None:
    answer, data = stream(chunk("one two", 0), done("one", "stopped"))
    assert (answer.problem, text_of(data)) == (None, "one two")
    assert events_of(data)[-1] == "[DONE]"


def test_nothing_follows_the_end() -> None:
    answer, _ = stream(done("a"))
    assert answer.take(chunk("b", 1)) == b""
    assert answer.take(done("other")) == b""


@pytest.mark.parametrize(
    ("code", "status", "type_", "retry"),
    [
        ("busy", 429, "rate_limit_error", None),
        ("rate_limited", 429, "rate_limit_error", None),
        ("budget", 429, "insufficient_quota", "false"),
        ("draining", 503, "server_error", None),
        ("persistence_failed", 503, "server_error", None),
        ("message_id_conflict", 409, "invalid_request_error", "false"),
        ("quarantined", 500, "server_error", "false"),
    ],
)
def test_what_was_not_taken(code: str, status: int, type_: str, retry: str | None) -> None:
    problem = problem_of_refusal(code, "No.")
    assert (problem.status, problem.type, problem.headers.get("x-should-retry")) == (status, type_, retry)
    assert ("Retry-After" in problem.headers) == (retry is None)
    assert json.loads(problem.encode()) == {
        "error": {"message": "No.", "type": type_, "param": None, "code": code}
    }


def test_a_message_without_a_key_is_not_sent_again_to_the_next_gateway() -> None:
    assert turn_goes_on(has_key=False).headers["x-should-retry"] == "false"
    assert "x-should-retry" not in turn_goes_on(has_key=True).headers


# Calls without a session


def test_a_streamed_call() -> None:
    answer = CallAnswer(ANSWERING, streams=True)
    data = answer.take(ModelDelta(call_id="c", text="ab"))
    data += answer.take(Completed(call_id="c", text="abc", usage=USAGE, finish_reason="length"))
    assert text_of(data) == "abc"
    assert events_of(data)[-3]["choices"][0]["finish_reason"] == "length"


def test_a_failed_call_may_be_tried_again() -> None:
    answer = CallAnswer(ANSWERING, streams=True)
    failed = CallFailed(
        call_id="c", code="overloaded", text="Busy.", streamed=False, usage=Usage(), model_seconds=0.0
    )
    assert answer.take(failed) == b""
    assert answer.problem is not None
    assert answer.problem.status == 503
    assert "x-should-retry" not in answer.problem.headers
