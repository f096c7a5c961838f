"""What people tell the gateway by a slash is heeded at once, in every dialect, whatever the conversation is doing."""

from __future__ import annotations

import asyncio
import time

from websockets.asyncio.client import connect

from tests.system.client import Client
from tests.system.conftest import GatewayFactory


def test_a_conversation_is_set_aside_and_brought_back(make_gateway: GatewayFactory) -> None:
    gateway = make_gateway().start()

    async def scene() -> None:
        async with Client(gateway.ws_url) as client:
            await client.turn("the first")
            assert (await client.turn("/new"))["text"].startswith("A new conversation begins.")
            assert (await client.turn("/demo recall"))["text"] == "turns=0 first= last="
            await asyncio.to_thread(gateway.kill, "persistence")
            assert (await client.turn("/undo"))["text"].startswith("The conversation of before /new")
            assert (await client.turn("/demo recall"))["text"] == "turns=1 first=the first last=the first"
            assert (await client.turn("/branch lunch"))["text"].startswith("Kept as lunch.")
            await client.turn("more")
            assert (await client.turn("/branch restore lunch"))["text"].startswith("Back at lunch")
            recalled = (await client.turn("/demo recall"))["text"]
            assert recalled == "turns=2 first=the first last=/demo recall"
            assert "- lunch (" in (await client.turn("/branch list"))["text"]

    asyncio.run(scene())
    gateway.stop()


def test_a_stop_in_words_ends_what_runs_in_every_dialect_and_what_spins(make_gateway: GatewayFactory) -> None:
    gateway = make_gateway().start()

    async def raw() -> None:
        async with connect(f"{gateway.ws_url}?session=raw", proxy=None) as client:
            await client.send("/demo slow 60")
            await client.send("/status")
            assert str(await client.recv()).startswith("An answer is being given")
            await client.send("/stop")
            answers = {str(await client.recv()) for _ in range(2)}
            assert "Stopped." in answers

    async def spinning() -> None:
        async with Client(gateway.ws_url, session="spin") as client:
            spin = await client.send("/demo spin")
            await client.expect("turn_started", messageId=spin)
            begun = time.monotonic()
            stop = await client.send("/stop")
            assert (await client.expect("turn_done", messageId=spin))["status"] == "stopped"
            assert (await client.expect("turn_done", messageId=stop))["text"] == "Stopped."
            assert time.monotonic() - begun < 15  # the promise is a second; this machine may be busy
            assert (await client.turn("again"))["text"] == "echo: again"

    async def scene() -> None:
        async with asyncio.timeout(30):
            await asyncio.gather(raw(), spinning())

    asyncio.run(scene())
    gateway.stop()


def test_messages_that_come_meanwhile_are_collected_where_that_is_wanted(
    make_gateway: GatewayFactory,
) -> None:
    gateway = make_gateway(config={"sessions": {"busy_mode": "collect"}}).start()

    async def scene() -> None:
        async with Client(gateway.ws_url) as client:
            first = await client.send("/demo slow 1")
            await client.expect("turn_started", messageId=first)
            names = [await client.send(text) for text in ("one", "two", "three")]
            done = [await client.expect("turn_done", messageId=name) for name in (first, *names)]
            assert [each.get("code") for each in done] == [None, "collected", "collected", None]
            assert done[-1]["text"] == "echo: one\n\ntwo\n\nthree"
            receipts = [each for each in client.events if each["type"] == "message_accepted"]
            assert [each.get("busy") for each in receipts] == [None, "collect", "collect", "collect"]

    asyncio.run(scene())
    gateway.stop()
