"""What bad frames get: an error, or the stated close; nothing lost, and nobody else affected."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from websockets.asyncio.client import connect
from websockets.frames import Frame, Opcode
from websockets.typing import Subprotocol

from openclaw_actors.messages import Deliver
from tests.system.channels.harness import ChannelFactory, closed, eventually
from tests.system.client import Client

SMALL: dict[str, Any] = {"websocket": {"max_message_bytes": 1024}}


def user_message(**fields: Any) -> dict[str, Any]:
    return {"type": "user_message", "sessionId": "main", "text": "hi", "messageId": "m", **fields}


BAD = [
    ("", "bad_json", None),
    ("not json", "bad_json", None),
    ("{", "bad_json", None),
    ("[]", "bad_json", None),
    ("[" * 5_000, "bad_json", None),
    ("null", "bad_json", None),
    ('"user_message"', "bad_json", None),
    ({}, "unknown_type", None),
    ({"type": "nonsense", "messageId": "m"}, "unknown_type", "m"),
    ({"type": None}, "unknown_type", None),
    ({"type": {"a": 1}}, "unknown_type", None),
    (user_message(text=None), "bad_field", "m"),
    (user_message(text=""), "bad_field", "m"),
    (user_message(text=5), "bad_field", "m"),
    (user_message(messageId=""), "bad_field", None),
    (user_message(messageId="x" * 129), "bad_field", None),
    (user_message(messageId=7), "bad_field", None),
    (user_message(replyToMessageId=[]), "bad_field", "m"),
    (user_message(sessionId=None), "bad_field", "m"),
    (user_message(sessionId=3), "bad_field", "m"),
    (user_message(sessionId=""), "session_id_invalid", "m"),
    (user_message(sessionId="x" * 129), "session_id_invalid", "m"),
    (user_message(sessionId="a\u0000b"), "session_id_invalid", "m"),
    (user_message(sessionId="a\nb"), "session_id_invalid", "m"),
    (user_message(sessionId="a\u202eb"), "session_id_invalid", "m"),
    ({"type": "resume", "sessionId": "main", "lastSeq": -1}, "bad_field", None),
    ({"type": "resume", "sessionId": "main", "lastSeq": 1.5}, "bad_field", None),
    ({"type": "resume", "sessionId": "main", "lastSeq": True}, "bad_field", None),
    ({"type": "resume"}, "bad_field", None),
    ({"type": "stop", "sessionId": "main", "queue": "yes"}, "bad_field", None),
    ({"type": "tool_approval_decision", "approvalId": "none", "approved": True}, "bad_field", None),
    ({"type": "tool_approval_decision", "approvalId": "none"}, "bad_field", None),
]


def test_each_bad_frame_is_an_error_and_the_connection_goes_on(start_channel: ChannelFactory) -> None:
    async def scene() -> None:
        async with (
            start_channel(websocket={"messages_per_minute_per_connection": 1_000}) as channel,
            Client(channel.url) as client,
            Client(channel.url, session="other") as other,
        ):
            for frame, code, message_id in BAD:
                await client.send_raw(frame)
                error = await client.next()
                assert (error["type"], error["code"]) == ("error", code), (frame, error)
                assert error.get("messageId") == message_id, (frame, error)
                assert error["text"].endswith(".")
            assert await channel.seen(Deliver) == []
            await client.turn("still here")
            await other.turn("undisturbed")
            assert [event["type"] for event in other.events if event["type"] == "error"] == []

    asyncio.run(scene())


@pytest.mark.parametrize(
    "session", ["../../etc/passwd", "bob:main", "websocket:bob:main", "a/b", "🦊", " ", "x" * 128]
)
def test_odd_session_ids_are_names_like_others(start_channel: ChannelFactory, session: str) -> None:
    async def scene() -> None:
        async with start_channel() as channel, Client(channel.url, session=session) as client:
            done = await client.turn("hello")
            assert done["sessionId"] == session
            assert [d.session for d in await channel.seen(Deliver)] == [f"websocket:local:{session}"]

    asyncio.run(scene())


def test_unknown_fields_and_nulls_are_ignored(start_channel: ChannelFactory) -> None:
    async def scene() -> None:
        async with start_channel() as channel, Client(channel.url) as client:
            await client.send_raw(user_message(extra={"a": [1]}, replyToMessageId=None, messageId=None))
            assert (await client.expect("turn_done"))["text"] == "echo: hi"

    asyncio.run(scene())


@pytest.mark.parametrize(
    ("frames", "code", "reason"),
    [
        ([Frame(Opcode.BINARY, b"hello")], 1003, "only text is understood"),
        ([Frame(Opcode.TEXT, b"\xff\xfe")], 1007, "invalid UTF-8"),
        ([Frame(Opcode.TEXT, b"\xed\xa0\x80")], 1007, "invalid UTF-8"),
        ([Frame(Opcode.TEXT, b"x" * 1025)], 1009, "message too big"),
        (
            [Frame(Opcode.TEXT, b"x" * 600, fin=False), Frame(Opcode.CONT, b"x" * 600)],
            1009,
            "message too big",
        ),
        ([Frame(Opcode.CONT, b"x")], 1002, "unexpected continuation frame"),
        ([Frame(Opcode.TEXT, b"x", rsv1=True)], 1002, "reserved bits must be 0"),
    ],
)
def test_what_breaks_the_protocol_is_closed(
    start_channel: ChannelFactory, frames: list[Frame], code: int, reason: str
) -> None:
    async def scene() -> None:
        async with start_channel(**SMALL) as channel, Client(channel.url, session="other") as other:
            async with connect(channel.url, proxy=None) as connection:
                for frame in frames:
                    frame.check = lambda: None  # type: ignore[method-assign]
                    connection.transport.write(frame.serialize(mask=True))
                assert await closed(connection) == (code, reason)
            await other.turn("undisturbed")
            assert await channel.has_connections(1)

    asyncio.run(scene())


def test_a_message_of_just_the_limit_is_taken_whole(start_channel: ChannelFactory) -> None:
    async def scene() -> None:
        async with start_channel(**SMALL) as channel, connect(channel.url, proxy=None) as connection:
            text = "x" * 1024
            await connection.send(text)
            assert await asyncio.wait_for(connection.recv(), 30) == f"echo: {text}"
            await connection.send(["in ", "three ", "pieces"])
            assert await asyncio.wait_for(connection.recv(), 30) == "echo: in three pieces"

    asyncio.run(scene())


def test_a_huge_message_costs_nobody_else_anything(start_channel: ChannelFactory) -> None:
    async def scene() -> None:
        async with start_channel() as channel, Client(channel.url, session="other") as other:
            # Not in a `with`: closing what the peer has closed in the middle of a write fails within the client.
            connection = await connect(channel.url, proxy=None, close_timeout=1)
            header = Frame(Opcode.TEXT, b"").serialize(mask=True)[:1] + b"\xff" + (1 << 40).to_bytes(8, "big")
            connection.transport.write(header + bytes(4) + b"x" * 4_000_000)
            assert await closed(connection) == (1009, "message too big")
            await other.turn("undisturbed")

    asyncio.run(scene())


def test_text_over_the_limit_is_cut_and_said_so(start_channel: ChannelFactory) -> None:
    async def scene() -> None:
        async with start_channel(websocket={"max_text_chars": 5}) as channel, Client(channel.url) as client:
            await client.send("🦊" * 6, message_id="m")
            assert (await client.expect("notice"))["code"] == "text_truncated"
            assert (await client.expect("turn_done"))["text"] == "echo: " + "🦊" * 5
            assert [deliver.truncated for deliver in await channel.seen(Deliver)] == [True]

    asyncio.run(scene())


def test_a_frame_and_the_close_behind_it(start_channel: ChannelFactory) -> None:
    """Who says something and leaves at once has said it."""

    async def scene() -> None:
        async with start_channel() as channel, Client(channel.url) as watcher:
            await watcher.resume()
            async with connect(f"{channel.url}?session=main", proxy=None) as connection:
                text = Frame(Opcode.TEXT, b"bye").serialize(mask=True)
                close = Frame(Opcode.CLOSE, b"\x03\xe8").serialize(mask=True)
                connection.transport.write(text + close)
                await connection.wait_closed()
            assert (await watcher.expect("turn_done"))["text"] == "echo: bye"

    asyncio.run(scene())


def test_an_answer_to_who_is_leaving(start_channel: ChannelFactory) -> None:
    async def scene() -> None:
        async with start_channel() as channel, Client(channel.url) as other:
            for _ in range(20):
                async with connect(
                    channel.url, proxy=None, subprotocols=[Subprotocol("openclaw.v2")]
                ) as leaver:
                    heartbeat = Frame(Opcode.TEXT, b'{"type":"heartbeat"}').serialize(mask=True)
                    close = Frame(Opcode.CLOSE, b"\x03\xe8").serialize(mask=True)
                    leaver.transport.write(heartbeat + close)
                    await leaver.wait_closed()
            await other.turn("undisturbed")

    asyncio.run(scene())


def test_broken_off_in_the_middle_of_a_frame(start_channel: ChannelFactory) -> None:
    async def scene() -> None:
        async with start_channel() as channel, Client(channel.url) as other:
            for size in (1, 3, 9):
                connection = await connect(channel.url, proxy=None)
                connection.transport.write(Frame(Opcode.TEXT, b"hello").serialize(mask=True)[:size])
                connection.transport.abort()
            await other.turn("undisturbed")
            assert len(await channel.seen(Deliver)) == 1
            await eventually(lambda: channel.has_connections(1))

    asyncio.run(scene())


def test_dialects_do_not_mix(start_channel: ChannelFactory) -> None:
    """The first envelope switches for good; what is no envelope is the person's text."""

    async def scene() -> None:
        async with start_channel() as channel, connect(channel.url, proxy=None) as connection:
            for frame in ('{"type":"user_message","text":null}', '{"type":"user_message"}', " {broken"):
                await connection.send(frame)
                assert await asyncio.wait_for(connection.recv(), 30) == f"echo: {frame}"
            await connection.send(' {"type":"user_message","text":"a"}')
            assert json.loads(await asyncio.wait_for(connection.recv(), 30)) == {
                "type": "assistant_chunk",
                "text": "echo: a",
            }
            assert json.loads(await connection.recv()) == {"type": "assistant_done", "text": ""}
            await connection.send("raw again")
            assert json.loads(await asyncio.wait_for(connection.recv(), 30))["text"] == "echo: raw again"

    asyncio.run(scene())


def test_a_refused_message_is_answered_in_its_dialect(start_channel: ChannelFactory) -> None:
    busy = "Server is busy. Please retry."

    async def scene() -> None:
        async with start_channel() as channel:
            async with connect(channel.url, proxy=None) as connection:
                await connection.send("refuse")
                assert await asyncio.wait_for(connection.recv(), 30) == busy
                await connection.send(
                    json.dumps({"type": "user_message", "text": "refuse", "messageId": "q"})
                )
                assert json.loads(await asyncio.wait_for(connection.recv(), 30)) == {
                    "type": "assistant_message",
                    "text": busy,
                    "inReplyToMessageId": "q",
                }
            async with Client(channel.url) as client:
                await client.send("refuse", message_id="q")
                error = await client.expect("error")
                assert (error["code"], error["messageId"], error["text"]) == ("busy", "q", busy)

    asyncio.run(scene())
