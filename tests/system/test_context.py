"""What stands in the workspace reaches the model of a running gateway, as it stands now: files and skills."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from tests.system.client import Client
from tests.system.conftest import GatewayFactory

SKILL = "---\nname: greeter\ndescription: Greets people.\n---\nSay hello from {baseDir}.\n"


def test_files_and_skills_are_taken_in_while_the_gateway_runs(
    make_gateway: GatewayFactory, tmp_path: Path
) -> None:
    workspace = tmp_path / "workspace"
    skills: dict[str, Any] = {"load": {"watch_debounce_ms": 1}}
    gateway = make_gateway(config={"workspace": str(workspace), "skills": skills}).start()

    async def words(client: Client) -> int:
        """How many words the model was given; the demo provider counts one token a word."""
        (await client.turn("/new"))
        return int((await client.turn("count"))["usage"]["inputTokens"])

    async def scene() -> None:
        async with Client(gateway.ws_url) as client:
            before = await words(client)
            workspace.mkdir()
            (workspace / "AGENTS.md").write_text("word " * 1_000)
            assert 1_000 <= await words(client) - before < 1_050
            (workspace / "AGENTS.md").write_text("word " * 2_000)
            assert 2_000 <= await words(client) - before < 2_050
            (workspace / "AGENTS.md").unlink()
            assert await words(client) == before

            assert "- skill-writer (bundled): " in (await client.turn("/skills"))["text"]
            asked = '/demo tool skill {"name": "greeter"}'
            assert "cannot be used. There are: skill-writer" in (await client.turn(asked))["text"]
            directory = workspace / "skills" / "greeter"
            directory.mkdir(parents=True)
            (directory / "SKILL.md").write_text(SKILL)
            assert (await client.turn(asked))["text"] == f"skill: Say hello from {directory}."
            assert "- greeter (workspace): Greets people." in (await client.turn("/skills"))["text"]
            assert await words(client) > before

    asyncio.run(scene())
    gateway.stop()
