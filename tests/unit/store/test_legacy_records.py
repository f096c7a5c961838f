from __future__ import annotations

from typing import Any

import msgspec
import pytest

from openclaw_actors.core.conversation import Conversation, apply
from openclaw_actors.core.records import event_of
from openclaw_actors.store.legacy_records import OldSession, records_of, unix_time, window_of


def session(*history: dict[str, Any], **more: Any) -> OldSession:
    return msgspec.convert({"id": "sms:1", "history": list(history), **more}, OldSession)


def user(text: str) -> dict[str, Any]:
    return {"role": "user", "content": text, "timestamp": "2026-02-20T10:11:12.1234567+00:00"}


def assistant(text: str | None, *tools: tuple[str, str, str]) -> dict[str, Any]:
    calls = [{"toolName": n, "arguments": a, "result": r, "duration": "00:00:00.25"} for n, a, r in tools]
    return {"role": "assistant", "content": text, "toolCalls": calls or None}


def folded(old: OldSession) -> Conversation:
    state = Conversation(key="sms:1")
    for record in records_of(old):
        apply(state, record, window_turns=50)
    return state


def turns(old: OldSession) -> list[tuple[str, str, str]]:
    return [(each.user, each.answer, each.status) for each in folded(old).window]


def test_questions_and_answers() -> None:
    old = session(user("a"), assistant("b"), user("c"), assistant("d"))
    assert turns(old) == [("a", "b", "completed"), ("c", "d", "completed")]
    assert folded(old).created_at == pytest.approx(1771582272.123457)


def test_tools_with_what_they_were_asked_and_what_they_said() -> None:
    old = session(
        user("a"), assistant("[tool_use]", ("shell", '{"c":"ls"}', "x"), ("git", "{}", "y")), assistant("b")
    )
    (turn,) = folded(old).window
    (step,) = turn.steps
    assert [(call.name, call.arguments) for call in step.calls] == [("shell", '{"c":"ls"}'), ("git", "{}")]
    assert [outcome.text for outcome in step.outcomes.values()] == ["x", "y"]
    assert (step.text, turn.answer) == ("", "b")


def test_a_question_without_an_answer_has_an_outcome() -> None:
    old = session(user("a"), user("b"), assistant("[tool_use]", ("shell", "{}", "x")))
    assert turns(old) == [("a", "", "interrupted"), ("b", "", "interrupted")]


def test_who_types_the_sentinel_is_not_dropped() -> None:
    assert turns(session(user("[tool_use]"), assistant("b"))) == [("[tool_use]", "b", "completed")]


def test_nothing_that_was_said_is_left_out() -> None:
    summary = "[Previous conversation summary: they planned a trip]"
    old = session(
        {"role": "system", "content": summary},
        assistant("good morning"),
        user("a"),
        assistant("b"),
        assistant("c"),
    )
    said = turns(old)
    assert said[0] == (summary, "", "completed")  # as data, not as an instruction
    assert said[1][1] == "good morning"
    assert said[2] == ("a", "b\n\nc", "completed")


def test_events_are_numbered_from_one() -> None:
    events = [
        event_of(record)
        for record in records_of(session(user("a"), assistant("b", ("t", "{}", "r")), assistant("c")))
    ]
    assert [event.seq for event in events if event is not None] == [1, 2, 3, 4, 5]


def test_an_empty_history_is_an_empty_conversation() -> None:
    assert records_of(session(totalInputTokens=5)) == []


def test_a_branchs_window_has_all_its_turns() -> None:
    history = session(
        *(message for index in range(80) for message in (user(str(index)), assistant("x")))
    ).history
    assert [each.user for each in window_of(history)] == [str(index) for index in range(80)]


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("2026-02-20T10:11:12.1234567+00:00", 1771582272.123456),
        ("2026-02-20T10:11:12Z", 1771582272.0),
        ("2026-02-20T05:11:12.5-05:00", 1771582272.5),
        ("2026-02-20T10:11:12", 1771582272.0),
        ("yesterday", 0.0),
        (None, 0.0),
    ],
)
def test_times(text: str | None, seconds: float) -> None:
    assert unix_time(text) == pytest.approx(seconds, abs=1e-5)
