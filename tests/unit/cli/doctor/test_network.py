"""Ports, the provider and the clock, against real sockets and a real server."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
import time
from email.utils import formatdate
from typing import Any, get_args

import pytest

from openclaw_actors.actors.rundir import RunRecord, process_start_ticks
from openclaw_actors.cli.doctor import clock, ports, provider
from openclaw_actors.cli.doctor.context import Context
from openclaw_actors.cli.doctor.finding import Finding
from openclaw_actors.messages import ProbeResult, ProviderProbed
from tests.unit.cli.doctor.world import World, told

KEY = "sk-test-0123456789abcdef"


def answering(status: int, body: str = "{}", *, date: str = "") -> Any:
    """A provider that gives one answer to everything, whatever was asked."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        assert f"authorization: bearer {KEY}".encode() in head.lower()
        data = body.encode()
        extra = f"Date: {date}\r\n" if date else ""
        writer.write(
            f"HTTP/1.1 {status} X\r\nContent-Length: {len(data)}\r\nConnection: close\r\n{extra}\r\n".encode()
            + data
        )
        await writer.drain()
        writer.close()

    return serve


def examine(world: World, look: Any, serve: Any) -> list[Finding]:
    """What a check says while a provider answers like this."""

    async def with_server(context: Context) -> list[Finding]:
        async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            world.configure(
                {
                    "llm": {
                        "endpoint": f"http://127.0.0.1:{port}",
                        "api_key": "env:KEY",
                        "model": "m1",
                        "provider": "openai-compatible",
                    }
                }
            )
            return list(await look(world.context()))

    world.environ["KEY"] = KEY
    found = world.see(with_server)
    assert KEY not in " ".join(each.what + each.why + each.remedy for each in found)
    return found


@pytest.mark.parametrize(
    ("status", "body", "level", "text"),
    [
        (200, '{"data":[{"id":"m1"}]}', "ok", "takes the key, and has m1"),
        (200, '{"data":[{"id":"m2"}]}', "warning", "does not list the model m1"),
        (401, f'{{"error":{{"message":"bad key {KEY}"}}}}', "error", "refuses the API key"),
        (403, "{}", "error", "does not allow this key"),
        (402, "{}", "error", "no credit"),
        (404, "{}", "warning", "lists no models"),
        (429, "{}", "warning", "refuses for now"),
        (503, "{}", "warning", "fails"),
        (302, "{}", "error", "has moved"),
        (200, "<html>", "error", "does not speak the API of llm.provider"),
    ],
)
def test_a_wrong_key_is_told_from_a_provider_that_is_not_there(
    world: World, status: int, body: str, level: str, text: str
) -> None:
    assert text in told(examine(world, provider.look, answering(status, body)), level)


def test_nobody_is_there(world: World) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        world.configure({"llm": {"endpoint": f"http://127.0.0.1:{taken.getsockname()[1]}"}})
        assert "Connection refused" in told(world.see(provider.look), "error")


def test_every_result_of_a_probe_has_words() -> None:
    for result in get_args(ProbeResult):
        (found,) = provider._findings(ProviderProbed(result=result, provider="p", model="m", where="here:1"))
        assert found.what
        assert found.remedy or found.level in ("ok", "info")


def test_a_key_that_does_not_resolve(world: World) -> None:
    world.configure({"llm": {"api_key": "env:NOT_SET"}})
    assert "NOT_SET is not set" in told(world.see(provider.look), "warning")


# The clock


def test_a_clock_that_the_provider_s_date_contradicts(world: World) -> None:
    models = '{"data":[{"id":"m1"}]}'
    late = formatdate(time.time() + 7200, usegmt=True)
    found = examine(world, clock.look, answering(200, models, date=late))
    assert "s behind that of" in told(found, "error")
    found = examine(world, clock.look, answering(200, models, date=formatdate(usegmt=True)))
    assert "agrees" in told(found, "ok")


def test_a_file_of_the_future_shows_that_the_clock_was_set_back(world: World) -> None:
    world.make("logs")
    log = world.state / "logs" / "gateway.log"
    log.write_text("")
    os.utime(log, (time.time() + 3600,) * 2)
    assert "in the future" in told(world.see(clock.look), "warning")


def test_a_clock_that_was_set_while_the_gateway_ran(world: World) -> None:
    world.make("run")
    lock = world.state / "run" / "lock"
    lock.write_text("")
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    try:
        ticks = process_start_ticks(process.pid) or 0
        record = RunRecord(
            boot="b", pid=process.pid, started_ticks=ticks, run_dir=str(world.state), state="ready"
        )
        assert told(world.see(clock.look, record=record), "warning") == ""
        os.utime(lock, (time.time() - 600,) * 2)
        assert "set forward by about 6" in told(world.see(clock.look, record=record), "warning")
        os.utime(lock, (time.time() + 600,) * 2)
        assert "set back by about 6" in told(world.see(clock.look, record=record), "warning")
    finally:
        process.communicate(b"\n")


# Ports


def test_a_port_that_somebody_has(world: World) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        world.configure({"port": port, "http": {"port": 0}})
        found = world.see(ports.look)
    text = told(found, "error")
    assert f"port {port} of 127.0.0.1 is taken by python" in text
    assert f"(pid {os.getpid()})" in text
    assert "http.port` is 0" in told(found, "ok")
    assert f"port {port} of 127.0.0.1 is free" in told(world.see(ports.look), "ok")


def test_an_address_that_is_not_of_this_machine(world: World) -> None:
    world.configure({"bind_address": "192.0.2.1"})
    assert "cannot listen on 192.0.2.1" in told(world.see(ports.look), "error")


def test_a_gateway_whose_channels_do_not_answer(world: World) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        writer.close()

    async def look(context: Context) -> list[Finding]:
        async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
            good = server.sockets[0].getsockname()[1]
            with socket.socket() as closed:
                closed.bind(("127.0.0.1", 0))
                record = RunRecord(
                    boot="b",
                    pid=os.getpid(),
                    started_ticks=0,
                    run_dir="/x",
                    state="ready",
                    ws=f"127.0.0.1:{good}",
                    http=f"127.0.0.1:{closed.getsockname()[1]}",
                )
                return list(await ports.look(world.context(record=record)))

    found = world.see(look)
    assert "the gateway answers on" in told(found, "ok")
    assert "nothing answers on" in told(found, "error")
    assert "`port` says 18789" in told(found, "info")
