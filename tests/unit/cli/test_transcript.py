"""Checks how a conversation reads on a screen."""

from __future__ import annotations

from openclaw_actors.cli.effects import AnswerText, MessageTaken, Noticed, Refused, ToolBegan, TurnEnded
from openclaw_actors.cli.transcript import Transcript


def turn_ended(**changes: object) -> TurnEnded:
    fields = {
        "message_id": "m",
        "status": "completed",
        "rest": "",
        "replaces": False,
        "text": "hello",
        "code": None,
        "mine": True,
        **changes,
    }
    return TurnEnded(**fields)  # type: ignore[arg-type]


def read(*effects: object) -> str:
    transcript = Transcript()
    return "".join(transcript.show(effect) for effect in effects)  # type: ignore[arg-type]


def test_an_answer_streams_and_ends_its_line() -> None:
    pieces = (AnswerText(text="hel", mine=True), AnswerText(text="lo", mine=True), turn_ended())
    assert read(*pieces) == "hello\n"


def test_an_answer_that_was_not_streamed_is_shown_at_its_end() -> None:
    assert read(turn_ended(rest="hello")) == "hello\n"


def test_what_stands_between_has_lines_of_its_own() -> None:
    text = read(
        AnswerText(text="let me see", mine=True),
        ToolBegan(call_id="c", name="read_file", arguments='{"path":\n "a"}', mine=True),
        Noticed(code="draining", text="draining"),
        AnswerText(text="done", mine=True),
        turn_ended(),
    )
    assert text == 'let me see\n[1 read_file {"path": "a"}]\n(draining)\ndone\n'


def test_an_answer_that_differs_from_what_was_streamed_is_shown_whole() -> None:
    text = read(AnswerText(text="wrong", mine=True), turn_ended(rest="right", replaces=True))
    assert text == "wrong\n(the whole answer:)\nright\n"


def test_a_turn_that_did_not_complete_says_so_and_is_remembered() -> None:
    transcript = Transcript()
    text = transcript.show(AnswerText(text="hel", mine=True))
    text += transcript.show(turn_ended(status="failed", code="provider_error", text="hel"))
    assert text == "hel\n(failed: provider_error)\n"
    assert transcript.failed


def test_a_refused_message_is_remembered_but_no_other_error() -> None:
    transcript = Transcript()
    transcript.show(Refused(code="bad_json", text="?", message_id=None))
    assert not transcript.failed
    assert transcript.show(Refused(code="busy", text="Busy.", message_id="m")) == "Error: Busy.\n"
    assert transcript.failed


def test_a_message_of_another_client_is_shown() -> None:
    taken = {"message_id": "m", "text": "hi", "queued": 0}
    assert read(MessageTaken(**taken, mine=False)) == "(somebody else) hi\n"  # type: ignore[arg-type]
    assert read(MessageTaken(**taken, mine=True)) == ""  # type: ignore[arg-type]


def test_nothing_that_moves_the_cursor_reaches_the_terminal() -> None:
    assert "\x1b" not in read(AnswerText(text="\x1b]0;title\x07", mine=True))


def test_a_restarted_session_is_named_as_such() -> None:
    text = read(Noticed(code="session_restarted", text="its process ended unexpectedly"))
    assert text == "(the conversation was restarted: its process ended unexpectedly)\n"
