"""Checks what a service manager hears, on a real socket of the kind that systemd makes."""

from __future__ import annotations

import os
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from openclaw_actors.actors.service_manager import ServiceManager


@pytest.fixture
def systemd() -> Iterator[tuple[socket.socket, str]]:
    with (
        tempfile.TemporaryDirectory(prefix="oca-") as name,
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening,
    ):
        path = str(Path(name) / "notify")
        listening.bind(path)
        listening.settimeout(10)
        yield listening, path


def test_what_it_is_told(systemd: tuple[socket.socket, str]) -> None:
    listening, path = systemd
    environ = {"NOTIFY_SOCKET": path, "WATCHDOG_USEC": "30000000", "WATCHDOG_PID": str(os.getpid()), "A": "b"}
    manager = ServiceManager.take(environ)
    assert environ == {"A": "b"}  # a tool must not be able to speak for the gateway
    assert manager.sign_every_s == 10.0
    manager.ready("all is well")
    manager.alive()
    manager.stopping(within_s=40.0)
    heard = [listening.recv(4096).decode().splitlines() for _ in range(3)]
    assert heard == [
        ["READY=1", "STATUS=all is well"],
        ["WATCHDOG=1"],
        ["STOPPING=1", "STATUS=stopping", "EXTEND_TIMEOUT_USEC=40000000"],
    ]


def test_a_socket_without_a_file() -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(f"\0oca-{os.getpid()}")
        listening.settimeout(10)
        ServiceManager.take({"NOTIFY_SOCKET": f"@oca-{os.getpid()}"}).alive()
        assert listening.recv(4096) == b"WATCHDOG=1"


@pytest.mark.parametrize(
    "environ",
    [
        {},
        {"NOTIFY_SOCKET": "", "WATCHDOG_USEC": "5"},
        {"NOTIFY_SOCKET": "vsock:1:2", "WATCHDOG_USEC": "5"},
        {"NOTIFY_SOCKET": "/nowhere", "WATCHDOG_USEC": "5", "WATCHDOG_PID": "1"},
        {"NOTIFY_SOCKET": "/nowhere", "WATCHDOG_USEC": "soon"},
    ],
)
def test_without_a_manager_or_with_another_process_s_watchdog(environ: dict[str, str]) -> None:
    manager = ServiceManager.take(environ)
    assert manager.sign_every_s == 0.0
    manager.ready("nobody hears this, and nothing happens")
    assert environ == {}


def test_a_manager_that_does_not_read_holds_nobody(systemd: tuple[socket.socket, str]) -> None:
    _, path = systemd
    manager = ServiceManager(path)
    for _ in range(5_000):  # far more than its queue holds
        manager.alive()
