"""Checks the handshake of a channel, over real sockets: who gets in, with which certificate, and who must not wait."""

from __future__ import annotations

import asyncio
import datetime as dt
import ssl
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from openclaw_actors.actors import tls_gate
from openclaw_actors.actors.tls_gate import TlsGate
from openclaw_actors.config.sections import TlsConfig
from tests.authority import Authority

DEADLINE_S = 10.0
Scene = Callable[[], Coroutine[Any, Any, None]]


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    made = Authority(tmp_path)
    made.issue()
    return made


def gate_of(authority: Authority, *, handshake_s: float = DEADLINE_S) -> TlsGate:
    return TlsGate(TlsConfig(**authority.config), handshake_s=handshake_s)


def play(scene: Scene) -> None:
    async def run() -> None:
        async with asyncio.timeout(30):
            await scene()

    asyncio.run(run())


class Echo(asyncio.Protocol):
    """Says what it hears; knows what happened to it."""

    def __init__(self) -> None:
        self.lost = asyncio.Event()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.transport.write(data)

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost.set()


class House:
    def __init__(self, port: int, made: list[Echo]) -> None:
        self.port, self.made = port, made


@asynccontextmanager
async def house(gate: TlsGate) -> AsyncIterator[House]:
    made: list[Echo] = []

    def make() -> Echo:
        made.append(Echo())
        return made[-1]

    server = await asyncio.get_running_loop().create_server(gate.guard(make), "127.0.0.1", 0)
    async with server:
        yield House(server.sockets[0].getsockname()[1], made)


async def enter(port: int, authority: Authority) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    return await asyncio.open_connection("127.0.0.1", port, ssl=authority.trusting())


def shown(writer: asyncio.StreamWriter) -> bytes:
    certificate: bytes = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    return certificate


async def leave(*writers: asyncio.StreamWriter) -> None:
    for writer in writers:
        writer.close()
        try:
            await writer.wait_closed()
        except OSError:
            pass  # the other side was quicker


def test_what_is_said_at_once_arrives(authority: Authority) -> None:
    async def scene() -> None:
        async with house(gate_of(authority)) as here:
            reader, writer = await enter(here.port, authority)
            writer.write(b"hello")
            assert await reader.readexactly(5) == b"hello"
            await leave(writer)
            await here.made[0].lost.wait()

    play(scene)


def test_who_does_not_speak_tls_never_reaches_the_protocol(authority: Authority) -> None:
    async def scene() -> None:
        gate = gate_of(authority)
        async with house(gate) as here:
            reader, writer = await asyncio.open_connection("127.0.0.1", here.port)
            writer.write(b"GET / HTTP/1.1\r\n\r\n")
            assert b"HTTP" not in await reader.read()
            assert here.made == []
            assert gate.handshakes == 0
            await leave(writer)

    play(scene)


def test_an_old_version_is_refused(authority: Authority) -> None:
    async def scene() -> None:
        context = authority.trusting()
        with pytest.warns(DeprecationWarning, match="TLSv1_1"):
            context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
        async with house(gate_of(authority)) as here:
            with pytest.raises((ssl.SSLError, ConnectionError)):
                await asyncio.open_connection("127.0.0.1", here.port, ssl=context)

    play(scene)


def test_who_says_nothing_is_cut_off_in_time(authority: Authority) -> None:
    async def scene() -> None:
        gate = gate_of(authority, handshake_s=0.1)
        async with house(gate) as here:
            reader, writer = await asyncio.open_connection("127.0.0.1", here.port)
            assert await reader.read() == b""
            assert gate.handshakes == 0
            await leave(writer)

    play(scene)


def test_those_that_say_nothing_make_way(authority: Authority, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tls_gate, "_MAX_HANDSHAKES", 3)

    async def scene() -> None:
        gate = gate_of(authority)
        async with house(gate) as here:
            silent = [await asyncio.open_connection("127.0.0.1", here.port) for _ in range(5)]
            for reader, _ in silent[:2]:
                assert await reader.read() == b""
            assert gate.handshakes <= 3
            reader, writer = await enter(here.port, authority)
            writer.write(b"hello")
            assert await reader.readexactly(5) == b"hello"
            await leave(writer, *(writer for _, writer in silent))

    play(scene)


def test_a_new_certificate_is_for_new_connections(authority: Authority) -> None:
    async def scene() -> None:
        gate = gate_of(authority)
        async with house(gate) as here:
            old_reader, old = await enter(here.port, authority)
            first = shown(old)
            second = authority.issue()
            gate.look()
            _, between = await enter(here.port, authority)
            assert shown(between) == first  # it may still be being written
            gate.look()
            _, new = await enter(here.port, authority)
            assert shown(new) == second
            old.write(b"still here")
            assert await old_reader.readexactly(10) == b"still here"
            await leave(old, between, new)

    play(scene)


def spoil(authority: Authority) -> str:
    certificate = authority.certificate.read_bytes()
    authority.issue()
    authority.replace(authority.certificate, certificate)
    return "it is the key of another certificate"


def expire(authority: Authority) -> str:
    authority.issue(expires=dt.datetime(2025, 1, 1, tzinfo=dt.UTC))
    return "to 2025-01-01 00:00 UTC, not now"


def remove(authority: Authority) -> str:
    authority.key.unlink()
    return "No such file or directory"


@pytest.mark.parametrize("harm", [spoil, expire, remove])
def test_a_new_pair_that_cannot_be_used_keeps_the_old_one_and_says_so(
    authority: Authority, caplog: pytest.LogCaptureFixture, harm: Callable[[Authority], str]
) -> None:
    async def scene() -> None:
        gate = gate_of(authority)
        async with house(gate) as here:
            _, before = await enter(here.port, authority)
            reason = harm(authority)
            gate.look()
            gate.look()
            gate.look()
            _, after = await enter(here.port, authority)
            assert shown(after) == shown(before)
            (warning,) = gate.warnings
            assert warning.startswith("the new certificate is not used, the one before it is: ")
            assert reason in warning
            assert len(caplog.records) == 1  # told once, not at every look
            assert gate.gauges("http")['tls_certificate_rejected{channel="http"}'] == 1
            newest = authority.issue()
            gate.look()
            gate.look()
            assert gate.warnings == ()
            assert gate.gauges("http")['tls_certificate_rejected{channel="http"}'] == 0
            _, mended = await enter(here.port, authority)
            assert shown(mended) == newest
            await leave(before, after, mended)

    play(scene)


def test_a_certificate_that_expired_while_the_gateway_ran_is_shown_and_told(authority: Authority) -> None:
    authority.issue(expires=dt.datetime(2025, 1, 1, tzinfo=dt.UTC))
    gate = gate_of(authority)
    assert gate.warnings == ("the certificate expired on 2025-01-01 00:00 UTC",)
    ends = dt.datetime(2025, 1, 1, tzinfo=dt.UTC).timestamp()
    assert gate.gauges("http")['tls_certificate_not_after_seconds{channel="http"}'] == ends
