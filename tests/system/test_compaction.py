"""Histories are compacted beside the conversation: it goes on, a stop ends it, and no crash loses a turn by it."""

from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path
from typing import Any

from tests.system.client import Client
from tests.system.conftest import GatewayFactory
from tests.system.gateway import wait_until

MEMORY = {"enable_compaction": True, "compaction_threshold": 4, "compaction_keep_recent": 2}


def records(state: Path, kind: str) -> list[dict[str, Any]]:
    lines = [line for path in state.rglob("sessions/*.jsonl") for line in path.read_text().splitlines()]
    found = [json.loads(line).get("record", {}) for line in lines]
    return [record for record in found if record.get("kind") == kind]


def test_a_long_history_becomes_a_summary_that_outlives_the_session(make_gateway: GatewayFactory) -> None:
    gateway = make_gateway(config={"memory": MEMORY}).start()

    async def scene() -> None:
        async with Client(gateway.ws_url) as client:
            for number in range(1, 6):
                await client.turn(f"turn {number}")
            await asyncio.to_thread(
                wait_until, lambda: records(gateway.state_dir, "compacted"), what="a summary is recorded"
            )
            (summary,) = records(gateway.state_dir, "compacted")
            assert summary["text"] == "lines=3 first=turn 1 last=turn 3"
            assert (await client.turn("/demo recall"))["text"] == "turns=2 first=turn 4 last=turn 5"
            assert "and a summary of 3 before them" in (await client.turn("/status"))["text"]
            await asyncio.to_thread(gateway.kill, "websocket:local:main")
            said = (await client.turn("/demo recall"))["text"]
            assert said == "turns=3 first=turn 4 last=/demo recall"

    asyncio.run(scene())
    gateway.stop()


def test_the_conversation_goes_on_while_a_summary_is_made_and_a_stop_ends_it(
    make_gateway: GatewayFactory,
) -> None:
    gateway = make_gateway().start()

    async def scene() -> None:
        async with Client(gateway.ws_url) as client:
            await client.turn("/demo summaries 60")
            for number in range(1, 4):
                await client.turn(f"turn {number}")
            compact = await client.send("/compact")
            await client.expect("message_accepted", messageId=compact)
            assert (await client.turn("meanwhile"))["text"] == "echo: meanwhile"
            begun = time.monotonic()
            stop = await client.send("/stop")
            assert (await client.expect("turn_done", messageId=compact))["status"] == "stopped"
            assert (await client.expect("turn_done", messageId=stop))["text"] == "Stopped."
            assert time.monotonic() - begun < 15  # the promise is a second; this machine may be busy

            compact = await client.send("/compact")
            await client.expect("message_accepted", messageId=compact)
            await asyncio.to_thread(gateway.kill, "model")  # with it dies what the demo provider was told
            assert "Nothing was compacted" in (await client.expect("turn_done", messageId=compact))["text"]
            await client.turn("/demo summaries 3")
            compact = await client.send("/compact")
            await client.expect("message_accepted", messageId=compact)
            await asyncio.to_thread(gateway.kill, "websocket:local:main")
            done = await client.expect("turn_done", messageId=compact, deadline_s=30)
            assert "older turns from now on" in done["text"]  # its next process began it again
            assert (await client.turn("/demo recall"))["text"].endswith("last=/demo summaries 3")

    asyncio.run(scene())
    gateway.stop()
