"""Sub-agents of the real gateway: what they may use, who is asked, and who pays."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from tests.system.client import Client
from tests.system.conftest import GatewayFactory
from tests.system.gateway import Gateway, wait_until

PROFILES = {
    "reader": {"name": "reader", "allowed_tools": ["memory"]},
    "boss": {"name": "boss", "allowed_tools": ["delegate_agent", "memory"]},
    "wide": {"name": "wide"},
}
READ = {"action": "read", "key": "k"}


def config(**tooling: Any) -> dict[str, Any]:
    return {"delegation": {"enabled": True, "max_depth": 2, "profiles": PROFILES}, "tooling": tooling}


def tool(name: str, **arguments: Any) -> str:
    return f"/demo tool {name} {json.dumps(arguments)}"


def delegate(profile: str, task: str) -> str:
    return tool("delegate_agent", profile=profile, task=task)


def audit(gateway: Gateway) -> list[tuple[str, str]]:
    """Tool and status of each line."""
    path = gateway.state_dir / "logs" / "audit.jsonl"
    lines = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
    return [(line["tool"], line["status"]) for line in lines]


def test_a_sub_agent_has_its_profile_s_tools_and_no_others(make_gateway: GatewayFactory) -> None:
    gateway = make_gateway(config=config()).start()

    async def scene() -> None:
        async with Client(gateway.ws_url) as client:
            done = await client.turn(delegate("reader", "hello there"))
            assert done["text"] == "delegate_agent: echo: hello there"
            done = await client.turn(delegate("reader", tool("memory", **READ)))
            assert done["text"] == "delegate_agent: memory: No note found for key: k"
            other = tool("project_memory", action="list")
            done = await client.turn(delegate("reader", other))
            assert done["text"] == "delegate_agent: project_memory: Error: Unknown tool"
            assert "No project memory" in (await client.turn(delegate("wide", other)))["text"]
            # One that lists nothing may not delegate, nor one below the greatest depth.
            for profile in ("wide", "reader"):
                done = await client.turn(delegate(profile, delegate("wide", "hello")))
                assert "delegate_agent: Error: Unknown tool" in done["text"]
            # Who delegates gives on no more than it has.
            done = await client.turn(delegate("boss", delegate("wide", other)))
            assert done["text"].endswith("project_memory: Error: Unknown tool")
            done = await client.turn(delegate("boss", delegate("wide", tool("memory", **READ))))
            assert done["text"].endswith("memory: No note found for key: k")
            done = await client.turn(delegate("nobody", "x"))
            assert "Unknown agent profile 'nobody'. Available: boss, reader, wide." in done["text"]
            assert "'task' parameter is required" in (await client.turn(delegate("boss", " ")))["text"]

    asyncio.run(scene())
    # What sub-agents did, and one of theirs, stands in the audit as what anybody else did.
    wait_until(lambda: audit(gateway).count(("memory", "ok")) == 2, what="the audit of sub-agents")
    assert audit(gateway).count(("project_memory", "ok")) == 1
    gateway.stop()


def test_people_are_asked_for_a_sub_agent_s_tools_and_the_turn_pays(make_gateway: GatewayFactory) -> None:
    gateway = make_gateway(
        config=config(
            require_tool_approval=True, approval_required_tools=["memory"], tool_timeout_seconds=0.3
        )
    ).start()

    async def scene() -> None:
        async with Client(gateway.ws_url) as client:
            plain = await client.turn("hello")
            await client.send(delegate("reader", tool("memory", **READ)))
            question = await client.expect("tool_approval_required", name="memory")
            assert json.loads(question["arguments"]) == READ
            await asyncio.sleep(0.5)  # longer than a tool may take: a sub-agent is not cut by it
            said = await client.turn("/approve")
            assert said["text"] == "memory was approved and runs."
            done = await client.expect("turn_done")
            assert done["text"] == "delegate_agent: memory: No note found for key: k"
            assert done["usage"]["inputTokens"] > 2 * plain["usage"]["inputTokens"]

            await client.send(delegate("reader", tool("memory", **READ)))
            await client.expect("tool_approval_required")
            await client.turn("/deny")
            assert "denied by user" in (await client.expect("turn_done"))["text"]

            # The question of a sub-agent that died with its process is nobody's any more.
            await client.send(delegate("reader", tool("memory", **READ)))
            await client.expect("tool_approval_required")
            await asyncio.to_thread(gateway.kill, "websocket:local:main")
            assert (await client.expect("tool_result"))["status"] == "interrupted"
            assert "unknown" in (await client.expect("turn_done"))["text"]
            assert (await client.turn("/approve"))["text"] == "Nothing waits for a decision."

            # A stop ends a sub-agent with its turn.
            await client.send(delegate("reader", "/demo hang"))
            await client.expect("tool_start")
            await client.stop_turn()
            assert (await client.expect("turn_done"))["status"] == "stopped"

    asyncio.run(scene())
    gateway.stop()
