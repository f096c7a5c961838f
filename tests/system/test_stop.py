"""Stops turns while the processes that have to stop them die: a stop holds, whatever is killed."""

from __future__ import annotations

import asyncio

import pytest

from tests.system.client import Client
from tests.system.conftest import GatewayFactory

pytestmark = pytest.mark.timeout(120)


@pytest.mark.parametrize("victim", ["router", "websocket:local:main"])
def test_a_stop_that_meets_a_death_is_not_lost(make_gateway: GatewayFactory, victim: str) -> None:
    gateway = make_gateway().start()

    async def scene() -> None:
        async with Client(gateway.ws_url, session="main") as client:
            message_id = await client.send("/demo slow 60")
            await client.expect("assistant_chunk", deadline_s=20.0)
            await asyncio.to_thread(gateway.kill, victim)
            await client.stop_turn()
            done = await client.expect("turn_done", messageId=message_id, deadline_s=20.0)
            assert done["status"] == "stopped"
            assert (await client.turn("and now?"))["text"] == "echo: and now?"

    asyncio.run(scene())
    assert gateway.stop() == 0
