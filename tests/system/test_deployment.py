"""What `deploy/` ships, with the real programs: nginx and Caddy before a gateway, and a socket like systemd's."""

from __future__ import annotations

import asyncio
import http.client
import json
import shutil
import socket
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from twilio.request_validator import RequestValidator
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import InvalidStatus
from websockets.typing import Subprotocol

from tests.authority import Authority
from tests.system.gateway import Gateway, wait_until
from tests.system.proxies import DOMAIN, MAKERS, Proxy, connected, is_installed

TOKEN = "kJ8_2mPqX-7vLz0RtYw3NbHcDf5"
TWILIO_TOKEN = "a token of Twilio's"
ANN, US = "+15551230001", "+15559990000"
BEARER = {"Authorization": f"Bearer {TOKEN}"}
CONFIG: dict[str, Any] = {
    "auth_token": "env:OPENCLAW_AUTH_TOKEN",
    "security": {"trust_forwarded_headers": True},
    "websocket": {"max_connections_per_ip": 1},
    "channels": {
        "sms": {
            "twilio": {
                "enabled": True,
                "auth_token_ref": "env:TWILIO_AUTH_TOKEN",
                "webhook_public_base_url": f"https://{DOMAIN}",
                "allowed_from_numbers": [ANN],
                "allowed_to_numbers": [US],
            }
        }
    },
}


class Manager:
    """Hears what systemd would hear, all the time: its queue is short."""

    def __init__(self, path: Path) -> None:
        self._path = str(path)
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(self._path)
        self._heard: list[list[str]] = []
        self._thread = threading.Thread(target=self._hear, daemon=True)
        self._thread.start()

    def _hear(self) -> None:
        while message := self._socket.recv(4096):
            self._heard.append(message.decode().splitlines())

    def hears(self, line: str) -> list[str]:
        """Wait for the message that holds a line, and return all of it."""
        found: list[str] = wait_until(
            lambda: next((each for each in self._heard if line in each), None), deadline_s=30.0, what=line
        )
        return found

    def close(self) -> None:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as last:
            last.sendto(b"", self._path)
        self._thread.join(10)
        self._socket.close()


