"""The demo provider as people meet it: in a real gateway, with and without its faults."""

from __future__ import annotations

import asyncio
from typing import Any

from tests.system.client import Client
from tests.system.conftest import GatewayFactory
from tests.system.gateway import Gateway

__all__: list[str] = []


def test_its_commands(gateway: Gateway) -> None:
    async def scene() -> None:
        async with Client(gateway.ws_url) as client:

            async def say(text: str) -> Any:
                done = await client.turn(text, deadline_s=30)
                assert client.streamed(done["turnId"]) == done["text"] or done["status"] == "failed"
                return done["status"], done["text"]

            assert await say("one two") == ("completed", "echo: one two")
            assert await say("/demo slow 0.3") == ("completed", "1 2 3")
            assert await say("/demo tokens 5") == ("completed", "1 2 3 4 5")
            assert await say("/demo tool look {}") == ("completed", "look: Error: Unknown tool")
            assert await say("/demo tool demo_fault {nonsense") == (
                "completed",
                "demo_fault: Error: Unknown tool",
            )
            assert await say("/demo eat 1") == ("completed", "ate 1 MB")
            assert await say("/demo recall") == ("completed", "turns=6 first=one two last=/demo eat 1")
            assert await say("/demo fail 2") == ("completed", "the next 2 provider calls fail")
            assert await say("after two retries") == ("completed", "echo: after two retries")
            assert {event.get("attempt") for event in client.events if event["type"] == "turn_started"} == {1}

    asyncio.run(scene())


def test_faults_are_echoed_where_they_are_not_allowed(make_gateway: GatewayFactory) -> None:
    gateway = make_gateway(demo=False).start()

    async def scene() -> None:
        async with Client(gateway.ws_url) as client:
            for fault in ("crash", "spin", "eat 10", "fail 1", "hang"):
                done = await client.turn(f"/demo {fault}")
                assert done["text"] == f"echo: /demo {fault}"
            done = await client.turn('/demo tool demo_fault {"fault": "crash"}')
            assert done["text"] == "demo_fault: Error: Unknown tool"

    asyncio.run(scene())
    gateway.stop()
