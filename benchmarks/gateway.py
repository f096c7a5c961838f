"""Starts a real gateway for a measurement, on free ports and a state directory of its own, and ends it."""

from __future__ import annotations

__all__ = ["Gateway", "StartFailed"]

import os
import re
import select
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import yaml

from benchmarks.processes import Tree

ROOT = Path(__file__).parents[1]
_READY = re.compile(rb"^ready ws=(?P<ws>ws://\S+/ws) http=(?P<http>http://\S+) ", re.MULTILINE)
_START_WITHIN_S = 60.0
_STOP_WITHIN_S = 30.0
_NO_LIMITS: dict[str, Any] = {
    "websocket": {"messages_per_minute_per_connection": 10_000_000, "max_connections_per_ip": 1000},
}
_FOREIGN = ("OPENCLAW", "OPENAI", "MODEL_PROVIDER_KEY")


class StartFailed(RuntimeError):
    """Raised when the gateway did not get ready; its text holds what it said."""


class Gateway:
    """A running gateway; a context manager.

    Everything is at its default, fsync included, but the rate and connection limits of the WebSocket channel.

    Args:
        directory: for state, configuration and what it prints; created if it is missing.
        config: further keys of the configuration.
        demo: with the demo provider, whatever the configuration says.
        site: a directory before all others on Python's path.
        arguments: further ones of `start`.
        ports: of the WebSocket and the HTTP channel; 0 for any that is free.
    """

    def __init__(
        self,
        directory: Path,
        config: Mapping[str, Any] | None = None,
        *,
        demo: bool = True,
        site: Path | None = None,
        arguments: Sequence[str] = (),
        ports: tuple[int, int] = (0, 0),
    ) -> None:
        self.directory = directory
        self.state = directory / "state"
        self.url = ""
        """Of the WebSocket channel."""
        self.http_url = ""
        self.start_s = 0.0
        """From the start of the process to its `ready` line, in seconds."""
        directory.mkdir(parents=True, exist_ok=True)
        self._demo = demo
        self._arguments = arguments
        self._ports = ports
        self._path = os.pathsep.join(map(str, [ROOT, *([site] if site is not None else [])]))
        self._config = directory / "gateway.yaml"
        settings = {**_NO_LIMITS, **(config or {})}
        settings["websocket"] = {**_NO_LIMITS["websocket"], **settings["websocket"]}
        self._config.write_text(yaml.safe_dump(settings))
        self._process: subprocess.Popen[bytes]

    def configure(self, config: Mapping[str, Any]) -> None:
        """Write the configuration file anew; a reload takes it."""
        self._config.write_text(yaml.safe_dump({**_NO_LIMITS, **config}))

    def __enter__(self) -> Gateway:
        environment = {name: value for name, value in os.environ.items() if not name.startswith(_FOREIGN)}
        command = [
            sys.executable,
            "-m",
            "openclaw_actors",
            "start",
            *self._arguments,
            *(["--demo"] if self._demo else []),
            "--port",
            str(self._ports[0]),
            "--http-port",
            str(self._ports[1]),
        ]
        command += ["--config", str(self._config), "--state-dir", str(self.state)]
        with (self.directory / "stderr").open("ab") as errors:
            began = time.perf_counter()
            self._process = subprocess.Popen(
                command,
                cwd=self.directory,
                env={**environment, "PYTHONPATH": self._path},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=errors,
                start_new_session=True,
            )
        try:
            self.url = self._wait_until_ready()
        except BaseException:
            self._end()
            raise
        self.start_s = time.perf_counter() - began
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end()

    def _end(self) -> None:
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.communicate(timeout=_STOP_WITHIN_S)
        except subprocess.TimeoutExpired:
            self._process.kill()  # all below it die with it
            self._process.communicate()

    def stop(self, *, grace_s: float) -> None:
        """Have the command end it, as before an upgrade by a service manager."""
        command = [sys.executable, "-m", "openclaw_actors", "stop", "--grace", str(grace_s)]
        subprocess.run(
            [*command, "--state-dir", str(self.state)],
            cwd=self.directory,
            env={**os.environ, "PYTHONPATH": self._path},
            timeout=_STOP_WITHIN_S,
            check=True,
        )

    @property
    def tree(self) -> Tree:
        """Its processes."""
        return Tree(self._process.pid, "start")

    def _wait_until_ready(self) -> str:
        assert self._process.stdout is not None
        descriptor = self._process.stdout.fileno()
        deadline = time.monotonic() + _START_WITHIN_S
        said = b""
        while True:
            readable, _, _ = select.select([descriptor], [], [], max(0.0, deadline - time.monotonic()))
            piece = os.read(descriptor, 65_536) if readable else b""
            said += piece
            match = _READY.search(said)
            if match is not None and said.endswith(b"\n"):
                self.http_url = match["http"].decode()
                return match["ws"].decode()
            if not piece:
                errors = (self.directory / "stderr").read_text(errors="replace")[-2000:]
                raise StartFailed(f"the gateway did not get ready\n{said.decode(errors='replace')}\n{errors}")
