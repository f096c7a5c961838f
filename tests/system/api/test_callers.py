"""Who may do what: tokens, principals, foreign pages, limits."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.system.api.client import Api, session_path
from tests.system.api.test_operations import talk
from tests.system.conftest import GatewayFactory
from tests.system.gateway import Gateway

OWNER, ALICE, BOB = "owner-token", "alice-token", "bob-token"
ALICES, BOBS = "websocket:alice:main", "websocket:bob:websocket:alice:"
TOKENS = {
    "auth_token": f"raw:{OWNER}",
    "auth": {"tokens": {"alice": f"raw:{ALICE}", "bob": f"raw:{BOB}"}},
    "http": {"requests_per_minute_per_client": 60},
}


@pytest.fixture
def guarded(make_gateway: GatewayFactory) -> Iterator[Gateway]:
    """A gateway with tokens, in which Alice and Bob have talked."""
    running = make_gateway(config=TOKENS).start()
    talk(running, "I am Alice", token=ALICE)
    talk(running, "I am Bob", session="websocket:alice:", token=BOB)
    yield running
    running.stop()


def test_a_principal_sees_and_acts_on_its_own_alone(guarded: Gateway) -> None:
    owner, alice, bob = (Api(guarded.http_url, token=token) for token in (OWNER, ALICE, BOB))
    assert {each["session"] for each in owner.get("/api/sessions")["sessions"]} == {ALICES, BOBS}
    for api, own in ((alice, ALICES), (bob, BOBS)):
        found = api.get("/api/sessions")
        assert ([each["session"] for each in found["sessions"]], found["total"]) == ([own], 1)
        assert api.get("/api/sessions?contains=websocket:ALICE:")["total"] == 1, "the case does not matter"
    assert owner.get("/api/sessions?mine=true")["total"] == 0
    assert bob.get("/api/sessions?mine=true")["sessions"] == bob.get("/api/sessions")["sessions"]
    assert owner.get("/api/me") == {"principal": "default", "owner": True, "prefix": "websocket:default:"}
    assert alice.get("/api/me") == {"principal": "alice", "owner": False, "prefix": "websocket:alice:"}
    assert alice.get("/api/sessions?contains=bob") == {"sessions": [], "total": 0}
    assert alice.get(session_path(ALICES))["events"][0]["text"] == "I am Alice"
    assert alice("POST", session_path(ALICES, "/stop")).status == 200
    nobodys = "websocket:bob:nobody"
    for method, rest in (("GET", ""), ("GET", "/events"), ("POST", "/stop"), ("POST", "/restart")):
        others = alice(method, session_path(BOBS, rest))
        missing = alice(method, session_path(nobodys, rest))
        assert (others.status, others.code) == (missing.status, missing.code) == (404, "unknown")
        assert others.text.replace(BOBS, "") == missing.text.replace(nobodys, ""), (
            "it tells whether there is one"
        )
        assert owner(method, session_path(BOBS, rest)).status == 200
    for method, path in (
        ("GET", "/api/status"),
        ("POST", "/api/drain"),
        ("POST", "/api/actors/model/restart"),
    ):
        assert (alice(method, path).status, alice(method, path).code) == (403, "forbidden")
    assert alice.get("/api/health")["ready"] is True


def test_without_a_valid_token_nothing_is_told_but_the_document(guarded: Gateway) -> None:
    for token in (None, "wrong", ALICE + "x", ALICE[:-1]):
        api = Api(guarded.http_url, token=token)
        for path in ("/api/status", "/api/sessions", "/api/version", "/api/me", session_path(ALICES)):
            answer = api("GET", path)
            assert (answer.status, answer.code) == (401, "unauthorized")
            assert answer.headers["www-authenticate"] == "Bearer"
    stranger = Api(guarded.http_url)
    assert stranger("GET", f"/api/version?token={ALICE}").status == 401, "not allowed in the URL"
    assert stranger.get("/api/openapi.json")["openapi"] == "3.1.0"
    guess = {"Authorization": "Bearer guess"}
    statuses = [stranger("GET", "/api/version", headers=guess).status for _ in range(65)]
    assert set(statuses) == {401, 429}
    assert statuses[-1] == 429
    assert stranger("GET", "/api/version").status == 401
    # Others behind the same address are not shut out.
    assert Api(guarded.http_url, token=OWNER)("GET", "/api/version").status == 200


def test_a_client_has_so_many_requests_a_minute(guarded: Gateway) -> None:
    alice, bob = Api(guarded.http_url, token=ALICE), Api(guarded.http_url, token=BOB)
    statuses = [alice("GET", "/api/version").status for _ in range(70)]
    assert statuses[:60] == [200] * 60
    assert statuses[61:] == [429] * 9
    assert "retry-after" in alice("GET", "/api/version").headers
    assert bob("GET", "/api/version").status == 200
    assert Api(guarded.http_url)("GET", "/health").status == 200
    metrics = guarded.status()["counters"]
    assert metrics['rate_limit_hits_total{channel="http"}'] >= 9


def test_a_token_in_the_url_is_taken_where_it_is_allowed(make_gateway: GatewayFactory) -> None:
    config = {**TOKENS, "security": {"allow_query_string_token": True}}
    gateway = make_gateway(config=config).start()
    stranger = Api(gateway.http_url)
    assert stranger("GET", f"/api/sessions?token={ALICE}&limit=1").status == 200
    assert stranger("GET", "/api/sessions?token=wrong").status == 401
    gateway.stop()


def test_foreign_pages_neither_change_nor_read(make_gateway: GatewayFactory) -> None:
    allowed = "https://chat.example"
    gateway = make_gateway(config={"security": {"allowed_origins": [allowed]}}).start()
    talk(gateway, "one")
    api = Api(gateway.http_url)
    stop = session_path("websocket:local:main", "/stop")
    for headers in (
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:1"},
        {"Origin": "http://evil.example", "Host": "evil.example"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ):
        answer = api("POST", stop, headers=headers)
        assert answer.status == 403, headers
        assert answer.code in ("origin_not_allowed", "host_not_allowed")
    # A name of somebody else's that was pointed at this machine.
    for host in (
        "evil.example",
        f"evil.example:{gateway.http_url.rpartition(':')[2]}",
        "127.0.0.1.evil.example",
    ):
        answer = api("GET", "/api/sessions", headers={"Host": host})
        assert (answer.status, answer.code) == (403, "host_not_allowed")
    assert (
        "access-control-allow-origin"
        not in api("GET", "/api/version", headers={"Origin": "https://evil.example"}).headers
    )
    preflight = api("OPTIONS", stop, headers={"Origin": "https://evil.example"})
    assert "access-control-allow-origin" not in preflight.headers

    # The own page, and one that is listed.
    assert (
        api("POST", stop, headers={"Origin": gateway.http_url, "Sec-Fetch-Site": "same-origin"}).status == 200
    )
    preflight = api("OPTIONS", stop, headers={"Origin": allowed, "Access-Control-Request-Method": "POST"})
    assert preflight.status == 204
    assert preflight.headers["access-control-allow-origin"] == allowed
    assert "POST" in preflight.headers["access-control-allow-methods"]
    answer = api("POST", stop, {}, headers={"Origin": allowed, "Sec-Fetch-Site": "cross-site"})
    assert (answer.status, answer.headers["access-control-allow-origin"]) == (200, allowed)

    # What a form can send without asking is no body of ours.
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"):
        answer = api("POST", stop, raw=b'{"queue":true}', headers={"Content-Type": kind})
        assert (answer.status, answer.code) == (415, "unsupported_media_type")
    gateway.stop()


def test_bodies_are_limited_in_size_and_time(make_gateway: GatewayFactory, tmp_path: Path) -> None:
    gateway = make_gateway(config={"http": {"max_body_bytes": 1000, "body_timeout_seconds": 0.5}}).start()
    api = Api(gateway.http_url)
    answer = api("POST", "/api/drain", {"x": "y" * 2000})
    assert (answer.status, answer.code) == (413, "body_too_large")
    host, _, port = api.host_port.rpartition(":")
    head = f"POST /api/drain HTTP/1.1\r\nHost: {api.host_port}\r\nContent-Type: application/json\r\n"
    with socket.create_connection((host, int(port)), timeout=30) as chunked:
        chunked.sendall(f"{head}Transfer-Encoding: chunked\r\n\r\n".encode())
        chunked.sendall(b"400\r\n" + b"x" * 1024 + b"\r\n")
        assert b" 413 " in chunked.recv(4096).partition(b"\r\n")[0]
    with socket.create_connection((host, int(port)), timeout=30) as slow:
        began = time.monotonic()
        slow.sendall(f"{head}Content-Length: 10\r\n\r\n{{".encode())
        assert b" 408 " in slow.recv(4096).partition(b"\r\n")[0]
        assert time.monotonic() - began < 9
    assert gateway.status()["draining"] is False
    gateway.stop()
