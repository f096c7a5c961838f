"""Following and resuming: nothing missing, nothing twice, in order; whatever is replaced behind it."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from websockets.asyncio.client import connect

from openclaw_actors.messages import Deliver, EndSession, Replay, StopTurn, Unfollow
from tests.system.channels.harness import Channel, ChannelFactory, closed, eventually
from tests.system.client import Client, assert_one_answer_each, assert_seqs_unbroken

FAST: dict[str, Any] = {"websocket": {"messages_per_minute_per_connection": 10_000}}


def test_several_followers_see_all(start_channel: ChannelFactory) -> None:
    async def scene() -> None:
        async with (
            start_channel() as channel,
            Client(channel.url) as first,
            Client(channel.url) as second,
            Client(channel.url, session="elsewhere") as third,
        ):
            await second.resume()
            await third.resume()
            await eventually(lambda: channel.seen(Replay))
            sent = [await first.send(f"message {number}") for number in range(20)]
            for client in (first, second):
                await client.expect("turn_done", messageId=sent[-1])
                assert_seqs_unbroken(client.durable())
                assert_one_answer_each(client.durable(), sent)
            assert first.durable() == second.durable()
            await third.turn("hello")
            assert {event.get("sessionId") for event in third.events} == {"elsewhere"}

    asyncio.run(scene())


def test_fifty_cuts_in_mid_stream(start_channel: ChannelFactory) -> None:
    """What a client that is cut again and again sees in the end is what one sees that never was."""

    async def scene() -> None:
        async with start_channel(**FAST) as channel, Client(channel.url) as steady:
            await steady.resume()
            await channel.behave(split=8)
            cut = Client(channel.url)
            await cut.connect()
            for number in range(50):
                await cut.resume(cut.last_seq)
                await cut.send(f"the message of round {number} with some text", message_id=f"m{number}")
                for _ in range(number % 7):
                    await cut.next()
                cut.cut()
                await channel.do("finish")
                await cut.connect()
            await channel.behave()
            await cut.resume(cut.last_seq)
            last = await cut.turn("the end")
            await steady.expect("turn_done", messageId=last["messageId"])
            assert cut.durable() == steady.durable()
            assert_seqs_unbroken(cut.durable())
            await cut.close()

    asyncio.run(scene())


def test_a_resume_in_the_middle_of_an_answer(start_channel: ChannelFactory) -> None:
    async def scene() -> None:
        async with start_channel() as channel, Client(channel.url) as first, Client(channel.url) as second:
            await channel.behave(split=4)
            await first.send("one two three four", message_id="m")
            while len(first.streamed("t-m")) < len("echo: one two three four"):
                await first.next()
            await second.resume(0)
            chunk = await second.expect("assistant_chunk")
            assert (chunk["offset"], chunk["text"]) == (0, "echo: one two three four")
            assert [event["type"] for event in second.events] == [
                "message_accepted",
                "turn_started",
                "assistant_chunk",
            ]
            await channel.do("finish")
            await second.expect("turn_done")
            assert second.events.count(chunk) == 1

    asyncio.run(scene())


@pytest.mark.parametrize("page_events", [1, 3, 500])
def test_a_long_past_comes_in_pages(start_channel: ChannelFactory, page_events: int) -> None:
    async def scene() -> None:
        async with start_channel() as channel, Client(channel.url) as client:
            await channel.behave(page_events=page_events)
            await channel.do("say", count=100, size=10)
            await client.resume(0)
            await client.expect("message_accepted", seq=50)
            await channel.do("say", count=10)  # while the pages still come
            await client.expect("message_accepted", seq=110)
            assert_seqs_unbroken(client.durable())
            await client.resume(90)
            await client.expect("message_accepted", seq=110)
            assert [event["seq"] for event in client.durable()][110:] == list(range(91, 111))

    asyncio.run(scene())


def test_many_sessions_resumed_at_once_are_no_slow_reader(start_channel: ChannelFactory) -> None:
    async def scene() -> None:
        settings = {"websocket": {"send_buffer_bytes": 300_000}}
        async with start_channel(**settings) as channel, Client(channel.url) as client:
            await channel.behave(page_events=4)
            for number in range(20):
                await channel.do("say", f"websocket:local:s{number}", count=20, size=50_000)
            for number in range(20):
                await client.resume(0, session=f"s{number}")
            for number in range(20):
                while len(client.durable(session=f"s{number}")) < 20:
                    await client.next()
            for number in range(20):
                assert_seqs_unbroken(client.durable(session=f"s{number}"))

    asyncio.run(scene())


def test_a_session_whose_process_is_replaced(start_channel: ChannelFactory) -> None:
    async def scene() -> None:
        async with start_channel() as channel, Client(channel.url) as client:
            await client.turn("before")
            await channel.do("say", count=3)
            await channel.do("lose")
            notice = await client.expect("notice")
            assert (notice["code"], notice["sessionId"]) == ("session_restarted", "main")
            done = await client.turn("after")
            assert_seqs_unbroken(client.durable())
            assert done["seq"] == client.last_seq == 9

    asyncio.run(scene())


def test_a_repeated_message(start_channel: ChannelFactory) -> None:
    async def scene() -> None:
        async with start_channel() as channel, Client(channel.url) as first, Client(channel.url) as second:
            original = await first.turn("hello", message_id="m")
            await second.send("hello", message_id="m")
            again = await second.expect("message_accepted", messageId="m")
            assert (again["seq"], again["duplicate"]) == (1, True)
            assert await second.expect("turn_done", messageId="m") == original
            await second.send("something else", message_id="m")
            assert (await second.expect("error"))["code"] == "message_id_conflict"
            await first.turn("next")
            assert_seqs_unbroken(first.durable())

    asyncio.run(scene())


def test_a_stop_and_nothing_to_stop(start_channel: ChannelFactory) -> None:
    async def scene() -> None:
        async with start_channel() as channel, Client(channel.url) as client:
            await channel.behave(split=2)
            await client.send("hello", message_id="m")
            await client.expect("turn_started")
            await client.stop_turn()
            assert (await client.expect("turn_done"))["status"] == "stopped"
            await client.stop_turn(queue=True)
            assert (await client.expect("notice"))["code"] == "nothing_to_stop"
            assert [stop.queue for stop in await channel.seen(StopTurn)] == [False, True]

    asyncio.run(scene())


def test_what_is_left_behind_is_let_go(start_channel: ChannelFactory) -> None:
    async def scene() -> None:
        async with start_channel() as channel:
            async with Client(channel.url) as client, Client(channel.url) as other:
                await client.turn("hello")
                await other.resume()
                await other.close()
                await client.turn("hello again")
                assert await channel.seen(Unfollow) == []
            gone = await eventually(lambda: channel.seen(Unfollow))
            assert [unfollow.session for unfollow in gone] == ["websocket:local:main"]
            async with connect(channel.url, proxy=None) as raw:
                await raw.send("hello")
                await raw.recv()
            ended = await eventually(lambda: channel.seen(EndSession))
            assert ended[0].session == (await channel.seen(Deliver))[-1].session

    asyncio.run(scene())


def test_what_the_router_did_not_take_goes_to_the_next_one_in_order(start_channel: ChannelFactory) -> None:
    async def scene() -> None:
        async with start_channel() as channel, Client(channel.url) as client:
            await client.turn("before")
            channel.kill_router()
            sent = [await client.send(f"held {number}") for number in range(3)]
            await channel.announce(router=False)
            sent += [await client.send(f"later {number}") for number in range(3)]
            await client.stop_turn(queue=True)
            await client.send_raw('{"type":"heartbeat"}')
            await client.expect("pong")
            await channel.new_router()
            await channel.do("say", count=3)  # what the journal holds of the first turn
            await channel.announce()
            await client.expect("turn_done", messageId=sent[-1])
            assert_seqs_unbroken(client.durable())
            delivered = [deliver.message_id for deliver in await channel.seen(Deliver)]
            assert delivered == sent
            assert len(await channel.seen(StopTurn)) == 1
            replay = (await channel.seen(Replay))[0]
            assert (replay.session, replay.after_seq) == ("websocket:local:main", 3)

    asyncio.run(scene())


def test_the_next_router_learns_whose_connection_is_gone(start_channel: ChannelFactory) -> None:
    async def scene() -> None:
        async with start_channel() as channel:
            async with connect(channel.url, proxy=None) as raw:
                await raw.send("hello")
                await raw.recv()
                key = (await channel.seen(Deliver))[0].session
                channel.kill_router()
                await eventually(channel.router_is_gone)
            await eventually(lambda: channel.has_connections(0))
            await channel.new_router()
            await channel.announce()
            (ended,) = await eventually(lambda: channel.seen(EndSession))
            assert ended.session == key

    asyncio.run(scene())


def test_a_killed_channel_comes_back_on_its_port_at_once(start_channel: ChannelFactory) -> None:
    async def scene() -> None:
        async with start_channel() as channel, Client(channel.url) as client:
            for round_ in range(5):
                await client.turn(f"round {round_}")
                before = channel.host_port
                channel.kill()
                begun = asyncio.get_running_loop().time()
                await channel.start()
                assert asyncio.get_running_loop().time() - begun < 15
                assert channel.host_port == before
                await client.connect()
                await client.resume(client.last_seq)
            await client.turn("the end")
            assert_seqs_unbroken(client.durable())

    asyncio.run(scene())


def test_who_is_connected_at_the_end_is_told(start_channel: ChannelFactory) -> None:
    async def scene() -> None:
        async with start_channel() as channel:
            clients = [Client(channel.url) for _ in range(3)]
            for client in clients:
                await client.connect()
            await clients[0].turn("hello")
            ends = [asyncio.create_task(closed(client.connection)) for client in clients]
            await shut(channel)
            assert [await end for end in ends] == [(1001, "shutdown")] * 3

    async def shut(channel: Channel) -> None:
        await channel.system.shutdown(timeout_s=8.0)

    asyncio.run(scene())
