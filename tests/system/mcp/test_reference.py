"""The official reference servers, where they are installed; nothing is fetched.

`npm install @modelcontextprotocol/server-everything @modelcontextprotocol/server-filesystem` in some directory, and
`MCP_REFERENCE_SERVERS=DIRECTORY/node_modules/.bin`, or their programs in PATH.
"""

from __future__ import annotations

import asyncio
import os
import shutil
from pathlib import Path

import pytest

from tests.system.client import Client
from tests.system.conftest import GatewayFactory
from tests.system.gateway import wait_until

PATH = os.pathsep.join(filter(None, (os.environ.get("MCP_REFERENCE_SERVERS"), os.environ.get("PATH"))))
EVERYTHING = shutil.which("mcp-server-everything", path=PATH)
FILESYSTEM = shutil.which("mcp-server-filesystem", path=PATH)


@pytest.mark.skipif(
    not (EVERYTHING and FILESYSTEM and shutil.which("node")), reason="the reference servers are not installed"
)
def test_the_reference_servers(make_gateway: GatewayFactory, tmp_path: Path) -> None:
    (tmp_path / "hello.txt").write_text("from a file")
    servers = {
        "everything": {"command": EVERYTHING},
        "files": {"command": FILESYSTEM, "args": [str(tmp_path)], "trust_read_only_hints": True},
    }
    gateway = make_gateway(config={"mcp": {"servers": servers}}).start()

    def up() -> bool:
        nodes = gateway.nodes()
        return all(nodes[f"mcp:{name}"]["state"] == "running" for name in servers)

    async def call(client: Client, tool: str, arguments: str) -> str:
        said = await client.turn(f"/demo tool mcp__{tool} {arguments}", deadline_s=30.0)
        return str(said["text"]).removeprefix(f"mcp__{tool}: ")

    async def scene() -> None:
        await asyncio.to_thread(wait_until, up, deadline_s=45.0, what="both servers run")
        async with Client(gateway.ws_url) as client:
            assert await call(client, "everything__echo", '{"message":"hello"}') == "Echo: hello"
            assert "not shown]" in await call(client, "everything__get-tiny-image", "{}")
            assert "rror" in await call(client, "everything__echo", '{"message":5}')
            assert (
                await call(client, "files__read_text_file", f'{{"path":"{tmp_path}/hello.txt"}}')
                == "from a file"
            )
            assert "denied" in await call(client, "files__read_text_file", '{"path":"/etc/passwd"}')
            path = f"{tmp_path}/new.txt"
            await call(client, "files__write_file", f'{{"path":"{path}","content":"written"}}')
            assert (tmp_path / "new.txt").read_text() == "written"

    asyncio.run(scene())
    gateway.stop()
