"""Following the gateway: what changes in the tree arrives as it happens; who does not read harms nobody."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.system.api.client import Api, session_path
from tests.system.api.test_operations import talk
from tests.system.conftest import GatewayFactory
from tests.system.gateway import Gateway, wait_until

DEADLINE_S = 30.0


class Follower:
    """A client of `GET /api/events`, reading in a thread."""

    def __init__(self, url: str) -> None:
        self.events: list[tuple[str, Any]] = []
        self.ended = threading.Event()
        self._connection = http.client.HTTPConnection(url.removeprefix("http://"), timeout=DEADLINE_S)
        self._connection.connect()
        self._socket = self._connection.sock
        self._connection.request("GET", "/api/events")
        self._response = self._connection.getresponse()
        if self._response.status != 200:
            self._response.read()
            self._response.close()
            self._connection.close()
            raise AssertionError(self._response.status)
        assert self._response.headers["Content-Type"] == "text/event-stream"
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        name = ""
        try:
            for line in self._response:
                field, _, value = line.decode().rstrip("\n").partition(": ")
                if field == "event":
                    name = value
                elif field == "data":
                    self.events.append((name, json.loads(value)))
        except OSError:
            pass
        self.ended.set()

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._thread.join(DEADLINE_S)
        self._response.close()
        self._connection.close()
        self._socket.close()

    def actors(self) -> dict[str, Any]:
        """The tree as these events tell it."""
        known: dict[str, Any] = {}
        for name, data in self.events:
            if name == "snapshot":
                known = {actor["name"]: actor for actor in data["actors"]}
            elif name == "actors":
                known |= {each["actor"]["name"]: each["actor"] for each in data["changed"]}
                for each in data["gone"]:
                    known.pop(each["name"], None)
        return known

    def changes(self, actor: str) -> list[str]:
        """What happened to an actor."""
        return [
            each["change"]
            for name, data in self.events
            if name == "actors"
            for each in data["changed"]
            if each["actor"]["name"] == actor
        ]

    def wait(self, condition: Callable[[], Any], what: str) -> Any:
        return wait_until(condition, deadline_s=DEADLINE_S, what=what)


@pytest.fixture
def follower(shared: Gateway) -> Iterator[Follower]:
    following = Follower(shared.http_url)
    following.wait(lambda: following.actors(), "a snapshot")
    yield following
    following.close()


def test_a_session_that_is_killed_is_seen_to_die_and_to_return(shared: Gateway, follower: Follower) -> None:
    assert {"supervisor", "persistence", "model", "router", "websocket", "http"} <= set(follower.actors())
    talk(shared, "hello", session="killed")
    key = "websocket:local:killed"
    follower.wait(
        lambda: (
            follower.actors().get(key, {}).get("state") == "running"
            and follower.actors()[key]["activity"] == "idle"
        ),
        "the session",
    )
    before = follower.actors()[key]
    os.kill(before["pid"], signal.SIGKILL)
    follower.wait(lambda: follower.actors()[key]["pid"] not in (None, before["pid"]), "its next process")
    after = follower.actors()[key]
    assert after["restarts"] == 1
    assert after["incarnation"] > before["incarnation"]
    assert after["reason"] == "its process ended unexpectedly"
    assert {"died", "restarted"} & set(follower.changes(key))
    follower.wait(
        lambda: any(
            name == "numbers" and data["session_restarts_total"].get("died") for name, data in follower.events
        ),
        "the count",
    )


def test_what_a_session_does_is_told_when_it_changes(shared: Gateway, follower: Follower) -> None:
    key = "websocket:local:busy"
    talk(shared, "/demo slow 1", session="busy")

    def told() -> list[tuple[str, str]]:
        return [
            (each["actor"]["activity"], each["actor"]["doing"])
            for name, data in follower.events
            if name == "actors"
            for each in data["changed"]
            if each["actor"]["name"] == key
        ]

    follower.wait(lambda: ("busy", "model call") in told() and told()[-1] == ("idle", "idle"), "both")
    api = Api(shared.http_url)
    (turn,) = api.get(session_path(key, "/timeline"))["turns"]
    assert turn["status"] == "completed"
    assert 0.9 < turn["model_seconds"] <= turn["turn_seconds"]
    assert [step["kind"] for step in turn["steps"]] == ["accepted", "started", "model", "answered"]
    assert api("POST", f"/api/actors/{key}/stop").status == 200
    follower.wait(lambda: key not in follower.actors(), "its leave")
    gone = [each for name, data in follower.events if name == "actors" for each in data["gone"]]
    assert {"name": key, "why": "passivated"} in gone


def test_a_death_stands_in_the_log_view(shared: Gateway) -> None:
    talk(shared, "hello", session="logged")
    key = "websocket:local:logged"
    assert Api(shared.http_url)("POST", session_path(key, "/restart")).status == 200

    def lines() -> list[Any]:
        found = Api(shared.http_url).get("/api/logs?contains=logged&level=warning&limit=10")
        return [line for line in found["lines"] if line["process"] == "router"]

    found = wait_until(lines, deadline_s=DEADLINE_S, what="the line")
    assert "restarted by an operator" in found[-1]["text"]
    assert Api(shared.http_url).get("/api/logs?correlation=none")["lines"] == []


def test_a_head_request_does_not_follow(shared: Gateway) -> None:
    answer = Api(shared.http_url)("HEAD", "/api/events")
    assert (answer.status, answer.text) == (200, "")
    wrong = Api(shared.http_url)("GET", "/api/events?since=3")
    assert (wrong.status, wrong.body["error"]["field"]) == (400, "since")


@pytest.mark.timeout(120)
def test_a_follower_that_does_not_read_harms_nobody(make_gateway: GatewayFactory) -> None:
    """Others hear everything, people are answered, and its place is free again when it has gone."""
    gateway = make_gateway(config={"http": {"max_event_followers": 2}}).start()
    host, port = gateway.http_url.removeprefix("http://").split(":")
    deaf = socket.socket()
    deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
    deaf.connect((host, int(port)))
    deaf.sendall(f"GET /api/events HTTP/1.1\r\nHost: {host}:{port}\r\n\r\n".encode())
    reading = Follower(gateway.http_url)
    reading.wait(lambda: reading.actors(), "a snapshot")
    full = Api(gateway.http_url)("GET", "/api/events")
    assert (full.status, full.code) == (409, "too_many")
    talk(gateway, "hello", session="between")
    reading.wait(lambda: "websocket:local:between" in reading.actors(), "the session")
    assert Api(gateway.http_url).get("/api/health")["ready"] is True
    deaf.close()

    def comes_again() -> bool:
        try:
            again = Follower(gateway.http_url)
        except AssertionError:
            return False
        again.wait(lambda: "websocket:local:between" in again.actors(), "the tree as it is now")
        again.close()
        return True

    wait_until(comes_again, deadline_s=DEADLINE_S, what="a place for another follower")
    assert "Traceback" not in gateway.log_text()
    gateway.stop()
    assert reading.ended.wait(DEADLINE_S)
    assert reading.events[-1][0] == "dropped"
    assert reading.events[-1][1]["reason"] == "shutdown"
    reading.close()
