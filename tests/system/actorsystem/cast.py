"""Decides what the actors do on which the system tests stand: they do as they are told and write down what they see."""

from __future__ import annotations

__all__ = [
    "Crash",
    "Flood",
    "Leader",
    "Leave",
    "Look",
    "Make",
    "Note",
    "Puppet",
    "Refuse",
    "Relay",
    "Seen",
    "Self",
    "Sizes",
    "Sleep",
    "View",
]

import asyncio
import os
from pathlib import Path
from typing import Any

import msgspec

from openclaw_actors.actorsystem import ActorFailed, AsyncActor, handles
from openclaw_actors.errors import AskRefused, FrameTooLarge, OpenClawError


class Look(msgspec.Struct, frozen=True):
    """Asks for a `View`."""


class View(msgspec.Struct, frozen=True, kw_only=True):
    """What an actor's process is at the moment."""

    address: Any
    pid: int
    session: int
    descriptors: int
    sockets: int


class Make(msgspec.Struct, frozen=True):
    """Create a child; `leads`: a `Leader`. Answered by its address and pid."""

    leads: bool = False


class Note(msgspec.Struct, frozen=True):
    """Write `value` down."""

    value: Any


class Seen(msgspec.Struct, frozen=True):
    """Asks for all that was written down."""


class Relay(msgspec.Struct, frozen=True):
    """Send `count` messages `Note(number)` to `target`; or ask it once, and answer what came of it."""

    target: Any
    count: int = 0
    ask_s: float = 0.0


class Self(msgspec.Struct, frozen=True):
    """Send yourself `Note(0)` .. `Note(count - 1)`."""

    count: int


class Crash(msgspec.Struct, frozen=True):
    """Raise an exception: in the `handler`, in its `coroutine`, in a `task` or in a `timer`."""

    where: str
    message_id: str = "m-1"


class Refuse(msgspec.Struct, frozen=True):
    """Refuse."""


class Sleep(msgspec.Struct, frozen=True):
    """Answer after a while."""

    seconds: float


class Flood(msgspec.Struct, frozen=True):
    """Send `count` notes of `size` bytes to `target`; answered by (sent, overflowed, seconds)."""

    target: Any
    count: int
    size: int


class Leave(msgspec.Struct, frozen=True):
    """Exit; `child`: have this child exit instead."""

    child: Any = None


class Sizes(msgspec.Struct, frozen=True):
    """Asks for the sizes of the actor's tables, by name."""


class Puppet(AsyncActor):
    """Does as it is told."""

    def __init__(self) -> None:
        self.seen: list[Any] = []

    @handles(Look)
    def look(self, message: Look, sender: Any) -> View:
        links = []
        for each in Path("/proc/self/fd").iterdir():
            try:
                links.append(os.readlink(each))
            except OSError:
                continue
        return View(
            address=self.myAddress,
            pid=os.getpid(),
            session=os.getsid(0),
            descriptors=len(links),
            sockets=sum(link.startswith("socket:") for link in links),
        )

    @handles(Make)
    def make(self, message: Make, sender: Any) -> tuple[Any, int | None]:
        child = self.create(Leader if message.leads else Puppet)
        return child, self.child_pid(child)

    @handles(Note)
    def note(self, message: Note, sender: Any) -> None:
        self.seen.append(message.value)

    @handles(Seen)
    def tell(self, message: Seen, sender: Any) -> list[Any]:
        return self.seen

    @handles(Self)
    def to_self(self, message: Self, sender: Any) -> None:
        for number in range(message.count):
            self.send(self.myAddress, Note(number))

    @handles(Relay)
    async def relay(self, message: Relay, sender: Any) -> Any:
        if not message.ask_s:
            for number in range(message.count):
                self.send(message.target, Note(number))
            return None
        try:
            return await self.ask(message.target, Look(), timeout_s=message.ask_s)
        except OpenClawError as error:
            return type(error).__name__

    @handles(Refuse)
    async def refuse(self, message: Refuse, sender: Any) -> None:
        await asyncio.sleep(0)
        raise AskRefused("not_now", "later")

    @handles(Sleep)
    async def sleep(self, message: Sleep, sender: Any) -> str:
        await asyncio.sleep(message.seconds)
        return "slept"

    @handles(Flood)
    def flood(self, message: Flood, sender: Any) -> tuple[int, int, float]:
        before = self.loop.time()
        note = Note(b"x" * message.size)
        already = len(self.seen)
        for _ in range(message.count):
            try:
                self.send(message.target, note)
            except FrameTooLarge:
                self.seen.append("too large")
        refused = len(self.seen) - already
        return message.count - refused, refused, self.loop.time() - before

    @handles(Crash)
    def crash(self, message: Crash, sender: Any) -> Any:
        with open(os.path.join(os.path.dirname(str(self.myAddress.addressDetails)), "calls"), "a") as calls:
            calls.write("call\n")
        if message.where == "handler":
            raise ValueError("user text")
        if message.where == "coroutine":
            return self._fail()
        if message.where == "task":
            self.spawn(self._fail(), name="fails")
        else:
            self.call_later(0.0, self._fail_now)
        return None

    async def _fail(self) -> None:
        await asyncio.sleep(0)
        self._fail_now()

    def _fail_now(self) -> None:
        raise ValueError("user text")

    @handles(Leave)
    def leave(self, message: Leave, sender: Any) -> None:
        if message.child is None:
            self.stop("told to")
        else:
            self.send(message.child, Leave())

    @handles(Sizes)
    def sizes(self, message: Sizes, sender: Any) -> dict[str, int]:
        transport = self._runtime.transport
        manager = self._runtime._addrManager
        return {
            "children": len(self._runtime.children),
            "registered": len(list(self._runtime.childAddresses)),
            "outgoing": len(transport.hub.outgoing),
            "incoming": len(transport.hub._incoming),
            "asks": len(transport.asks),
            "managed": len(manager._managed) + len(manager._pending),
            "descriptors": len(os.listdir("/proc/self/fd")),
            "files": len(os.listdir(transport.run_dir)),
        }

    def on_child_exited(self, address: Any) -> None:
        self.seen.append(("exited", address))

    def on_child_failed(self, failed: ActorFailed) -> None:
        self.seen.append(("failed", failed.address, failed.reason, failed.message_id))

    def on_dead_target(self, address: Any, message: Any) -> None:
        self.seen.append(("dead", address, message.value))

    def on_overflow(self, address: Any, message: Any) -> None:
        self.seen.append("overflow")


class Leader(Puppet):
    """A puppet that leads a session."""

    new_session = True
