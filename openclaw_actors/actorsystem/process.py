"""Decides how a process of ours begins and ends: fork, descriptors, signals, parent's death, orphans.

Every function here is for Linux and for processes with one thread.
"""

from __future__ import annotations

__all__ = [
    "become_subreaper",
    "die_with_parent",
    "end_descendants",
    "forget_looked_up_names",
    "fork_process",
    "has_threads",
    "leave",
    "name_process",
    "open_pidfd",
    "raise_open_files_limit",
    "reap_orphans",
    "rehearse_birth",
]

import _signal  # type: ignore[import-not-found]  # what `signal` wraps: that makes an enum member of every number
import _thread
import asyncio
import ctypes
import gc
import itertools
import logging
import os
import random
import resource
import signal
import sys
import threading
import time
import warnings
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any

from openclaw_actors.proctree import children_of, descendants, kill

logger = logging.getLogger(__name__)

_PR_SET_PDEATHSIG = 1
_PR_SET_NAME = 15
_PR_SET_CHILD_SUBREAPER = 36
_libc = ctypes.CDLL(None, use_errno=True)  # loaded before any fork
_set_prctl = _libc["prctl"]
_set_prctl.argtypes = [ctypes.c_int, ctypes.c_ulong, ctypes.c_ulong, ctypes.c_ulong, ctypes.c_ulong]
_set_prctl_text = _libc["prctl"]
_set_prctl_text.argtypes = [ctypes.c_int, ctypes.c_char_p, ctypes.c_ulong, ctypes.c_ulong, ctypes.c_ulong]
_close_range = getattr(_libc, "close_range", None)  # glibc 2.34 and later
if _close_range is not None:
    _close_range.argtypes = [ctypes.c_uint, ctypes.c_uint, ctypes.c_int]
_bare_fork = ctypes.PyDLL(None, use_errno=True).fork  # a PyDLL's functions keep the interpreter's lock
_FORKS_BARELY = sys.version_info < (3, 12)
"""Later versions do more in a child than free locks, and it was tried with none of them."""

_STDERR = 2
_NO_DESCRIPTOR = 0x7FFF_FFFF
_DEAF_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2)
_SIGNALS = tuple(map(int, signal.valid_signals()))
_KILL = int(signal.SIGKILL)
_BLOCK, _SET_MASK = int(signal.SIG_BLOCK), int(signal.SIG_SETMASK)
_seed = super(random.Random, random._inst).seed
_SEED_BYTES = 32
_uses_pidfds: list[bool] = []
_kept: list[Any] = []
"""What a forked process must never finalise: sockets and loops of its parent, whose numbers are others' now."""


def _prctl(option: int, value: int) -> None:
    if _set_prctl(option, value, 0, 0, 0) != 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))


def die_with_parent(parent: int) -> None:
    """Have the kernel kill this process when its parent dies; exit if the parent is dead already.

    The signal is tied to the parent's *thread* that forked (prctl(2)), so only main threads fork actors.

    Args:
        parent: pid of the process that is expected to be the parent.
    """
    _prctl(_PR_SET_PDEATHSIG, _KILL)
    if os.getppid() != parent:
        os._exit(1)


def become_subreaper() -> None:
    """Make orphans among the descendants children of this process, so that it can kill and reap them."""
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)


