"""How turns went in time, read from records."""

from __future__ import annotations

from typing import Any

from openclaw_actors.core.timeline import TurnTimeline, timeline
from openclaw_actors.messages.events import Usage
from openclaw_actors.messages.model import ToolCall
from openclaw_actors.messages.records import (
    ApprovalAsked,
    ApprovalDecided,
    AssistantSpoke,
    IncarnationOpened,
    MessagesAbsorbed,
    Record,
    ToolFinished,
    ToolStarted,
    TurnBegan,
    TurnEnded,
    UserSaid,
)


def said(at: float, message_id: str = "m") -> UserSaid:
    return UserSaid(
        number=1,
        at=at,
        seq=1,
        message_id=message_id,
        text="secret",
        queued=0,
        delivery_id="d",
        channel="websocket",
        correlation_id=f"c-{message_id}",
    )


def began(at: float, message_id: str = "m", attempt: int = 1) -> TurnBegan:
    return TurnBegan(
        number=1, at=at, seq=1, turn_id=f"turn-{message_id}", message_id=message_id, attempt=attempt
    )


def ended(
    at: float, message_id: str = "m", status: Any = "completed", waited: float | None = None
) -> TurnEnded:
    return TurnEnded(
        number=1,
        at=at,
        seq=1,
        turn_id=f"turn-{message_id}",
        message_id=message_id,
        status=status,
        text="secret",
        usage=Usage(input_tokens=3),
        waited_seconds=waited,
    )


def asked_for(at: float, *names: str) -> AssistantSpoke:
    calls = tuple(ToolCall(call_id=name, name=name, arguments="{}") for name in names)
    return AssistantSpoke(number=1, at=at, turn_id="turn-m", text="", tool_calls=calls, usage=Usage())


def tool(at: float, name: str) -> ToolStarted:
    return ToolStarted(number=1, at=at, seq=1, turn_id="turn-m", call_id=name, name=name, arguments="{}")


def finished(at: float, name: str, status: str = "ok") -> ToolFinished:
    return ToolFinished(
        number=1, at=at, seq=1, turn_id="turn-m", call_id=name, name=name, status=status, text="secret"
    )


def only(*records: Record) -> TurnTimeline:
    (turn,) = timeline(records, last=9)
    return turn


def spans(turn: TurnTimeline) -> list[tuple[str, float, float | None, str, str]]:
    return [(step.kind, step.at, step.seconds, step.name, step.status) for step in turn.steps]


def test_a_turn_with_a_tool() -> None:
    turn = only(
        said(1.0),
        began(3.0),
        asked_for(5.0, "shell"),
        tool(5.25, "shell"),
        finished(6.25, "shell"),
        ended(8.25, waited=5.0),
    )
    assert (turn.queued_seconds, turn.model_seconds, turn.tool_seconds) == (2.0, 4.0, 1.0)
    assert (turn.turn_seconds, turn.overhead_seconds, turn.status) == (5.25, 0.25, "completed")
    assert turn.correlation_id == "c-m"
    assert [each[0] for each in spans(turn)] == [
        *("accepted", "queued", "started", "model", "tool", "model", "answered")
    ]
    assert ("tool", 5.25, 1.0, "shell", "ok") in spans(turn)


def test_tools_beside_each_other_make_the_model_due_when_the_last_has_ended() -> None:
    turn = only(
        said(1.0),
        began(1.0),
        asked_for(2.0, "a", "b"),
        tool(2.0, "a"),
        tool(2.0, "b"),
        finished(3.0, "a"),
        finished(5.0, "b", "error"),
        ended(6.0),
    )
    assert (turn.tool_seconds, turn.model_seconds, turn.overhead_seconds) == (4.0, 2.0, None)


def test_a_person_that_is_waited_for_is_no_tool_and_no_overhead() -> None:
    question = ApprovalAsked(
        number=1,
        at=2.0,
        seq=1,
        turn_id="turn-m",
        approval_id="p",
        call_id="shell",
        name="shell",
        arguments="{}",
        expires_at=99.0,
    )
    decision = ApprovalDecided(
        number=1, at=12.0, turn_id="turn-m", approval_id="p", call_id="shell", decision="approved"
    )
    waits = only(said(1.0), began(1.0), asked_for(2.0, "shell"), question)
    assert (waits.status, waits.ended_at, waits.turn_seconds) == ("waiting", None, None)
    assert spans(waits)[-1] == ("approval", 2.0, None, "shell", "")
    turn = only(
        *(said(1.0), began(1.0), asked_for(2.0, "shell"), question, decision),
        *(tool(12.0, "shell"), finished(13.0, "shell"), ended(14.0, waited=3.0)),
    )
    assert (turn.approval_seconds, turn.overhead_seconds, turn.status) == (10.0, 0.0, "completed")


def test_a_death_in_the_middle_is_another_process_and_another_attempt() -> None:
    opened = IncarnationOpened(number=1, at=4.0, token=7)
    turn = only(said(1.0), began(1.0), opened, began(4.5, attempt=2), ended(6.0))
    assert (turn.attempts, turn.overhead_seconds, turn.turn_seconds) == (2, None, 5.0)
    assert [each[0] for each in spans(turn)][3:] == ["process", "started", "model", "answered"]
    assert ("model", 1.0, 3.5, "", "interrupted") in spans(turn)


def test_what_is_not_over_goes_on() -> None:
    turn = only(said(1.0), began(1.0), asked_for(2.0, "shell"), tool(2.0, "shell"))
    assert (turn.status, spans(turn)[-1]) == ("running", ("tool", 2.0, None, "shell", ""))
    assert only(said(1.0)).status == "queued"


def test_absorbed_and_stopped_messages_have_no_beginning() -> None:
    absorbed = MessagesAbsorbed(number=1, at=2.0, into="m", message_ids=("n",))
    turns = timeline(
        [said(1.0), said(1.5, "n"), absorbed, said(2.0, "o"), ended(3.0, "o", "stopped")], last=9
    )
    assert [(turn.message_id, turn.status, turn.began_at) for turn in turns] == [
        ("o", "stopped", None),
        ("n", "absorbed", None),
        ("m", "queued", None),
    ]


def test_newest_come_first_and_what_has_no_beginning_is_left_out() -> None:
    records: list[Record] = [began(0.5), ended(0.6)]  # their message stands before what was read
    for number in range(5):
        records += [
            said(number, f"m{number}"),
            began(number, f"m{number}"),
            ended(number + 0.5, f"m{number}"),
        ]
    assert [turn.message_id for turn in timeline(records, last=2)] == ["m4", "m3"]


def test_a_clock_that_was_set_back_makes_nothing_negative() -> None:
    turn = only(said(10.0), began(9.0), ended(5.0, waited=1.0))
    assert (turn.turn_seconds, turn.model_seconds, turn.overhead_seconds) == (0.0, 0.0, 0.0)
