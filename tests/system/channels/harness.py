"""Owns a real channel process for a test, with a stand-in behind it."""

from __future__ import annotations

__all__ = ["Channel", "ChannelFactory", "closed", "eventually"]

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import msgspec
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed

from openclaw_actors import config
from openclaw_actors.actors import board, catalogue
from openclaw_actors.actorsystem import Address, AsyncActor, GatewaySystem, handles
from openclaw_actors.messages import (
    Directory,
    Drain,
    Init,
    InitFailed,
    Message,
    Ping,
    Pong,
    Ready,
    ServiceRef,
)
from tests.system.channels.stand_in import Behave, Do, Seen, StandIn, Use, WhatWasSeen
from tests.system.proc import is_alive


class Relay(Message):
    """Ask this of that actor."""

    to: Address
    message: Any


class Parent(AsyncActor):
    """Stands in for the supervisor: what it asks comes from an actor, as the channels expect."""

    @handles(Relay)
    async def relay(self, message: Relay, sender: Address) -> Any:
        return await self.ask(message.to, message.message, timeout_s=30.0)


class Channel:
    """A channel process, and the stand-in behind it."""

    def __init__(
        self, system: GatewaySystem, name: str, settings: dict[str, Any], secrets: dict[str, str]
    ) -> None:
        self.system = system
        self.board = board.installed()
        self.name = name
        self.config = msgspec.convert(
            {"port": 0, **settings, "http": {"port": 0, **settings.get("http", {})}}, config.GatewayConfig
        )
        self.secrets = secrets
        self.generation = 1
        self.incarnations = 0
        self.routers = 0
        self.host_port = ""
        self.pid = 0
        self.router: Address
        self.address: Address

    @property
    def url(self) -> str:
        return f"ws://{self.host_port}/ws"

    async def start(self) -> Ready | InitFailed:
        """Start the channel's next incarnation."""
        if not self.routers:
            await self.new_router()
        self.address = await self.system.create(catalogue.load(self.name))
        self.incarnations += 1
        init = Init(
            name=self.name,
            incarnation=self.incarnations,
            instance=f"i{self.incarnations}",
            settings=config.encode(self.config),
            directory=self.directory(),
            secrets=self.secrets,
        )
        # The stand-in asks, so that it is who the channel asks about health.
        answer = await self.ask(self.router, Relay(to=self.address, message=init))
        if isinstance(answer, Ready):
            self.pid = answer.pid
            self.host_port = answer.detail["address"]
            port = int(self.host_port.rpartition(":")[2])
            self.set(**({"port": port} if self.name == "websocket" else {"http": {"port": port}}))
            self.system.endpoint.send(self.router, Use(channel=self.address))
        return answer

    async def new_router(self) -> None:
        self.router = await self.system.create(StandInParent)
        self.routers += 1
        if self.pid:
            self.system.endpoint.send(self.router, Use(channel=self.address))
        self.router_pid = (await self.ask(self.router, Ping())).pid

    async def announce(self, *, router: bool = True) -> None:
        """Send the directory as it is now; without `router`, one in which there is none."""
        self.generation += 1
        directory = self.directory()
        if not router:
            directory = msgspec.structs.replace(directory, services={})
        self.system.endpoint.send(self.router, Use(channel=self.address))
        self.system.endpoint.send(self.address, directory)

    def directory(self) -> Directory:
        ref = ServiceRef(address=self.router, incarnation=self.routers, instance=f"r{self.routers}")
        return Directory(generation=self.generation, services={"router": ref})

    async def ask(self, address: Address, message: Any) -> Any:
        return await self.system.endpoint.ask(address, message, timeout_s=30.0)

    async def behave(self, **behaviour: Any) -> None:
        await self.ask(self.router, Behave(**behaviour))

    async def do(self, what: str, session: str = "websocket:local:main", **fields: Any) -> None:
        await self.ask(self.router, Do(what=what, session=session, **fields))

    async def seen(self, kind: type[Message]) -> list[Any]:
        """What the router got of this type, in order."""
        seen: Seen = await self.ask(self.router, WhatWasSeen())
        return [message for message in seen.messages if type(message) is kind]

    async def ping(self) -> Pong:
        pong: Pong = await self.ask(self.address, Ping())
        return pong

    def set(self, **settings: Any) -> None:
        """Other settings for the next incarnation."""
        whole = msgspec.to_builtins(self.config)
        for key, value in settings.items():
            whole[key] = {**whole[key], **value} if isinstance(value, dict) else value
        self.config = msgspec.convert(whole, config.GatewayConfig)

    def freeze_router(self) -> None:
        """Stop the stand-in's process; it keeps its mailbox."""
        os.kill(self.router_pid, signal.SIGSTOP)

    def thaw_router(self) -> None:
        os.kill(self.router_pid, signal.SIGCONT)

    def kill_router(self) -> None:
        os.kill(self.router_pid, signal.SIGKILL)

    async def router_is_gone(self) -> bool:
        return not is_alive(self.router_pid)

    def kill(self) -> None:
        """Kill the channel's process."""
        os.kill(self.pid, signal.SIGKILL)

    async def has_connections(self, count: int) -> bool:
        return (await self.ping()).gauges["ws_connections"] == count

    def counted(self, key: str) -> float:
        """What the channel has counted so far, in all of its incarnations."""
        return self.board.values().get(key, 0.0)

    async def drain(self) -> None:
        await self.ask(self.address, Drain(grace_s=0.0))


class StandInParent(StandIn, Parent):
    """Router, sessions and supervisor in one."""


ChannelFactory = Callable[..., AbstractAsyncContextManager[Channel]]


async def eventually(condition: Callable[[], Awaitable[Any]], *, deadline_s: float = 30.0) -> Any:
    """Ask again and again until the condition holds, and return what it gave."""
    async with asyncio.timeout(deadline_s):
        while True:
            value = await condition()
            if value:
                return value
            await asyncio.sleep(0.01)


async def closed(connection: ClientConnection, *, deadline_s: float = 30.0) -> tuple[int, str]:
    """Code and reason of the close that comes, whatever comes before it."""
    try:
        async with asyncio.timeout(deadline_s):
            while True:
                await connection.recv()
    except ConnectionClosed as end:
        received = end.rcvd
    if received is None:
        raise AssertionError("no close frame came")
    return received.code, received.reason
