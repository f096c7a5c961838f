"""Records survive their journal, and what clients see of each."""

from __future__ import annotations

import msgspec
import pytest

from openclaw_actors.core.records import (
    AssistantSpoke,
    HistoryRestored,
    IncarnationOpened,
    Record,
    ToolFinished,
    ToolStarted,
    TurnBegan,
    TurnEnded,
    UserSaid,
    decode_record,
    encode_record,
    event_of,
    turn_id_of,
)
from openclaw_actors.messages.events import (
    MessageAccepted,
    ToolResult,
    ToolStart,
    TurnDone,
    TurnStarted,
    Usage,
)
from openclaw_actors.messages.history import HistoryTurn, Step, ToolOutcome
from openclaw_actors.messages.model import ToolCall

CALL = ToolCall(call_id="c1", name="shell", arguments='{"command": "ls"}')
SAID = UserSaid(
    number=1,
    at=1.5,
    seq=1,
    message_id="m",
    text="grüße\n\0☃",
    queued=2,
    delivery_id="d",
    channel="websocket",
    correlation_id="c",
    reply_to="r",
    bound_to="b",
)
BEGAN = TurnBegan(number=2, at=1.5, seq=2, turn_id="turn-m", message_id="m", attempt=3, deaths=1)
SPOKE = AssistantSpoke(
    number=3, at=1.5, turn_id="turn-m", text="let me look", tool_calls=(CALL,), usage=Usage(input_tokens=3)
)
STARTED = ToolStarted(number=4, at=1.5, seq=3, turn_id="turn-m", call_id="c1", name="shell", arguments="{}")
FINISHED = ToolFinished(
    number=5, at=1.5, seq=4, turn_id="turn-m", call_id="c1", name="shell", status="ok", text="files"
)
ENDED = TurnEnded(
    number=6,
    at=1.5,
    seq=5,
    turn_id="turn-m",
    message_id="m",
    status="failed",
    text="sorry",
    usage=Usage(output_tokens=9),
    code="budget",
)
RESTORED = HistoryRestored(
    number=7,
    at=1.5,
    branch="b",
    window=(
        HistoryTurn(
            user="u",
            steps=[
                Step(
                    text="s",
                    calls=(CALL,),
                    started={"c1"},
                    outcomes={"c1": ToolOutcome(status="ok", text="x")},
                )
            ],
            answer="a",
            status="completed",
        ),
    ),
)
OPENED = IncarnationOpened(number=8, at=1.5, token=7)
ALL: tuple[Record, ...] = (SAID, BEGAN, SPOKE, STARTED, FINISHED, ENDED, RESTORED, OPENED)


@pytest.mark.parametrize("record", ALL, ids=lambda record: type(record).__name__)
def test_a_record_is_one_line_and_comes_back_as_it_was(record: Record) -> None:
    data = encode_record(record)
    assert b"\n" not in data
    assert decode_record(data) == record


@pytest.mark.parametrize("record", ALL, ids=lambda record: type(record).__name__)
def test_no_text_of_a_person_gets_into_a_log(record: Record) -> None:
    assert str(record) == type(record).__name__


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{}",
        b'{"kind":"unknown","number":1,"at":1.0}',
        b'{"kind":"opened","number":"1","at":1,"token":1}',
    ],
)
def test_anything_else_is_refused(data: bytes) -> None:
    with pytest.raises(msgspec.DecodeError):
        decode_record(data)


def test_what_clients_see() -> None:
    assert event_of(SAID) == MessageAccepted(seq=1, message_id="m", text="grüße\n\0☃", queued=2)
    assert event_of(BEGAN) == TurnStarted(seq=2, turn_id="turn-m", message_id="m", attempt=3)
    assert event_of(STARTED) == ToolStart(seq=3, turn_id="turn-m", call_id="c1", name="shell", arguments="{}")
    assert event_of(FINISHED) == ToolResult(
        seq=4, turn_id="turn-m", call_id="c1", name="shell", status="ok", text="files"
    )
    assert event_of(ENDED) == TurnDone(
        seq=5,
        turn_id="turn-m",
        message_id="m",
        status="failed",
        text="sorry",
        usage=Usage(output_tokens=9),
        code="budget",
    )


@pytest.mark.parametrize("record", [SPOKE, RESTORED, OPENED], ids=lambda record: type(record).__name__)
def test_what_has_no_number_for_clients_is_not_shown(record: Record) -> None:
    assert event_of(record) is None
    assert not hasattr(record, "seq")


def test_a_turn_is_named_by_its_message() -> None:
    assert turn_id_of("m") == turn_id_of("m") != turn_id_of("n")
