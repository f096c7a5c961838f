"""Metrics of a real gateway: complete from the first scrape on, right, and never backwards, whoever is killed."""

from __future__ import annotations

import asyncio
import json
import math
import os
import signal
import urllib.error
import urllib.request
from collections.abc import Callable
from typing import Any

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse

from openclaw_actors.core.metrics import METRICS, PREFIX
from openclaw_actors.core.series import series
from tests.system.client import Client
from tests.system.conftest import GatewayFactory
from tests.system.gateway import Gateway, wait_until

OPENMETRICS = "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5,*/*;q=0.1"


def get(url: str, **headers: str) -> tuple[str, str]:
    with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=30) as answer:
        return answer.headers["Content-Type"], answer.read().decode()


class Scrape:
    """One look at all numbers; it remembers the counters of the one before and fails if any went back."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._counters: dict[str, float] = {}
        self.values: dict[str, float] = {}

    def __call__(self) -> Scrape:
        families = list(parse(get(f"{self._gateway.http_url}/metrics")[1]))
        samples = [(family, sample) for family in families for sample in family.samples]
        self.values = {series(sample.name, **sample.labels): sample.value for _, sample in samples}
        counters = {
            series(sample.name, **sample.labels): sample.value
            for family, sample in samples
            if family.type in ("counter", "histogram")
        }
        for key, value in self._counters.items():
            assert counters[key] >= value, f"{key} went back from {value} to {counters[key]}"
        self._counters = counters
        return self

    def __getitem__(self, key: str) -> float:
        return self.values[PREFIX + key]

    def until(self, condition: Callable[[Scrape], bool]) -> None:
        """Look again and again, also while `http` is being restarted."""

        def holds() -> bool:
            try:
                return condition(self())
            except OSError:
                return False

        wait_until(holds, deadline_s=30.0)


def say(gateway: Gateway, *texts: str) -> None:
    async def talk() -> None:
        async with Client(gateway.ws_url) as client:
            await client.resume()
            for text in texts:
                await client.turn(text, deadline_s=30.0)

    asyncio.run(talk())


def test_every_metric_is_there_from_the_first_scrape_on(gateway: Gateway) -> None:
    content_type, text = get(f"{gateway.http_url}/metrics")
    assert content_type.startswith("text/plain; version=0.0.4")
    families = {family.name: family for family in parse(text)}
    for metric in METRICS:
        family = families[PREFIX + metric.name.removesuffix("_total")]
        assert (family.type, family.documentation) == (metric.kind, metric.help)
        for label, values in metric.labels.items():
            assert {sample.labels[label] for sample in family.samples} >= set(values), metric.name
        assert all(math.isfinite(sample.value) for sample in family.samples), metric.name
    content_type, text = get(f"{gateway.http_url}/metrics", Accept=OPENMETRICS)
    assert content_type.startswith("application/openmetrics-text; version=1.0.0")
    assert {family.name for family in parse_openmetrics(text)} == set(families)
    websocket_port = gateway.ws_url.replace("ws://", "http://").replace("/ws", "/metrics")
    assert {family.name for family in parse(get(websocket_port)[1])} == set(families)


def test_counts_are_right_and_never_go_back_whoever_is_killed(gateway: Gateway) -> None:
    look = Scrape(gateway)
    look()
    say(gateway, "one", "two", "/demo tool nothing {}")
    look()
    assert look['turns_total{status="completed"}'] == 3
    assert look['messages_accepted_total{channel="websocket"}'] == 3
    assert look["turn_seconds_count"] == look["turn_overhead_seconds_count"] == 3
    assert 0 < look["turn_overhead_seconds_sum"] <= look["turn_seconds_sum"]
    assert look['tool_calls_total{status="error",tool="unknown"}'] == 1
    assert look['llm_calls_total{result="ok"}'] == 4
    assert look["persistence_write_seconds_count"] > 0
    assert look['session_starts_total{reason="message"}'] == look["sessions_live"] == 1
    assert look["sessions_stored"] == 1
    assert look['process_resident_bytes{actor="sessions"}'] > 0
    kill_services_between_turns(gateway, look)
    kill_session_in_a_turn(gateway, look)
    kill_supervisor(gateway, look)


def kill_services_between_turns(gateway: Gateway, look: Scrape) -> None:
    say(gateway, "three")  # nobody has looked since: only its own memory knows of it
    for name in ("persistence", "model"):
        gateway.kill(name)
        say(gateway, f"after the death of {name}")
    look.until(lambda now: now['actor_restarts_total{actor="model"}'] == 1)
    assert look['actor_restarts_total{actor="persistence"}'] == 1
    assert look['turns_total{status="completed"}'] == look["turn_seconds_count"] == 6
    assert look['messages_accepted_total{channel="websocket"}'] == 6
    assert look['llm_calls_total{result="ok"}'] == 7
    assert look["actors_failed"] == 0


def kill_session_in_a_turn(gateway: Gateway, look: Scrape) -> None:
    session = next(node for name, node in gateway.nodes().items() if name.startswith("websocket:"))

    async def talk() -> None:
        async with Client(gateway.ws_url) as client:
            message_id = await client.send("/demo slow 1")
            await client.expect("assistant_chunk")
            os.kill(session["pid"], signal.SIGKILL)
            done = await client.expect("turn_done", messageId=message_id, deadline_s=30.0)
            assert done["status"] == "completed"
            assert await repeated(client, message_id, "/demo slow 1")

    asyncio.run(talk())
    look()
    assert look['session_restarts_total{reason="died"}'] == 1
    assert look['session_starts_total{reason="restart"}'] == 1
    assert look['turns_total{status="completed"}'] == look["turn_seconds_count"] == 7
    assert look["turn_overhead_seconds_count"] == 6, "what the dead process waited for is not known"
    assert look['messages_accepted_total{channel="websocket"}'] == 7
    assert look['messages_duplicate_total{channel="websocket"}'] == 1


async def repeated(client: Client, message_id: str, text: str) -> bool:
    await client.send(text, message_id=message_id)
    return (await client.expect("message_accepted", messageId=message_id))["duplicate"] is True


def kill_supervisor(gateway: Gateway, look: Scrape) -> None:
    gateway.kill("supervisor")
    look.until(lambda now: now['actor_restarts_total{actor="supervisor"}'] == 1)
    gateway.nodes()  # known once both channels answer: one does before the other
    say(gateway, "after the end of everything")
    look()
    assert look['turns_total{status="completed"}'] == 8
    assert look['actor_restarts_total{actor="persistence"}'] == 1


def post(gateway: Gateway, path: str, body: Any) -> int:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    request = urllib.request.Request(gateway.http_url + path, data, {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=30.0) as answer:
            status: int = answer.status
            return status
    except urllib.error.HTTPError as refused:
        return refused.code


def test_refused_messages_are_counted_by_why(make_gateway: GatewayFactory) -> None:
    limits = {
        "websocket": {"messages_per_minute_per_connection": 4},
        "http": {"chat_requests_per_minute": 1, "requests_per_minute_per_client": 1},
    }
    gateway = make_gateway(config=limits).start()

    async def talk() -> None:
        async with Client(gateway.ws_url) as client:
            await client.send_raw("{")
            await client.send_raw({"type": "user_message", "sessionId": "", "text": "x"})
            await client.send("hello", message_id="same")
            await client.send("something else", message_id="same")
            await client.expect("error", code="message_id_conflict")
            await client.send("too much")
            await client.expect("error", code="rate_limited")

    asyncio.run(talk())
    look = Scrape(gateway)()
    for reason in ("bad_json", "session_id_invalid", "message_id_conflict", "rate_limited"):
        key = series("messages_rejected_total", channel="websocket", reason=reason)
        assert look[key] == 1, reason
    assert look['rate_limit_hits_total{channel="websocket"}'] == 1
    assert look['messages_accepted_total{channel="websocket"}'] == 1

    hello = {"user": "main", "messages": [{"role": "user", "content": "hello"}]}
    assert post(gateway, "/v1/chat/completions", b"{") == 400
    assert post(gateway, "/v1/chat/completions", {**hello, "user": ""}) == 400
    assert post(gateway, "/v1/chat/completions", {**hello, "messages": []}) == 400
    assert [post(gateway, "/v1/chat/completions", hello) for _ in range(2)] == [200, 429]
    assert [post(gateway, "/api/drain", {}) for _ in range(2)] == [200, 429]
    assert post(gateway, "/v1/chat/completions", hello) == 503
    look = Scrape(gateway)()
    for reason in ("bad_json", "session_id_invalid", "bad_field", "rate_limited", "draining"):
        key = series("messages_rejected_total", channel="http", reason=reason)
        assert look[key] == 1, reason
    assert look['rate_limit_hits_total{channel="http"}'] == 2
    gateway.stop()
    gateway.restart()
    assert 0 < Scrape(gateway)()["drain_seconds"] < 15, "of the drain before"


def test_metrics_need_the_token_where_there_is_one_and_come_as_json(make_gateway: GatewayFactory) -> None:
    gateway = make_gateway(config={"auth_token": "raw:a-secret"}).start()
    for url in (
        f"{gateway.http_url}/metrics",
        gateway.ws_url.replace("ws:", "http:").replace("/ws", "/metrics"),
    ):
        with pytest.raises(urllib.error.HTTPError, match="401"):
            get(url)
        content_type, text = get(url, Authorization="Bearer a-secret", Accept="application/json")
        assert content_type == "application/json"
        summary = json.loads(text)
        assert len(summary) == 11
        assert set(map(type, summary.values())) == {int}
        assert summary["activeSessions"] == summary["totalRequests"] == 0
