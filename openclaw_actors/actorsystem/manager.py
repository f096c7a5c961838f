"""Decides what an actor process does around its actor: children, exits, crashes; Thespian's `ActorManager` on
our base.

What differs from `thespian/system/actorManager.py` and `multiprocCommon.py`, and why:

- A child's address is known at once, because its socket is bound before the fork (no `EndpointConnected`).
- The one who reaps a child reports its end, once (Thespian's child and parent both report it, `actorManager.py:235`).
- No `RateThrottle`, which sleeps 0.1 s above 4 480 sends/s (`systemCommon.py:162`), and no `str(message)` for
  a log that is off (`systemCommon.py:202`).
- An exiting actor kills the children that do not exit in time.
- An `AsyncActor` gets its messages directly: Thespian's second call after an exception (`actorManager.py:164`)
  is never reached.
"""

# ruff: noqa: FBT001, FBT002, N802, N803, N815 - the names and signatures are Thespian's
from __future__ import annotations

__all__ = ["ActorSpec", "Replicator", "UnixActorManager", "make_blank", "run_actor"]

import asyncio
import logging
import os
import socket
import threading
import traceback
from collections.abc import Callable
from functools import partial
from typing import Any, NoReturn

from thespian.actors import (
    Actor,
    ActorAddress,
    ActorExitRequest,
    ActorSystemMessage,
    ChildActorExited,
    DeadEnvelope,
    NoCompatibleSystemForActor,
    PoisonMessage,
)
from thespian.system.actorManager import ActorManager
from thespian.system.addressManager import CannotPickleAddress
from thespian.system.messages.admin import NewCapabilities, NotifyOnSourceAvailability, PendingActorResponse
from thespian.system.messages.logcontrol import SetLogging
from thespian.system.messages.status import Thespian_StatusReq
from thespian.system.sourceLoader import loadModuleFromHashSource
from thespian.system.transport import SendStatus, TransmitIntent
from thespian.system.utilis import checkActorCapabilities

from openclaw_actors.actorsystem.actor import AsyncActor
from openclaw_actors.actorsystem.address import Address, AddressManager, LocalAddress, address_key
from openclaw_actors.actorsystem.children import Child, Children, Main
from openclaw_actors.actorsystem.envelope import Envelope
from openclaw_actors.actorsystem.failed import ActorFailed
from openclaw_actors.actorsystem.limits import Limits
from openclaw_actors.actorsystem.process import become_subreaper, has_threads, leave, name_process
from openclaw_actors.actorsystem.transport import UnixTransport

logger = logging.getLogger(__name__)

_FOR_THE_MANAGER = (PendingActorResponse, Thespian_StatusReq, NewCapabilities, SetLogging)


class ActorSpec:
    """What a new actor process has to know. It passes through the fork, so nothing of it is pickled."""

    def __init__(
        self,
        actor_class: Any,
        *,
        parent: ActorAddress,
        admin: ActorAddress,
        limits: Limits,
        run_dir: str,
        capabilities: dict[str, Any],
        requirements: Any = None,
        global_name: str | None = None,
        source_hash: str | None = None,
        source: Any = None,
    ) -> None:
        self.actor_class = actor_class
        self.name = getattr(actor_class, "__name__", str(actor_class).rpartition(".")[2])
        self.parent = parent
        self.admin = admin
        self.limits = limits
        self.run_dir = run_dir
        self.capabilities = capabilities
        self.requirements = requirements
        self.global_name = global_name
        self.source_hash = source_hash
        self.source = source


def run_actor(spec: ActorSpec, blank: UnixActorManager | None, path: str, listener: socket.SocketType) -> int:
    """Be an actor, from just after the fork to the exit code.

    Args:
        blank: what the parent made ready for this process.
    """
    name_process(spec.name)
    manager = open_actor(spec, blank, path, listener)
    try:
        return manager.run()
    finally:
        manager.transport.close()


def open_actor(
    spec: ActorSpec, blank: UnixActorManager | None, path: str, listener: socket.SocketType
) -> UnixActorManager:
    """Make this process that of an actor but for its name, up to its first message."""
    manager = blank or make_blank(spec)
    manager.transport.open(path, listener)
    if getattr(spec.actor_class, "sweeps", False):
        become_subreaper()
        manager.children.sweeps = True
    return manager


