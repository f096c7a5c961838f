"""Runs the gateway of a campaign: starts it again whenever its `start` was killed, and ends it at the end."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import socket
import sys
import uuid
from pathlib import Path
from typing import Any

import yaml

from chaos.preload import BadClock, joined
from chaos.processes import MARK, of_gateway
from chaos.trouble import BadDisk, BadProvider, SmallDisk, user_apart

__all__ = ["Gateway"]

ROOT = Path(__file__).parents[1]
_READY = re.compile(rb"^ready ", re.MULTILINE)
_START_WITHIN_S = 60.0
_STOP_WITHIN_S = 45.0
_UNWANTED = ("OPENCLAW", "OPENAI", "MODEL_PROVIDER_KEY", "XDG_RUNTIME_DIR")
_CONFIG: dict[str, Any] = {
    "llm": {"circuit_breaker_threshold": 1_000_000, "retry_backoff_seconds": 0.1},
    "sessions": {"ping_interval_seconds": 1, "ping_timeout_seconds": 3, "max_memory_mb": 256},
    "supervision": {"ping_interval_seconds": 1, "ping_timeout_seconds": 3, "backoff_max_seconds": 2},
    "websocket": {"messages_per_minute_per_connection": 100_000, "max_connections_per_ip": 1000},
    "logging": {"level": "info"},
    "retention": {"max_age_days": 3_000},
}
"""Impatient, so that a minute sees what a day would."""
_PROVIDER = {
    "provider": "openai-compatible",
    "api_key": "raw:none",
    "retry_count": 8,
    "retry_backoff_max_seconds": 1,
}


class Gateway:
    """A gateway that is started again whenever it dies, until the campaign is over.

    Args:
        directory: for the configuration, the state and what it prints.
        bad_provider: it asks a provider that can be made to fail, not the demo provider.
        bad_disk: its store stands on a disk that can be made to fail.
        bad_clock: the time of day can be set for its processes.
        bound_by_limits: it runs as a user whom the kernel's limits bind, if there is one.
        config: what it has otherwise than every gateway of a campaign, by section.
    """

    def __init__(
        self,
        directory: Path,
        *,
        bad_provider: bool = False,
        bad_disk: bool = False,
        bad_clock: bool = False,
        bound_by_limits: bool = False,
        config: dict[str, dict[str, Any]] | None = None,
    ) -> None:
        self.directory = directory
        self.mark = uuid.uuid4().hex
        self.starts = 0
        self._port, self._http_port = _free_port(), _free_port()
        self.url = f"ws://127.0.0.1:{self._port}/ws"
        self._process: asyncio.subprocess.Process | None = None
        self._ready = asyncio.Event()
        self._over = False
        sections = {name: dict(section) for name, section in _CONFIG.items()}
        for name, section in (config or {}).items():
            sections.setdefault(name, {}).update(section)
        self.provider = BadProvider(_free_port()) if bad_provider else None
        if self.provider is not None:
            sections["llm"].update(_PROVIDER, endpoint=f"http://127.0.0.1:{self.provider.port}/v1")
        apart = user_apart(directory) if bound_by_limits else None
        self.bound_by_limits = apart is not None
        self._runs_as, self.words = apart or (os.getuid(), [])
        """`words` stand before a command that its user is to run."""
        self.clock = BadClock(directory) if bad_clock else None
        self.disk = SmallDisk(directory / "disk", self._runs_as) if bad_disk else None
        self.layer = BadDisk(directory, directory / "disk") if bad_disk else None
        if bad_disk:
            sections["memory"] = {"storage_path": str(directory / "disk" / "memory")}
        whole = {**sections, "port": self._port, "http": {"port": self._http_port}}
        self._config: dict[str, Any] = whole
        self._configure()

    @property
    def ports(self) -> tuple[int, int]:
        """Of the WebSocket, and of HTTP."""
        return self._port, self._http_port

    @property
    def memory(self) -> Path:
        """Its store."""
        path = self._config.get("memory", {}).get("storage_path")
        return Path(path) if path else self.directory / "state" / "memory"

    def command(self, *arguments: str, state: str = "state") -> list[str]:
        """One of its programs, run as its user, on this state in its directory."""
        config, place = self.directory / "gateway.yaml", self.directory / state
        program = [*self.words, sys.executable, "-m", "openclaw_actors", *arguments]
        return [*program, "--config", str(config), "--state-dir", str(place)]

    def reconfigure(self, section: str, key: str, value: Any) -> None:
        """Change one key of its file; it is read at the next start, or when it is told to reload."""
        self._config.setdefault(section, {})[key] = value
        self._configure()

    def _configure(self) -> None:
        new = self.directory / "gateway.yaml.new"
        new.write_text(yaml.safe_dump(self._config))
        new.replace(self.directory / "gateway.yaml")

    @property
    def pid(self) -> int:
        """Of `start`; 0 while there is none."""
        return self._process.pid if self._process is not None and self._process.returncode is None else 0

    @property
    def environment(self) -> dict[str, str]:
        """For its programs; nothing of the caller's that would configure them."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(_UNWANTED)}
        return {**kept, "PYTHONPATH": str(ROOT), "HOME": str(self.directory)}

    def processes(self) -> dict[int, str]:
        """All that live of it."""
        return of_gateway(self.mark)

    async def keep_running(self) -> None:
        """Start it, and start it again when it has died, until `stop`."""
        if self.provider is not None:
            await self.provider.start()
        while not self._over:
            self._ready.clear()
            await self._start()
            assert self._process is not None
            await self._process.wait()

    async def until_ready(self) -> None:
        """Wait until it serves."""
        async with asyncio.timeout(_START_WITHIN_S):
            await self._ready.wait()

    async def stop(self) -> int | None:
        """Let it drain and end; returns its exit status, None if it had to be killed."""
        self._over = True
        if self.provider is not None:
            await self.provider.stop()
        process = self._process
        if process is None or process.returncode is not None:
            return process.returncode if process is not None else 0
        process.send_signal(signal.SIGTERM)
        try:
            async with asyncio.timeout(_STOP_WITHIN_S):
                return await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()
            return None

    def clear(self) -> None:
        """Take away what surrounded it, when all has ended."""
        if self.disk is not None:
            self.disk.remove()

    async def _start(self) -> None:
        layers = [layer.environment for layer in (self.layer, self.clock) if layer]
        self.starts += 1
        with (self.directory / "stderr").open("ab") as errors:
            self._process = await asyncio.create_subprocess_exec(
                *self.command("start", *(() if self.provider else ("--demo",))),
                cwd=self.directory,
                env={**self.environment, **joined(layers), MARK: self.mark},
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=errors,
                start_new_session=True,
            )
        assert self._process.stdout is not None
        said = b""
        while not _READY.search(said):
            piece = await self._process.stdout.read(65_536)
            if not piece:
                return  # it was killed before it was ready, or says in `stderr` why not
            said += piece
        self._ready.set()


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port