def raise_open_files_limit() -> int:
    """Raise the limit of open files to its hard limit and return it."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


def open_pidfd(pid: int) -> int:
    """Open a descriptor that becomes readable when the process ends."""
    return os.pidfd_open(pid)


def fork_process(
    main: Callable[..., int],
    arguments: tuple[Any, ...] = (),
    *,
    keep: Collection[int],
    new_session: bool,
    kept_alive: Any,
    bare: bool = False,
) -> int:
    """Fork a process that runs `main` and exits with its result.

    The child has its own session if asked for, only descriptors 0 to 2 and `keep`, no running loop, no signal
    handlers of its parent; the kernel kills it when the parent dies.

    A bare child skips what `os.fork` does in it: that frees the locks that other threads of the parent held and tells
    libraries of the fork (`os.register_at_fork`), for which it copies 65 pages. Here there is no other thread. The
    generator of `random` is seeded anew all the same.

    Args:
        main: what the child does. It never returns into the parent's frames.
        arguments: of `main`.
        keep: descriptors that stay open.
        new_session: whether the child leads a session of its own.
        kept_alive: objects of the parent that own descriptors.
        bare: see above; for processes of which there are many.

    Returns:
        The child's pid.

    Raises:
        OSError: no process or memory is left.
        RuntimeError: called on another than the main thread, or a bare child is wanted and there are other threads.
    """
    if threading.get_native_id() != os.getpid():
        raise RuntimeError("only the main thread may fork an actor: the child dies with the thread")
    if bare and has_threads():
        raise RuntimeError("a thread may hold a lock for which the child would wait for ever")
    sys.stdout.flush()
    sys.stderr.flush()
    birth = (_birth_of_one_of_many if bare else _Birth.found)(keep, new_session=new_session)
    # A signal that comes before the child has its own handlers would wake the parent's loop through a shared socket.
    unblocked = _signal.pthread_sigmask(_BLOCK, _SIGNALS)
    try:
        pid = _forked_barely() if bare and _FORKS_BARELY else os.fork()
    except OSError:
        _signal.pthread_sigmask(_SET_MASK, unblocked)
        raise
    if pid:
        _signal.pthread_sigmask(_SET_MASK, unblocked)
        return pid
    code = 1
    try:
        _kept.append(kept_alive)
        gc.freeze()
        _become_child(birth)
        if not bare:
            asyncio.set_event_loop(None)
        code = main(*arguments)
    except BaseException:
        logger.exception("process %d ends with an exception", os.getpid())
    finally:
        _flush_logs()
        os._exit(code)


def has_threads() -> bool:
    """Whether Python code runs in other threads than the main one."""
    # The first is quick, and counts those of a process from which this one was forked, too.
    return _thread._count() > 0 and threading.active_count() > 1


def _forked_barely() -> int:
    pid = int(_bare_fork())
    if pid < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return pid


def forget_looked_up_names() -> None:
    """Empty the interpreter's cache of attributes of types, before children are forked.

    It holds a reference to each name that modules looked up while they were imported. A child replaces them as it looks
    up others, and so would write to each of these names, and copy its page.
    """
    if sys.version_info >= (3, 13):
        sys._clear_internal_caches()
    else:
        sys._clear_type_cache()


@dataclass(slots=True)
class _Birth:
    """What a child has to put right, found out by its parent: a child that looks at every signal, logger and stream
    copies the page on which each lies, a megabyte in all."""

    parent: int
    new_session: bool = False
    defaults: Sequence[int] = ()
    deaf: Sequence[int] = ()
    streams: Sequence[tuple[str, int]] = ()
    handlers: Sequence[tuple[Any, Any]] = ()
    closed: Sequence[tuple[int, int]] = ()
    closed_from: int = _NO_DESCRIPTOR

    @classmethod
    def found(cls, keep: Collection[int], *, new_session: bool) -> _Birth:
        """As this process is now."""
        _use_pidfds()
        handled = _handled_signals()
        birth = cls(
            parent=os.getpid(),
            new_session=new_session,
            defaults=[number for number in handled if number not in _DEAF_SIGNALS],
            deaf=[number for number in _DEAF_SIGNALS if _signal.getsignal(number) is not _deaf],
            streams=_strange_streams(),
            handlers=_stream_handlers(keep),
        )
        birth.close_all_but(keep)
        return birth

    def close_all_but(self, keep: Collection[int]) -> None:
        """Find what is to be closed."""
        if len(keep) == 1 and min(keep) > _STDERR:  # as nearly always
            (fd,) = keep
            self.closed, self.closed_from = [(_STDERR + 1, fd)], fd + 1
            return
        kept = sorted({_STDERR, *(fd for fd in keep if fd > _STDERR)})
        self.closed = [(low + 1, high) for low, high in itertools.pairwise(kept) if low + 1 < high]
        self.closed_from = kept[-1] + 1


_births: dict[tuple[int, bool], _Birth] = {}
"""The one that all bare children of a process have, by its pid and by whether they lead a session."""


def _birth_of_one_of_many(keep: Collection[int], *, new_session: bool) -> _Birth:
    """As that of the one before, but for what it keeps: to look again would write on what both would share."""
    birth = _births.get((os.getpid(), new_session))
    if birth is None:
        birth = _births[os.getpid(), new_session] = _Birth.found(keep, new_session=new_session)
    else:
        birth.close_all_but(keep)
    return birth


def _become_child(birth: _Birth) -> None:
    # What `random.seed` does; `os.fork` has done it already, a bare child has not.
    _seed(int.from_bytes(os.urandom(_SEED_BYTES)))
    die_with_parent(birth.parent)
    asyncio._set_running_loop(None)
    signal.set_wakeup_fd(-1)
    for number in birth.defaults:
        signal.signal(number, signal.SIG_DFL)
    for number in birth.deaf:
        # A handler that does nothing, not SIG_IGN: programs that this process runs would inherit that.
        signal.signal(number, _deaf)
    _signal.pthread_sigmask(_SET_MASK, [])
    if birth.new_session:
        os.setsid()
    for low, high in birth.closed:
        os.closerange(low, high)
    _close_from(birth.closed_from)
    for name, number in birth.streams:
        _kept.append(getattr(sys, name))
        setattr(sys, name, open(number, "w", buffering=1, closefd=False))  # noqa: SIM115 - as long as we live
    for logger_, handler in birth.handlers:
        logger_.handlers.remove(
            handler
        )  # removeHandler takes a lock that another thread of the parent may hold
        _kept.append(handler)


def rehearse_birth() -> None:
    """Do in this process what a child does at its beginning.

    For `rehearsal.py`: what ran before a fork costs children less memory. This process stays as it is.
    """
    loop = asyncio._get_running_loop()
    try:
        _become_child(_Birth(os.getppid()))
    finally:
        asyncio._set_running_loop(loop)


if sys.version_info < (3, 12):

    class _Pidfds(asyncio.PidfdChildWatcher):
        """asyncio's own, of which every loop that runs can make use."""

        def is_active(self) -> bool:
            return True

        def attach_loop(self, loop: asyncio.AbstractEventLoop | None) -> None:
            """The loop that runs is the one."""

        def add_child_handler(  # type: ignore[override]
            self, pid: int, callback: Callable[..., Any], *args: Any
        ) -> None:
            self._loop = asyncio.get_running_loop()
            super().add_child_handler(pid, callback, *args)


