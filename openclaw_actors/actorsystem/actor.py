"""Decides how an actor of ours behaves: handlers by message type, asks, tasks, timers, and "let it crash, once".

    class Greeter(AsyncActor):
        @handles(Greet)
        def greet(self, message: Greet, sender: Address) -> str:
            return f"hello {message.name}"          # the answer, if it came by `ask`

        @handles(Look)
        async def look(self, message: Look, sender: Address) -> Found:
            return await self.ask(self.store, Find(name=message.name), timeout_s=2.0)

One message at a time enters the actor. A plain handler runs to its end before the next one enters. An `async` handler
starts at its message's turn and runs to its first wait; then the next message enters while it waits.
Everything runs in one thread, on one event loop, so nothing changes between two waits.

Any exception that is no refusal of an ask ends the process: one traceback in the log, `ActorFailed` to the
parent, exit. Thespian would call the handler a second time with the same message and go on with half-changed state
(`thespian/system/actorManager.py:164`). The parent decides what happens next.
"""

# ruff: noqa: N802, N803 - the names and signatures are Thespian's
from __future__ import annotations

__all__ = ["AsyncActor", "Later", "handles"]

import asyncio
import logging
import os
import signal
import traceback
from collections.abc import Callable, Coroutine, MutableMapping
from functools import cached_property, partial
from types import CoroutineType
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, NoReturn, TypeVar

from thespian.actors import Actor, ActorAddress

from openclaw_actors import logs
from openclaw_actors.actorsystem import eager
from openclaw_actors.actorsystem.address import address_key
from openclaw_actors.actorsystem.asks import Done, encode_refusal
from openclaw_actors.actorsystem.failed import ActorFailed
from openclaw_actors.actorsystem.framing import ANSWER, REFUSAL
from openclaw_actors.actorsystem.limits import Limits
from openclaw_actors.core.series import Tally, series
from openclaw_actors.errors import AskRefused, FrameTooLarge

if TYPE_CHECKING:
    from openclaw_actors.actorsystem.manager import UnixActorManager

logger = logging.getLogger(__name__)

_MAX_STASHED = 10_000
"""Messages that wait until the actor is set up; what comes after them is refused, or dropped with a line in the log."""
_EXIT_AFTER_ANSWER_S = 0.05

Handler = Callable[[Any, Any, Any], Any]
_H = TypeVar("_H", bound=Handler)


class Later(NamedTuple):
    """What a handler on a hot path returns in place of being `async`: the answer follows when the future is done.

    Args:
        answer: makes it of the future; it raises what the handler would.
    """

    future: asyncio.Future[Any]
    answer: Callable[[asyncio.Future[Any]], Any]


def handles(*message_types: type) -> Callable[[_H], _H]:
    """Mark a method as the handler of these message types, and of their subclasses without an own handler."""

    def mark(handler: _H) -> _H:
        handler.__handles__ = message_types  # type: ignore[attr-defined]
        return handler

    return mark


