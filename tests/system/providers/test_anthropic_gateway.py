"""A real gateway in front of Anthropic's API: a loop of tools, models that stand in for each other, and a choice."""

from __future__ import annotations

import asyncio
import json
import urllib.request
from collections.abc import Awaitable, Callable
from typing import Any

from tests.system.client import Client
from tests.system.conftest import GatewayFactory
from tests.system.gateway import Gateway, wait_until
from tests.system.providers.anthropic_server import AnthropicServer, Step
from tests.system.providers.anthropic_streams import delta, ending, error, start, text_block, tool_block

__all__: list[str] = []

KEY = "sk-ant-0123456789abcdef"
OVERLOADED: Step = {"status": 529, "error": ["overloaded_error", "Overloaded"]}

Scene = Callable[[Gateway, AnthropicServer, Client], Awaitable[None]]


def play(make_gateway: GatewayFactory, scene: Scene, **llm: Any) -> Gateway:
    """Run a scene with a gateway that has nothing but a key of Anthropic's, and the models that are given."""
    with AnthropicServer(key=KEY) as server:
        gateway = make_gateway(
            config={
                "llm": {
                    "provider": "anthropic",
                    "endpoint": server.url,
                    "model": "claude-a",
                    "retry_backoff_seconds": 0.01,
                    "retry_backoff_max_seconds": 0.02,
                    "timeout_seconds": 30,
                    **llm,
                },
                "logging": {"level": "info"},
            },
            environment={"ANTHROPIC_API_KEY": KEY, "OPENAI_API_KEY": "sk-of-somebody-else"},
            demo=False,
        ).start()

        async def run() -> None:
            async with asyncio.timeout(200), Client(gateway.ws_url) as client:
                await scene(gateway, server, client)

        asyncio.run(run())
        gateway.stop()
    assert KEY not in gateway.log_text() + gateway.out.text() + gateway.err.text()
    return gateway


def using(call_id: str, **arguments: str) -> Step:
    text = json.dumps(arguments)
    blocks = [*text_block(0, f"Step {call_id}."), *tool_block(1, call_id, "memory", text[:9], text[9:])]
    return {"events": [start(), *blocks, *ending("tool_use")]}


def saying(text: str) -> Step:
    return {"events": [start(), *text_block(0, text), *ending()]}


def blocks_of(request: dict[str, Any], kind: str) -> list[dict[str, Any]]:
    return [each for message in request["messages"] for each in message["content"] if each["type"] == kind]


def test_a_loop_of_tools_goes_on_with_the_model_that_stands_in(make_gateway: GatewayFactory) -> None:
    async def scene(gateway: Gateway, server: AnthropicServer, client: Client) -> None:
        server.follow(
            using("toolu_1", action="write", key="k", content="remember me"),
            OVERLOADED,
            OVERLOADED,
            using("toolu_2", action="read", key="k"),
            saying("All is well."),
        )
        done = await client.turn("Take a note.")
        assert done["status"] == "completed"
        assert done["text"] == "Step toolu_1.\n\nStep toolu_2.\n\nAll is well."
        assert done["usage"] == {"inputTokens": 33, "outputTokens": 18}
        requests = server.requests()
        assert [each["model"] for each in requests] == [*["claude-a"] * 3, *["claude-b"] * 2]
        assert {tool["name"] for tool in requests[0]["tools"]} >= {"memory"}
        results = [(each["tool_use_id"], each["content"]) for each in blocks_of(requests[-1], "tool_result")]
        assert results == [("toolu_1", "Saved note: k"), ("toolu_2", "remember me")]
        await asyncio.to_thread(
            wait_until,
            lambda: gateway.nodes()["model"]["doing"] == "idle, claude-b answers",
            deadline_s=30,
            what="status shows who answers",
        )
        assert (await client.turn("And now?"))["text"] == "echo: And now?"
        assert server.requests()[-1]["model"] == "claude-a", "the next turn begins with the first model"

        server.follow(
            {"events": [start(), delta(0, "text_delta", text="half an "), error("overloaded_error", "x")]}
        )
        done = await client.turn("Again?")
        assert (done["status"], done["text"]) == ("completed", "echo: Again?")
        assert client.streamed(done["turnId"]) == "echo: Again?"
        attempts = [
            each["attempt"]
            for each in client.events
            if each["type"] == "turn_started" and each["turnId"] == done["turnId"]
        ]
        assert attempts == [1, 2]
        assert [each["model"] for each in server.requests()[-2:]] == ["claude-a", "claude-b"]

        def ledger() -> list[str]:
            lines = gateway.cli("usage", "--json").stdout
            return [each["model"] for each in json.loads(lines)["turns"]]

        paid = await asyncio.to_thread(
            wait_until, lambda: len(ledger()) == 3 and ledger(), deadline_s=30, what="three lines of usage"
        )
        assert paid == ["claude-b", "claude-a", "claude-b"], "the ledger names who answered"

    play(make_gateway, scene, fallbacks=[{"model": "claude-b"}])


def test_a_conversation_chooses_its_model(make_gateway: GatewayFactory) -> None:
    def http(gateway: Gateway, path: str, body: Any = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        headers = {"Content-Type": "application/json"}
        with urllib.request.urlopen(
            urllib.request.Request(f"{gateway.http_url}{path}", data, headers), timeout=30
        ) as response:
            return json.load(response)

    async def scene(gateway: Gateway, server: AnthropicServer, client: Client) -> None:
        await client.turn("/model fast")
        assert (await client.turn("hello"))["text"] == "echo: hello"
        assert (await client.turn("hello", session="other"))["text"] == "echo: hello"
        refused = await client.turn("/model nobody", session="other")
        assert refused["text"] == "model: 'nobody' is none of claude-a, fast, default. Nothing was changed."
        assert (await client.turn("hello?", session="other"))["text"] == "echo: hello?"
        assert [each["model"] for each in server.requests()] == ["claude-c", "claude-a", "claude-a"]

        listed = await asyncio.to_thread(http, gateway, "/v1/models")
        assert [each["id"] for each in listed["data"]] == ["claude-a", "openclaw", "fast"]
        for model, asked in (("fast", "claude-c"), ("openclaw", "claude-a")):
            body = {"model": model, "messages": [{"role": "user", "content": "hi"}]}
            answer = await asyncio.to_thread(http, gateway, "/v1/chat/completions", body)
            assert (answer["model"], answer["choices"][0]["message"]["content"]) == (model, "echo: hi")
            assert server.requests()[-1]["model"] == asked

        found = await asyncio.to_thread(gateway.cli, "doctor", "--json")
        assert f"anthropic at {server.url.removeprefix('http://')} answers in" in found.stdout

    play(make_gateway, scene, models={"fast": {"model": "claude-c"}})
