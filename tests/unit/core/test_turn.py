"""Tests what a running attempt has said, and how its chunks overlap."""

from __future__ import annotations

from openclaw_actors.core.conversation import OpenMessage, Step
from openclaw_actors.core.turn import Turn


def _message(*steps: str) -> OpenMessage:
    return OpenMessage(
        message_id="m",
        text="?",
        seq=1,
        at=0.0,
        channel="websocket",
        delivery_id="d",
        correlation_id="c",
        attempt=2,
        steps=[Step(text=text, calls=()) for text in steps],
    )


def test_offsets_count_characters_not_bytes() -> None:
    turn = Turn.of(_message(), None)
    chunks = [turn.say(text) for text in ("zwölf ", "", "🦞", "!")]
    assert [chunk and (chunk.offset, chunk.text) for chunk in chunks] == [
        (0, "zwölf "),
        None,
        (6, "🦞"),
        (7, "!"),
    ]
    assert turn.text == "zwölf 🦞!"
    assert len(turn) == 8


def test_steps_are_separated_and_those_before_a_crash_are_said_again() -> None:
    turn = Turn.of(_message("first"), None)
    chunk = turn.say("second")
    assert chunk is not None
    assert (chunk.attempt, chunk.offset, chunk.text) == (2, 5, "\n\nsecond")
    said = turn.said_so_far()
    assert said is not None
    assert (said.offset, said.text) == (0, "first\n\nsecond")


def test_an_attempt_that_said_nothing_has_nothing_to_show() -> None:
    assert Turn.of(_message(), None).said_so_far() is None


def test_the_end_of_an_answer_that_never_came_as_a_piece_is_found() -> None:
    turn = Turn.of(_message("first"), None)
    assert turn.missing_of("all") == "all"
    turn.say("al")
    assert turn.missing_of("all") == "l"
    assert turn.missing_of("al") == ""
    assert turn.missing_of("other") == ""
