"""Owns the mailbox of an actor process, and is the Thespian transport: an asyncio event loop over a `Hub`.

`run(handler)` runs the loop; what arrives goes through one mailbox, in the order of arrival, to Thespian's handler.
Self-sends, wake-ups and the ends of peers take the same mailbox, so none of them overtakes another. A slice of
messages is handled in one callback, then the loop turns, so that a flood does not starve timers, tasks and
other connections.
"""

# ruff: noqa: FBT001, FBT002, N802, N803 - the names and signatures are Thespian's
from __future__ import annotations

__all__ = ["UnixTransport"]

import asyncio
import logging
import os
import socket
import threading
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from datetime import timedelta
from functools import partial
from typing import Any

from thespian.actors import ActorAddress, WakeupMessage, WatchMessage
from thespian.system.addressManager import CannotPickleAddress
from thespian.system.timing import ExpirationTimer
from thespian.system.transport import (
    SendStatus,
    Thespian__Run_Expired,
    Thespian__Run_HandlerResult,
    Thespian__Run_Terminated,
    Thespian__UpdateWork,
    TransmitIntent,
    TransmitOnly,
)

from openclaw_actors.actorsystem import codec
from openclaw_actors.actorsystem.address import Address, address_key, socket_name
from openclaw_actors.actorsystem.asks import Asks, encode_refusal
from openclaw_actors.actorsystem.envelope import Envelope, OwnEnvelope, Post
from openclaw_actors.actorsystem.framing import ANSWER, ASK, REFUSAL, TELL, Frame
from openclaw_actors.actorsystem.hub import Hub, listen
from openclaw_actors.actorsystem.limits import Limits
from openclaw_actors.actorsystem.stack import with_room
from openclaw_actors.actorsystem.ticks import TickLoop
from openclaw_actors.actorsystem.wakeups import Wakeups
from openclaw_actors.errors import AskRefused, FrameTooLarge

logger = logging.getLogger(__name__)

_SLICE_MESSAGES = 64
_SLICE_S = 0.005
_POLL_S = 0.002
_MAX_SENDERS = 4_096

Undelivered = Callable[[Any, Any], None]


