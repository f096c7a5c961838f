"""Deleting, restoring and exporting conversations over HTTP; stopping actors; refusing messages for a while."""

from __future__ import annotations

import asyncio
import http.client
import json
import re
from typing import Any

from tests.system.api.client import Answer, Api, session_path
from tests.system.api.test_operations import MAIN, talk
from tests.system.client import Client
from tests.system.conftest import GatewayFactory
from tests.system.gateway import Gateway, wait_until


def exported(answer: Answer) -> tuple[Any, list[Any]]:
    assert answer.status == 200
    assert answer.headers["content-type"].startswith("application/x-ndjson")
    head, *records = map(json.loads, answer.text.splitlines())
    return head, records


def without_moment(export: str) -> str:
    """An export without the time at which it was made."""
    return re.sub(r'"exported_at":[0-9.]+|exported [0-9: -]+UTC', "", export)


def said(records: list[Any]) -> list[str]:
    return [each["text"] for each in records if each["kind"] == "user"]


def test_a_conversation_goes_to_the_archive_and_comes_back_whole(shared: Gateway) -> None:
    api = Api(shared.http_url)
    talk(shared, "one", "two")
    events = api.get(session_path(MAIN, "/events"))["events"]
    head, records = exported(api("GET", session_path(MAIN, "/export")))
    assert (head["session"], head["archive"], head["turns"]) == (MAIN, None, 2)
    assert said(records) == ["one", "two"]
    for format_, kind in (("jsonl", "x-ndjson"), ("json", "json"), ("markdown", "markdown")):
        over_http = api("GET", session_path(MAIN, f"/export?format={format_}"))
        assert kind in over_http.headers["content-type"]
        by_hand = shared.cli("sessions", "export", MAIN, "--format", format_).stdout
        assert without_moment(over_http.text) == without_moment(by_hand)

    deleted = api("DELETE", session_path(MAIN)).body
    (archive,) = deleted["archives"]
    assert (deleted["session"], deleted["purged"], archive["session"], archive["turns"]) == (
        MAIN,
        False,
        MAIN,
        2,
    )
    assert api("GET", session_path(MAIN)).status == 404
    assert api("DELETE", session_path(MAIN)).status == 404
    assert api.get("/api/archives") == {"archives": [archive], "total": 1}
    assert api.get("/api/archives?contains=nothing")["total"] == 0
    head, records = exported(api("GET", session_path(MAIN, "/export")))
    assert (head["archive"], said(records)) == (archive["archive"], ["one", "two"])

    # Meanwhile the key has another conversation.
    assert talk(shared, "/demo recall")[-1]["text"].startswith("turns=0")
    refused = api("POST", session_path(MAIN, "/restore"), {})
    assert (refused.status, refused.code) == (409, "exists")
    assert refused.body["error"]["text"].startswith(f"{MAIN} has a conversation again; `replace`")
    for wrong in (MAIN, "20260101T000000Z-00000000"):
        other = api("POST", session_path(MAIN, "/restore"), {"archive": wrong})
        assert (other.status, other.code) == (404, "unknown")
    body = {"archive": archive["archive"], "replace": True}
    restored = api("POST", session_path(MAIN, "/restore"), body).body
    assert (restored["session"], restored["archive"]) == (MAIN, archive["archive"])
    assert len(restored["replaced"]) == 1
    assert api.get(session_path(MAIN, "/events"))["events"] == events
    assert talk(shared, "/demo recall")[-1]["text"] == "turns=2 first=one last=two"

    # For good.
    path = f"/api/archives/{restored['replaced'][0]['archive']}"
    assert len(api("DELETE", path).body["archives"]) == 1
    assert api("DELETE", path).status == 404
    assert api("DELETE", "/api/archives/websocket%3Alocal%3Amain").status == 404, "a key is no archive"
    assert api("DELETE", session_path(MAIN, "?purge=true")).body["purged"] is True
    assert api.get("/api/archives") == {"archives": [], "total": 0}


def test_a_long_conversation_is_exported_whole_while_it_goes_on(shared: Gateway) -> None:
    api = Api(shared.http_url)
    long = "x" * 100_000
    talk(shared, *[f"{number} {long}" for number in range(8)], session="long")
    head, records = exported(api("GET", session_path("websocket:local:long", "/export")))
    assert [text.split()[0] for text in said(records)] == [str(number) for number in range(8)]
    assert [each["number"] for each in records] == list(range(1, len(records) + 1))
    assert head["turns"] == 8
    assert api("HEAD", session_path("websocket:local:long", "/export")).text == ""


