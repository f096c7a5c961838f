"""Tools run in a conversation of the real gateway, and their results reach the person and the model."""

from __future__ import annotations

import asyncio

from tests.system.client import Client
from tests.system.conftest import GatewayFactory


def test_a_note_outlives_its_conversation(make_gateway: GatewayFactory) -> None:
    gateway = make_gateway().start()

    async def scene() -> None:
        async with Client(gateway.ws_url) as client:
            said = await client.turn('/demo tool memory {"action":"write","key":"k","content":"remember me"}')
            assert said["text"] == "memory: Saved note: k"
        await asyncio.to_thread(gateway.kill, "persistence")
        async with Client(gateway.ws_url) as other:
            said = await other.turn('/demo tool memory {"action":"read","key":"k"}', session="other")
            assert said["text"] == "memory: remember me"
            said = await other.turn('/demo tool memory {"action":"burn","key":"k"}', session="other")
            assert "Invalid enum value 'burn'" in said["text"]

    asyncio.run(scene())
    gateway.stop()
