"""How an exported conversation looks: whole documents, and nothing that a person said changes the form."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from openclaw_actors.core.exporting import FORMATS, SCHEMA, VERSION, About, render
from openclaw_actors.messages.events import Usage
from openclaw_actors.messages.records import (
    AssistantSpoke,
    Record,
    ToolFinished,
    ToolStarted,
    TurnEnded,
    UserSaid,
)

ABOUT = About(
    session="websocket:local:main",
    exported_at=100.0,
    created_at=1.0,
    last_active_at=2.0,
    turns=1,
    archive=None,
)


def records(text: str = "hello") -> Iterator[Record]:
    yield UserSaid(
        number=1,
        at=1.0,
        seq=1,
        message_id="m",
        text=text,
        queued=0,
        delivery_id="d",
        channel="websocket",
        correlation_id="c",
    )
    yield AssistantSpoke(number=2, at=1.0, turn_id="t", text="I look", tool_calls=(), usage=Usage())
    yield ToolStarted(number=3, at=1.0, seq=2, turn_id="t", call_id="x", name="read", arguments='{"a":1}')
    yield ToolFinished(
        number=4, at=1.0, seq=3, turn_id="t", call_id="x", name="read", status="ok", text="``` a fence"
    )
    yield TurnEnded(
        number=5, at=2.0, seq=4, turn_id="t", message_id="m", status="stopped", text=text, usage=Usage()
    )


@pytest.mark.parametrize("text", ["hello", 'a "quote"\nand a line', "\x1b[2J", "\u2028 \U0001f600", ""])
def test_json_says_the_same_in_lines_and_in_one_document(text: str) -> None:
    lines = [json.loads(line) for line in "".join(render("jsonl", ABOUT, records(text))).split("\n") if line]
    document = json.loads("".join(render("json", ABOUT, records(text))))
    assert (lines[0]["schema"], lines[0]["version"]) == (SCHEMA, VERSION)
    assert document.pop("records") == lines[1:]
    assert document == lines[0]
    assert [line["kind"] for line in lines[1:]] == [
        "user",
        "assistant",
        "tool_started",
        "tool_finished",
        "turn_ended",
    ]
    assert lines[1]["text"] == text


def test_document_without_records_is_whole() -> None:
    assert json.loads("".join(render("json", ABOUT, iter(()))))["records"] == []
    assert len("".join(render("jsonl", ABOUT, iter(()))).splitlines()) == 1


def test_markdown_reads_as_the_conversation() -> None:
    text = "".join(render("markdown", ABOUT, records()))
    assert text.startswith("# websocket:local:main\n\n1 turn, begun 1970-01-01 00:00:01 UTC")
    assert "## User, 1970-01-01 00:00:01 UTC\n\nhello\n" in text
    assert "## Assistant (stopped), 1970-01-01 00:00:02 UTC\n\nhello\n" in text
    assert '```\n{"a":1}\n```\n' in text
    assert "````\n``` a fence\n````\n" in text


@pytest.mark.parametrize("format_", FORMATS)
def test_no_more_than_a_record_is_held(format_: str) -> None:
    taken = 0

    def counted() -> Iterator[Record]:
        nonlocal taken
        for record in records():
            taken += 1
            yield record

    pieces = render(format_, ABOUT, counted())
    while taken < 2:
        next(pieces)
    assert taken == 2
