"""Takes a backup of a store that goes on being used: every file as it stood at one moment, between two commits.

    .backup/<name>/…    a second name (hard link) of every file, while the backup is read

Files are only ever appended to or replaced as a whole, so a second name keeps what was replaced, and the length at
that moment says what of an appended file belongs to it. Names are given beside everything else, in small steps; then,
while the writer and the archive hold still for some milliseconds, what has changed meanwhile is put right and lengths
are noted. So the copy is what a power cut at that moment would have left, without its torn ends.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import os
import shutil
import threading
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

from openclaw_actors.store.backup_files import STAGING, Item, Pieces, Place, read, scan
from openclaw_actors.store.failures import StoreRefusal, unavailable
from openclaw_actors.store.writer import Writer

__all__ = ["Backups", "BegunBackup"]

logger = logging.getLogger(__name__)

_IDLE_S = 60.0
"""Nobody has asked for more of a backup for so long: whoever began it is gone."""
_STEP = 64
"""So many names are given at once."""
_PAUSE_S = 0.001
_HOLD_S = 30.0
_POLL_S = 0.1
_MAX_NAME_CHARS = 64
_NO_LINKS = (errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK, errno.EXDEV)


class BegunBackup(NamedTuple):
    """A backup that can be read."""

    name: str
    at: float
    """The moment that it shows, Unix time in seconds."""
    files: int
    size_bytes: int


class _Running(NamedTuple):
    name: str
    directory: Path
    items: list[Item]


class Backups:
    """The backups of one store, one at a time. Lives in the event loop; the disk is touched in one thread of its own.

    Args:
        root: the store's directory.
        keep: runs what blocks in the thread that branches and archives share, in which nothing else moves meanwhile.
    """

    def __init__(
        self, root: Path, writer: Writer, *, keep: Callable[[Callable[[], Any]], Awaitable[Any]]
    ) -> None:
        self._root = root
        self._writer = writer
        self._keep = keep
        self._loop = asyncio.get_running_loop()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="store-backup")
        self._running: _Running | None = None
        self._beginning = ""
        self._closing = False
        self._idle: asyncio.TimerHandle | None = None
        if (root / STAGING).is_dir():  # a process that ended in the middle of one
            self._thread.submit(shutil.rmtree, root / STAGING, ignore_errors=True)

    async def begin(self, name: str) -> BegunBackup:
        """Fix what belongs to a backup.

        Args:
            name: of this backup; letters and digits.

        Raises:
            StoreRefusal: `bad_key`; `busy` while another one is read; `not_possible` where the file system knows no
                second names; `unavailable`.
        """
        if not (name.isascii() and name.isalnum() and len(name) <= _MAX_NAME_CHARS):
            raise StoreRefusal("bad_key", f"a backup's name has 1 to {_MAX_NAME_CHARS} letters and digits")
        if self._running is not None or self._beginning:
            raise StoreRefusal("busy", "another backup is being taken; wait for its end")
        self._beginning = name
        directory = self._root / STAGING / name
        try:
            await self._watch()
            items = await self._fix(directory)
            if not self._beginning:
                raise StoreRefusal("unknown", "this backup was given up")
        except BaseException:
            self._writer.unwatch()
            if not self._closing:
                self._thread.submit(_remove, directory)
            raise
        finally:
            self._beginning = ""
        self._running = _Running(name, directory, items)
        self._wait_for_reader()
        return BegunBackup(name, time.time(), len(items), sum(item.size for item in items))

    async def _fix(self, directory: Path) -> list[Item]:
        try:
            links = await self._loop.run_in_executor(self._thread, self._link_all, directory)
            return await self._keep(lambda: self._hold(links.settle))  # type: ignore[no-any-return]
        except OSError as error:
            raise _refusal(error) from error

    def _link_all(self, directory: Path) -> _Links:
        """In the thread that also removes: what an earlier backup left must not go away together with this one."""
        links = _Links(self._root, directory)
        while links.step(_STEP) and not self._closing:
            time.sleep(_PAUSE_S)
        return links

    def _hold(self, work: Callable[[set[Path]], list[Item]]) -> list[Item]:
        """In the thread in which things move, so nothing does; the writer does it between two commits."""
        done = threading.Event()
        outcome: list[list[Item] | BaseException] = []

        def between() -> None:
            try:
                outcome.append(work(self._writer.unwatch()))
            except BaseException as error:
                outcome.append(error)
            done.set()

        self._writer.between_commits(between)
        deadline = time.monotonic() + _HOLD_S
        while not done.wait(_POLL_S):
            if self._closing or time.monotonic() > deadline:
                raise OSError(errno.EIO, "the store ends, or its disk hangs")
        if isinstance(outcome[0], BaseException):
            raise outcome[0]
        return outcome[0]

    async def _watch(self) -> None:
        watching = asyncio.Event()

        def between() -> None:
            self._writer.watch()
            self._loop.call_soon_threadsafe(watching.set)

        self._writer.between_commits(between)
        await watching.wait()

    async def read(self, name: str, place: Place, *, max_bytes: int) -> Pieces:
        """The next pieces.

        Raises:
            StoreRefusal: `unknown` if there is no such backup, or nobody asked for too long; `unavailable`.
        """
        running = self._named(name)
        self._wait_for_reader()

        def work() -> Pieces:
            return read(os.fsencode(running.directory), running.items, place, max_bytes=max_bytes)

        try:
            return await self._loop.run_in_executor(self._thread, work)
        except OSError as error:
            raise unavailable(error) from error
        finally:
            self._wait_for_reader()

    def end(self, name: str) -> None:
        """Forget a backup, also one that is just being begun. Raises StoreRefusal `unknown`."""
        if name == self._beginning:
            self._beginning = ""
            return
        self._named(name)
        self._forget()

    def close(self) -> None:
        """Ends the thread; what stands there still, the next owner removes."""
        self._closing = True
        if self._idle is not None:
            self._idle.cancel()
        self._thread.shutdown(wait=False, cancel_futures=True)

    def _named(self, name: str) -> _Running:
        if self._running is None or self._running.name != name:
            raise StoreRefusal("unknown", "this backup is over; begin another one")
        return self._running

    def _wait_for_reader(self) -> None:
        if self._idle is not None:
            self._idle.cancel()
        if self._running is not None and not self._closing:
            self._idle = self._loop.call_later(_IDLE_S, self._give_up)

    def _give_up(self) -> None:
        logger.warning("nobody reads the backup that was begun; it is over")
        self._forget()

    def _forget(self) -> None:
        running, self._running = self._running, None
        if self._idle is not None:
            self._idle.cancel()
            self._idle = None
        if running is not None and not self._closing:
            self._thread.submit(_remove, running.directory)


class _Links:
    """Second names for the files of a store, first of all, then of what has changed since."""

    def __init__(self, root: Path, directory: Path) -> None:
        self._root = os.fsencode(root)
        self._directory = os.fsencode(directory)
        self._linked: dict[bytes, tuple[int, int]] = {}
        """Path -> inode and length."""
        self._made: set[bytes] = set()
        directory.parent.mkdir(mode=0o700, exist_ok=True)
        directory.mkdir(mode=0o700)
        self._found = scan(self._root)

    def step(self, count: int) -> bool:
        """Links some more; returns whether any may be left. Raises OSError."""
        for _ in range(count):
            found = next(self._found, None)
            if found is None:
                return False
            self._link(found[0])
        return True

    def settle(self, written: set[Path]) -> list[Item]:
        """While nothing is written or moved: puts right what has changed. Raises OSError.

        Args:
            written: journals that were written to since the first step.
        """
        now = dict(scan(self._root))
        for path in [path for path in self._linked if path not in now]:
            self._unlink(path)
        grown = {os.path.relpath(os.fsencode(path), self._root) for path in written}
        for path, inode in now.items():
            known = self._linked.get(path)
            if known is None or known[0] != inode:
                self._unlink(path)
                self._link(path)
            elif path in grown or _may_grow(path):
                self._linked[path] = (inode, os.stat(os.path.join(self._directory, path)).st_size)
        return [Item(path, size) for path, (_, size) in self._linked.items()]

    def _link(self, path: bytes) -> None:
        parent = os.path.dirname(path)
        if parent not in self._made:
            os.makedirs(os.path.join(self._directory, parent), mode=0o700, exist_ok=True)
            self._made.add(parent)
        target = os.path.join(self._directory, path)
        try:
            os.link(os.path.join(self._root, path), target, follow_symlinks=False)
        except FileNotFoundError:
            return  # replaced, moved or removed just now; if it is still there, it is found in the end
        status = os.stat(target, follow_symlinks=False)
        self._linked[path] = (status.st_ino, status.st_size)

    def _unlink(self, path: bytes) -> None:
        if self._linked.pop(path, None) is not None:
            os.unlink(os.path.join(self._directory, path))


def _may_grow(path: bytes) -> bool:
    """Journals of conversations are told of by who writes them; all other files that grow are few."""
    return not path.startswith(b"sessions/") and path.endswith(b".jsonl")


def _remove(directory: Path) -> None:
    shutil.rmtree(directory, ignore_errors=True)
    with contextlib.suppress(OSError):
        directory.parent.rmdir()


def _refusal(error: OSError) -> StoreRefusal:
    if error.errno in _NO_LINKS:
        return StoreRefusal(
            "not_possible",
            f"the file system of the store knows no hard links ({os.strerror(error.errno)}); "
            "stop the gateway, and take the backup then",
        )
    return unavailable(error)
