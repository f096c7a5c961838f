"""Decides what the actors do on which the system tests stand: they do as they are told and write down what they see."""

from __future__ import annotations

__all__ = [
    "AskMany",
    "Churn",
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
    "Thread",
    "View",
    "WaitForCancelled",
    "Wake",
]

import asyncio
import os
import threading
from pathlib import Path
from typing import Any

import msgspec
from thespian.actors import WakeupMessage

from openclaw_actors.actorsystem import ActorFailed, AsyncActor, address_key, handles
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


class AskMany(msgspec.Struct, frozen=True):
    """Ask `target` (yourself, if None) `count` times at once; answered by the names of what came of it."""

    count: int
    message: Any
    target: Any = None
    timeout_s: float = 30.0


class WaitForCancelled(msgspec.Struct, frozen=True):
    """Wait for a task that is cancelled: in the handler, or in `on_stop`."""

    when_stopping: bool = False


class Churn(msgspec.Struct, frozen=True):
    """Create `count` children one after another, each of which is asked, then leaves; answered when all are gone.

    The answer is the anonymous memory of the parent in kB.
    """

    count: int


class Thread(msgspec.Struct, frozen=True):
    """Start a thread that waits for ever."""


class Wake(msgspec.Struct, frozen=True):
    """Ask for wake-ups `numbers`, all after `delay_s`, and for a timer that is cancelled before it is due."""

    numbers: tuple[int, ...]
    delay_s: float


class Sizes(msgspec.Struct, frozen=True):
    """Asks for the sizes of the actor's tables, by name."""


class Puppet(AsyncActor):
    """Does as it is told."""

    def __init__(self) -> None:
        self.seen: list[Any] = []
        self.goners: dict[str, asyncio.Event] = {}
        self.stops_badly = False

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

    @handles(AskMany)
    async def ask_many(self, message: AskMany, sender: Any) -> list[str]:
        target = self.myAddress if message.target is None else message.target
        asks = [self.ask(target, message.message, timeout_s=message.timeout_s) for _ in range(message.count)]
        results = await asyncio.gather(*asks, return_exceptions=True)
        return sorted({type(result).__name__ for result in results})

    @handles(WaitForCancelled)
    async def wait_for_cancelled(self, message: WaitForCancelled, sender: Any) -> None:
        if message.when_stopping:
            self.stops_badly = True
        else:
            await self._cancelled()

    async def _cancelled(self) -> None:
        task = self.spawn(asyncio.sleep(60), name="cancelled")
        task.cancel()
        await task

    async def on_stop(self) -> None:
        if self.stops_badly:
            await self._cancelled()

    @handles(Churn)
    async def churn(self, message: Churn, sender: Any) -> int:
        for _ in range(message.count):
            child = self.create(Puppet)
            gone = self.goners[address_key(child)] = asyncio.Event()
            await self.ask(child, Seen(), timeout_s=30)
            self.send(child, Leave())
            async with asyncio.timeout(30):
                await gone.wait()
        memory = Path("/proc/self/smaps_rollup").read_text()  # noqa: ASYNC240 - it is no disk
        return next(int(line.split()[1]) for line in memory.splitlines() if line.startswith("Anonymous:"))

    @handles(Thread)
    def thread(self, message: Thread, sender: Any) -> None:
        threading.Thread(target=threading.Event().wait, daemon=True).start()

    @handles(Wake)
    def wake(self, message: Wake, sender: Any) -> None:
        for number in message.numbers:
            self.wakeupAfter(message.delay_s, number)
        self.call_later(message.delay_s / 2, self.seen.append, "cancelled").cancel()

    @handles(WakeupMessage)
    def woken(self, message: WakeupMessage, sender: Any) -> None:
        self.seen.append(message.payload)

    def on_child_exited(self, address: Any) -> None:
        goner = self.goners.pop(address_key(address), None)
        if goner is not None:
            goner.set()
        else:
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
