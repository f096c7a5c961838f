"""Limits: who goes over one is told, and pays alone."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.frames import Frame, Opcode
from websockets.typing import Subprotocol

from openclaw_actors.messages import Deliver
from tests.system.channels.harness import Channel, ChannelFactory, closed, eventually
from tests.system.client import Client

V2 = [Subprotocol("openclaw.v2")]


async def recv(connection: ClientConnection) -> Any:
    return json.loads(await asyncio.wait_for(connection.recv(), 30))


async def deaf(channel: Channel, session: str = "main") -> asyncio.StreamWriter:
    """A client that follows a session, keeps its connection and never reads."""
    host, _, port = channel.host_port.rpartition(":")
    _, writer = await asyncio.open_connection(host, int(port), limit=1)
    writer.write(
        f"GET /ws HTTP/1.1\r\nHost: {channel.host_port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
        "Sec-WebSocket-Protocol: openclaw.v2\r\n\r\n".encode()
    )
    frame = json.dumps({"type": "resume", "sessionId": session}).encode()
    writer.write(Frame(Opcode.TEXT, frame).serialize(mask=True))
    await writer.drain()
    return writer


def test_the_connection_limits_are_never_exceeded(start_channel: ChannelFactory) -> None:
    async def scene() -> None:
        limits = {"max_connections": 6, "max_connections_per_ip": 4}
        async with start_channel(websocket=limits) as channel:
            tried = await asyncio.gather(*(connect(channel.url, proxy=None) for _ in range(10)))
            assert await channel.has_connections(4)
            answered = 0
            for connection in tried:
                try:
                    await connection.send("hello")
                    assert await asyncio.wait_for(connection.recv(), 30) == "echo: hello"
                    answered += 1
                except Exception:
                    assert await closed(connection) == (1008, "connection limit exceeded")
            assert answered == 4
            await asyncio.gather(*(connection.close() for connection in tried))
            await eventually(lambda: channel.has_connections(0))
            async with connect(channel.url, proxy=None) as again:
                await again.send("hello")
                assert await asyncio.wait_for(again.recv(), 30) == "echo: hello"

    asyncio.run(scene())


def test_just_so_many_messages_a_minute(start_channel: ChannelFactory) -> None:
    async def scene() -> None:
        limit = {"messages_per_minute_per_connection": 5}
        async with start_channel(websocket=limit) as channel, Client(channel.url, session="other") as other:
            async with connect(channel.url, proxy=None, subprotocols=V2) as connection:
                for _ in range(50):
                    await connection.send('{"type":"heartbeat"}')
                    assert await recv(connection) == {"type": "pong"}
                burst = [
                    json.dumps(
                        {"type": "user_message", "sessionId": "main", "text": "x", "messageId": f"m{n}"}
                    )
                    for n in range(9)
                ]
                connection.transport.write(
                    b"".join(Frame(Opcode.TEXT, frame.encode()).serialize(mask=True) for frame in burst)
                )
                events: list[dict[str, Any]] = []
                while not events or events[-1]["type"] != "error":
                    events.append(await recv(connection))
                assert (events[-1]["code"], events[-1]["messageId"]) == ("rate_limited", "m5")
                assert await closed(connection) == (1008, "rate limit exceeded")
            await other.turn("undisturbed")
            taken = [d.message_id for d in await channel.seen(Deliver) if d.session.endswith("main")]
            assert taken == ["m0", "m1", "m2", "m3", "m4"]
            assert channel.counted('rate_limit_hits_total{channel="websocket"}') == 1

    asyncio.run(scene())


def test_a_client_that_never_reads_is_closed_and_holds_nobody_up(start_channel: ChannelFactory) -> None:
    async def scene() -> None:
        settings = {"send_buffer_bytes": 65_536, "close_timeout_seconds": 0.5}
        async with start_channel(websocket=settings) as channel, Client(channel.url) as reader:
            await reader.resume()
            writers = [await deaf(channel) for _ in range(3)]
            await eventually(lambda: channel.has_connections(4))
            for _ in range(40):  # in all far more than the kernel takes for somebody who does not read
                await channel.do("say", count=4, size=60_000)
                await reader.expect("message_accepted", seq=reader.last_seq + 4)
            assert len(reader.durable()) == 160
            await eventually(lambda: channel.has_connections(1))
            assert channel.counted("ws_slow_consumers_total") == 3
            await reader.turn("undisturbed")
            for writer in writers:
                writer.transport.abort()

    asyncio.run(scene())


def test_a_slow_client_is_told_why_and_misses_nothing_by_resume(start_channel: ChannelFactory) -> None:
    async def scene() -> None:
        settings = {"send_buffer_bytes": 65_536, "close_timeout_seconds": 5}
        async with start_channel(websocket=settings) as channel, Client(channel.url) as slow:
            await slow.resume()
            await slow.turn("hello")
            slow.connection.transport.pause_reading()
            for _ in range(300):
                await channel.do("say", count=1, size=60_000)
                if channel.counted("ws_slow_consumers_total"):
                    break
            slow.connection.transport.resume_reading()
            try:
                async with asyncio.timeout(30):
                    while True:
                        await slow.next()
            except Exception as end:
                close = getattr(end, "rcvd", None)
            assert close is not None
            assert (close.code, close.reason) == (1008, "slow consumer")
            await slow.connect()
            await slow.resume(slow.last_seq)
            done = await slow.turn("again")
            seqs = [event["seq"] for event in slow.durable()]
            assert seqs == list(range(1, done["seq"] + 1))

    asyncio.run(scene())


def test_pings_whose_pongs_nobody_reads_are_bounded(start_channel: ChannelFactory) -> None:
    async def scene() -> None:
        settings = {"send_buffer_bytes": 65_536, "close_timeout_seconds": 0.5}
        async with start_channel(websocket=settings) as channel:
            writer = await deaf(channel)
            ping = Frame(Opcode.PING, b"x" * 125).serialize(mask=True) * 1_000

            async def send_more() -> bool:
                writer.write(ping)
                try:
                    await asyncio.wait_for(writer.drain(), 1)
                except (ConnectionError, TimeoutError):
                    pass  # the channel does not read it any more
                return await channel.has_connections(0)

            await eventually(send_more, deadline_s=40)
            async with Client(channel.url) as client:
                await client.turn("still here")
            writer.transport.abort()

    asyncio.run(scene())


def test_who_does_not_answer_pings_is_gone(start_channel: ChannelFactory) -> None:
    async def scene() -> None:
        settings = {"ping_interval_seconds": 0.2, "ping_timeout_seconds": 0.3, "close_timeout_seconds": 0.3}
        async with start_channel(websocket=settings) as channel, Client(channel.url) as client:
            writer = await deaf(channel)
            await eventually(lambda: channel.has_connections(2))
            await eventually(lambda: channel.has_connections(1))
            await client.turn("I answer pings")
            writer.transport.abort()

    asyncio.run(scene())


def test_a_message_that_nobody_takes_is_given_back(start_channel: ChannelFactory) -> None:
    async def scene() -> None:
        settings = {"accept_timeout_seconds": 0.4}
        async with start_channel(websocket=settings) as channel, Client(channel.url) as client:
            await channel.behave(silent=True)
            await client.send("hello", message_id="m")
            error = await client.expect("error")
            assert (error["code"], error["messageId"]) == ("not_accepted", "m")
            async with connect(channel.url, proxy=None) as raw:
                await raw.send("hello")
                assert "could not be taken in time" in str(await asyncio.wait_for(raw.recv(), 30))

    asyncio.run(scene())


def test_more_than_may_wait_in_one_session(start_channel: ChannelFactory) -> None:
    async def scene() -> None:
        settings: dict[str, Any] = {"sessions": {"max_pending": 3}}
        async with start_channel(**settings) as channel, Client(channel.url) as client:
            await channel.behave(silent=True)
            for number in range(5):  # one that may run, and three that wait
                await client.send("hello", message_id=f"m{number}")
            error = await client.expect("error")
            assert (error["code"], error["messageId"]) == ("busy", "m4")
            await client.send("hello", message_id="elsewhere", session="other")
            await eventually(lambda: channel.seen(Deliver))
            held = await eventually(lambda: five(channel))
            assert [deliver.message_id for deliver in held] == ["m0", "m1", "m2", "m3", "elsewhere"]

    async def five(channel: Channel) -> list[Deliver]:
        seen = await channel.seen(Deliver)
        return seen if len(seen) == 5 else []

    asyncio.run(scene())


def test_who_floods_with_pings_holds_nobody_up(start_channel: ChannelFactory) -> None:
    """A flood that has arrived whole is heard in small parts, and others in between."""

    async def scene() -> None:
        async with start_channel() as channel, Client(channel.url) as other:
            await other.turn("before")
            flood = Frame(Opcode.PING, b"").serialize(mask=True) * 40_000
            heartbeat = Frame(Opcode.TEXT, b'{"type":"heartbeat"}').serialize(mask=True)
            async with connect(
                channel.url, proxy=None, ping_interval=None, subprotocols=V2, close_timeout=0
            ) as flooder:
                flooder.transport.write(flood + heartbeat)
                heard = asyncio.create_task(flooder.recv())
                for number in range(20):
                    await other.turn(f"turn {number}")
                assert not heard.done(), "all of the flood came before what others said"
                flooder.transport.abort()
                await asyncio.gather(heard, return_exceptions=True)
            await eventually(lambda: channel.has_connections(1))

    asyncio.run(scene())


def test_many_small_frames_at_once_are_all_heard_in_order(start_channel: ChannelFactory) -> None:
    async def scene() -> None:
        fast = {"messages_per_minute_per_connection": 10_000}
        async with start_channel(websocket=fast) as channel, Client(channel.url) as client:
            beat = Frame(Opcode.TEXT, b'{"type":"heartbeat"}').serialize(mask=True)
            ask = b'{"type":"user_message","sessionId":"main","text":"the last","messageId":"m"}'
            last = Frame(Opcode.TEXT, ask).serialize(mask=True)
            client.connection.transport.write(beat * 2_000 + last)
            done = await client.expect("turn_done", messageId="m", deadline_s=30)
            assert done["text"] == "echo: the last"
            assert [event["type"] for event in client.events[:2_000]] == ["pong"] * 2_000

    asyncio.run(scene())


def test_heartbeats_cost_no_rate_token(start_channel: ChannelFactory) -> None:
    async def scene() -> None:
        limit = {"messages_per_minute_per_connection": 1}
        async with start_channel(websocket=limit) as channel, Client(channel.url) as client:
            for _ in range(1_000):
                await client.send_raw({"type": "heartbeat"})
                assert (await client.next())["type"] == "pong"
            await client.turn("the one message")

    asyncio.run(scene())
