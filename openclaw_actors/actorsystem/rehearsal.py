"""Has an actor work in the process that will fork many of its class, before the first, so that none has to warm up.

CPython rewrites code that has run a few times into code for just these types (PEP 659). Until it has, it writes on the
name of each attribute and on the base classes of each object that it looks at, and a forked process copies the pages
with them. A child that inherits the rewritten code does neither.
"""

from __future__ import annotations

__all__ = ["RehearsalFailed", "Stage", "rehearse"]

import asyncio
import os
from collections.abc import Iterable
from typing import Any, NoReturn, Protocol

from openclaw_actors.actorsystem import codec
from openclaw_actors.actorsystem.actor import AsyncActor
from openclaw_actors.actorsystem.address import Address, address_key, socket_name
from openclaw_actors.actorsystem.children import Children, Main
from openclaw_actors.actorsystem.failed import ActorFailed
from openclaw_actors.actorsystem.framing import ANSWER, ASK, TELL, Frame
from openclaw_actors.actorsystem.hub import Hub, listen
from openclaw_actors.actorsystem.limits import Limits
from openclaw_actors.actorsystem.manager import ActorSpec, UnixActorManager, make_blank, open_actor
from openclaw_actors.actorsystem.process import has_threads, rehearse_birth

_FIRST_ASK = 1


class RehearsalFailed(RuntimeError):
    """Raised when the actor crashed, or did not come to the end in time."""


class Stage(Protocol):
    """Whomever an actor deals with: its parent and all others that it knows, at one address."""

    over: bool
    """Whether there is nothing more to do."""

    def first(self, stage: Address) -> Any:
        """The first message to the actor, an ask; `stage` is where it finds everybody."""

    def begin(self) -> Iterable[Any]:
        """What the actor is told once it has answered the first message."""

    def asked(self, message: Any) -> Any:
        """What an ask of the actor is answered with."""

    def told(self, message: Any) -> Iterable[Any]:
        """What the actor is told in turn."""


def rehearse(
    actor_class: type[AsyncActor], stage: Stage, *, run_dir: str, limits: Limits, timeout_s: float
) -> None:
    """Run an actor in this process, on a loop and on sockets of its own, until the stage is over. Blocks.

    Before it, an empty process is forked: how that is done will be done before each of them.

    The actor must leave alone what belongs to the process where it `rehearses`: its signals, its limits. Log lines are
    written under its name, and those of the process must be given their own again.

    It is the class itself that rehearses, on what its instances will run on, for the interpreter's new code is good for
    the very types that it has seen.

    Args:
        run_dir: where its sockets lie.
        timeout_s: how long it may take, in seconds.

    Raises:
        RehearsalFailed: it crashed, or was not over in time.
    """
    path = os.path.join(run_dir, socket_name("x"))
    spec = ActorSpec(
        actor_class,
        parent=Address(path),
        admin=Address(path),
        limits=limits,
        run_dir=run_dir,
        capabilities={},
    )
    manager = make_blank(spec)
    manager.rehearsal_failed = _failed
    transport = manager.transport
    place = os.path.join(run_dir, socket_name("x"))
    open_actor(spec, manager, place, listen(place))
    _fork_nothing(transport.loop, run_dir)
    company = _Company(stage, manager, path)
    late = transport.loop.call_later(timeout_s, transport.fail, RehearsalFailed(f"not over in {timeout_s} s"))
    outer = asyncio._get_running_loop()
    try:
        manager.run()
    finally:
        asyncio.set_event_loop(outer)
        late.cancel()
        transport.cancel_tasks()
        company.close()
        transport.close()


def _fork_nothing(loop: asyncio.AbstractEventLoop, run_dir: str) -> None:
    if has_threads():
        return  # then nobody forks a bare child
    children = Children(loop, lambda _child, _status: None)
    child = children.fork(run_dir, Main(lambda _path, _listener: 0, bare=True))
    os.waitpid(child.pid, 0)
    children.close()
    os.unlink(address_key(child.address))
    rehearse_birth()


def _failed(failed: ActorFailed) -> NoReturn:
    raise RehearsalFailed(failed.reason)


class _Company:
    """Lends the stage a socket on the actor's own loop."""

    def __init__(self, stage: Stage, manager: UnixActorManager, path: str) -> None:
        self._stage = stage
        self._manager = manager
        self._actor = manager.transport.hub.path
        self._hub = Hub(manager.transport.loop, self, manager.transport.limits)
        self._hub.open(path, listen(path))
        self._post(self._actor, ASK, _FIRST_ASK, stage.first(Address(path)))

    def _post(self, key: str, kind: int, ask_id: int, message: Any) -> None:
        self._hub.post(key, kind, ask_id, codec.encode(message), None)

    def frame_received(self, sender: str, frame: Frame) -> None:
        if frame.kind == ASK:
            self._post(sender, ANSWER, frame.ask_id, self._stage.asked(codec.decode(frame.payload)))
            return
        is_first = frame.kind == ANSWER
        for message in self._stage.begin() if is_first else self._stage.told(codec.decode(frame.payload)):
            self._post(sender, TELL, 0, message)
        if self._stage.over:
            self._manager.transport.abort_run()

    def read_ended(self) -> None:
        """Frames are handled as they come."""

    def peer_lost(self, key: str) -> None:
        """The actor's end ends everything."""

    def delivered(self, tokens: Iterable[Any]) -> None:
        """Nobody waits for it."""

    def undelivered(self, token: Any) -> None:
        """The actor's end ends everything."""

    def close(self) -> None:
        self._hub.close()
