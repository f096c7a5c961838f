"""TLS in the gateway itself: both channels, the commands, a renewed certificate, and where the key is."""

from __future__ import annotations

import asyncio
import json
import shutil
import socket
import tempfile
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.authority import Authority
from tests.system.client import Client
from tests.system.gateway import Gateway, wait_until
from tests.system.test_secrets import holders


class House:
    """A gateway with TLS, and who issued its certificate."""

    def __init__(self, root: Path) -> None:
        self.authority = Authority(root / "tls")
        self.first = self.authority.issue()
        self.gateway = Gateway(root / "gateway", config={"tls": self.authority.config}).start()

    def client(self, session: str = "main") -> Client:
        return Client(self.gateway.ws_url, session=session, ssl=self.authority.trusting())

    def get(self, path: str) -> dict[str, object]:
        url = self.gateway.http_url + path
        with urllib.request.urlopen(url, timeout=30, context=self.authority.trusting()) as answer:
            found: dict[str, object] = json.load(answer)
            return found

    def shown(self) -> set[bytes]:
        """The certificates that the two ports show to who connects now."""
        return {self._shown_at(url) for url in (self.gateway.ws_url, self.gateway.http_url)}

    def _shown_at(self, url: str) -> bytes:
        port = int(url.rpartition(":")[2].partition("/")[0])
        with (
            socket.create_connection(("127.0.0.1", port), timeout=10) as plain,
            self.authority.trusting().wrap_socket(plain, server_hostname="gateway.test") as secured,
        ):
            return secured.getpeercert(binary_form=True) or b""


@pytest.fixture(scope="module")
def house() -> Iterator[House]:
    root = Path(tempfile.mkdtemp(prefix="oca-"))
    made = House(root)
    yield made
    made.gateway.close()
    shutil.rmtree(root)


def test_clients_of_both_channels_and_every_command_work_with_it(house: House) -> None:
    gateway = house.gateway
    assert gateway.ws_url.startswith("wss://127.0.0.1:")
    assert gateway.http_url.startswith("https://127.0.0.1:")

    async def scene() -> None:
        async with house.client() as client:
            assert (await client.turn("hello"))["text"] == "echo: hello"
            long = await client.turn("/demo tokens 20000")
            assert client.streamed(long["turnId"]) == long["text"]

    asyncio.run(scene())
    assert house.get("/health")["status"] == "ok"
    assert house.get("/api/status")["healthy"] is True
    with pytest.raises((urllib.error.URLError, ConnectionError)):
        urllib.request.urlopen(gateway.http_url.replace("https", "http") + "/health", timeout=30)
    assert gateway.cli("send", "from the command line").stdout == "echo: from the command line\n"
    assert gateway.cli("health", "--ready").returncode == 0
    doctor = json.loads(gateway.cli("doctor", "--json").stdout)["findings"]
    assert len([each for each in doctor if "the gateway answers on" in each["what"]]) == 2


def test_no_process_but_the_channels_has_the_key(house: House) -> None:
    lines = house.authority.key.read_text().splitlines()
    found = holders(house.gateway, lines[1], lines[2])
    assert set().union(*found.values()) <= {"websocket", "http"}


def test_a_renewed_certificate_is_for_new_connections_and_a_broken_one_for_nobody(house: House) -> None:
    authority, gateway = house.authority, house.gateway

    async def scene() -> None:
        async with house.client("renewal") as client:
            await client.turn("before")
            second = authority.issue()
            await asyncio.to_thread(wait_until, lambda: house.shown() == {second}, what="the new certificate")
            assert (await client.turn("after"))["text"] == "echo: after"

    asyncio.run(scene())
    assert gateway.cli("send", "to the new one").stdout == "echo: to the new one\n"
    good = house.shown()
    certificate = authority.certificate.read_bytes()
    authority.issue()
    authority.replace(authority.certificate, certificate)  # with the key of another
    wait_until(lambda: gateway.cli("health").stdout.count("another certificate") == 2, what="it is told")
    assert house.shown() == good
    assert gateway.cli("health", "--ready").returncode == 0
    assert "the new certificate is not used" in gateway.log_text()
    mended = authority.issue()
    wait_until(lambda: house.shown() == {mended}, what="the certificate that can be used again")
    wait_until(lambda: gateway.cli("health").stdout == "healthy\n", what="nothing is wrong any more")


def test_clients_are_told_goodbye_and_a_slow_handshake_keeps_nobody(house: House) -> None:
    gateway = house.gateway
    port = int(gateway.ws_url.rpartition(":")[2].partition("/")[0])

    async def scene() -> None:
        _, silent = await asyncio.open_connection("127.0.0.1", port)
        async with house.client("goodbye") as client:
            await client.turn("hello")
            stopping = asyncio.create_task(asyncio.to_thread(gateway.stop))
            await client.connection.wait_closed()
            assert client.connection.close_code == 1001
            await stopping
        silent.close()

    asyncio.run(scene())
    house.authority.certificate.unlink()
    refused = gateway.cli("start", "--demo")
    assert refused.returncode == 2
    assert refused.stderr.startswith("Error: tls.certificate must be a file with the gateway's certificate")
    assert "No such file or directory" in refused.stderr
