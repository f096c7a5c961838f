"""What the owner can do over HTTP is what the command line can do, and says the same."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from typing import Any

from openclaw_actors import __version__
from tests.system.api.client import Api, session_path
from tests.system.client import Client
from tests.system.conftest import GatewayFactory
from tests.system.gateway import Gateway, wait_until

MAIN = "websocket:local:main"


def talk(gateway: Gateway, *texts: str, session: str = "main", token: str | None = None) -> list[Any]:
    """Have a conversation; returns its durable events."""

    async def scene() -> list[Any]:
        async with Client(gateway.ws_url, session=session, token=token) as client:
            for text in texts:
                assert (await client.turn(text))["status"] == "completed"
            return client.durable()

    return asyncio.run(scene())


def said(gateway: Gateway, *arguments: str) -> Any:
    result = gateway.cli(*arguments, "--json")
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout)


def shape(value: Any) -> Any:
    """Which fields there are, in which order, and of which types; what differs from moment to moment left out."""
    if isinstance(value, dict):
        return {key: shape(inner) for key, inner in value.items() if key not in ("counters", "doing")}
    if isinstance(value, list):
        return [shape(inner) for inner in value]
    return value if isinstance(value, str) else type(value).__name__


def test_the_answers_are_those_of_the_command_line(shared: Gateway) -> None:
    api = Api(shared.http_url)
    talk(shared, "one", "two")
    talk(shared, "other", session="with/slash %+ü?#")
    assert shape(api.get("/api/status"))["children"] == shape(said(shared, "status"))["children"]
    assert list(api.get("/api/status")) == list(said(shared, "status"))
    assert api.get("/api/sessions") == said(shared, "sessions", "list")
    for key in (MAIN, "websocket:local:with/slash %+ü?#"):
        shown = api.get(session_path(key))
        assert shown["summary"] == said(shared, "sessions", "show", key)["summary"]
        assert shown["summary"]["session"] == key
        assert shown["events"] == said(shared, "sessions", "show", key)["events"]
    assert len(api.get(session_path(MAIN, "?last=1"))["events"]) == 1
    health = api.get("/api/health")
    assert (health["healthy"], health["ready"], health["problems"]) == (True, True, [])
    assert api.get("/api/version") == {"name": "openclaw-actors", "version": __version__}


def test_sessions_are_found_by_page_and_by_text(shared: Gateway) -> None:
    api = Api(shared.http_url)
    for name in ("page anna", "page berta", "page anton"):
        talk(shared, "hello", session=name)
    found = api.get("/api/sessions?contains=page%20an&limit=1")
    assert (found["total"], [each["session"] for each in found["sessions"]]) == (
        2,
        ["websocket:local:page anton"],
    )
    found = api.get("/api/sessions?contains=page%20an&limit=1&offset=1")
    assert [each["session"] for each in found["sessions"]] == ["websocket:local:page anna"]
    assert api.get("/api/sessions?contains=page&offset=99") == {"sessions": [], "total": 3}


def test_events_come_by_page_in_order_and_whole(shared: Gateway) -> None:
    api = Api(shared.http_url)
    events = talk(shared, "one", "two", "three", session="events")
    seen: list[Any] = []
    while True:
        after = seen[-1]["seq"] if seen else 0
        page = api.get(session_path("websocket:local:events", f"/events?after={after}&limit=4"))
        seen += page["events"]
        assert len(page["events"]) <= 4
        if page["complete"]:
            break
    assert [event["seq"] for event in seen] == list(range(1, len(events) + 1))
    assert seen == [{name: each[name] for name in each if name != "sessionId"} for each in events]
    assert api.get(session_path("websocket:local:events", "/events?after=9999")) == {
        "events": [],
        "complete": True,
    }


def test_what_there_is_not_is_404(shared: Gateway) -> None:
    api = Api(shared.http_url)
    for method, path in (
        ("GET", session_path("websocket:local:nobody")),
        ("GET", session_path("websocket:local:nobody", "/events")),
        ("POST", session_path("websocket:local:nobody", "/restart")),
        ("POST", "/api/actors/nobody/restart"),
    ):
        answer = api(method, path)
        assert (answer.status, answer.code) == (404, "unknown"), path
        assert "nobody" in answer.body["error"]["text"]
    assert api("GET", "/api/nothing").status == 404
    assert api("DELETE", "/api/status").status == 405
    assert "GET" in api("DELETE", "/api/status").headers["allow"]


def test_a_running_turn_is_stopped(shared: Gateway) -> None:
    stopped = "websocket:local:stopped"
    api = Api(shared.http_url)

    async def scene() -> None:
        async with Client(shared.ws_url, session="stopped") as client:
            message_id = await client.send("/demo slow 60")
            waiting = await client.send("and then?")
            await client.expect("assistant_chunk")
            answer = await asyncio.to_thread(api, "POST", session_path(stopped, "/stop"), {"queue": True})
            assert (answer.status, answer.body["text"]) == (200, f"stopped 2 turns of {stopped}")
            stored = await asyncio.to_thread(api.get, session_path(stopped))
            ends = [each["status"] for each in stored["events"] if each["type"] == "turn_done"]
            assert ends == ["stopped", "stopped"], "what was confirmed is durable"
            await client.expect("turn_done", messageId=message_id, status="stopped")
            await client.expect("turn_done", messageId=waiting, status="stopped")

    asyncio.run(scene())


def test_a_conversation_and_a_service_are_restarted_and_go_on(gateway: Gateway) -> None:
    api = Api(gateway.http_url)
    talk(gateway, "one")
    before = gateway.nodes()
    assert api("POST", session_path(MAIN, "/restart")).status == 200
    assert api("POST", "/api/actors/model/restart").status == 200
    wait_until(lambda: _lives_again(api, "model", before["model"]["pid"]), what="model lives again")
    assert talk(gateway, "/demo recall")[-1]["text"] == "turns=1 first=one last=one"
    assert gateway.nodes()[MAIN]["pid"] != before[MAIN]["pid"]
    # The answer comes before its own process ends.
    assert api("POST", "/api/actors/http/restart").status == 200
    wait_until(lambda: _lives_again(api, "http", before["http"]["pid"]), what="http lives again")


def _lives_again(api: Api, name: str, pid: int) -> bool:
    try:
        status = api.get("/api/status")
    except OSError:
        return False
    (node,) = (each for each in status["children"] if each["name"] == name)
    return node["state"] == "running" and node["pid"] != pid


def test_bad_input_names_the_field_and_changes_nothing(shared: Gateway) -> None:
    api = Api(shared.http_url)
    talk(shared, "one")
    for path, field in (
        ("/api/sessions?limit=0", "limit"),
        ("/api/sessions?offset=-1", "offset"),
        ("/api/sessions?state=dead", "state"),
        ("/api/sessions?lmit=1", "lmit"),
        (session_path(MAIN, "/events?after=x"), "after"),
        (session_path("x" * 600), "key"),
    ):
        answer = api("GET", path)
        assert (answer.status, answer.code, answer.body["error"]["field"]) == (400, "bad_field", field)
    answer = api("POST", "/api/shutdown", {"grace_seconds": -1})
    assert answer.status == 400
    assert answer.body["error"]["text"] == "grace_seconds must be a number from 0 to 86400 (got -1)."
    assert api("POST", "/api/shutdown", {"grace": 1}).body["error"]["field"] == "grace"
    json_type = {"Content-Type": "application/json"}
    assert api("POST", "/api/shutdown", raw=b"{", headers=json_type).code == "bad_json"
    assert shared.status()["draining"] is False


def test_shutdown_ends_the_gateway(make_gateway: GatewayFactory) -> None:
    gateway = make_gateway().start()
    api = Api(gateway.http_url)

    async def scene() -> None:
        async with Client(gateway.ws_url) as client:
            message_id = await client.send("/demo slow 1")
            await client.expect("turn_started")
            answer = await asyncio.to_thread(api, "POST", "/api/shutdown", {"grace_seconds": 20})
            assert (answer.status, answer.body["text"]) == (202, "draining, for at most 20 s")
            await client.expect("turn_done", messageId=message_id, status="completed")

    asyncio.run(scene())
    assert gateway.wait() == 0
    gateway.check_nothing_left()


def test_it_answers_while_processes_are_killed(gateway: Gateway) -> None:
    """Every answer is one of the documented ones, at once, whoever dies meanwhile."""
    api = Api(gateway.http_url)
    talk(gateway, "one")
    statuses: set[int] = set()
    for victim in (MAIN, "router", "persistence", MAIN, "model"):
        pid = next((each["pid"] for name, each in gateway.nodes().items() if name == victim), None)
        if pid is not None:
            os.kill(pid, signal.SIGKILL)
        for method, path in (
            ("GET", "/api/status"),
            ("GET", "/api/health"),
            ("GET", "/api/sessions"),
            ("GET", session_path(MAIN)),
            ("GET", session_path(MAIN, "/events")),
            ("POST", session_path(MAIN, "/stop")),
        ):
            answer = api(method, path)
            assert answer.status in (200, 503), f"{victim} killed: {path}: {answer.status} {answer.text}"
            if answer.status == 503:
                assert answer.code == "unavailable"
                assert "retry-after" in answer.headers
            statuses.add(answer.status)
        wait_until(lambda: api.get("/api/health")["ready"], what=f"ready after {victim} was killed")
    assert 200 in statuses
    assert talk(gateway, "/demo recall")[-1]["text"].startswith("turns=1 first=one")
