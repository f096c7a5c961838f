"""Talks to a gateway: streaming, order, several people on one session, passivation and return."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.system.client import Client, assert_one_answer_each, assert_seqs_unbroken
from tests.system.conftest import GatewayFactory
from tests.system.gateway import Gateway, wait_until


def test_an_answer_is_streamed_and_ends_with_its_whole_text(gateway: Gateway) -> None:
    async def scene() -> None:
        async with Client(gateway.ws_url) as client:
            done = await client.turn("one two three", message_id="m1")
            assert (done["status"], done["text"]) == ("completed", "echo: one two three")
            assert client.streamed(done["turnId"]) == done["text"]
            assert [event["type"] for event in client.durable()] == [
                "message_accepted",
                "turn_started",
                "turn_done",
            ]
            assert_seqs_unbroken(client.durable())
            assert sum(event["type"] == "assistant_chunk" for event in client.events) > 1

    asyncio.run(scene())


def test_messages_that_come_during_a_turn_are_answered_after_it_in_order(gateway: Gateway) -> None:
    async def scene() -> None:
        async with Client(gateway.ws_url) as client:
            ids = [await client.send("/demo slow 1")]
            for number in range(5):
                ids.append(await client.send(f"number {number}"))
            await client.expect("turn_done", messageId=ids[-1], deadline_s=30.0)
            assert_one_answer_each(client.durable(), ids)
            queued = [e["queued"] for e in client.durable() if e["type"] == "message_accepted"]
            assert queued == [0, 1, 2, 3, 4, 5]

    asyncio.run(scene())


def test_a_repeated_message_gets_the_first_ones_receipt_and_answer(gateway: Gateway) -> None:
    async def scene() -> None:
        async with Client(gateway.ws_url) as client, Client(gateway.ws_url) as other:
            await other.resume()
            first = await client.turn("hello", message_id="same")
            await other.expect("turn_done", messageId="same")
            await client.send("hello", message_id="same")
            receipt = await client.expect("message_accepted", messageId="same")
            again = await client.expect("turn_done", messageId="same")
            assert (receipt["seq"], receipt["duplicate"]) == (1, True)
            assert (again["seq"], again["text"]) == (first["seq"], first["text"])
            await client.send("something else", message_id="same")
            refusal = await client.expect("error", messageId="same")
            assert refusal["code"] == "message_id_conflict"
            assert (await client.turn("/demo recall"))["text"] == "turns=1 first=hello last=hello"
            await other.expect("turn_done")
            assert len([e for e in other.events if e.get("messageId") == "same"]) == 3

    asyncio.run(scene())


def test_a_conversation_outlives_its_gateway(make_gateway: GatewayFactory) -> None:
    gateway = make_gateway().start()

    async def talk(text: str, *, resume_after: int | None = None) -> dict[str, Any]:
        async with Client(gateway.ws_url, session="lasting ✓") as client:
            if resume_after is not None:
                await client.resume(resume_after)
            done = await client.turn(text)
            assert_seqs_unbroken(client.durable(), first=(resume_after or 0) + 1)
            return done

    last = asyncio.run(talk("remember me"))
    assert gateway.stop() == 0
    gateway.restart()
    recall = asyncio.run(talk("/demo recall", resume_after=last["seq"]))
    assert recall["text"] == "turns=1 first=remember me last=remember me"
    assert gateway.stop() == 0


def test_an_idle_session_leaves_memory_and_returns_with_its_whole_history(
    make_gateway: GatewayFactory,
) -> None:
    gateway = make_gateway(config={"sessions": {"idle_seconds": 0.5}}).start()
    key = "websocket:local:main"

    async def scene() -> None:
        async with Client(gateway.ws_url) as client:
            for number in range(3):
                await client.turn(f"number {number}")
            await asyncio.to_thread(
                wait_until, lambda: key not in gateway.nodes(), deadline_s=30.0, what="it is passivated"
            )
            done = await client.turn("/demo recall")
            assert done["text"] == "turns=3 first=number 0 last=number 2"
            assert_seqs_unbroken(client.durable())

    asyncio.run(scene())
    assert gateway.stop() == 0


def test_beyond_max_live_the_session_that_was_quiet_longest_makes_room(make_gateway: GatewayFactory) -> None:
    gateway = make_gateway(config={"sessions": {"max_live": 2}}).start()

    async def scene() -> None:
        async with Client(gateway.ws_url) as client:
            for session in ("one", "two", "three", "one"):
                done = await client.turn("/demo recall", session=session)
                assert done["status"] == "completed"
            assert done["text"].startswith("turns=1 ")
            live = {name for name in await asyncio.to_thread(gateway.nodes) if name.startswith("websocket:")}
            assert len(live) <= 2
            assert "websocket:local:one" in live

    asyncio.run(scene())
    assert gateway.stop() == 0


def test_a_stop_ends_the_running_turn_and_leaves_the_queue(gateway: Gateway) -> None:
    async def scene() -> None:
        async with Client(gateway.ws_url) as client:
            slow = await client.send("/demo slow 30")
            await client.expect("assistant_chunk")
            waiting = await client.send("next")
            await client.expect("message_accepted", messageId=waiting)
            await client.stop_turn()
            stopped = await client.expect("turn_done", messageId=slow, deadline_s=30.0)
            assert stopped["status"] == "stopped"
            answer = await client.expect("turn_done", messageId=waiting)
            assert (answer["status"], answer["text"]) == ("completed", "echo: next")
            await client.stop_turn()
            await client.expect("notice", code="nothing_to_stop")

    asyncio.run(scene())


def test_a_stop_of_the_queue_ends_what_waits_too(gateway: Gateway) -> None:
    async def scene() -> None:
        async with Client(gateway.ws_url) as client:
            ids = [await client.send("/demo slow 30"), await client.send("a"), await client.send("b")]
            await client.expect("assistant_chunk")
            await client.stop_turn(queue=True)
            await client.expect("turn_done", messageId=ids[-1], deadline_s=30.0)
            assert_one_answer_each(client.durable(), ids)
            assert {done["status"] for done in client.done()} == {"stopped"}

    asyncio.run(scene())


@pytest.mark.parametrize("cut", [True, False], ids=["cut", "closed"])
def test_a_client_that_leaves_ends_nothing(gateway: Gateway, cut: bool) -> None:
    async def scene() -> None:
        client = Client(gateway.ws_url)
        await client.connect()
        message_id = await client.send("/demo slow 1")
        await client.expect("assistant_chunk")
        seen = client.last_seq
        if cut:
            client.cut()
        else:
            await client.close()
        async with Client(gateway.ws_url) as back:
            await back.resume(seen)
            done = await back.expect("turn_done", messageId=message_id)
            assert done["status"] == "completed"
            started = [e for e in back.events if e["type"] == "turn_started"]
            assert started == []

    asyncio.run(scene())


def test_a_queue_has_its_limit(make_gateway: GatewayFactory) -> None:
    gateway = make_gateway(config={"sessions": {"max_pending": 3}}).start()

    async def scene() -> None:
        async with Client(gateway.ws_url) as client:
            ids = [await client.send("/demo slow 1")]
            await client.expect("turn_started")
            ids += [await client.send(f"number {number}") for number in range(3)]
            await client.expect("message_accepted", messageId=ids[-1])
            too_much = await client.send("one too many")
            refusal = await client.expect("error", messageId=too_much)
            assert (refusal["code"], refusal["text"]) == ("busy", "Server is busy. Please retry.")
            await client.expect("turn_done", messageId=ids[-1], deadline_s=30.0)
            assert_one_answer_each(client.durable(), ids)

    asyncio.run(scene())
    assert gateway.stop() == 0
