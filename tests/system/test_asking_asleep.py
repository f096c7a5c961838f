"""More conversations wait for people than there are places: silence keeps nobody out, and nothing is lost."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from websockets.asyncio.client import connect

from tests.system.client import Client
from tests.system.conftest import GatewayFactory
from tests.system.gateway import Gateway, wait_until
from tests.system.test_approvals import NOTE, ask, decide, waiting

NAMES = [f"s{number}" for number in range(5)]


def sessions(gateway: Gateway) -> dict[str, tuple[str, str]]:
    """State, and what it is doing, by session id."""
    return {
        name.rpartition(":")[2]: (node["state"], node["doing"])
        for name, node in gateway.nodes().items()
        if name.startswith("websocket:")
    }


def test_those_who_wait_for_people_leave_their_places_and_come_back(make_gateway: GatewayFactory) -> None:
    config: dict[str, Any] = {"tooling": {"approval": "always"}, "sessions": {"max_live": 2}}
    gateway = make_gateway(config=config).start()

    async def scene() -> None:
        clients = [Client(gateway.ws_url, session=name) for name in NAMES]
        for client in clients:
            await client.connect()
        first, second, third, fourth, fifth = clients
        questions = [await ask(client) for client in clients]
        assert len(await asyncio.to_thread(waiting, gateway)) == len(NAMES)
        async with Client(gateway.ws_url, session="new") as new:
            assert (await new.turn("hello", deadline_s=30))["text"] == "echo: hello"
        found = await asyncio.to_thread(sessions, gateway)
        assert sorted(found) == sorted([*NAMES, "new"])
        assert list(found.values()).count(("passivated", "waits for a person")) >= 4

        # Each way to decide wakes its conversation.
        await decide(first, questions[0], approved=True)
        assert (await first.expect("tool_result", deadline_s=30))["status"] == "ok"
        assert (await first.expect("turn_done"))["status"] == "completed"
        word = f"/deny {questions[1]['approvalId']}"
        assert (await second.turn(word, deadline_s=30))["text"] == "memory was denied."
        assert (await second.expect("turn_done"))["status"] == "completed"
        done = await asyncio.to_thread(gateway.cli, "approvals", "approve", questions[2]["approvalId"])
        assert (done.returncode, done.stdout) == (0, "memory was approved and runs.\n")
        assert (await third.expect("turn_done", deadline_s=30))["status"] == "completed"
        await fourth.stop_turn()
        assert (await fourth.expect("turn_done", deadline_s=30))["status"] == "stopped"
        for client in clients:
            await client.close()

        # What still waits does so after everything died, whether its conversation slept or not.
        await fourth.connect()
        other = await ask(fourth)
        await fourth.close()
        gateway.kill_all()
        gateway.restart()
        left = wait_until(lambda: len(waiting(gateway)) == 2 and waiting(gateway), what="both questions")
        assert {each["approval_id"] for each in left} == {questions[4]["approvalId"], other["approvalId"]}
        await fifth.connect()
        await fifth.resume(last_seq=fifth.last_seq)
        await decide(fifth, questions[4], approved=True)
        assert (await fifth.expect("turn_done", deadline_s=30))["status"] == "completed"
        started = [event for event in fifth.durable() if event["type"] == "tool_start"]
        assert len(started) == 1
        await fifth.close()

    asyncio.run(scene())
    assert gateway.stop() == 0
    assert "Traceback" not in gateway.log_text()


def test_a_question_expires_while_its_conversation_sleeps(make_gateway: GatewayFactory) -> None:
    config: dict[str, Any] = {
        "tooling": {"approval": "always", "approval_timeout_seconds": 3},
        "sessions": {"max_live": 1},
    }
    gateway = make_gateway(config=config).start()

    async def scene() -> None:
        async with Client(gateway.ws_url, session="asks") as asks, Client(gateway.ws_url) as other:
            await ask(asks)
            await other.turn("hello", deadline_s=30)
            result = await asks.expect("tool_result", deadline_s=30)
            assert result["text"] == "Tool execution denied: nobody decided within 3 seconds."
            assert (await asks.expect("turn_done"))["status"] == "completed"
            assert not await asyncio.to_thread(waiting, gateway)

            # An unnamed conversation whose client goes away is ended by its time, too.
            async with connect(gateway.ws_url, proxy=None) as raw:
                await raw.send(NOTE)
                assert "asks for your approval" in str(await raw.recv())
            assert (await other.turn("again", deadline_s=30))["text"] == "echo: again"
            audit = gateway.state_dir / "logs" / "audit.jsonl"
            await asyncio.to_thread(
                wait_until,
                lambda: (
                    [json.loads(line)["status"] for line in audit.read_text().splitlines()]
                    == ["denied", "denied"]
                ),
                deadline_s=30,
                what="both were denied",
            )

    asyncio.run(scene())
    assert gateway.stop() == 0