class AsyncActor(Actor):
    """The base of every actor of ours; see the module's text."""

    new_session: ClassVar[bool] = False
    """Whether the process leads a session (setsid) of its own, so that its programs can be found and killed."""

    sweeps: ClassVar[bool] = False
    """Whether what dead descendants leave behind falls to this process (a sub-reaper, prctl(2)), and is killed before
    `on_child_exited` comes. Whatever is no actor that it created is killed, so such a class starts no programs."""

    made_before_fork: ClassVar[bool] = False
    """Whether a parent makes such an actor once, and all that it runs on, before it forks the first: for many of a
    class. A child has a copy by the fork; it neither makes one nor copies the memory of the code that does."""

    process_name: ClassVar[str] = ""
    """What its lines in the log call this process; the class's name by default."""

    first_message: ClassVar[type | None] = None
    """If set, messages of all other types are stashed until the actor calls `unstash`: who sends them may have learned
    the address before this actor has been set up."""

    incarnation: int | None = None
    """Number of this life of the actor, if it has one; stands in `ActorFailed`."""

    _stash: list[tuple[Any, ActorAddress, int]] | None = None
    _unstashed: tuple[type, ...] = ()
    _stopping = False
    _ending: asyncio.Task[None]
    _table: ClassVar[dict[type, Handler | None]] = {}

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls._table = {}
        for base in reversed(cls.__mro__):
            for handler in vars(base).values():
                for message_type in getattr(handler, "__handles__", ()):
                    cls._table[message_type] = handler
        cls._table[ActorFailed] = cls._table.get(ActorFailed, AsyncActor._child_failed)

    # -- for subclasses: doing -----------------------------------------------------

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """The event loop of this actor."""
        return self._runtime.transport.loop

    @property
    def limits(self) -> Limits:
        """Those of the transport of this actor, and of the actors that it creates."""
        return self._runtime.transport.limits

    @cached_property
    def counters(self) -> MutableMapping[str, float]:
        """Where this actor counts, by series; numbers of its own unless it says otherwise."""
        return Tally()

    @property
    def rehearses(self) -> bool:
        """Whether it works in a process that is another's, before the first of its class is forked (`rehearsal.py`)."""
        return self._runtime.rehearsal_failed is not None

    @property
    def run_dir(self) -> str:
        """The directory of all sockets of this system."""
        return self._runtime.transport.run_dir

    @property
    def mailbox_depth(self) -> int:
        """Messages that were received and are not finished: in the mailbox, stashed, and in async handlers that run."""
        stashed = len(self._stash) if self._stash is not None else 0
        return self._runtime.transport.mailbox_depth + stashed + self._handling

    async def ask(self, address: Any, message: Any, *, timeout_s: float) -> Any:
        """Send a message and wait for the value that its handler returns.

        Args:
            address: an `Address`, or its key.
            timeout_s: how long to wait, in seconds.

        Raises:
            AskTimeout: no answer came in time; a later one is dropped.
            ActorGone: the actor is dead, or died before it answered. Raised at once, not at the deadline.
            AskRefused: the handler refused, or there is none for this type.
            QueueFull: too much waits for this actor already; nothing was sent.
            FrameTooLarge: the message exceeds the frame limit; nothing was sent.
        """
        transport = self._runtime.transport
        return await transport.asks.ask(address_key(address), transport.encode(message), timeout_s)

    def ask_then(self, address: Any, message: Any, done: Done, *, timeout_s: float) -> None:
        """Send a message and have `done(answer, error)` called with what `ask` would return or raise.

        For asks on a hot path: no task waits, and the answer is handled in the tick in which it comes. An exception in
        `done` crashes the actor.

        Raises:
            QueueFull, FrameTooLarge: nothing was sent.
        """
        transport = self._runtime.transport
        transport.asks.begin(
            address_key(address), transport.encode(message), timeout_s, partial(self._call, done)
        )

    def send(self, targetAddr: ActorAddress, msg: Any) -> None:
        """Send a message and go on. Never blocks.

        Messages to one actor arrive in the order in which they were sent, or not at all: `on_dead_target`
        tells what was not handed over because the target is gone, `on_overflow` what its full queue refused.
        What the kernel had taken when the target died is lost without a word: ask where that matters.

        Raises:
            FrameTooLarge: the message exceeds the frame limit; nothing was sent.
        """
        if not self._runtime.transport.send(targetAddr, msg):
            self._overflowed(targetAddr, msg)

    def spawn(self, coro: Coroutine[Any, Any, Any], *, name: str) -> asyncio.Task[Any]:
        """Run a coroutine as a task of this actor. An exception in it crashes the actor; cancelling it is fine."""
        task = self.loop.create_task(coro, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._task_done)
        return task

    def call_later(self, delay_s: float, fn: Callable[..., Any], *args: Any) -> asyncio.TimerHandle:
        """Call `fn(*args)` after `delay_s` seconds; the handle cancels it. An exception in it crashes the actor."""
        return self.loop.call_later(delay_s, self._call, fn, *args)

    def call_at_tick_end(self, fn: Callable[..., Any], *args: Any) -> None:
        """Call `fn(*args)` before the loop waits for more, to gather what one tick brings. An exception crashes."""
        self._runtime.transport.loop.call_at_tick_end(partial(self._call, fn, *args))

    def create(self, actor_class: type[Actor]) -> ActorAddress:
        """Create a child and return its address, to which messages can be sent at once.

        If it cannot be created, `on_child_exited` comes for this address.
        """
        return self._runtime.create_another(actor_class)

    def child_pid(self, address: ActorAddress) -> int | None:
        """Return the pid of a living child."""
        child = self._runtime.children.find(address_key(address))
        return None if child is None else child.pid

    def children_pids(self) -> set[int]:
        """Return the pids of all living children that are actors."""
        return {child.pid for child in self._runtime.children}

    def kill(self, pid: int) -> None:
        """Kill a process with SIGKILL; one that is gone already is fine."""
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            logger.debug("process %d was gone already", pid)

    def unstash(self, *, only: tuple[type, ...] = ()) -> None:
        """Handle, in the next tick, what came before the actor was set up, in its order; later messages as they come.

        An actor that cannot be set up leaves it: when it ends, whoever waits for an answer learns `ActorGone`.

        Args:
            only: messages of these types alone; all others are stashed until it is called again.
        """
        self.loop.call_soon(self._call, lambda: self._unstash(only))

    def _unstash(self, only: tuple[type, ...]) -> None:
        stash = self._stash or []
        self._unstashed, self._stash = only, [] if only else None
        for message, sender, ask_id in stash:
            self._enter(message, sender, ask_id)

    def stop(self, reason: str = "") -> None:
        """Exit in order: `on_stop`, then the tasks are cancelled, then the children exit, then this process does.

        Messages are handled until `on_stop` has returned, and dropped after that; whoever waits for an answer learns
        `ActorGone`.
        """
        if not self._stopping:
            self._stopping = True
            logger.debug("%s stops: %s", type(self).__name__, reason)
            self._ending = self.loop.create_task(self._stop(), name="stop")
            self._ending.add_done_callback(self._task_done)

    def stop_after_answer(self, reason: str = "") -> None:
        """Exit in order once what the handler returns is on its way to whoever asked."""
        self.call_later(_EXIT_AFTER_ANSWER_S, self.stop, reason)

    # -- for subclasses: hooks ------------------------------------------------------

    def on_child_exited(self, address: ActorAddress) -> None:
        """A child has ended, in whatever way. All that it sent was handled before."""

    def on_child_failed(self, failed: ActorFailed) -> None:
        """A child crashes; `on_child_exited` follows."""

    def on_dead_target(self, address: ActorAddress, message: Any) -> None:
        """A message was not delivered because its target is gone."""

    def on_overflow(self, address: ActorAddress, message: Any) -> None:
        """A message was not sent because too much waits for its target. Called within `send`."""

    async def on_stop(self) -> None:
        """Called before an orderly exit, for at most `Limits.stop_s` seconds."""

    # -- the machine ----------------------------------------------------------------

    def _start(self, runtime: UnixActorManager) -> None:
        """Called once, after the constructor; subclasses need not call ours."""
        logs.rebind(self.process_name or type(self).__name__, as_it_is=self.made_before_fork)
        self._runtime = runtime
        self._tasks: set[asyncio.Task[Any]] = set()
        self._stash = None if self.first_message is None else []
        self._unstashed = () if self.first_message is None else (self.first_message,)
        self._handling = 0
        self._overflowing = False
        self._strange_types: dict[str, int] = {}

    def receiveMessage(self, msg: Any, sender: ActorAddress) -> None:
        """Thespian's entry; our manager calls `_enter` itself."""
        self._enter(msg, sender, 0)

    def _enter(self, message: Any, sender: ActorAddress, ask_id: int) -> None:
        if logger.isEnabledFor(logging.DEBUG):
            self._log_entry(message, sender, ask_id)
        if self._stash is not None and not isinstance(message, self._unstashed):
            self._put_by(message, sender, ask_id)
            return
        handler = self._table.get(type(message)) or self._find_handler(type(message))
        if handler is None:
            self._unknown(message, sender, ask_id)
            return
        try:
            result = handler(self, message, sender)
        except AskRefused as refusal:
            if not ask_id:
                self._crash(refusal, message)
            self._refuse(sender, ask_id, refusal)
        except Exception as error:
            self._crash(error, message)
        else:
            if result.__class__ is CoroutineType:
                self._run_handler(result, message, sender, ask_id)
            elif result.__class__ is Later:
                self._answer_later(result, message, sender, ask_id)
            elif ask_id:
                self._answer(sender, ask_id, result, message)

    @staticmethod
    def _log_entry(message: Any, sender: ActorAddress, ask_id: int) -> None:
        """Note a message by its type: what people say must not get into the log."""
        try:
            name = os.path.basename(address_key(sender))
        except ValueError:
            name = "a new actor"
        logger.debug("%s %s by %s", "asked" if ask_id else "told", type(message).__name__, name)

    def _put_by(self, message: Any, sender: ActorAddress, ask_id: int) -> None:
        assert self._stash is not None
        if len(self._stash) < _MAX_STASHED:
            self._stash.append((message, sender, ask_id))
        elif ask_id:
            self._refuse(sender, ask_id, AskRefused("busy", "too much waits for this actor to be set up"))
        else:
            logger.error("a %s is dropped: too much waits to be set up", type(message).__name__)

    def _find_handler(self, message_type: type) -> Handler | None:
        for base in message_type.__mro__:
            handler = self._table.get(base)
            if handler is not None:
                self._table[message_type] = handler
                return handler
        return None

    def _run_handler(
        self, coro: CoroutineType[Any, Any, Any], message: Any, sender: Any, ask_id: int
    ) -> None:
        self._handling += 1
        task = eager.start(self.loop, coro, coro.__qualname__)
        self._tasks.add(task)

        def done(task: asyncio.Task[Any]) -> None:
            self._handling -= 1
            self._tasks.discard(task)
            if task.cancelled():
                if ask_id and not self._stopping:
                    self._refuse(sender, ask_id, AskRefused("cancelled", "what was asked for was cancelled"))
                return
            error = task.exception()
            if error is None:
                if ask_id:
                    self._answer(sender, ask_id, task.result(), message)
            elif ask_id and isinstance(error, AskRefused):
                self._refuse(sender, ask_id, error)
            else:
                self._crash(error, message)

        task.add_done_callback(done)

    def _answer_later(self, later: Later, message: Any, sender: Any, ask_id: int) -> None:
        self._handling += 1

        def done(future: asyncio.Future[Any]) -> None:
            self._handling -= 1
            if future.cancelled():
                if not self._stopping:
                    self._refuse(sender, ask_id, AskRefused("cancelled", "what was asked for was cancelled"))
                return
            try:
                value = later.answer(future)
            except AskRefused as refusal:
                self._refuse(sender, ask_id, refusal)
            except Exception as error:
                self._crash(error, message)
            else:
                self._answer(sender, ask_id, value, message)

        later.future.add_done_callback(done)

    def _answer(self, sender: ActorAddress, ask_id: int, value: Any, message: Any) -> None:
        transport = self._runtime.transport
        try:
            payload = transport.encode(value)
        except FrameTooLarge as error:
            self._refuse(sender, ask_id, AskRefused("too_large", f"the answer takes {error.size} bytes"))
        except Exception as error:
            self._crash(error, message)
        else:
            transport.answer(sender, ask_id, ANSWER, payload)

    def _refuse(self, sender: ActorAddress, ask_id: int, refusal: AskRefused) -> None:
        self._runtime.transport.answer(sender, ask_id, REFUSAL, encode_refusal(refusal))

    def _unknown(self, message: Any, sender: ActorAddress, ask_id: int) -> None:
        name = type(message).__name__
        self._count_dead_letter("unknown_type")
        if name not in self._strange_types:
            logger.warning(
                "%s has no handler for %s; more of these are dropped silently", type(self).__name__, name
            )
        self._strange_types[name] = self._strange_types.get(name, 0) + 1
        if ask_id:
            self._refuse(
                sender, ask_id, AskRefused("unknown", f"{type(self).__name__} does not handle {name}")
            )

    def _child_failed(self, failed: ActorFailed, _sender: ActorAddress) -> None:
        self.on_child_failed(failed)

    def _count_dead_letter(self, reason: str) -> None:
        actor = self.process_name or type(self).__name__
        self.counters[series("dead_letters_total", actor=actor, reason=reason)] += 1

    def _undelivered(self, address: ActorAddress, message: Any) -> None:
        self._count_dead_letter("dead_target")
        self._call(self.on_dead_target, address, message)

    def _overflowed(self, address: ActorAddress, message: Any) -> None:
        self._count_dead_letter("queue_full")
        if self._overflowing:
            return  # the hook itself sends to a full queue; it has been told already
        self._overflowing = True
        try:
            self.on_overflow(address, message)
        finally:
            self._overflowing = False

    def _call(self, fn: Callable[..., Any], *args: Any) -> None:
        try:
            fn(*args)
        except Exception as error:
            self._crash(error, None)

    def _task_done(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            error = task.exception()
            if error is not None:
                self._crash(error, None)

    async def _stop(self) -> None:
        limit_s = self._runtime.transport.limits.stop_s
        try:
            async with asyncio.timeout(limit_s):
                await self.on_stop()
        except TimeoutError:
            logger.warning("%s: on_stop took longer than %.0f s", type(self).__name__, limit_s)
        except asyncio.CancelledError:
            logger.debug("%s: on_stop waited for something that was cancelled", type(self).__name__)
        except Exception as error:
            self._crash(error, None)
        tasks = [task for task in self._tasks if not task.done()]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=limit_s)
        self._runtime._shutdownActor(True)

    def _crash(self, error: BaseException, message: Any) -> NoReturn:
        name = type(self).__name__
        message_id = getattr(message, "message_id", None)
        logger.critical(
            "%s crashes%s",
            name,
            "" if message is None else f" on a {type(message).__name__}",
            exc_info=error,
            extra={"correlation_id": getattr(message, "correlation_id", None), "message_id": message_id},
        )
        frames = traceback.extract_tb(error.__traceback__)
        where = f" at {os.path.basename(frames[-1].filename)}:{frames[-1].lineno}" if frames else ""
        self._runtime.crash(
            ActorFailed(
                address=self.myAddress,
                reason=type(error).__name__ + where,
                incarnation=self.incarnation,
                message_id=None if message_id is None else str(message_id),
            )
        )
        raise AssertionError("a crashed process does not go on")