def test_an_export_goes_on_when_the_store_dies_in_its_midst(shared: Gateway) -> None:
    long = "x" * 100_000
    talk(shared, *[f"{number} {long}" for number in range(40)], session="longer")
    path = session_path("websocket:local:longer", "/export")
    connection = http.client.HTTPConnection(Api(shared.http_url).host_port, timeout=30.0)
    connection.request("GET", path)
    response = connection.getresponse()
    begin = response.read(100_000)
    shared.kill("persistence")  # the next pages are asked for before it lives again
    _, *records = map(json.loads, (begin + response.read()).splitlines())
    connection.close()
    assert [text.split()[0] for text in said(records)] == [str(number) for number in range(40)]


def test_a_principal_archives_its_own_alone(make_gateway: GatewayFactory) -> None:
    tokens = {"alice": "raw:alice-token", "bob": "raw:bob-token"}
    gateway = make_gateway(config={"auth_token": "raw:owner-token", "auth": {"tokens": tokens}}).start()
    owner, alice, bob = (Api(gateway.http_url, token=f"{name}-token") for name in ("owner", "alice", "bob"))
    for name in ("alice", "bob"):
        talk(gateway, f"I am {name}", token=f"{name}-token")
    alices, bobs = "websocket:alice:main", "websocket:bob:main"
    for method, rest in (("DELETE", ""), ("GET", "/export"), ("POST", "/restore")):
        assert alice(method, session_path(bobs, rest)).status == 404
    (archive,) = bob("DELETE", session_path(bobs)).body["archives"]
    assert alice.get("/api/archives") == {"archives": [], "total": 0}
    assert bob.get("/api/archives")["archives"] == owner.get("/api/archives")["archives"] == [archive]
    # Another's archive under the own key.
    taken = alice("POST", session_path(alices, "/restore"), {"archive": archive["archive"], "replace": True})
    assert (taken.status, taken.code) == (404, "unknown")
    assert alice("DELETE", f"/api/archives/{archive['archive']}").status == 403
    assert alice("GET", session_path(archive["archive"], "/export")).status == 404
    assert bob("POST", session_path(bobs, "/restore")).status == 200
    assert bob.get(session_path(bobs))["events"][0]["text"] == "I am bob"
    gateway.stop()


def test_actors_are_stopped_and_messages_refused_for_a_while(shared: Gateway) -> None:
    stopped = "websocket:local:stopped"
    api = Api(shared.http_url)
    talk(shared, "one", session="stopped")
    assert api("POST", f"/api/actors/{stopped.replace(':', '%3A')}/stop").status == 200
    wait_until(lambda: api.get(session_path(stopped))["live"] is None, what="the session has left memory")
    refused = api("POST", "/api/actors/persistence/stop")
    assert (refused.status, refused.code) == (409, "not_possible")
    assert api("POST", "/api/actors/websocket/stop").status == 200
    assert node(api, "websocket")["state"] == "stopped"
    assert api("POST", "/api/actors/websocket/restart").status == 200
    wait_until(lambda: node(api, "websocket")["state"] == "running", what="websocket serves again")

    drained = api("POST", "/api/drain", {})
    assert (drained.status, drained.body["code"]) == (200, "draining")
    assert asyncio.run(refusal(shared)) == "draining"
    assert api.get("/api/health")["ready"] is False
    assert api("POST", "/api/drain", {"cancel": True}).body["code"] == "serving"
    assert talk(shared, "/demo recall", session="stopped")[-1]["text"] == "turns=1 first=one last=one"

    # Its own end comes after the answer.
    assert api("POST", "/api/actors/http/stop").status == 200
    wait_until(lambda: shared.nodes()["http"]["state"] == "stopped", what="http is stopped")
    assert shared.cli("actors", "restart", "http").returncode == 0
    wait_until(lambda: shared.nodes()["http"]["state"] == "running", what="http serves again")
    assert api.get("/api/health")["healthy"] is True


def node(api: Api, name: str) -> Any:
    (found,) = (each for each in api.get("/api/status")["children"] if each["name"] == name)
    return found


async def refusal(gateway: Gateway) -> str:
    """The code with which a message is refused."""
    try:
        async with Client(gateway.ws_url) as client:
            await client.send("now?")
            code: str = (await client.expect("error"))["code"]
            return code
    except Exception as refused:  # the connection itself
        return "draining" if "503" in str(refused) else repr(refused)
