"""Owns a fake of Anthropic's API that is a process of its own: it follows a script, and is as strict as the real one.

`AnthropicServer` starts it, gives it its script and reads what it was asked. Each request takes the next step of the
script; without one it says `echo: ` and what the user said last.
"""

from __future__ import annotations

__all__ = ["AnthropicServer", "Step"]

import asyncio
import json
import subprocess
import sys
import urllib.request
from pathlib import Path
from types import TracebackType
from typing import Any, TypeAlias

from tests.system.providers.anthropic_streams import body_of, ending, start, text_block
from tests.system.providers.fake import Exchange, FakeProvider

Step: TypeAlias = dict[str, Any]
"""`{"status", "error": [type, message], "headers"}` or `{"events", "then": "end" | "reset" | "hang"}`."""

_NEWEST = "2026-10-21"
_VERSIONS = ("2023-06-01", _NEWEST)


class AnthropicServer:
    """The process, while it is entered.

    Args:
        key: the only one that it takes.
    """

    def __init__(self, *steps: Step, key: str) -> None:
        self._steps = steps
        self._key = key

    def __enter__(self) -> AnthropicServer:
        self._process = subprocess.Popen(
            [sys.executable, "-m", __spec__.name if __spec__ else __name__, self._key],
            cwd=Path(__file__).parents[3],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        assert self._process.stdout is not None
        self.url = f"http://127.0.0.1:{int(self._process.stdout.readline())}"
        self.follow(*self._steps)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.communicate()

    def follow(self, *steps: Step, always: Step | None = None) -> None:
        """Replace the script.

        Args:
            steps: for the next requests.
            always: for all after them.
        """
        self._ask("script", {"steps": steps, "always": always})

    def requests(self) -> list[dict[str, Any]]:
        """The bodies of the requests so far, also of those that were refused."""
        found: list[dict[str, Any]] = self._ask("requests")
        return found

    def _ask(self, what: str, body: Any = None) -> Any:
        data = json.dumps(body).encode()
        with urllib.request.urlopen(f"{self.url}/_/{what}", data=data, timeout=30) as response:
            return json.load(response)


class _Server:
    """What runs in the process."""

    def __init__(self, key: str) -> None:
        self._key = key
        self._requests: list[dict[str, Any]] = []
        self._steps: list[Step] = []
        self._always: Step | None = None

    async def answer(self, exchange: Exchange) -> None:
        """Answer whatever was asked."""
        match exchange.path.split("/")[1:]:
            case ["_", "script"]:
                self._steps, self._always = exchange.json["steps"], exchange.json["always"]
                await exchange.refuse(200, {})
            case ["_", "requests"]:
                await exchange.refuse(200, json.dumps(self._requests))
            case _ if self._key not in _keys_of(exchange):
                await self._refuse(exchange, 401, "authentication_error", "invalid x-api-key")
            case _ if exchange.headers.get("anthropic-version") not in _VERSIONS:
                await self._refuse(exchange, 400, "invalid_request_error", "anthropic-version: not valid")
            case ["v1", "models", name] if name.startswith("claude-"):
                await exchange.refuse(200, {"type": "model", "id": f"{name}-20250929"})
            case ["v1", "models", name]:
                await self._refuse(exchange, 404, "not_found_error", f"model: {name}")
            case ["v1", "messages"]:
                self._requests.append(body := _in_blocks(exchange.json))
                if problem := _problem_of(body, exchange.headers["anthropic-version"]):
                    await self._refuse(exchange, 400, "invalid_request_error", problem)
                else:
                    await self._follow(exchange, body)
            case _:
                await self._refuse(exchange, 404, "not_found_error", "Not found")

    async def _follow(self, exchange: Exchange, body: dict[str, Any]) -> None:
        step = self._steps.pop(0) if self._steps else self._always or _echo(body)
        if "status" in step:
            kind, message = step["error"]
            await self._refuse(exchange, step["status"], kind, message, **step.get("headers", {}))
            return
        await exchange.head()
        await exchange.send(body_of((name, data) for name, data in step["events"]))
        match step.get("then", "end"):
            case "end":
                await exchange.end()
            case "reset":
                # What was sent must have been read before the reset throws away what was not.
                await asyncio.sleep(0.2)
                exchange.reset()
            case "hang":
                await exchange.hung_up()

    async def _refuse(self, exchange: Exchange, status: int, kind: str, message: str, **headers: str) -> None:
        body = {"type": "error", "error": {"type": kind, "message": message}, "request_id": "req_1"}
        await exchange.refuse(status, body, **headers)


def _keys_of(exchange: Exchange) -> tuple[str, ...]:
    # The documented header, and the one that newer versions of the official client send.
    bearer = exchange.headers.get("authorization", "").removeprefix("Bearer ")
    return exchange.headers.get("x-api-key", ""), bearer


def _in_blocks(body: dict[str, Any]) -> dict[str, Any]:
    """A text alone is short for one block of text."""
    for message in body.get("messages") or ():
        if isinstance(message["content"], str):
            message["content"] = [{"type": "text", "text": message["content"]}]
    return body


def _echo(body: dict[str, Any]) -> Step:
    said = [block["text"] for block in body["messages"][-1]["content"] if block["type"] == "text"]
    return {"events": [start(), *text_block(0, "echo: ", *said[-1:]), *ending()]}


def _problem_of(body: dict[str, Any], version: str) -> str:
    """What the real API would refuse; empty: nothing."""
    messages = body.get("messages") or []
    if not isinstance(body.get("max_tokens"), int):
        return "max_tokens: Field required"
    if not messages or messages[0]["role"] != "user":
        return "messages: first message must use the user role"
    if version == _NEWEST and (given := {"temperature", "top_p", "top_k"} & set(body)):
        return f"{min(given)}: Extra inputs are not permitted"
    if messages[-1]["role"] == "assistant":
        return "This model does not support assistant message prefill."
    if not 0 <= body.get("temperature", 1) <= 1:
        return "temperature: range: 0..1"
    waiting: set[str] = set()
    for number, message in enumerate(messages):
        if message["role"] != ("user", "assistant")[number % 2]:
            return "messages: roles must alternate"
        results = [block["tool_use_id"] for block in message["content"] if block["type"] == "tool_result"]
        if set(results) != waiting:
            return f"messages.{number}: `tool_use` ids were found without `tool_result` blocks"
        if any(block["type"] == "text" and not block["text"].strip() for block in message["content"]):
            return f"messages.{number}: text content blocks must contain non-whitespace text"
        waiting = {block["id"] for block in message["content"] if block["type"] == "tool_use"}
    if "tools" not in body and any(b["type"] == "tool_use" for m in messages for b in m["content"]):
        return "tools: required"
    return ""


async def _serve(key: str) -> None:
    provider = FakeProvider()
    provider.default = _Server(key).answer
    async with provider:
        print(provider.port, flush=True)  # noqa: T201 - how the test learns of it
        await asyncio.to_thread(sys.stdin.buffer.read)  # until the test is gone


if __name__ == "__main__":
    asyncio.run(_serve(sys.argv[1]))
