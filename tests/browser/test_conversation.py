"""What the page makes of the gateway's events, in whatever order connections bring them; without a page or a socket."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from playwright.sync_api import Browser

from tests.system.gateway import Gateway

RUN = """async (steps) => {
    const { Conversation } = await import("/static/conversation.js");
    let number = 0;
    const conversation = new Conversation("s", () => `m${++number}`);
    const frames = [];
    for (const [name, ...given] of JSON.parse(steps)) {
        if (name === "again") conversation.again(conversation.entries[given[0]]);
        else if (name === "frames") frames.push(...conversation.connected());
        else conversation[name](...given);
    }
    return JSON.stringify({
        entries: conversation.entries.map((entry) => ({
            ...entry, ahead: entry.kind === "exchange" ? conversation.ahead(entry) : null,
        })),
        frames, lastSeq: conversation.lastSeq, earlier: conversation.earlier, events: conversation.events.length,
    });
}"""


@pytest.fixture(scope="module")
def after(browser: Browser, gateway: Gateway) -> Iterator[Any]:
    """A function: what a conversation is after these steps."""
    page = browser.new_page()
    page.goto(f"{gateway.http_url}/health")

    def run(*steps: Sequence[Any]) -> dict[str, Any]:
        result: dict[str, Any] = json.loads(page.evaluate(RUN, json.dumps(steps)))
        return result

    yield run
    page.close()


def event(kind: str, seq: int | None = None, **fields: Any) -> list[Any]:
    body = {"type": kind, "sessionId": "s", **fields}
    return ["received", body if seq is None else {**body, "seq": seq}]


def accepted(seq: int, message: str, **more: Any) -> list[Any]:
    return event("message_accepted", seq, messageId=message, text=f"text {message}", queued=0, **more)


def started(seq: int, message: str, attempt: int = 1) -> list[Any]:
    return event("turn_started", seq, turnId=f"t-{message}", messageId=message, attempt=attempt)


def chunk(message: str, offset: int, text: str, attempt: int = 1) -> list[Any]:
    return event("assistant_chunk", turnId=f"t-{message}", attempt=attempt, offset=offset, text=text)


def done(seq: int, message: str, text: str = "all", status: str = "completed") -> list[Any]:
    return event("turn_done", seq, turnId=f"t-{message}", messageId=message, status=status, text=text)


def states(result: dict[str, Any]) -> list[tuple[str, str, str]]:
    return [(entry["id"], entry["state"], entry["answer"]) for entry in result["entries"] if "id" in entry]


BEGUN = (accepted(1, "a"), started(2, "a"))


def test_chunks_overlap_repeat_and_leave_gaps(after: Any) -> None:
    result = after(
        *BEGUN,
        chunk("a", 0, "🦦 one"),
        chunk("a", 2, "one two"),  # offsets count code points
        chunk("a", 0, "🦦"),
        chunk("a", 99, "after a gap"),
    )
    assert states(result) == [("a", "answering", "🦦 one two")]


def test_higher_attempt_voids_what_was_streamed(after: Any) -> None:
    result = after(
        *BEGUN,
        chunk("a", 0, "first try"),
        started(3, "a", 2),
        chunk("a", 0, "se", 2),
        chunk("a", 9, "late", 1),
    )
    assert states(result) == [("a", "answering", "se")]
    assert result["entries"][0]["restarts"] == 1


def test_end_of_turn_is_the_truth_and_comes_once(after: Any) -> None:
    result = after(*BEGUN, chunk("a", 0, "part"), done(3, "a"), done(3, "a", "again"), chunk("a", 0, "late"))
    assert states(result) == [("a", "completed", "all")]
    assert result["lastSeq"] == 3


def test_unsent_message_goes_out_with_each_connection_until_it_is_taken(after: Any) -> None:
    result = after(["say", "hello"], ["frames"], ["frames"], accepted(1, "m1"), ["frames"])
    sent = [frame["messageId"] for frame in result["frames"] if frame["type"] == "user_message"]
    assert sent == ["m1", "m1"]
    assert [frame["lastSeq"] for frame in result["frames"] if frame["type"] == "resume"] == [0, 0, 1]
    assert states(result) == [("m1", "waiting", "")]


def test_answer_to_a_repetition_does_not_hide_what_was_missed(after: Any) -> None:
    result = after(
        ["say", "hello"],
        accepted(5, "m1", duplicate=True),
        done(7, "m1"),  # of long ago; 1 to 6 are still to be replayed
        accepted(1, "before"),
        started(2, "before"),
        done(3, "before", "earlier"),
        accepted(5, "m1"),
        started(6, "m1"),
        done(7, "m1"),
    )
    assert states(result) == [("before", "completed", "earlier"), ("m1", "completed", "all")]
    assert result["lastSeq"] == 7


def test_refused_message_can_be_sent_again(after: Any) -> None:
    refused = event("error", code="busy", text="Server is busy.", messageId="m1")
    result = after(["say", "hello"], refused)
    assert states(result) == [("m1", "refused", "")]
    result = after(["say", "hello"], refused, ["again", 0], ["frames"])
    assert states(result) == [("m1", "sending", "")]
    result = after(["say", "hello"], refused, ["say", "next"], accepted(1, "m2"))
    assert [entry["id"] for entry in result["entries"]] == ["m1", "m2"], "it stays where it was refused"
    conflict = event("error", code="message_id_conflict", text="The id is used.", messageId="m1")
    result = after(["say", "hello"], conflict, ["again", 0], ["frames"])
    assert [frame.get("messageId") for frame in result["frames"]] == [None, "m2"]


def test_what_waits_knows_how_many_are_ahead(after: Any) -> None:
    result = after(*BEGUN, accepted(3, "b"), accepted(4, "c"), event("notice", code="x", text="notice"))
    assert [entry["ahead"] for entry in result["entries"]] == [0, 1, 2, None]
    result = after(*BEGUN, accepted(3, "b"), accepted(4, "c"), done(5, "a"), started(6, "b"), done(7, "b"))
    assert [entry["ahead"] for entry in result["entries"]] == [0, 0, 0]


def test_earlier_events_complete_what_was_loaded_in_the_middle(after: Any) -> None:
    loaded = [started(4, "b")[1], done(5, "b", "second")[1], accepted(6, "c")[1], started(7, "c")[1]]
    middle = after(["prepend", loaded, True], chunk("c", 0, "so far"))
    assert states(middle) == [("b", "completed", "second"), ("c", "answering", "so far")]
    assert [entry["known"] for entry in middle["entries"]] == [False, True]
    earlier = [accepted(1, "a")[1], done(2, "a", "first")[1], accepted(3, "b")[1], started(4, "b")[1]]
    whole = after(
        ["prepend", loaded, True], chunk("c", 0, "so far"), ["say", "next"], ["prepend", earlier, False]
    )
    assert states(whole) == [
        ("a", "completed", "first"),
        ("b", "completed", "second"),
        ("c", "answering", "so far"),
        ("m1", "sending", ""),
    ]
    assert [entry["known"] for entry in whole["entries"]] == [True] * 4
    assert (whole["earlier"], whole["lastSeq"]) == (False, 7)


def test_tool_goes_from_its_question_to_its_result(after: Any) -> None:
    call = {"turnId": "t-a", "callId": "k", "name": "shell"}
    asks = event("tool_approval_required", 3, **call, approvalId="p", arguments="{}")
    runs = event("tool_start", 4, **call, arguments="{}")
    gives = event("tool_result", 5, **call, status="ok", text="out")
    for steps, status in (((asks,), "asks"), ((asks, runs), "running"), ((asks, runs, gives, gives), "ok")):
        (tool,) = after(*BEGUN, *steps)["entries"][0]["tools"]
        assert tool["status"] == status
    (tool,) = after(*BEGUN, asks, done(4, "a", status="stopped"))["entries"][0]["tools"]
    assert tool["status"] == "over"


def test_very_long_conversation_keeps_its_newer_half(after: Any) -> None:
    turns = [step for n in range(3_001) for step in (accepted(2 * n + 1, f"x{n}"), done(2 * n + 2, f"x{n}"))]
    result = after(*turns)
    assert result["events"] < 6_000
    assert result["earlier"] is True
    assert states(result)[-1] == ("x3000", "completed", "all")
