"""The exact words of dialects 1 and 2, and what any frame at all does in each dialect."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from openclaw_actors.channels.sessions import is_session_id
from openclaw_actors.channels.websocket.answers import INTERRUPTED_TEXT, Answers
from openclaw_actors.channels.websocket.envelope import parse_envelope
from openclaw_actors.channels.websocket.v2 import BadFrame, UserMessage, parse
from openclaw_actors.messages import (
    AssistantChunk,
    Deliver,
    Event,
    ToolApprovalRequired,
    ToolResult,
    ToolStart,
    TurnDone,
    TurnStarted,
    TurnStatus,
    Usage,
)
from tests.unit.channels.world import World, payload

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
ALMOST = st.fixed_dictionaries(
    {},
    optional={
        "type": st.sampled_from(["user_message", "resume", "stop", "heartbeat", "tool_approval_decision"])
        | JSON,
        "sessionId": st.text(max_size=130) | JSON,
        "text": st.text() | JSON,
        "messageId": st.text(max_size=130) | JSON,
        "lastSeq": st.integers() | JSON,
        "queue": st.booleans() | JSON,
        "approvalId": st.text(max_size=3) | JSON,
        "approved": st.booleans() | JSON,
    },
)
FRAMES = st.text() | ALMOST.map(json.dumps) | JSON.map(json.dumps)


def done(
    text: str, status: TurnStatus = "completed", *, message_id: str = "m", turn_id: str = "t"
) -> TurnDone:
    return TurnDone(seq=9, turn_id=turn_id, message_id=message_id, status=status, text=text, usage=Usage())


def started(attempt: int = 1, *, message_id: str = "m") -> TurnStarted:
    return TurnStarted(seq=2, turn_id="t", message_id=message_id, attempt=attempt)


def chunk(text: str, offset: int, attempt: int = 1) -> AssistantChunk:
    return AssistantChunk(turn_id="t", attempt=attempt, offset=offset, text=text)


def told(events: list[Event], *, enveloped: bool = True, reply_to: str | None = "q") -> list[Any]:
    frames: list[bytes] = []
    answers = Answers(frames.append)
    answers.enveloped = enveloped
    answers.sent("m", reply_to)
    for event in events:
        answers.event(event)
    texts = [payload(frame).decode() for frame in frames]
    if not enveloped:
        return texts
    bodies = [json.loads(text) for text in texts]
    assert {body.pop("inReplyToMessageId", None) for body in bodies} <= {reply_to}
    return [(body["type"], body["text"]) for body in bodies]


def test_the_parts_of_an_answer() -> None:
    assert told([started(), chunk("one ", 0), chunk("two", 4), done("one two")]) == [
        ("assistant_chunk", "one "),
        ("assistant_chunk", "two"),
        ("assistant_done", ""),
    ]


def test_a_tool_is_named_before_it_runs() -> None:
    tool = ToolStart(seq=3, turn_id="t", call_id="1", name="shell", arguments="{}")
    result = ToolResult(seq=4, turn_id="t", call_id="1", name="shell", status="ok", text="out")
    assert told([started(), tool, result, done("fine")]) == [
        ("tool_start", "shell"),
        ("tool_result", "out"),
        ("assistant_chunk", "fine"),
        ("assistant_done", ""),
    ]


def test_what_was_not_streamed_comes_with_the_end() -> None:
    assert told([started(), chunk("one ", 0), done("one two")]) == [
        ("assistant_chunk", "one "),
        ("assistant_chunk", "two"),
        ("assistant_done", ""),
    ]
    assert told([started(), chunk("lost", 5), done("all of it")]) == [
        ("assistant_chunk", "all of it"),
        ("assistant_done", ""),
    ]


def test_an_answer_that_starts_again_says_so() -> None:
    again = ("error", INTERRUPTED_TEXT)
    assert told([started(), chunk("old", 0), started(2), chunk("new", 0, 2), done("new")]) == [
        ("assistant_chunk", "old"),
        again,
        ("assistant_chunk", "new"),
        ("assistant_done", ""),
    ]
    assert told([started(), chunk("old", 0), done("something else")]) == [
        ("assistant_chunk", "old"),
        again,
        ("assistant_chunk", "something else"),
        ("assistant_done", ""),
    ]


@pytest.mark.parametrize(
    ("status", "text", "enveloped", "raw"),
    [
        ("failed", "No model.", [("error", "No model."), ("assistant_done", "")], ["No model."]),
        ("failed", "", [("error", "Internal error."), ("assistant_done", "")], ["Internal error."]),
        (
            "interrupted",
            "",
            [("error", "The answer was interrupted."), ("assistant_done", "")],
            ["The answer was interrupted."],
        ),
        ("stopped", "", [("assistant_done", "")], ["Stopped."]),
        ("completed", "", [("assistant_done", "")], [""]),
    ],
)
def test_every_message_gets_one_end(
    status: TurnStatus, text: str, enveloped: list[tuple[str, str]], raw: list[str]
) -> None:
    assert told([started(), done(text, status)]) == enveloped
    assert told([started(), done(text, status)], enveloped=False) == raw


def test_raw_text_gets_the_whole_answer_and_nothing_else() -> None:
    events: list[Event] = [started(), chunk("one ", 0), chunk("two", 4), done("one two")]
    assert told(events, enveloped=False) == ["one two"]


def test_answers_to_others_are_not_ours() -> None:
    events: list[Event] = [started(message_id="other"), chunk("x", 0), done("x", message_id="other")]
    assert told(events) == []


def test_a_message_without_an_id_is_answered_without_one() -> None:
    assert told([started(), done("x")], reply_to=None) == [("assistant_chunk", "x"), ("assistant_done", "")]


def test_lone_surrogates_do_not_break_a_frame() -> None:
    assert told([started(), done("a\ud800b")], enveloped=False) == ["a?b"]
    assert told([started(), done("a\ud800b")])[0] == ("assistant_chunk", "a\ufffdb")


# Any frame


@settings(max_examples=500, deadline=None)
@given(FRAMES)
def test_any_frame_of_v2_is_understood_or_explained(frame: str) -> None:
    request = parse(frame)
    if isinstance(request, BadFrame):
        assert request.code in ("bad_json", "unknown_type", "bad_field", "session_id_invalid")
        assert len(request.text) < 400
    elif isinstance(request, UserMessage):
        assert is_session_id(request.session_id)
        assert request.text


@settings(max_examples=500, deadline=None)
@given(st.lists(FRAMES, max_size=5), st.booleans())
def test_any_frames_leave_the_channel_whole(frames: list[str], v2: bool) -> None:
    world = World(messages_per_minute=1_000)
    client = world.connect(v2=v2)
    for frame in frames:
        before = len(client.frames) + len(world.routed)
        world.say(frame)
        assert len(client.frames) + len(world.routed) > before, "no answer, and nothing done"
    assert client.closed is None
    for frame in client.frames:
        if v2:
            assert json.loads(frame)["type"]
    if not v2:
        texts = [message.text for message in world.of(Deliver)]
        sent = [envelope.text if (envelope := parse_envelope(frame)) else frame for frame in frames]
        assert texts == [text for text in sent if text]


@settings(max_examples=300)
@given(FRAMES)
def test_an_envelope_is_one_or_is_plain_text(frame: str) -> None:
    envelope = parse_envelope(frame)
    if envelope is not None:
        fields = json.loads(frame)
        assert fields["type"] == "user_message"
        assert fields["text"] == envelope.text


@pytest.mark.parametrize(
    ("value", "good"),
    [
        ("main", True),
        ("../../etc/passwd", True),
        ("bob:main", True),
        ("🦊", True),
        ("x" * 128, True),
        ("", False),
        ("x" * 129, False),
        ("a\0b", False),
        ("a\nb", False),
        ("\ud800", False),
        ("\u202e", False),
    ],
)
def test_session_ids(value: str, good: bool) -> None:
    assert is_session_id(value) is good


def test_an_error_shows_only_the_start_of_a_value() -> None:
    request = parse(json.dumps({"type": "x" * 10_000}))
    assert isinstance(request, BadFrame)
    assert len(request.text) < 250


def test_the_rate_is_exact_and_the_connection_is_closed() -> None:
    world = World(messages_per_minute=3, max_pending=100)
    client = world.connect()
    for number in range(5):
        world.send("x", f"m{number}")
        world.say({"type": "heartbeat"})
    assert [message.message_id for message in world.of(Deliver)] == ["m0", "m1", "m2"]
    assert client.closed == (1008, "rate limit exceeded")
    error = next(event for event in client.events if event["type"] == "error")
    assert error == {
        "type": "error",
        "code": "rate_limited",
        "text": "You're sending messages too quickly. Please wait a moment and try again.",
        "messageId": "m3",
        "sessionId": "s",
    }


def test_an_envelope_behind_much_white_space() -> None:
    frame = " \t\r\n" * 50 + '{"type":"user_message","text":"hi"}'
    envelope = parse_envelope(frame)
    assert envelope is not None
    assert envelope.text == "hi"


@pytest.mark.parametrize(
    ("length", "taken"), [(1, True), (128, True), (1_024, True), (1_025, False), (900_000, False)]
)
def test_an_id_that_every_frame_of_the_answer_repeats_has_a_limit(length: int, taken: bool) -> None:
    world = World()
    client = world.connect(v2=False)
    world.say({"type": "user_message", "text": "hi", "messageId": "i" * length})
    assert [len(message.message_id) <= 128 for message in world.of(Deliver)] == [True] * taken
    told = [(event["type"], len(event["inReplyToMessageId"])) for event in client.events]
    assert told == ([] if taken else [("assistant_message", length)])


@pytest.mark.parametrize(
    ("frame", "session"),
    [
        ({"type": "user_message"}, "named"),
        ({"type": "nonsense"}, "named"),
        ({"type": "nonsense", "sessionId": "other"}, "other"),
        ({"type": "user_message", "sessionId": "other"}, "other"),
    ],
)
def test_an_error_says_which_session_it_is_about(frame: dict[str, Any], session: str) -> None:
    world = World()
    client = world.connect(session_id="named")
    world.say(frame)
    assert [event["sessionId"] for event in client.events] == [session]


def test_numbers_and_keys_that_json_allows() -> None:
    huge = '{"type":"resume","sessionId":"s","lastSeq":%s}'
    for number in ("9223372036854775808", "1" * 30, "1" * 5_000, "1e400", "-1", "0.5"):
        request = parse(huge % number)
        assert isinstance(request, BadFrame)
        assert request.code in ("bad_field", "bad_json")
        assert len(request.text) < 250
    twice = parse('{"type":"stop","type":"user_message","sessionId":"a","sessionId":"b","text":"x"}')
    assert isinstance(twice, UserMessage)
    assert twice.session_id == "b"
    for lone in ("\\ud800", "\\udc00", "\\ud83dx"):
        request = parse(f'{{"type":"user_message","sessionId":"s","text":"{lone}"}}')
        assert isinstance(request, BadFrame)
        assert request.code == "bad_json"


@pytest.mark.parametrize("enveloped", [True, False])
def test_a_tool_that_asks_says_how_to_answer_and_the_answer_still_has_its_end(*, enveloped: bool) -> None:
    asks = ToolApprovalRequired(
        seq=3, turn_id="t", approval_id="9f3c1a-3", call_id="1", name="shell", arguments="{}"
    )
    text = "The tool shell asks for your approval: {}\nAnswer /approve 9f3c1a-3 or /deny 9f3c1a-3"
    events: list[Event] = [started(), asks, done("fine")]
    if enveloped:
        assert told(events) == [("error", text), ("assistant_chunk", "fine"), ("assistant_done", "")]
    else:
        assert told(events, enveloped=False) == [text, "fine"]
    foreign = ToolApprovalRequired(
        seq=3, turn_id="other", approval_id="9f3c1a-3", call_id="1", name="shell", arguments="{}"
    )
    assert told([foreign], enveloped=enveloped) == []
