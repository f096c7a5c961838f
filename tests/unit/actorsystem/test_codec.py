"""How messages become bytes, and what of it is read back."""

from __future__ import annotations

import pickle

import pytest

from openclaw_actors import messages
from openclaw_actors.actorsystem import Address, codec
from openclaw_actors.messages import (
    Append,
    ChatMessage,
    Complete,
    Deliver,
    Directory,
    Message,
    MessageAccepted,
    Plain,
    ServiceRef,
    SessionEvents,
    ToolCall,
    TurnDone,
    Usage,
)
from openclaw_actors.messages.records import TurnEnded, UserSaid

DELIVER = Deliver(
    session="websocket:local:main",
    delivery_id="c-1",
    message_id="m-1",
    text="héllo \x00 🙂",
    channel="websocket",
    received_at=1,
    correlation_id="c-1",
)


def round_trip(message: Message) -> Message:
    data = codec.encode(message)
    assert (data[0] == 0x80) == (not isinstance(message, Plain))
    back = codec.decode(memoryview(data))
    assert isinstance(back, Message)
    return back


@pytest.mark.parametrize(
    "message",
    [
        DELIVER,
        SessionEvents(
            session="s",
            incarnation=3,
            events=(
                MessageAccepted(seq=1, message_id="m", text="x", queued=0),
                TurnDone(
                    seq=2,
                    turn_id="t",
                    message_id="m",
                    status="completed",
                    text="y",
                    usage=Usage(input_tokens=1),
                ),
            ),
        ),
        Append(
            session="s",
            token=1,
            records=(
                UserSaid(
                    number=1,
                    at=1.5,
                    seq=1,
                    message_id="m",
                    text="x",
                    queued=0,
                    delivery_id="d",
                    channel="websocket",
                    correlation_id="c",
                ),
                TurnEnded(
                    number=2,
                    at=1.5,
                    seq=2,
                    turn_id="t",
                    message_id="m",
                    status="failed",
                    text="",
                    usage=Usage(),
                ),
            ),
            when_exhausted="keep",
        ),
        Complete(
            call_id="c",
            session="s",
            correlation_id="c",
            messages=(
                ChatMessage(
                    role="assistant",
                    text="",
                    tool_calls=(ToolCall(call_id="1", name="shell", arguments="{"),),
                ),
            ),
        ),
        Directory(generation=1, services={"model": ServiceRef(address=Address("/run/a"), incarnation=1)}),
    ],
    ids=lambda message: type(message).__name__,
)
def test_what_is_written_is_read_back(message: Message) -> None:
    assert round_trip(message) == message


def test_every_plain_message_has_its_own_fingerprint() -> None:
    plain = [
        each
        for each in vars(messages).values()
        if isinstance(each, type) and issubclass(each, Plain) and each is not Plain
    ]
    assert len(plain) > 30
    heads = [codec.head_of(each) for each in plain]
    assert None not in heads
    assert len(set(heads)) == len(plain)


def test_text_that_utf_8_cannot_hold_travels_all_the_same() -> None:
    message = Deliver(
        **{name: getattr(DELIVER, name) for name in DELIVER.__struct_fields__} | {"text": "\ud800"}
    )
    data = codec.encode(message)
    assert data[0] == 0x80
    assert codec.decode(memoryview(data)) == message


def test_a_plain_message_of_another_version_is_refused() -> None:
    data = bytearray(codec.encode(DELIVER))
    data[2] ^= 0xFF
    with pytest.raises(ValueError, match="unknown type"):
        codec.decode(memoryview(bytes(data)))


def test_a_plain_message_of_the_wrong_shape_is_refused() -> None:
    data = codec.encode(DELIVER)
    for end in range(1, len(data)):
        with pytest.raises(ValueError):  # noqa: PT011 - msgspec's errors and ours have this in common
            codec.decode(memoryview(data[:end]))


def test_what_is_no_message_of_ours_is_pickled() -> None:
    for value in (None, 7, "text", {"a": (1, 2)}, ValueError("x")):
        data = codec.encode(value)
        assert repr(pickle.loads(data)) == repr(codec.decode(memoryview(data))) == repr(value)