class UnixTransport:
    """The Thespian transport of one process.

    Args:
        run_dir: the directory of all sockets of this system, mode 0700.
        admin: the admin's address.
        limits: see `Limits`.
        path: of our socket; made up if None.
        listener: the socket that is bound to `path`, if a parent bound it already.
        is_external: whether this process stands outside, with an `ActorSystem` that several threads may use.
        opened: False: it has no address and no descriptor until `open`. It may be made in one process, and opened in
            each that is forked from it.
    """

    def __init__(
        self,
        *,
        run_dir: str,
        admin: ActorAddress,
        limits: Limits,
        path: str | None = None,
        listener: socket.SocketType | None = None,
        is_external: bool = False,
        opened: bool = True,
    ) -> None:
        self.run_dir = run_dir
        self.admin = admin
        self.limits = limits
        self.is_external = is_external
        self.myAddress = Address("")
        self.loop = TickLoop(opened=False)
        self.loop.set_exception_handler(self._loop_exception)
        self.hub = Hub(self.loop, self, limits, flushed_by_owner=True)
        self.loop.before_poll = self.hub.flush
        self.asks = Asks(lambda key, ask_id, payload: self._post(key, ASK, ask_id, payload, None))
        self.wakeups = Wakeups(self.loop, self._wakeup_due)
        self.on_undelivered: Undelivered | None = None
        self._key = ""
        self._owner_thread: int | None = None
        self._running_thread: int | None = None
        self._handed_over: deque[tuple[TransmitIntent, bytes]] = deque()  # by other threads, not seen yet
        self._handler: Any = None
        self._result: Any = None
        self._fatal: BaseException | None = None
        self._mailbox: deque[Any] = deque()
        self._mailbox_bytes = 0
        self._own_waiting = 0
        self._pumping = False
        self._pump_planned = False
        self._watched: set[int] = set()
        self._senders: dict[str, Address] = {}
        """Addresses of those who have sent something, so that not every message makes one."""
        if opened:
            self.open(path or os.path.join(run_dir, socket_name("x" if is_external else "a")), listener)

    def open(self, path: str, listener: socket.SocketType | None = None) -> None:
        """Take up an address in this process, and listen there."""
        self._key = path
        self._owner_thread = None if self.is_external else threading.get_ident()
        self.myAddress.settle(path)
        self.loop.open()
        self.hub.open(path, listener or listen(path))

    # -- sending ---------------------------------------------------------------

    def encode(self, message: Any) -> bytes:
        """The message as bytes.

        Raises:
            FrameTooLarge: it exceeds the frame limit.
        """
        payload = codec.encode(message)
        if len(payload) > self.limits.frame:
            raise FrameTooLarge(len(payload), self.limits.frame)
        return payload

    def send(self, address: ActorAddress, message: Any) -> bool:
        """Queue a message, from the actor's own thread; the quick way for `AsyncActor`.

        Returns:
            False if the peer's queue is full; nothing was queued.
        """
        key = address_key(address)
        if key == self._key:
            if self._own_waiting >= self.limits.peer_queue_frames:
                return False
            self._own_waiting += 1
            self.deliver(OwnEnvelope(self.myAddress, message))
            return True
        return self.hub.post(key, TELL, 0, self.encode(message), Post(address, message))

    def answer(self, sender: ActorAddress, ask_id: int, kind: int, payload: bytes) -> bool:
        """Send an answer or a refusal; one to an asker that is gone or does not read is dropped."""
        return self._post(address_key(sender), kind, ask_id, payload, None)

    def _post(self, key: str, kind: int, ask_id: int, payload: bytes, token: Any) -> bool:
        if key != self._key:
            return self.hub.post(key, kind, ask_id, payload, token)
        self.frame_received(key, Frame(kind, ask_id, memoryview(payload)))
        self._plan_pump()
        return True

    def scheduleTransmit(
        self,
        addressManager: Any,
        intent: TransmitIntent,
        has_exclusive_flag: bool = False,
    ) -> None:
        """Send what Thespian itself, or a plain Thespian actor, wants sent. Any thread may call it.

        Raises:
            CannotPickleAddress: the target, or an address in the message, is not known yet; Thespian tries
            again later. FrameTooLarge: and whatever pickling raises; Thespian returns the message as a
            `PoisonMessage`.
        """
        if addressManager is not None:
            target, _ = addressManager.prepMessageSend(intent.targetAddr, intent.message)
            if target is None:
                raise CannotPickleAddress(intent.targetAddr)
            intent.changeTargetAddr(target)
        if isinstance(intent.message, Thespian__UpdateWork):
            intent.tx_done(SendStatus.Sent)
            return
        payload = self.encode(intent.message)
        if threading.get_ident() in (self._running_thread, self._owner_thread):
            self._transmit(intent, payload)
            return
        self._handed_over.append((intent, payload))
        self.loop.call_soon_threadsafe(self._transmit_handed_over)

    def _transmit_handed_over(self) -> None:
        self._transmit(*self._handed_over.popleft())

    def _transmit(self, intent: TransmitIntent, payload: bytes) -> None:
        key = str(intent.targetAddr.addressDetails)
        if key == self._key:
            self._post(key, TELL, 0, payload, None)
            intent.tx_done(SendStatus.Sent)
        elif not self.hub.post(key, TELL, 0, payload, intent):
            intent.tx_done(SendStatus.Failed)

    def delivered(self, tokens: Iterable[Any]) -> None:
        for token in tokens:
            if token.__class__ is not Post:
                token.tx_done(SendStatus.Sent)

    def undelivered(self, token: Any) -> None:
        if token.__class__ is not Post:
            token.tx_done(SendStatus.DeadTarget)
        elif self.on_undelivered is not None:
            self.on_undelivered(token.address, token.message)

    # -- the mailbox -------------------------------------------------------------

    @property
    def mailbox_depth(self) -> int:
        """Messages that are received and not handled."""
        return len(self._mailbox)

    def frame_received(self, sender: str, frame: Frame) -> None:
        self._mailbox.append((sender, frame))
        self._mailbox_bytes += len(frame.payload)
        limits = self.limits
        full = self._mailbox_bytes > limits.mailbox or len(self._mailbox) > limits.mailbox_frames
        if full and not self.hub.paused:
            self.hub.set_paused(True)

    def read_ended(self) -> None:
        if self._mailbox and not self._pumping:
            self._pump()

    def peer_lost(self, key: str) -> None:
        self._enqueue(partial(self._forget_peer, key))

    def _forget_peer(self, key: str) -> None:
        self.asks.peer_lost(key)
        self._senders.pop(key, None)

    def deliver(self, envelope: Envelope) -> None:
        """Put a message of this process itself into the mailbox."""
        self._enqueue(envelope)

    def _enqueue(self, item: Any) -> None:
        self._mailbox.append(item)
        self._plan_pump()

    def _plan_pump(self) -> None:
        if not self._pump_planned and not self._pumping:
            self._pump_planned = True
            self.loop.call_soon(self._planned_pump)

    def _planned_pump(self) -> None:
        self._pump_planned = False
        if not self._pumping:
            self._pump()

    def _pump(self) -> None:
        """Handle a slice of the mailbox. What it sends leaves at the end of the tick, in one write to each peer."""
        self._pumping = True
        try:
            self._pump_slice()
        finally:
            self._pumping = False
            if self._result is not None:
                self.hub.flush()  # the loop stops: there is no end of this tick
        if self.hub.paused and self._is_mailbox_low():
            self.hub.set_paused(False)
        if self._mailbox and self._accepting:
            self._plan_pump()

    def _is_mailbox_low(self) -> bool:
        return (
            self._mailbox_bytes * 2 < self.limits.mailbox
            and len(self._mailbox) * 2 < self.limits.mailbox_frames
        )

    @property
    def _accepting(self) -> bool:
        return self._result is None and self._running_thread is not None and self._handler is not TransmitOnly

    def _pump_slice(self) -> None:
        mailbox = self._mailbox
        now = self.loop.time
        end = now() + _SLICE_S
        for _ in range(_SLICE_MESSAGES):
            if not mailbox or not self._accepting:
                return
            item = mailbox.popleft()
            if item.__class__ is tuple:
                self._open_frame(*item)
            elif item.__class__ is Envelope:
                self._handle(item)
            elif item.__class__ is OwnEnvelope:
                self._own_waiting -= 1
                self._handle(item)
            else:
                item()
            if mailbox and now() > end:
                return

    def _open_frame(self, sender: str, frame: Frame) -> None:
        self._mailbox_bytes -= len(frame.payload)
        if frame.kind >= ANSWER:
            self.asks.answered(sender, frame)
            return
        try:
            message = codec.decode(frame.payload)
        except Exception as error:
            logger.exception("a message cannot be read and is dropped")
            self._refuse_unreadable(sender, frame, error)
            return
        address = self._senders.get(sender)
        if address is None:
            if len(self._senders) >= _MAX_SENDERS:
                self._senders.clear()
            address = self._senders[sender] = Address(sender)
        self._handle(Envelope(address, message, frame.ask_id))

    def _refuse_unreadable(self, sender: str, frame: Frame, error: Exception) -> None:
        if frame.kind == ASK:
            refusal = AskRefused("unreadable", f"the message cannot be read: {type(error).__name__}")
            self._post(sender, REFUSAL, frame.ask_id, encode_refusal(refusal), None)

    def _handle(self, envelope: Envelope) -> None:
        if self._handler is None:
            self._stop(envelope)
            return
        result = self._handler(envelope)
        if not result and self._result is None:
            self._stop(Thespian__Run_HandlerResult(result))

    def end_handling(self) -> None:
        """Handle nothing any more: this process crashes, and only what it has to say is still sent."""
        self._pumping = True
        self.on_undelivered = None

    # -- running -------------------------------------------------------------------

    def run(self, handler: Any, maximumDuration: timedelta | None = None) -> Any:
        """Run the loop: the contract of every Thespian transport (`wakeupTransportBase.py:65`).

        Args:
            handler: is called with each `Envelope`, and ends the run by returning something falsy. None: the run ends
                with the first message and returns it. `TransmitOnly`: the run ends when nothing waits to be sent.
            maximumDuration: None for no end.
        """
        seconds = None if maximumDuration is None else max(0.0, maximumDuration.total_seconds())
        if handler is TransmitOnly:
            return self._run_transmits(seconds)
        self._handler = handler
        self._result = None
        timer = (
            None if seconds is None else self.loop.call_later(seconds, self._stop, Thespian__Run_Expired())
        )
        if self._mailbox:
            self._plan_pump()
        try:
            self._run_loop()
        finally:
            if timer is not None:
                timer.cancel()
        return Thespian__Run_Terminated() if self._result is None else self._result

    def _run_loop(self) -> None:
        outer = asyncio._get_running_loop()
        asyncio._set_running_loop(None)  # a caller inside another loop blocks that one, knowingly
        self._running_thread = threading.get_ident()
        try:
            with_room(self.loop.run_forever)
        finally:
            self._running_thread = None
            asyncio._set_running_loop(outer)
        if self._fatal is not None:
            fatal, self._fatal = self._fatal, None
            raise fatal

    def cancel_tasks(self) -> None:
        """End what still runs on the loop, which does not run now."""
        for task in asyncio.all_tasks(self.loop):
            task.cancel()
        self.loop.call_soon(self.loop.stop)
        self._run_loop()

    def _run_transmits(self, seconds: float | None) -> int:
        self._handler = TransmitOnly
        end = None if seconds is None else self.loop.time() + seconds
        if not self._handed_over:
            self.hub.flush()
        while self._handed_over or self.hub.pending:
            if end is not None and self.loop.time() >= end:
                break
            timer = self.loop.call_later(_POLL_S, self.loop.stop)
            self._run_loop()
            timer.cancel()
        return len(self._handed_over) + self.hub.pending

    def _stop(self, result: Any) -> None:
        if self._result is None:
            self._result = result
        self.loop.stop()

    def abort_run(self, drain: bool = False) -> None:
        """End `run`. What waits to be sent is sent by the caller's `run(TransmitOnly)` afterwards."""
        self._stop(Thespian__Run_Terminated())

    def fail(self, error: BaseException) -> None:
        """End `run` with an exception."""
        if self._fatal is None:
            self._fatal = error
        self.loop.stop()

    def _loop_exception(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """An exception in a callback is ours and fatal; one of a library's task or protocol is logged."""
        error = context.get("exception")
        if error is not None and "handle" in context:
            self.fail(error)
            return
        logger.error("%s", context.get("message"), exc_info=error)

    # -- what Thespian asks of a transport ---------------------------------------------

    def setAddressManager(self, addressManager: Any) -> None:
        """The address manager comes with each transmit."""

    def enableRXPauseFlowControl(self, enable: bool = True) -> None:
        """There is no transmit-only mode to switch off."""

    def deadAddress(self, addressManager: Any, childAddr: ActorAddress) -> None:
        """The end of a child's connections told us already."""

    def addWakeup(self, timePeriod: timedelta | float, payload: Any) -> None:
        if threading.get_ident() in (self._running_thread, self._owner_thread):
            self.wakeups.add(timePeriod, payload)
        else:
            self.loop.call_soon_threadsafe(self.wakeups.add, timePeriod, payload)

    def _wakeup_due(self, period: Any, payload: Any) -> None:
        self.deliver(Envelope(self.myAddress, WakeupMessage(period, payload)))

    def set_watch(self, filenos: Sequence[int]) -> None:
        """Deliver a `WatchMessage` when one of these descriptors becomes readable; replaces the earlier watch."""
        if not filenos and not self._watched:
            return
        wanted = set(filenos)
        for (
            fd
        ) in self._watched:  # all of them: one that was closed and opened anew has left the kernel's list
            self.loop.remove_reader(fd)
        for fd in sorted(wanted):
            try:
                self.loop.add_reader(fd, self._watch_ready, fd)
            except (OSError, ValueError) as error:
                logger.warning("descriptor %d cannot be watched: %s", fd, error)
                wanted.discard(fd)
        self._watched = wanted

    def _watch_ready(self, fd: int) -> None:
        self.loop.remove_reader(fd)
        self._watched.discard(fd)
        self.deliver(Envelope(self.myAddress, WatchMessage([fd])))

    def _updateStatusResponse(self, response: Any) -> None:
        response.addWakeups(
            [
                (self.myAddress, ExpirationTimer(timedelta(seconds=max(0.0, s))))
                for s, _ in self.wakeups.pending()
            ]
        )
        for key, link in self.hub.outgoing.items():
            for _, token in link.queue:
                response.addPendingMessage(
                    self.myAddress, Address(key), type(getattr(token, "message", None)).__name__
                )

    def external_transport_clone(self) -> UnixTransport:
        return UnixTransport(run_dir=self.run_dir, admin=self.admin, limits=self.limits, is_external=True)

    def getAdminAddr(self, capabilities: Any) -> ActorAddress:
        return self.admin

    def probeAdmin(self, address: ActorAddress) -> bool:
        probe = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        with probe:
            return probe.connect_ex(address_key(address)) == 0

    def getAddressFromString(self, text: str) -> Address:
        return Address(text)

    def close(self) -> None:
        """Close all sockets and the loop, remove our socket file."""
        if not self.loop.is_closed():
            self.wakeups.close()
            self.hub.close()
            self.loop.close()