def _use_pidfds() -> None:
    """Before 3.12 asyncio starts a thread for each subprocess, unless it is told otherwise; children inherit this."""
    if sys.version_info < (3, 12) and not _uses_pidfds:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            asyncio.set_child_watcher(_Pidfds())
        _uses_pidfds.append(True)


def _handled_signals() -> list[int]:
    """Those that have a handler of the parent's."""
    handled = [(number, _signal.getsignal(number)) for number in _SIGNALS]
    return [
        number
        for number, handler in handled
        if callable(handler) and handler not in (signal.default_int_handler, _deaf)
    ]


def _strange_streams() -> list[tuple[str, int]]:
    """Which streams do not print to descriptors 1 and 2: with another number they would write into a socket of ours."""
    found = []
    for name, number in (("stdout", 1), ("stderr", 2)):
        try:
            is_ours = getattr(sys, name).fileno() == number
        except (AttributeError, OSError, ValueError):
            is_ours = False
        if not is_ours:
            found.append((name, number))
    return found


def _stream_handlers(keep: Collection[int]) -> list[tuple[Any, Any]]:
    """Loggers with a handler whose stream the child closes: its number will be that of a socket of the child's."""
    handlers = [reference() for reference in list(logging._handlerList)]  # type: ignore[attr-defined]
    strange = [
        each
        for each in handlers
        if isinstance(each, logging.StreamHandler)
        and each is not logging.lastResort
        and _descriptor(each) > _STDERR
        and _descriptor(each) not in keep
    ]
    if not strange:  # as nearly always: to look at each logger writes on the page of each
        return []
    loggers: list[Any] = [logging.root, *logging.root.manager.loggerDict.values()]
    return [
        (each, handler)
        for each in loggers
        for handler in getattr(each, "handlers", ())  # a placeholder has none
        if handler in strange
    ]


def _descriptor(handler: Any) -> int:
    """Where a handler writes to; -1: to no descriptor that is known."""
    try:
        return int(handler.stream.fileno())
    except (AttributeError, OSError, ValueError):
        return -1


def _deaf(_number: int, _frame: object) -> None:
    """Service managers may signal the whole group: only the supervisor, the parent's death or SIGKILL ends an actor."""


def _close_from(low: int) -> None:
    if _close_range is None or _close_range(low, 0xFFFF_FFFF, 0) != 0:
        os.closerange(low, resource.getrlimit(resource.RLIMIT_NOFILE)[0])


def _flush_logs() -> None:
    for reference in list(logging._handlerList):  # type: ignore[attr-defined]
        handler = reference()
        if handler is not None:
            try:
                handler.flush()
            except (OSError, ValueError):
                continue  # a closed stream has nothing to flush
    sys.stdout.flush()
    sys.stderr.flush()


# -- orphans -----------------------------------------------------------------


def end_descendants(*, timeout_s: float = 5.0, spare: Collection[int] = ()) -> set[int]:
    """Kill and reap every process below this one. Call `become_subreaper` at start, or orphans escape.

    Blocks for at most `timeout_s` seconds; it takes a few milliseconds unless a process cannot be killed.

    Args:
        timeout_s: the deadline.
        spare: pids that are left alone.

    Returns:
        The pids that are still there at the deadline; empty if all went well.
    """
    deadline = time.monotonic() + timeout_s
    while True:
        left = descendants() - set(spare)
        for pid in left:
            kill(pid)
        reap_orphans(spare=spare)
        left = descendants() - set(spare)
        if not left or time.monotonic() > deadline:
            return left
        time.sleep(0.002)


def reap_orphans(*, spare: Collection[int] = ()) -> int:
    """Reap the children that have ended, except `spare`; return how many."""
    reaped = 0
    for pid in children_of(os.getpid()) - set(spare):
        try:
            reaped += os.waitpid(pid, os.WNOHANG)[0] != 0
        except ChildProcessError:
            continue  # another part of this process reaped it
    return reaped


def leave(code: int) -> None:
    """End this process at once, with its log lines written and without any clean-up of Python's."""
    _flush_logs()
    os._exit(code)


def name_process(name: str) -> None:
    """Show `name` (its first 15 bytes) as the name of this process in ps and top."""
    _set_prctl_text(_PR_SET_NAME, name.encode()[:15], 0, 0, 0)
