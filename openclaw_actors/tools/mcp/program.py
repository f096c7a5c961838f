"""Owns the program of a stdio server: its group, its pipes, its end."""

from __future__ import annotations

__all__ = ["ServerProgram"]

import asyncio
import os
import signal
from asyncio.streams import FlowControlMixin
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from openclaw_actors.proctree import kill
from openclaw_actors.tools.guard import Guard
from openclaw_actors.tools.launch import GO, ProgramLimits, start_leader
from openclaw_actors.tools.mcp.chatter import Chatter

_UNLIMITED = ProgramLimits(memory_mb=0, processes=0, file_mb=0)
"""Runtimes reserve what they never use; the kernel takes a server first when memory runs out."""

_READ_BYTES = 65_536
_ENDS_BY_ITSELF_S = 1.0
"""After its stdin was closed: that is how a client ends a server."""
_TERMINATE_S = 1.0
_KILL_S = 1.0


class ServerProgram:
    """A program that speaks MCP over its standard streams. It leads a process group of its own.

    Args:
        arguments: what is run, and its arguments.
        cwd: where.
        environment: all of it.
        guard: ends it where this process and all above it die at once.
        chatter: takes its stderr.

    Raises:
        OSError: it cannot be started.
        ValueError: an argument holds a NUL.
    """

    def __init__(
        self,
        arguments: Sequence[str],
        *,
        cwd: Path,
        environment: Mapping[str, str],
        guard: Guard,
        chatter: Chatter,
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._guard = guard
        self._chatter = chatter
        self.exited: asyncio.Future[None] = self._loop.create_future()
        self.over = asyncio.Event()
        """It has ended, or says nothing any more."""
        self.code: int | None = None
        """Its exit code; negative: the signal that ended it. None while it runs."""
        self._transports: list[asyncio.BaseTransport] = []
        self._leader, self._pidfd = start_leader(
            arguments,
            cwd=cwd,
            environment=environment,
            mark=guard.mark,
            limits=_UNLIMITED,
            keeps_stdin=True,
        )
        self.pid = self._leader.pid
        self._loop.add_reader(self._pidfd, self._leader_ended)

    async def open(self) -> None:
        """Connect its streams, and let it begin: from now on nothing that happens to us leaves it behind."""
        leader = self._leader
        self.stdout = asyncio.StreamReader(limit=_READ_BYTES)
        stderr = asyncio.StreamReader(limit=_READ_BYTES)
        for reader, pipe in ((self.stdout, leader.stdout), (stderr, leader.stderr)):
            reading, _ = await self._loop.connect_read_pipe(_protocol_of(reader), pipe)
            self._transports.append(reading)
        transport, protocol = await self._loop.connect_write_pipe(FlowControlMixin, leader.stdin)
        self.stdin = asyncio.StreamWriter(transport, protocol, None, self._loop)
        self._draining = asyncio.ensure_future(self._drain(stderr))
        self._guard.tell({-self.pid})
        self.stdin.write(GO)

    async def _drain(self, stderr: asyncio.StreamReader) -> None:
        while data := await stderr.read(_READ_BYTES):
            self._chatter.feed(data)

    async def end(self) -> None:
        """End it and its group, by and by; what has left the group is somebody else's to end."""
        if not self.exited.done():
            self._close_stdin()
            for number, limit_s in ((0, _ENDS_BY_ITSELF_S), (signal.SIGTERM, _TERMINATE_S)):
                if number:
                    kill(-self.pid, number)
                    kill(-self.pid, signal.SIGCONT)
                await asyncio.wait({self.exited}, timeout=limit_s)
        self.kill()
        await asyncio.wait({self.exited}, timeout=_KILL_S)
        self._let_go()

    def kill(self) -> None:
        """Kill its group. Its leader is not reaped before `end` is through, so the number is nobody else's."""
        if self.code is None:
            kill(-self.pid)

    def _close_stdin(self) -> None:
        if hasattr(self, "stdin"):
            self.stdin.close()
        elif self._leader.stdin is not None:
            self._leader.stdin.close()

    def _leader_ended(self) -> None:
        self._loop.remove_reader(self._pidfd)
        os.close(self._pidfd)
        self.exited.set_result(None)
        self.over.set()

    def _let_go(self) -> None:
        self._close_stdin()
        if hasattr(self, "_draining"):
            self._draining.cancel()
        if self.exited.done():
            self.code = self._leader.wait()
        else:
            self._loop.remove_reader(self._pidfd)
            os.close(self._pidfd)
        for transport in self._transports:
            transport.close()  # its pipe, too
        owned = len(self._transports)
        for pipe in (self._leader.stdout, self._leader.stderr)[owned:]:
            if pipe is not None:
                pipe.close()


def _protocol_of(reader: asyncio.StreamReader) -> Callable[[], asyncio.StreamReaderProtocol]:
    return lambda: asyncio.StreamReaderProtocol(reader)
