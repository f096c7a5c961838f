"""docs/extending.md: its tool and its provider, run as they stand there, by what runs those of the gateway."""

from __future__ import annotations

import asyncio
import re
import sys
import types
from pathlib import Path
from typing import Any, cast

import pytest
from aiohttp import web

from openclaw_actors.config.sections import LlmConfig
from openclaw_actors.messages import Complete, ToolCall
from openclaw_actors.messages.model import ChatMessage
from openclaw_actors.providers import CallError, create_caller, factory
from openclaw_actors.tools import registry
from openclaw_actors.tools.base import ToolHost
from openclaw_actors.tools.registry import toolbox_of
from openclaw_actors.tools.runner import ToolRunner
from tests.unit.tools.place import Host

DOCUMENT = Path(__file__).parents[2] / "docs" / "extending.md"
QUESTION = Complete(
    call_id="c", session="s", correlation_id="k", messages=(ChatMessage(role="user", text="hello"),)
)


def example(class_name: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The class of this name, from the block that defines it."""
    (code,) = (
        block
        for block in re.findall(r"```python\n(.*?)```", DOCUMENT.read_text(), re.DOTALL)
        if f"class {class_name}" in block
    )
    module = types.ModuleType(f"example_{class_name}")
    monkeypatch.setitem(sys.modules, module.__name__, module)  # where its annotations are looked up
    exec(compile(code, f"{DOCUMENT}:{class_name}", "exec"), module.__dict__)
    return getattr(module, class_name)


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        ("{}", "ok", r"[\d.]+ GB are free\."),
        ('{"unit": "MB"}', "ok", r"[\d.]+ MB are free\."),
        ('{"unit": "pages"}', "error", r".*unit.*allowed are GB, MB.*"),
    ],
)
def test_the_tool(
    arguments: str, status: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tool = example("DiskRoomTool", monkeypatch)
    monkeypatch.setattr(registry, "_ALWAYS", (*registry._ALWAYS, tool))
    toolbox = toolbox_of(cast(ToolHost, Host({"workspace": str(tmp_path)})))
    assert "disk_room" in {spec.name for spec in toolbox.specs}

    async def call() -> tuple[str, str]:
        ended: asyncio.Queue[tuple[str, str]] = asyncio.Queue()
        runner = ToolRunner(
            toolbox,
            spawn=asyncio.ensure_future,
            done=lambda turn, call, status, text: ended.put_nowait((status, text)),
            parallel=True,
        )
        runner.start("t", ToolCall(call_id="1", name="disk_room", arguments=arguments))
        async with asyncio.timeout(30):
            return await ended.get()

    got, text = asyncio.run(call())
    assert got == status
    assert re.fullmatch(said, text), text


def test_the_tool_says_why_it_cannot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tool = example("DiskRoomTool", monkeypatch)(Host({"workspace": str(tmp_path / "gone")}))
    with pytest.raises(Exception, match="cannot be looked at: No such file"):
        asyncio.run(tool.run(tool.arguments()))


async def ask_plain_text(
    monkeypatch: pytest.MonkeyPatch, answers: list[bytes | int], **settings: Any
) -> tuple[str, list[str], list[Any]]:
    """What the example answers, in which pieces, and what its server was asked."""
    provider = example("PlainTextProvider", monkeypatch)
    asked: list[Any] = []
    pieces: list[str] = []

    async def handle(request: web.Request) -> web.Response:
        asked.append(await request.json())
        answer = answers.pop(0)
        return web.Response(status=answer) if isinstance(answer, int) else web.Response(body=answer)

    app = web.Application()
    app.router.add_post("/", handle)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    monkeypatch.setattr(
        factory,
        "_create_provider",
        lambda llm, key: provider(llm.endpoint, max_response_bytes=llm.max_response_bytes),
    )
    llm = LlmConfig(endpoint=f"http://127.0.0.1:{port}/", retry_backoff_seconds=0.001, **settings)
    caller = create_caller(llm, None)
    try:
        answer = await caller.complete(QUESTION, pieces.append)
    finally:
        await caller.close()
        await runner.cleanup()
    return answer.text, pieces, asked


def test_the_provider(monkeypatch: pytest.MonkeyPatch) -> None:
    text, pieces, asked = asyncio.run(ask_plain_text(monkeypatch, [503, "Grüß Gott".encode()]))
    assert text == "".join(pieces) == "Grüß Gott"
    assert asked == [{"prompt": "user: hello"}] * 2  # the failed attempt was repeated


def test_the_provider_holds_its_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(CallError, match="more than 1024 bytes"):
        asyncio.run(ask_plain_text(monkeypatch, [b"x" * 4000], max_response_bytes=1024))
