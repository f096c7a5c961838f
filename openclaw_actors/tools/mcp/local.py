"""Starts a server that is a program of ours, and leaves nothing of it behind."""

from __future__ import annotations

__all__ = ["LocalServer", "Unusable"]

import asyncio
import shutil
from collections.abc import Mapping
from pathlib import Path

from openclaw_actors.config import GatewayConfig
from openclaw_actors.config.paths import expand
from openclaw_actors.proctree import end_strangers
from openclaw_actors.tools.guard import Guard
from openclaw_actors.tools.launch import environment_of
from openclaw_actors.tools.mcp.chatter import Chatter
from openclaw_actors.tools.mcp.program import ServerProgram
from openclaw_actors.tools.scratch import Scratch

_SWEEPS, _NAP_S = 100, 0.01
_LAST_WORD_S = 0.2


class Unusable(Exception):
    """Raised where the server cannot be started; its text is a few words for a person."""


class LocalServer:
    """The program of one server. Whatever is a child of this process belongs to it.

    Args:
        name: of the server.
        config: where its command stands.
        environ: the environment of this process.
        chatter: takes what it prints.
    """

    def __init__(
        self, name: str, config: GatewayConfig, environ: Mapping[str, str], chatter: Chatter
    ) -> None:
        self._its = config.mcp.servers[name]
        self._workspace = Path(config.workspace)
        self._environ = environ
        self._chatter = chatter
        self._scratch = Scratch(Path(config.state_dir) / "tmp")
        self._temporary: Path | None = None
        self._guard: Guard | None = None
        self._ended = False
        self.program: ServerProgram | None = None

    async def start(self, secrets: Mapping[str, str]) -> ServerProgram:
        """Start it.

        Args:
            secrets: `env.NAME` -> value, of the settings that are references.

        Raises:
            Unusable: it cannot be started.
        """
        try:
            self._temporary = await self._scratch.make()
            settings = {name: secrets.get(f"env.{name}", value) for name, value in self._its.env.items()}
            known = environment_of(self._environ, passed=(), temporary=self._temporary)
            environment = {**known, **settings}
            cwd = self._directory()
            arguments = [self._find(cwd, environment["PATH"]), *self._its.args]
            self._guard = Guard(known["PATH"])
            self.program = ServerProgram(
                arguments, cwd=cwd, environment=environment, guard=self._guard, chatter=self._chatter
            )
            await self.program.open()
        except (OSError, ValueError) as error:
            why = error.strerror if isinstance(error, OSError) else str(error)
            raise Unusable(f"it cannot be started: {why}") from None
        return self.program

    def _directory(self) -> Path:
        if self._its.cwd is not None:
            return self._workspace / expand(self._its.cwd, self._environ)
        self._workspace.mkdir(mode=0o700, parents=True, exist_ok=True)
        return self._workspace

    def _find(self, cwd: Path, path: str) -> str:
        command = self._its.command or ""
        given = str(cwd / expand(command, self._environ)) if "/" in command else command
        found = shutil.which(given, path=path)
        if found is None:
            raise Unusable(f"there is no program {command}")
        return found

    async def death(self) -> str:
        """Clear up what is left; returns how it ended, empty if it has not ended by itself."""
        program = self.program
        if program is None:
            return ""
        await asyncio.wait({program.exited}, timeout=_LAST_WORD_S)
        by_itself = program.exited.done()
        await self.end()
        if not by_itself or program.code is None:
            return ""
        if program.code < 0:
            return f"its program was killed by signal {-program.code}"
        return f"its program ended with exit code {program.code}"

    async def end(self) -> None:
        """End it, and whatever of it has left its group."""
        if self._ended:
            return
        self._ended = True
        if self.program is not None:
            await self.program.end()
        spare = self._guard.pids if self._guard is not None else set()
        for _ in range(_SWEEPS):
            if not end_strangers(spare):
                break
            await asyncio.sleep(_NAP_S)
        if self._guard is not None:
            self._guard.end()
        if self._temporary is not None:
            await self._scratch.remove(self._temporary)
