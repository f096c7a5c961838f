"""Damages what is stored and looks at who is told."""

from __future__ import annotations

import asyncio

from tests.system.client import Client
from tests.system.conftest import GatewayFactory


def test_a_damaged_conversation_is_set_aside_its_sender_told_and_nobody_else_concerned(
    make_gateway: GatewayFactory,
) -> None:
    gateway = make_gateway().start()

    async def talk() -> None:
        async with Client(gateway.ws_url) as client:
            for text in ("one", "two"):
                await client.turn(text)

    asyncio.run(talk())
    assert gateway.stop() == 0
    sessions = gateway.state_dir / "memory" / "sessions"
    (journal,) = sessions.glob("*.jsonl")
    journal.with_suffix(".json").unlink()
    data = bytearray(journal.read_bytes())
    data[len(data) // 2] ^= 1
    journal.write_bytes(data)
    gateway.restart()

    async def scene() -> None:
        async with Client(gateway.ws_url) as client:
            refused = await client.send("three")
            error = await client.expect("error", messageId=refused)
            assert error["code"] == "persistence_failed"
            assert "damaged" in error["text"]
            assert (await client.turn("hello", session="other"))["text"] == "echo: hello"
            assert (await client.turn("/demo recall"))["text"] == "turns=0 first= last="

    asyncio.run(scene())
    assert [path.read_bytes() for path in sessions.glob("*.jsonl.quarantined-*")] == [bytes(data)]
    log = gateway.log_text()
    assert log.count("cannot be opened") == 1
    assert "unexpectedly" not in log
    counters = gateway.status()["counters"]
    assert not sum(value for name, value in counters.items() if name.startswith("session_restarts_total"))
    assert gateway.stop() == 0
