"""A real gateway in front of a fake provider: what people see of a provider's good and bad days."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from tests.system.client import Client, assert_one_answer_each
from tests.system.conftest import GatewayFactory
from tests.system.gateway import Gateway, wait_until
from tests.system.providers.calling import KEY, hang, refusing, reset, saying
from tests.system.providers.fake import Exchange, FakeProvider, Script

__all__: list[str] = []

QUICK = {"retry_backoff_seconds": 0.01, "retry_backoff_max_seconds": 0.02, "timeout_seconds": 30}
OUT_OF_REACH = "Sorry, I'm having trouble reaching my AI provider right now. Please try again shortly."

Scene = Callable[[Gateway, FakeProvider, Client], Awaitable[None]]


def play(make_gateway: GatewayFactory, scene: Scene, *scripts: Script, **llm: Any) -> Gateway:
    """Run a scene with a gateway whose provider follows the scripts; it must end in order."""
    provider = FakeProvider(*scripts)
    gateway = make_gateway(
        config={
            "llm": {"provider": "openai-compatible", "endpoint": provider.url, **QUICK, **llm},
            "logging": {"level": "info"},
        },
        environment={"OPENAI_API_KEY": KEY},
        demo=False,
    ).start()

    async def run() -> None:
        async with asyncio.timeout(200), provider, Client(gateway.ws_url) as client:
            await scene(gateway, provider, client)

    asyncio.run(run())
    gateway.stop()
    assert KEY not in gateway.log_text() + gateway.out.text() + gateway.err.text()
    return gateway


def places_of_key(gateway: Gateway) -> list[str]:
    """Files of the gateway, and of its processes in /proc, in which the key stands."""
    processes = gateway.processes()
    assert len(processes) >= 8
    shown = [Path(f"/proc/{each.pid}/{name}") for each in processes for name in ("environ", "cmdline")]
    kept = [file for file in gateway.state_dir.rglob("*") if file.is_file()]
    assert kept
    return [str(file) for file in [*shown, *kept] if KEY.encode() in file.read_bytes()]


def test_a_real_answer_streams_and_its_usage_is_counted(make_gateway: GatewayFactory) -> None:
    async def scene(gateway: Gateway, provider: FakeProvider, client: Client) -> None:
        last_word = asyncio.Event()

        async def wait_for_the_client(exchange: Exchange) -> None:
            await last_word.wait()
            await exchange.say(" Welt 🙂")
            await exchange.finish(usage={"prompt_tokens": 7, "completion_tokens": 9})

        provider.scripts.append(saying("Grüße,", then=wait_for_the_client))
        sent = await client.send("hello")
        first = await client.expect("assistant_chunk")
        assert first["text"] == "Grüße,"
        last_word.set()
        done = await client.expect("turn_done", messageId=sent)

        assert (done["status"], done["text"]) == ("completed", "Grüße, Welt 🙂")
        assert done["usage"] == {"inputTokens": 7, "outputTokens": 9}
        assert client.streamed(done["turnId"]) == done["text"]

        await client.turn("and then?")
        asked = (await provider.arrived(2)).json["messages"]
        assert [(each["role"], each["content"]) for each in asked[1:]] == [
            ("user", "hello"),
            ("assistant", "Grüße, Welt 🙂"),
            ("user", "and then?"),
        ]

    play(make_gateway, scene)


def test_half_an_answer_is_given_anew_by_the_turn(make_gateway: GatewayFactory) -> None:
    async def scene(gateway: Gateway, provider: FakeProvider, client: Client) -> None:
        sent = await client.send("hello")
        done = await client.expect("turn_done", messageId=sent)

        assert (done["status"], done["text"]) == ("completed", "echo: hello")
        assert client.streamed(done["turnId"]) == "echo: hello"
        started = [event["attempt"] for event in client.events if event["type"] == "turn_started"]
        assert started == [1, 2]
        assert len(provider.requests) == 2

    play(make_gateway, scene, saying("half an ", then=reset))


def test_answers_that_break_again_and_again_end_the_turn(make_gateway: GatewayFactory) -> None:
    async def scene(gateway: Gateway, provider: FakeProvider, client: Client) -> None:
        provider.default = saying("half", then=reset)
        done = await client.turn("hello")

        assert (done["status"], done["text"]) == ("failed", OUT_OF_REACH)
        assert len(provider.requests) == 3
        provider.default = saying("whole", then=lambda exchange: exchange.finish())
        assert (await client.turn("again"))["text"] == "whole"

    play(make_gateway, scene)


@pytest.mark.parametrize(
    ("script", "llm", "explains", "attempts"),
    [
        (hang, {"timeout_seconds": 0.5}, OUT_OF_REACH, 1),
        (refusing(503), {"retry_count": 2}, OUT_OF_REACH, 3),
        (refusing(401, {"error": {"message": f"bad key {KEY} BODY"}}), {}, "llm.api_key", 1),
        (refusing(404), {"model": "gpt-nope"}, "'gpt-nope'", 1),
        (refusing(200, "<html>BODY</html>"), {}, OUT_OF_REACH, 1),
    ],
    ids=["silent", "503", "401", "404", "garbage"],
)
def test_a_bad_provider_is_one_clear_error(
    make_gateway: GatewayFactory, script: Script, llm: dict[str, Any], explains: str, attempts: int
) -> None:
    async def scene(gateway: Gateway, provider: FakeProvider, client: Client) -> None:
        pid = gateway.pid_of("model")
        provider.default = script
        done = await client.turn("hello")

        assert done["status"] == "failed"
        assert explains in done["text"]
        assert KEY not in done["text"]
        assert "BODY" not in done["text"]
        assert len(provider.requests) == attempts
        assert gateway.pid_of("model") == pid, "a bad provider is no reason to crash"

    play(make_gateway, scene, **llm)


def test_the_breaker_is_shared_and_one_session_probes_for_all(make_gateway: GatewayFactory) -> None:
    async def scene(gateway: Gateway, provider: FakeProvider, client: Client) -> None:
        provider.default = refusing(503)
        for number in range(3):
            await client.turn("hello", session=f"s{number}")
        done = await client.turn("hello", session="another")
        assert (done["status"], done["text"]) == (
            "failed",
            "I'm temporarily unavailable. Please try again shortly.",
        )
        assert len(provider.requests) == 3

        release = asyncio.Event()

        async def recover(exchange: Exchange) -> None:
            await release.wait()
            await exchange.answer("back")

        provider.default = recover
        await asyncio.sleep(1.1)  # the cool-down
        ids = [await client.send("hello?", session=f"t{number}") for number in range(10)]
        await provider.arrived(4)
        ends = [await client.expect("turn_done", deadline_s=30) for _ in range(9)]
        assert {end["text"] for end in ends} == {"I'm temporarily unavailable. Please try again shortly."}
        release.set()
        last = await client.expect("turn_done")
        assert last["text"] == "back"
        assert len(provider.requests) == 4
        assert {end["messageId"] for end in [*ends, last]} == set(ids)
        assert (await client.turn("and now?", session="another"))["text"] == "back"

    play(
        make_gateway,
        scene,
        retry_count=0,
        circuit_breaker_threshold=3,
        circuit_breaker_cooldown_seconds=1,
    )


def test_an_open_circuit_is_shown_but_is_no_reason_to_be_taken_out_of_service(
    make_gateway: GatewayFactory,
) -> None:
    async def scene(gateway: Gateway, provider: FakeProvider, client: Client) -> None:
        provider.default = refusing(503)
        await client.turn("hello")
        await asyncio.to_thread(
            wait_until,
            lambda: gateway.nodes()["model"]["doing"] == "idle, circuit open",
            deadline_s=30,
            what="status shows the open circuit",
        )
        assert gateway.cli("health", "--ready").returncode == 0

    play(make_gateway, scene, retry_count=0, circuit_breaker_threshold=1)


@pytest.mark.parametrize("texts", [(), ("half",)], ids=["thinking", "speaking"])
def test_stop_closes_the_connection_to_the_provider(make_gateway: GatewayFactory, texts: tuple[str]) -> None:
    async def scene(gateway: Gateway, provider: FakeProvider, client: Client) -> None:
        hung_up = asyncio.Event()

        async def wait(exchange: Exchange) -> None:
            await exchange.hung_up()
            hung_up.set()

        provider.scripts.append(saying(*texts, then=wait) if texts else wait)
        sent = await client.send("hello")
        await provider.arrived(1)
        if texts:
            await client.expect("assistant_chunk")
        await client.stop_turn()
        done = await client.expect("turn_done", messageId=sent)
        assert (done["status"], done["text"]) == ("stopped", "".join(texts))
        await asyncio.wait_for(hung_up.wait(), 30)
        assert (await client.turn("and now?"))["text"] == "echo: and now?"

    play(make_gateway, scene)


def test_the_call_of_a_session_that_was_killed_ends_with_it(make_gateway: GatewayFactory) -> None:
    async def scene(gateway: Gateway, provider: FakeProvider, client: Client) -> None:
        hung_up = asyncio.Event()

        async def wait(exchange: Exchange) -> None:
            await exchange.hung_up()
            hung_up.set()

        provider.scripts.append(wait)
        sent = await client.send("hello")
        await provider.arrived(1)
        gateway.kill("websocket:local:main")
        await asyncio.wait_for(hung_up.wait(), 30)
        await client.expect("turn_done", messageId=sent)
        assert_one_answer_each(client.durable(), [sent])
        assert len(provider.requests) == 2

    play(make_gateway, scene)


def test_the_model_actor_may_die_in_mid_stream(make_gateway: GatewayFactory) -> None:
    async def scene(gateway: Gateway, provider: FakeProvider, client: Client) -> None:
        provider.scripts.append(saying("half", then=hang))
        sent = await client.send("hello")
        await client.expect("assistant_chunk")
        gateway.kill("model")
        done = await client.expect("turn_done", messageId=sent, deadline_s=30)
        assert done["text"] == "echo: hello"
        assert client.streamed(done["turnId"]) == "echo: hello"

    play(make_gateway, scene)


def test_the_key_is_nowhere_but_where_it_is_needed(make_gateway: GatewayFactory) -> None:
    async def scene(gateway: Gateway, provider: FakeProvider, client: Client) -> None:
        await client.turn("hello")
        assert (await provider.arrived(1)).headers["authorization"] == f"Bearer {KEY}"
        assert places_of_key(gateway) == []

    play(make_gateway, scene)


def test_one_correlation_id_from_the_frame_to_the_provider(make_gateway: GatewayFactory) -> None:
    async def scene(gateway: Gateway, provider: FakeProvider, client: Client) -> None:
        await client.turn("hello")

    gateway = play(make_gateway, scene, refusing(503))

    lines = [line for line in gateway.log_text().splitlines() if "corr=" in line]
    ids = {re.findall(r"corr=(\w+)", line)[0] for line in lines}
    assert len(ids) == 1
    text = "\n".join(lines)
    assert "asks the model" in text
    assert "trying again in" in text
    assert "answered after" in text
    assert {re.findall(r" (\w+)\[\d+\]", line)[0] for line in lines} >= {"session", "model"}