def make_blank(spec: ActorSpec) -> UnixActorManager:
    """Make all of an actor process that needs no descriptor and no address, and so can be made before the fork."""
    transport = UnixTransport(run_dir=spec.run_dir, admin=spec.admin, limits=spec.limits, opened=False)
    return UnixActorManager(
        spec.actor_class,
        spec.global_name,
        transport,
        spec.source_hash,
        spec.source,
        spec.parent,
        spec.admin,
        spec.requirements,
        spec.capabilities,
        None,
        None,
    )


class _Send:
    """A send of a plain Thespian actor: what its `TransmitIntent` is used for, without the timers and the log line."""

    __slots__ = ("message", "on_error", "targetAddr")

    def __init__(self, target: ActorAddress, message: Any, on_error: Callable[[Any, Any], None]) -> None:
        self.targetAddr = target
        self.message = message
        self.on_error = on_error

    def changeTargetAddr(self, target: ActorAddress) -> None:
        self.targetAddr = target

    def tx_done(self, status: Any) -> None:
        if not status:
            self.on_error(status, self)


class _ToMailbox(list[Any]):
    """Thespian's list of messages to itself, at which it looks after the next message. Ours enter the mailbox."""

    def __init__(self, transport: UnixTransport) -> None:
        super().__init__()
        self._transport = transport

    def append(self, envelope: Any) -> None:
        self._transport.deliver(Envelope(envelope.sender, envelope.message))


class Replicator:
    """What actors and the admin share: forking, and sending without throttle. A mix-in before Thespian's class."""

    transport: UnixTransport
    capabilities: dict[str, Any]
    _adminAddr: ActorAddress
    _addrManager: AddressManager
    _awaitingAddressUpdate: Any
    _receiveQueue: list[Any]
    _sourceHash: str | None
    _pendingActorReady: Callable[..., Any]

    def init_replicator(self, transport: UnixTransport, concurrency_context: Any) -> None:
        """Called by Thespian's constructors, after the common part."""
        self.children = Children(transport.loop, self._child_ended)
        self._mains: dict[Any, Main] = {}
        """What children of a class with many actors do. What they start from is in it: each has a copy, by the fork."""
        self._addrManager = AddressManager(self._adminAddr, transport.myAddress)
        self._receiveQueue = _ToMailbox(transport)
        self.asLogger = (
            transport.myAddress
        )  # there is no logger process; Thespian only checks that this is set

    def _handleReplicatorMessages(self, envelope: Envelope) -> tuple[bool, bool]:
        return False, True

    def _send_intent(self, intent: Any, curtime: Any = None) -> None:
        """Send without throttle and without a log line (`systemCommon.py:162` and `:202`)."""
        try:
            self.transport.scheduleTransmit(self._addrManager, intent)
        except CannotPickleAddress as error:
            self._awaitingAddressUpdate.add(error.address, intent)
        except Exception as error:
            logger.exception("a message of type %s cannot be sent", type(intent.message).__name__)
            if not isinstance(intent.message, PoisonMessage):
                self.transport.deliver(
                    Envelope(intent.targetAddr, PoisonMessage(intent.message, traceback.format_exc()))
                )
            del error
            intent.tx_done(SendStatus.Failed)

    def _startChildActor(
        self,
        childAddr: LocalAddress,
        childClass: Any,
        globalName: str | None,
        parentAddr: ActorAddress,
        notifyAddr: ActorAddress,
        childRequirements: Any = None,
        sourceHash: str | None = None,
        sourceToLoad: Any = None,
    ) -> None:
        """Fork an actor for Thespian's general path: sources by hash, global names, creation on another's behalf."""
        loader = (
            partial(loadModuleFromHashSource, sourceHash, {sourceHash: sourceToLoad}) if sourceHash else None
        )
        if not checkActorCapabilities(childClass, self.capabilities, childRequirements, loader):
            raise NoCompatibleSystemForActor(childClass, "no system has compatible capabilities")
        child = self.fork_actor(
            childClass,
            requirements=childRequirements,
            global_name=globalName,
            source_hash=sourceHash or self._sourceHash,
            source=sourceToLoad,
        )
        self._pendingActorReady(childAddr.addressDetails.addressInstanceNum, child.address)

    def fork_actor(
        self,
        actor_class: Any,
        *,
        requirements: Any = None,
        global_name: str | None = None,
        source_hash: str | None = None,
        source: Any = None,
    ) -> Child:
        """Fork an actor process below this one.

        Raises:
            OSError: no process, descriptor or memory is left.
        """
        plain = not (requirements or global_name or source_hash)
        main = self._mains.get(actor_class) if plain else None
        if main is None:
            spec = ActorSpec(
                actor_class,
                parent=self.transport.myAddress,
                admin=self._adminAddr,
                limits=self.transport.limits,
                run_dir=self.transport.run_dir,
                capabilities=self.capabilities,
                requirements=requirements,
                global_name=global_name,
                source_hash=source_hash,
                source=source,
            )
            blank = None
            if plain and getattr(actor_class, "made_before_fork", False):
                blank = make_blank(spec)
                blank._createInstance()
            main = Main(
                partial(run_actor, spec, blank),
                new_session=bool(getattr(actor_class, "new_session", False)),
                bare=blank is not None,
            )
            if blank is not None:
                self._mains[actor_class] = main
        return self.children.fork(self.transport.run_dir, main, kept_alive=self)

    def _child_ended(self, child: Child, status: int) -> None:
        """A child was reaped: read what it sent, then report its end."""
        key = address_key(child.address)
        self.transport.hub.peer_exited(key)
        self.transport.deliver(Envelope(self.transport.myAddress, ChildActorExited(child.address)))

    def _childExited(self, childAddr: ActorAddress) -> None:
        """Thespian's place to reap a child; it was reaped before this is called."""


