"""Servers that are programs: they are called, misbehave, die and are killed, and nothing of them is left."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path
from typing import Any

from tests.system.client import Client
from tests.system.conftest import GatewayFactory
from tests.system.gateway import Gateway, wait_until
from tests.system.proc import is_alive

HERE = Path(__file__).parent
SECRET = "s3cret-of-the-test"


def program(name: str, *arguments: str, **settings: Any) -> dict[str, Any]:
    """A server of this directory."""
    return {"command": sys.executable, "args": [str(HERE / name), *arguments], **settings}


def with_servers(**servers: dict[str, Any]) -> dict[str, Any]:
    return {"mcp": {"servers": servers}}


async def call(client: Client, tool: str, arguments: str = "{}") -> str:
    """What the model is told of a call."""
    said = await client.turn(f"/demo tool mcp__{tool} {arguments}", deadline_s=30.0)
    return str(said["text"]).removeprefix(f"mcp__{tool}: ")


async def until_up(gateway: Gateway, name: str) -> None:
    await asyncio.to_thread(
        wait_until, lambda: gateway.nodes()[name]["state"] == "running", deadline_s=30.0, what=f"{name} runs"
    )


async def until_noted(notes: Path, line: str) -> None:
    await asyncio.to_thread(
        wait_until, lambda: notes.exists() and line in notes.read_text(), deadline_s=30.0, what=line
    )


def test_tools_of_a_server_written_with_the_official_library(make_gateway: GatewayFactory) -> None:
    library = program("server.py", env={"PLAIN": "p", "TOKEN": "env:MCP_TOKEN"}, timeout_seconds=5)
    gateway = make_gateway(
        config={**with_servers(lib=library), "logging": {"level": "debug"}},
        environment={"MCP_TOKEN": SECRET, "UNRELATED": "u"},
    ).start()

    async def scene() -> None:
        await until_up(gateway, "mcp:lib")
        async with Client(gateway.ws_url) as client:
            assert await call(client, "lib__echo", '{"text":"hello"}') == "hello"
            assert await call(client, "lib__picture") == "[image: image/png, 1234 bytes, not shown]"
            names = ("PLAIN", "TOKEN", "UNRELATED")
            values = [await call(client, "lib__environment", f'{{"name":"{each}"}}') for each in names]
            assert values == ["p", SECRET, "(not set)"]
            assert "fail" in await call(client, "lib__fail", '{"text":"x"}')
            result = next(e for e in reversed(client.events) if e["type"] == "tool_result")
            assert result["status"] == "error"
            assert "rror" in await call(client, "lib__echo", "{}"), (
                "a missing argument is the tool's to refuse"
            )
            assert await call(client, "lib__absent") == "Error: Unknown tool"
            assert await call(client, "lib__grow", '{"name":"extra"}') == "offers extra"
            await asyncio.to_thread(
                wait_until, lambda: "9 tools" in gateway.nodes()["mcp:lib"]["doing"], what="the new tool"
            )
            assert await call(client, "lib__extra") == "I am extra"

    asyncio.run(scene())
    assert SECRET not in gateway.log_text()
    gateway.stop()


def test_what_a_server_does_wrong_costs_its_own_calls_alone(make_gateway: GatewayFactory) -> None:
    raw = program("raw_server.py", "noise", env={"NOTES": "notes"}, timeout_seconds=20)
    config = with_servers(raw=raw)
    config["mcp"]["max_message_bytes"] = 1_000_000
    gateway = make_gateway(config=config).start()

    async def scene() -> None:
        await until_up(gateway, "mcp:raw")
        async with Client(gateway.ws_url) as client:
            assert await call(client, "raw__noise") == "was noisy"
            assert await call(client, "raw__garbage") == "Error: the MCP server raw: the answer is not valid"
            assert "the most is 1000000" in await call(client, "raw__huge", '{"megabytes":30}')
            assert await call(client, "raw__flood", '{"times":20000}') == "flooded"
            assert await call(client, "raw__echo", '{"text":"fine"}') == "fine"

    asyncio.run(scene())
    node = gateway.nodes()["mcp:raw"]
    assert node["restarts"] == 0
    assert node["rss_bytes"] < 200_000_000
    gateway.stop()


def test_whoever_is_killed_in_a_call_nothing_is_left(make_gateway: GatewayFactory, tmp_path: Path) -> None:
    notes = tmp_path / "notes"
    raw = program("raw_server.py", env={"NOTES": str(notes)}, timeout_seconds=60, backoff_seconds=0.1)
    gateway = make_gateway(config=with_servers(raw=raw)).start()

    async def pids(client: Client) -> list[int]:
        """The server, and what it has left running in its group and out of it."""
        server = await call(client, "raw__pid")
        return [int(each) for each in (server, *(await call(client, "raw__breed")).split())]

    async def dead(*gone: int) -> None:
        await asyncio.to_thread(
            wait_until, lambda: not any(map(is_alive, gone)), deadline_s=30.0, what=f"{gone} are gone"
        )

    async def scene() -> None:
        await until_up(gateway, "mcp:raw")
        async with Client(gateway.ws_url) as client:
            for victim in ("server", "actor"):
                brood = await pids(client)
                notes.unlink(missing_ok=True)
                hanging = await client.send("/demo tool mcp__raw__hang {}")
                await until_noted(notes, "hangs")
                if victim == "server":
                    os.kill(brood[0], signal.SIGKILL)
                else:
                    await asyncio.to_thread(gateway.kill, "mcp:raw")
                # At once, though the call had a minute left.
                done = await client.expect("turn_done", messageId=hanging, deadline_s=30.0)
                assert "ended before it answered; what the call has done is not known" in done["text"]
                await dead(*brood)
                await until_up(gateway, "mcp:raw")
                assert await call(client, "raw__echo", '{"text":"again"}') == "again"
            # A stopped turn cancels the call, and so does the death of the session.
            notes.unlink()
            hanging = await client.send("/demo tool mcp__raw__hang {}")
            await until_noted(notes, "hangs")
            await client.stop_turn()
            await client.expect("turn_done", messageId=hanging, status="stopped", deadline_s=30.0)
            await until_noted(notes, "cancelled")
            notes.unlink()
            await client.send("/demo tool mcp__raw__hang {}")
            await until_noted(notes, "hangs")
            await asyncio.to_thread(gateway.kill, "websocket:local:main")
            await until_noted(notes, "cancelled")
            assert await call(client, "raw__echo", '{"text":"still there"}') == "still there"
            brood = await pids(client)
        gateway.stop()
        await dead(*brood)
        gateway.start()
        await until_up(gateway, "mcp:raw")
        async with Client(gateway.ws_url) as client:
            brood = await pids(client)
        assert gateway.process is not None
        gateway.process.kill()
        await dead(*brood)

    asyncio.run(scene())


def test_a_server_that_does_not_start_is_its_own_problem_alone(make_gateway: GatewayFactory) -> None:
    gateway = make_gateway(
        config=with_servers(
            absent={"command": "no-such-program-anywhere"},
            ends=program("raw_server.py", "exit", backoff_seconds=30),
            silent=program("raw_server.py", "silent", start_timeout_seconds=2, backoff_seconds=30),
            off={"command": "no-such-program-anywhere", "enabled": False},
            raw=program("raw_server.py", env={"NOTES": "notes"}),
        )
    ).start()

    async def scene() -> None:
        await until_up(gateway, "mcp:raw")
        async with Client(gateway.ws_url) as client:
            assert await call(client, "raw__echo", '{"text":"fine"}') == "fine"
            assert await call(client, "off__echo") == "Error: Unknown tool"

    asyncio.run(scene())
    problems = wait_until(lambda: _problems(gateway, 3), deadline_s=30.0, what="three problems")
    assert any("mcp:absent" in each and "there is no program no-such" in each for each in problems)
    assert any("mcp:ends" in each and "exit code 3" in each for each in problems)
    assert any("mcp:silent" in each for each in problems)
    assert gateway.cli("health", "--ready").returncode == 0, "the gateway itself is ready"
    assert "no such license" in gateway.log_text()
    gateway.stop()


def _problems(gateway: Gateway, least: int) -> list[str]:
    problems: list[str] = gateway.status()["problems"]
    told = [each for each in problems if "(" in each]
    return told if len(told) >= least else []
