"""Owns a Twilio of our own: a process with a port that takes messages, lists them, and has moods.

`python -m tests.system.sms.fake_twilio PORT` serves; `FakeTwilio` is how a test runs and asks it. It remembers every
message, in the order in which it took them.
"""

from __future__ import annotations

__all__ = ["ACCOUNT", "FROM", "TOKEN", "FakeTwilio"]

import asyncio
import json
import re
import socket
import subprocess
import sys
import time
import urllib.request
from base64 import b64encode
from collections import deque
from collections.abc import Callable
from email.utils import formatdate
from typing import Any

from aiohttp import web

from tests.system.gateway import ROOT, wait_until
from tests.system.ports import free_port

ACCOUNT, TOKEN, FROM = "AC0123456789", "s3cret-twilio-token", "+15550000000"
DEADLINE_S = 30.0
_PATH = f"/2010-04-01/Accounts/{ACCOUNT}/Messages.json"


class FakeTwilio:
    """A running fake; `moods` are used up by one request each, see `_Server.create`."""

    def __init__(self) -> None:
        self.port = free_port()
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> FakeTwilio:
        """Serve, with an empty memory."""
        command = [sys.executable, "-m", "tests.system.sms.fake_twilio", str(self.port)]
        self.process = subprocess.Popen(command, cwd=ROOT)
        wait_until(self._answers, deadline_s=DEADLINE_S, what="the fake Twilio answers")
        return self

    def _answers(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=1.0):
                return True
        except OSError:
            return False

    def stop(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def behave(self, *moods: Any, **more: Any) -> None:
        """Have the next requests treated so; `list_status`, `lag_s` and `opted_out` hold from now on."""
        self._control({"moods": moods, **more})

    def _control(self, body: Any) -> Any:
        request = urllib.request.Request(f"{self.url}/control", data=json.dumps(body).encode(), method="POST")
        with urllib.request.urlopen(request, timeout=30.0) as response:
            return json.load(response)

    def seen(self) -> dict[str, Any]:
        """`messages` that were taken, `posts` and `looks` so far, requests that hang now."""
        seen: dict[str, Any] = self._control({})
        return seen

    def bodies(self, to: str) -> list[str]:
        """What a number was sent, in order."""
        return [message["body"] for message in self.seen()["messages"] if message["to"] == to]

    def wait_for(self, condition: Callable[[dict[str, Any]], Any], what: str) -> dict[str, Any]:
        """Wait until what was seen is so."""

        def look() -> Any:
            seen = self.seen()
            return seen if condition(seen) else None

        found: dict[str, Any] = wait_until(look, deadline_s=DEADLINE_S, what=f"{what}: {self.seen()}")
        return found

    def wait_for_bodies(self, to: str, count: int) -> list[str]:
        """Wait until a number was sent so many messages; returns all that it was sent."""
        self.wait_for(lambda _: len(self.bodies(to)) >= count, f"{count} messages to {to}")
        return self.bodies(to)


class _Server:
    def __init__(self) -> None:
        self.messages: list[dict[str, Any]] = []
        self.taken_at: list[float] = []
        self.moods: deque[Any] = deque()
        self.posts = 0
        self.looks = 0
        self.hanging = 0
        self.list_status = 200
        self.lag_s = 0.0
        self.opted_out: list[str] = []

    async def control(self, request: web.Request) -> web.Response:
        wanted = await request.json()
        self.moods.extend(wanted.pop("moods", ()))
        for name, value in wanted.items():
            setattr(self, name, value)
        return web.json_response(
            {name: getattr(self, name) for name in ("messages", "posts", "looks", "hanging")}
        )

    async def create(self, request: web.Request) -> web.StreamResponse:
        """A mood: `take` (as without one); `reset`, `hang`: without taking it; `take and reset`, `take and hang`,
        `take and fail`; `slow`: takes it after 1 s; {"status": …, "code": …, "retry_after": …}: refuses it."""
        self.posts += 1
        if problem := self._unauthorised(request):
            return problem
        form = {str(name): str(value) for name, value in (await request.post()).items()}
        mood = self.moods.popleft() if self.moods else "take"
        if isinstance(mood, dict):
            return _error(mood["status"], mood.get("code"), mood.get("retry_after"))
        if mood == "slow":
            await self._hang(1.0)
        if mood in ("reset", "hang"):
            return await self._go_silent(request, mood)
        if problem := self._invalid(form):
            return problem
        message = self._take(form)
        if mood == "take and fail":
            return _error(500, 20500)
        if mood.startswith("take and "):
            return await self._go_silent(request, mood.removeprefix("take and "))
        return web.json_response(message, status=201)

    async def _go_silent(self, request: web.Request, mood: str) -> web.Response:
        if mood == "hang":
            await self._hang(60.0)
        if request.transport is not None:  # else who asked has gone already
            request.transport.abort()
        return web.Response()

    async def _hang(self, seconds: float) -> None:
        self.hanging += 1
        try:
            await asyncio.sleep(seconds)
        finally:
            self.hanging -= 1

    def _take(self, form: dict[str, str]) -> dict[str, Any]:
        message = {
            "sid": f"SM{len(self.messages) + 1:08d}",
            "to": form["To"],
            "from": form.get("From"),
            "messaging_service_sid": form.get("MessagingServiceSid"),
            "body": form["Body"],
            "direction": "outbound-api",
            "status": "queued",
            "date_created": formatdate(time.time()),
            "date_sent": None,
        }
        self.messages.append(message)
        self.taken_at.append(time.monotonic())
        return message

    def _invalid(self, form: dict[str, str]) -> web.Response | None:
        if not form.get("Body"):
            return _error(400, 21602)
        if len(form["Body"]) > 1_600:
            return _error(400, 21617)
        if not re.fullmatch(r"\+[1-9][0-9]{4,14}", form.get("To", "")):
            return _error(400, 21211)
        if form["To"] in self.opted_out:
            return _error(400, 21610)
        if form.get("From") != FROM:
            return _error(400, 21606)
        return None

    def _unauthorised(self, request: web.Request) -> web.Response | None:
        wanted = "Basic " + b64encode(f"{ACCOUNT}:{TOKEN}".encode()).decode()
        return None if request.headers.get("Authorization") == wanted else _error(401, 20003)

    async def look(self, request: web.Request) -> web.Response:
        self.looks += 1
        if problem := self._unauthorised(request):
            return problem
        if self.list_status != 200:
            return _error(self.list_status, None)
        shown = [
            message
            for message, at in zip(self.messages, self.taken_at, strict=True)
            if at + self.lag_s <= time.monotonic()
            and message["to"] == request.query.get("To", message["to"])
            and message["from"] == request.query.get("From", message["from"])
        ]
        page, size = int(request.query.get("Page", 0)), int(request.query.get("PageSize", 50))
        newest = shown[::-1]
        query = "&".join(f"{name}={value}" for name, value in request.query.items() if name != "Page")
        more = len(newest) > (page + 1) * size
        next_uri = f"{_PATH}?{query.replace('+', '%2B')}&Page={page + 1}" if more else None
        body = {"messages": newest[page * size : (page + 1) * size], "next_page_uri": next_uri}
        return web.json_response(body)


def _error(status: int, code: int | None, retry_after: float | None = None) -> web.Response:
    headers = {} if retry_after is None else {"Retry-After": str(retry_after)}
    body = {"code": code, "message": f"error {code}", "status": status}
    return web.json_response(body, status=status, headers=headers)


async def _serve(port: int) -> None:
    server = _Server()
    app = web.Application()
    app.router.add_post("/control", server.control)
    app.router.add_post(_PATH, server.create)
    app.router.add_get(_PATH, server.look)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(_serve(int(sys.argv[1])))
