"""A supervisor that is as small as `start` allows: two ports that answer, and the protocol of its life.

Run it as `python -m tests.system.cli.stub_supervisor start …`: the real command line, with this supervisor.
The environment variable STUB says what it does wrong: `init_failed`, `dies`, `hangs` (once, while it
starts), `deaf` (to Shutdown).
"""

from __future__ import annotations

__all__ = ["StubSupervisor", "main"]

import asyncio
import os
import signal
import sys
from pathlib import Path

from openclaw_actors.actors import catalogue
from openclaw_actors.actors.rundir import mark_stopping
from openclaw_actors.actors.service_settings import with_ports
from openclaw_actors.actorsystem import Address, AsyncActor, handles
from openclaw_actors.cli.main import main as real_main
from openclaw_actors.config import decode
from openclaw_actors.config.origin import decode_origin
from openclaw_actors.errors import AskRefused
from openclaw_actors.messages import (
    Done,
    Init,
    InitFailed,
    Ping,
    Pong,
    Ready,
    Reload,
    Shutdown,
    WatchSettings,
)


class StubChild(AsyncActor):
    """A process below the supervisor, so that the tree has three levels."""

    @handles(Ping)
    def ping(self, message: Ping, sender: Address) -> Pong:
        return Pong(pid=os.getpid(), incarnation=1)


class StubSupervisor(AsyncActor):
    """See the module's text."""

    def __init__(self) -> None:
        super().__init__()
        self.servers: list[asyncio.Server] = []

    @handles(Init)
    async def init(self, message: Init, sender: Address) -> Ready | InitFailed:
        self.incarnation = message.incarnation
        if os.environ.get("STUB") == "init_failed":
            return InitFailed(reason="the port is in use", code="port_in_use")
        if os.environ.get("STUB") == "dies":
            os._exit(1)
        if os.environ.get("STUB") == "hangs" and message.incarnation == 1:
            os.kill(os.getpid(), signal.SIGSTOP)
        listening = decode_origin(message.origin).listening
        config = with_ports(
            decode(message.settings), ws=listening.get("websocket", ""), http=listening.get("http", "")
        )
        child = self.create(StubChild)
        await self.ask(child, Ping(), timeout_s=30.0)
        detail = {}
        for name, port in (("ws", config.port), ("http", config.http.port)):
            server = await asyncio.start_server(self.serve, config.bind_address, port)
            self.servers.append(server)
            detail[name] = f"{config.bind_address}:{server.sockets[0].getsockname()[1]}"
        return Ready(pid=os.getpid(), incarnation=message.incarnation, detail=detail)

    @handles(WatchSettings)
    async def watch_settings(self, message: WatchSettings, sender: Address) -> None:
        await self.loop.create_future()

    @handles(Reload)
    def reload(self, message: Reload, sender: Address) -> None:
        raise AskRefused("unknown", "a stub has one configuration")

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        writer.close()

    @handles(Ping)
    def ping(self, message: Ping, sender: Address) -> Pong:
        return Pong(pid=os.getpid(), incarnation=self.incarnation or 0)

    @handles(Shutdown)
    def shutdown(self, message: Shutdown, sender: Address) -> Done:
        if os.environ.get("STUB") != "deaf":
            mark_stopping(Path(self._runtime.transport.run_dir))
            self.stop("told to")
        return Done()


def _load(name: str) -> type[AsyncActor]:
    assert name == "supervisor"
    return StubSupervisor


def main() -> int:
    """Run the command line with this supervisor."""
    this = sys.modules.setdefault("tests.system.cli.stub_supervisor", sys.modules[__name__])
    catalogue.load = this._load
    catalogue.load_all = lambda: None
    return real_main()


if __name__ == "__main__":
    from tests.system.cli import stub_supervisor

    sys.exit(stub_supervisor.main())
