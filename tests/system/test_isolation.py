"""Lets one conversation crash, spin, hang and eat memory while ten others talk undisturbed."""

from __future__ import annotations

import asyncio
import time

import pytest

from tests.system.chatter import chatting
from tests.system.client import Client
from tests.system.conftest import GatewayFactory

CONFIG = {
    "sessions": {"ping_timeout_seconds": 1.0, "max_memory_mb": 256},
    "websocket": {"messages_per_minute_per_connection": 1_000_000},
}
STILL_QUICK_S = 10.0
"""Far above what an answer takes on a busy machine, far below the watchdog's and the turn's limits together."""


@pytest.mark.parametrize(
    ("fault", "code"),
    [("/demo crash", "quarantined"), ("/demo spin", "quarantined"), ("/demo eat 4000", "quarantined")],
)
def test_a_conversation_that_destroys_itself_is_nobody_elses_problem(
    make_gateway: GatewayFactory, fault: str, code: str
) -> None:
    gateway = make_gateway(config=CONFIG).start()

    async def scene() -> None:
        async with (
            chatting(lambda: gateway.ws_url, 10, deadline_s=200.0) as people,
            Client(gateway.ws_url, session="bad") as bad,
        ):
            message_id = await bad.send(fault)
            follow_up = await bad.send("and now?")
            slowest = 0.0
            ended = asyncio.create_task(bad.expect("turn_done", messageId=message_id, deadline_s=45.0))
            while not ended.done():
                began = time.monotonic()
                await asyncio.gather(*(each.wait_for_answers(1, deadline_s=30.0) for each in people))
                slowest = max(slowest, time.monotonic() - began)
            done = await ended
            assert (done["status"], done["code"]) == ("failed", code)
            answer = await bad.expect("turn_done", messageId=follow_up, deadline_s=30.0)
            assert (answer["status"], answer["text"]) == ("completed", "echo: and now?")
            assert any(
                event["type"] == "notice" and event["code"] == "session_restarted" for event in bad.events
            )
            assert slowest < STILL_QUICK_S
            assert all(each.reconnects == 0 for each in people)

    asyncio.run(scene())
    assert gateway.stop() == 0


def test_a_provider_that_never_answers_one_conversation_leaves_the_others_alone(
    make_gateway: GatewayFactory,
) -> None:
    gateway = make_gateway(config=CONFIG).start()

    async def scene() -> None:
        async with (
            chatting(lambda: gateway.ws_url, 10, deadline_s=200.0) as people,
            Client(gateway.ws_url, session="bad") as bad,
        ):
            message_id = await bad.send("/demo hang")
            await bad.expect("turn_started")
            follow_up = await bad.send("and now?")
            await asyncio.gather(*(each.wait_for_answers(5, deadline_s=30.0) for each in people))
            asked_at = time.monotonic()
            await bad.stop_turn()
            done = await bad.expect("turn_done", messageId=message_id)
            assert done["status"] == "stopped"
            assert time.monotonic() - asked_at < 15  # the promise is a second; this machine may be busy
            answer = await bad.expect("turn_done", messageId=follow_up)
            assert (answer["status"], answer["text"]) == ("completed", "echo: and now?")

    asyncio.run(scene())
    assert gateway.stop() == 0


def test_a_spinning_conversation_stops_when_told_to(make_gateway: GatewayFactory) -> None:
    gateway = make_gateway().start()

    async def scene() -> None:
        async with Client(gateway.ws_url) as client:
            message_id = await client.send("/demo spin")
            await client.expect("turn_started")
            await asyncio.to_thread(gateway.note_processes)
            asked_at = time.monotonic()
            await client.stop_turn()
            done = await client.expect("turn_done", messageId=message_id)
            assert done["status"] == "stopped"
            assert time.monotonic() - asked_at < 15  # the promise is a second; this machine may be busy
            assert (await client.turn("hello"))["text"] == "echo: hello"

    asyncio.run(scene())
    assert gateway.stop() == 0