class UnixActorManager(Replicator, ActorManager):
    """What stands between one actor and its transport."""

    transport: UnixTransport
    actorInst: Any
    rehearsal_failed: Callable[[ActorFailed], NoReturn] | None = None
    """Told of a crash where this actor only rehearses, in a process that is another's."""

    def run(self) -> int:
        """Run the actor until it exits; return the exit code. An exception that escapes is a bug of ours."""
        if self.actorInst is None:
            self._createInstance()
            asyncio.set_event_loop(self.transport.loop)
        if self.actorInst is None:
            self.drainTransmits()
            return 1
        handler = self.handleMessages
        if isinstance(self.actorInst, AsyncActor):
            self.actorInst._start(self)
            self.transport.on_undelivered = self.actorInst._undelivered
            handler = self._handle_async
        self.transport.run(handler)
        self.drainTransmits()
        return 0

    def _createInstance(self) -> None:
        """Make the actor. An `AsyncActor` takes no arguments: Thespian reads the signature to find that out."""
        actor_class = self._actorClass
        if not isinstance(actor_class, type) or not issubclass(actor_class, AsyncActor):
            super()._createInstance()
            return
        try:
            self.actorInst = actor_class()
        except Exception:
            logger.exception("no %s could be made", actor_class.__name__)
            self._sayGoodbye()
            return
        self.actorInst._myRef = self

    def _handle_async(self, envelope: Envelope) -> bool:
        """Handle one message to an `AsyncActor`."""
        message = envelope._message
        actor: AsyncActor = self.actorInst
        if not isinstance(message, ActorSystemMessage):
            if not getattr(self, "_exiting", False):
                actor._enter(message, envelope._sender, envelope.ask_id)
            return True
        if isinstance(message, _FOR_THE_MANAGER):
            return bool(self._handleOneMessage(envelope))
        if isinstance(message, ActorExitRequest):
            actor.stop("asked to exit")
            return True
        if isinstance(message, ChildActorExited):
            goes_on = self._handleChildExited(message.childAddress)
            if not self.is_exiting:
                actor._call(actor.on_child_exited, message.childAddress)
            return bool(goes_on)
        if not self.is_exiting:
            actor._enter(message, envelope.sender, 0)
        return True

    @property
    def is_exiting(self) -> bool:
        """Whether the actor takes no more messages."""
        return bool(getattr(self, "_exiting", False))

    def actor_send(self, targetAddr: ActorAddress, msg: Any) -> None:
        self._send_intent(_Send(targetAddr, msg, self.actor_send_fail))

    def createActor(
        self,
        newActorClass: Any,
        targetActorRequirements: Any = None,
        globalName: str | None = None,
        sourceHash: str | None = None,
    ) -> ActorAddress:
        """Create a child. Returns its true address at once; a failure is told by `ChildActorExited`.

        Raises:
            RuntimeError: this is an `AsyncActor` with threads; its child could wait for a lock of theirs for ever.
        """
        if isinstance(self.actorInst, AsyncActor) and has_threads():
            names = ", ".join(sorted(each.name for each in threading.enumerate()))
            raise RuntimeError(f"an actor that creates actors has one thread; found {names}")
        plain = isinstance(newActorClass, type) and not (globalName or sourceHash or self._sourceHash)
        if not plain or self.is_exiting or not self._is_capable(newActorClass, targetActorRequirements):
            return super().createActor(newActorClass, targetActorRequirements, globalName, sourceHash)
        return self._created(newActorClass, targetActorRequirements)

    def create_another(self, actor_class: type[Actor]) -> ActorAddress:
        """As `createActor`. Of a class of which many are created, what holds for all is looked at once only."""
        if actor_class not in self._mains or has_threads() or self.is_exiting:
            return self.createActor(actor_class)
        return self._created(actor_class, None)

    def _created(self, actor_class: type[Actor], requirements: Any) -> ActorAddress:
        try:
            child = self.fork_actor(actor_class, requirements=requirements)
        except OSError as error:
            logger.error("no %s could be created: %s", actor_class.__name__, error)
            stillborn = Address(os.path.join(self.transport.run_dir, "stillborn-" + os.urandom(6).hex()))
            self.transport.deliver(Envelope(self.transport.myAddress, ChildActorExited(stillborn)))
            return stillborn
        self._registerChild(child.address)
        return child.address

    def _is_capable(self, actor_class: type, requirements: Any) -> bool:
        return not hasattr(actor_class, "actorSystemCapabilityCheck") or checkActorCapabilities(
            actor_class, self.capabilities, requirements
        )

    # -- the end ------------------------------------------------------------------

    def _shutdownActor(self, shutdownChildren: bool = True) -> bool:
        """Exit: children first, each in time or by SIGKILL (`actorManager.py:213` waits for ever)."""
        if self.is_exiting:
            return True
        self._exiting = True
        children = list(self.childAddresses)
        if shutdownChildren and children:
            for each in children:
                self._send_intent(
                    TransmitIntent(
                        each, ActorExitRequest(recursive=True), onError=partial(self._unreachable, each)
                    )
                )
            self.transport.loop.call_later(self.transport.limits.stop_s, self._kill_children)
            return True
        self._sayGoodbye()
        self.transport.abort_run(drain=True)
        return False

    def _unreachable(self, child: ActorAddress, _result: Any, _intent: Any) -> None:
        if self.children.find(address_key(child)) is None:
            self._handleChildExited(child)

    def _kill_children(self) -> None:
        for child in self.children:
            logger.warning("a child did not exit in time and is killed (pid %d)", child.pid)
            self.children.kill(child)

    def _sayGoodbye(self) -> None:
        """Our parent sees our end by itself; only the admin has to forget a subscription."""
        if self._srcNotifyEnabled:
            self._send_intent(
                TransmitIntent(self._adminAddr, NotifyOnSourceAvailability(self.myAddress, False))
            )

    def actor_send_fail(self, result: Any, intent: Any) -> None:
        """A plain actor's message found no living target: to the dead letter handler (`actorManager.py:281`)."""
        if (
            result == SendStatus.DeadTarget
            and intent.targetAddr != self._adminAddr
            and not isinstance(intent.message, (DeadEnvelope, ChildActorExited))
        ):
            self._send_intent(
                TransmitIntent(self._adminAddr, DeadEnvelope(intent.targetAddr, intent.message))
            )

    def crash(self, failed: ActorFailed) -> None:
        """Say the last words to the parent and end this process at once. Does not return."""
        if self.rehearsal_failed is not None:
            self.rehearsal_failed(failed)
        transport, parent = self.transport, address_key(self._parentAddr)
        transport.end_handling()
        transport.hub.flush()
        transport.send(self._parentAddr, failed)
        transport.hub.flush()
        transport.hub.flush_blocking(parent, transport.limits.last_words_s)
        leave(1)
