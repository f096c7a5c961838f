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

from chaos.processes import MARK, of_gateway
from chaos.trouble import BadDisk, BadProvider, SmallDisk

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
        config: what it has otherwise than every gateway of a campaign, by section.
    """

    def __init__(
        self,
        directory: Path,
        *,
        bad_provider: bool = False,
        bad_disk: bool = False,
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
        self.disk = SmallDisk(directory / "disk") if bad_disk else None
        self.layer = BadDisk(directory, directory / "disk") if bad_disk else None
        if bad_disk:
            sections["memory"] = {"storage_path": str(directory / "disk" / "memory")}
        whole = {**sections, "port": self._port, "http": {"port": self._http_port}}
        (directory / "gateway.yaml").write_text(yaml.safe_dump(whole))

    @property
    def pid(self) -> int:
        """Of `start`; 0 while there is none."""
        return self._process.pid if self._process is not None and self._process.returncode is None else 0

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
        environment = {name: value for name, value in os.environ.items() if not name.startswith(_UNWANTED)}
        self.starts += 1
        with (self.directory / "stderr").open("ab") as errors:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "openclaw_actors",
                "start",
                *(() if self.provider else ("--demo",)),
                "--config",
                str(self.directory / "gateway.yaml"),
                "--state-dir",
                str(self.directory / "state"),
                cwd=self.directory,
                env={
                    **environment,
                    **(self.layer.environment if self.layer else {}),
                    MARK: self.mark,
                    "PYTHONPATH": str(ROOT),
                },
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
