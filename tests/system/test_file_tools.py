"""The tools that read and write run in a conversation of the real gateway."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from pathlib import Path
from typing import Any

from aiohttp import web

from tests.system.client import Client
from tests.system.conftest import GatewayFactory
from tests.system.test_secrets import holders, made_up
from tests.unit.tools.test_pdf_read import pdf
from tests.unit.tools.web import Web


async def tool(client: Client, name: str, **arguments: object) -> str:
    said: dict[str, Any] = await client.turn(f"/demo tool {name} {json.dumps(arguments)}")
    return str(said["text"]).removeprefix(f"{name}: ")


def test_every_tool_answers_in_a_conversation(make_gateway: GatewayFactory, tmp_path: Path) -> None:
    async def scene() -> None:
        async with Web() as server, Client(gateway.ws_url) as client:
            server.page("/", "<p>Hello", content_type="text/html")
            said = await tool(client, "write_file", path="a/b.txt", content="one\ntwo\n")
            assert said == "Written 8 characters to a/b.txt"
            said = await tool(client, "edit_file", path="a/b.txt", old_text="two", new_text="2")
            assert said == "Replaced 1 occurrence in a/b.txt"
            assert await tool(client, "read_file", path="a/b.txt") == "one\n2"
            assert await tool(client, "list_files", recursive=True) == "a/\na/b.txt (6 bytes)"
            (gateway.state_dir / "workspace" / "f.pdf").write_bytes(pdf(["In a PDF file"]))
            assert await tool(client, "pdf_read", path="f.pdf") == "--- page 1 ---\nIn a PDF file"
            assert "Read access denied" in await tool(client, "read_file", path="../memory")
            assert "Read access denied" in await tool(client, "read_file", path="/proc/self/environ")
            said = await tool(client, "web_fetch", url=f"http://127.0.0.1:{server.port}/")
            assert said.endswith("Hello")
            assert "not on the public Internet" in await tool(
                client, "web_fetch", url="http://169.254.169.254/"
            )
            assert (
                await tool(client, "database", action="query", sql="SELECT a FROM t") == '["a"]\n[7]\n(1 row)'
            )
            assert "refuses this statement" in await tool(
                client, "database", action="query", sql="DELETE FROM t"
            )

    data = tmp_path / "data.db"
    with sqlite3.connect(data) as connection:
        connection.execute("CREATE TABLE t (a)")
        connection.execute("INSERT INTO t VALUES (7)")
    connection.close()
    native = {
        "web_fetch": {"enabled": True, "allowed_private_hosts": ["127.0.0.1"]},
        "pdf_read": {"enabled": True},
        "database": {"enabled": True, "connection_string": f"raw:{data}"},
    }
    gateway = make_gateway(config={"plugins": {"native": native}}).start()
    asyncio.run(scene())
    assert (gateway.state_dir / "workspace").stat().st_mode & 0o777 == 0o700
    assert str(data) not in gateway.log_text()
    gateway.stop()


def test_a_search_is_made_by_the_only_process_that_holds_the_key(make_gateway: GatewayFactory) -> None:
    key = made_up()
    headers: list[str] = []

    async def scene() -> None:
        async with Web() as server:

            async def answer(request: web.Request) -> web.Response:
                headers.append(request.headers["Authorization"])
                return web.json_response({"results": [{"title": "T", "url": "https://t/", "content": "c"}]})

            server.pages["/search"] = answer
            search = {
                "enabled": True,
                "api_key": "env:SEARCH_KEY",
                "endpoint": f"http://127.0.0.1:{server.port}",
            }
            gateway.configure({"plugins": {"native": {"web_search": search}}})
            await asyncio.to_thread(gateway.start)
            async with Client(gateway.ws_url) as client:
                assert await tool(client, "web_search", query="q") == "[1] T\n    https://t/\n    c"
                await asyncio.to_thread(gateway.kill, "search")
                assert await tool(client, "web_search", query="q") == "[1] T\n    https://t/\n    c"
                # The test's own server has it, too, so the test is not looked at.
                assert await asyncio.to_thread(holders, gateway, key) == {key: {"search"}}
            assert headers == [f"Bearer {key}"] * 2
            await asyncio.to_thread(gateway.stop)

    gateway = make_gateway(environment={"SEARCH_KEY": key})
    asyncio.run(scene())
    assert key not in gateway.log_text()