class Site:
    """A gateway that a service manager has started, with a name for proxies before it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.authority = Authority(root / "tls")
        self.authority.issue(DOMAIN)
        self.manager = Manager(root / "notify")
        self.gateway = Gateway(
            root / "gateway",
            config=CONFIG,
            environment={
                "OPENCLAW_AUTH_TOKEN": TOKEN,
                "TWILIO_AUTH_TOKEN": TWILIO_TOKEN,
                "NOTIFY_SOCKET": str(root / "notify"),
                "WATCHDOG_USEC": "600000",
            },
        ).start()


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    root = Path(tempfile.mkdtemp(prefix="oca-"))
    made = Site(root)
    yield made
    made.gateway.close()
    made.manager.close()
    shutil.rmtree(root)


@pytest.fixture(scope="module", params=sorted(MAKERS))
def proxy(request: pytest.FixtureRequest, site: Site) -> Iterator[Proxy]:
    if not is_installed(request.param):
        pytest.skip(f"{request.param} is not installed; on Debian: apt-get install {request.param}")
    directory = site.root / request.param
    directory.mkdir()
    made = MAKERS[request.param](site.gateway, site.authority, directory)
    yield made
    made.close()


def dial(site: Site, proxy: Proxy, *, source: str, as_browser: bool = False, **headers: str) -> connect:
    """Connect; a browser can show its token in a subprotocol alone."""
    return connect(
        f"wss://{DOMAIN}:{proxy.port}/ws",
        host="127.0.0.1",
        port=proxy.port,
        local_addr=(source, 0),
        ssl=site.authority.trusting(),
        subprotocols=[
            Subprotocol("openclaw.v2"),
            *([Subprotocol(f"openclaw.token.{TOKEN}")] if as_browser else []),
        ],
        additional_headers={**({} if as_browser else BEARER), **headers},
        open_timeout=20,
        proxy=None,
    )


async def said(connection: ClientConnection, text: str) -> str:
    await connection.send(json.dumps({"type": "user_message", "sessionId": "main", "text": text}))
    while True:
        event = json.loads(await connection.recv())
        if event["type"] == "turn_done":
            return str(event["text"])


def ask(
    site: Site, proxy: Proxy, method: str, path: str, body: str = "", **headers: str
) -> tuple[int, str, dict[str, str]]:
    client = http.client.HTTPSConnection(DOMAIN, proxy.port, timeout=30)
    client.sock = connected(proxy.port, site.authority.trusting(), source="127.0.0.9")
    try:
        client.request(method, path, body.encode(), {"Host": f"{DOMAIN}:{proxy.port}", **headers})
        answer = client.getresponse()
        return answer.status, answer.read().decode(), dict(answer.headers)
    finally:
        client.close()


def test_one_name_serves_both_ports(site: Site, proxy: Proxy) -> None:
    async def scene() -> None:
        origin = f"https://{DOMAIN}:{proxy.port}"
        async with dial(site, proxy, source="127.0.0.5", as_browser=True, Origin=origin) as connection:
            assert await said(connection, "hello") == "echo: hello"
        with pytest.raises(InvalidStatus) as refused:
            await dial(site, proxy, source="127.0.0.5", Origin="https://elsewhere.example")
        assert refused.value.response.status_code == 403

    asyncio.run(scene())
    assert "<html" in ask(site, proxy, "GET", "/")[1]
    assert json.loads(ask(site, proxy, "GET", "/health")[1])["status"] == "ok"
    assert ask(site, proxy, "GET", "/api/status")[0] == 401
    status, body, _ = ask(site, proxy, "GET", "/api/sessions", **BEARER)
    assert status == 200
    assert "websocket:default:main" in body
    chat = json.dumps({"model": "demo", "stream": True, "messages": [{"role": "user", "content": "hi"}]})
    status, body, headers = ask(
        site, proxy, "POST", "/v1/chat/completions", chat, **{**BEARER, "Content-Type": "application/json"}
    )
    assert status == 200
    assert headers["Content-Type"].startswith("text/event-stream")
    assert body.rstrip().endswith("data: [DONE]")


def test_the_gateway_counts_the_client_and_not_the_proxy(site: Site, proxy: Proxy) -> None:
    async def scene() -> None:
        async with dial(site, proxy, source="127.0.0.5") as first:
            claims = {
                "X-Forwarded-For": "203.0.113.9",
                "Forwarded": "for=203.0.113.9",
                "X-Real-IP": "203.0.113.9",
            }
            async with dial(site, proxy, source="127.0.0.5", **claims) as second:
                await second.wait_closed()
                assert (second.close_code, second.close_reason) == (1008, "connection limit exceeded")
            async with dial(site, proxy, source="127.0.0.6") as other:
                assert await said(other, "me too") == "echo: me too"
            assert await said(first, "still here") == "echo: still here"

    asyncio.run(scene())


def test_twilio_signs_the_public_address(site: Site, proxy: Proxy) -> None:
    path = "/twilio/sms/inbound"
    fields = {"MessageSid": f"SM{proxy.port}", "From": ANN, "To": US, "Body": "STOP"}
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    signature = RequestValidator(TWILIO_TOKEN).compute_signature(f"https://{DOMAIN}{path}", fields)
    good = {**form, "X-Twilio-Signature": signature}
    assert ask(site, proxy, "POST", path, urlencode(fields), **good)[0] == 200
    assert ask(site, proxy, "POST", path, urlencode({**fields, "Body": "YES"}), **good)[0] == 401


def test_the_service_manager_is_told_of_the_beginning_the_life_and_the_end(site: Site) -> None:
    gateway = site.gateway
    ready = site.manager.hears("READY=1")
    where = f"{gateway.ws_url[5:-3]} and {gateway.http_url[7:]}"
    assert ready == ["READY=1", f"STATUS=ready on {where}"]
    site.manager.hears("WATCHDOG=1")
    assert gateway.terminate() == 0
    assert "EXTEND_TIMEOUT_USEC=40000000" in site.manager.hears("STOPPING=1")
    gateway.check_nothing_left()
