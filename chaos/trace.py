"""Records what a program does to the files under a directory, one system call after the other, and what it was told."""

from __future__ import annotations

import functools
import itertools
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

__all__ = ["Entry", "Operation", "Trace", "recording"]


@dataclass(frozen=True, slots=True)
class Operation:
    """One system call that succeeded; paths are relative to the directory.

    Args:
        kind: `open` (and create), `write`, `cut`, `sync`, `sync all`, `link`, `rename`, `unlink`, `mkdir`, `rmdir`.
        handle: of the open file; no two of a trace are the same.
    """

    kind: str
    path: str = ""
    target: str = ""
    handle: int = 0
    offset: int = 0
    data: bytes = b""


Entry: TypeAlias = Operation | Callable[[], None]
"""A system call, or what becomes known at this moment: a call that changes a model."""


class Trace(list[Entry]):
    """What happened, in its order; threads may add to it."""


@contextmanager
def recording(root: Path) -> Iterator[Trace]:
    """Have everything that this process does to files under a directory written down.

    The calls are made one after the other, so that the trace's order is the true one.
    """
    recorder = _Recorder(root)
    calls: dict[str, Callable[..., Any]] = {
        "open": recorder.open,
        "close": recorder.close,
        "pwrite": recorder.pwrite,
        "ftruncate": recorder.ftruncate,
        "fsync": recorder.sync,
        "fdatasync": recorder.sync,
        "sync": recorder.sync_all,
        "replace": recorder.rename,
        "rename": recorder.rename,
        "link": recorder.link,
        "unlink": recorder.one("unlink"),
        "remove": recorder.one("unlink"),
        "mkdir": recorder.one("mkdir"),
        "rmdir": recorder.one("rmdir"),
    }
    originals = {name: getattr(os, name) for name in calls}
    for name, call in calls.items():
        setattr(os, name, functools.partial(call, originals[name]))
    try:
        yield recorder.trace
    finally:
        for name, original in originals.items():
            setattr(os, name, original)


class _Recorder:
    def __init__(self, root: Path) -> None:
        self.trace = Trace()
        self._root = str(root)
        self._lock = threading.RLock()
        self._handles: dict[int, int] = {}
        self._numbers = itertools.count(1)

    def _inside(self, path: Any) -> str | None:
        """The path as the trace has it; None if it lies elsewhere."""
        text = os.fspath(path)
        if isinstance(text, str) and (text == self._root or text.startswith(self._root + "/")):
            return text[len(self._root) + 1 :]
        return None

    def open(self, call: Any, path: Any, flags: int, mode: int = 0o777, **more: Any) -> int:
        with self._lock:
            descriptor: int = call(path, flags, mode, **more)
            inside = self._inside(path)
            if inside is not None:
                handle = self._handles[descriptor] = next(self._numbers)
                self.trace.append(Operation("open", inside, handle=handle))
            return descriptor

    def close(self, call: Any, descriptor: int) -> None:
        with self._lock:
            self._handles.pop(descriptor, None)
            call(descriptor)

    def pwrite(self, call: Any, descriptor: int, data: Any, offset: int) -> int:
        with self._lock:
            written: int = call(descriptor, data, offset)
            self._note("write", descriptor, offset=offset, data=bytes(data)[:written])
            return written

    def ftruncate(self, call: Any, descriptor: int, length: int) -> None:
        with self._lock:
            call(descriptor, length)
            self._note("cut", descriptor, offset=length)

    def sync(self, call: Any, descriptor: int) -> None:
        """Pretended: it would take time, and changes nothing that a program sees."""
        with self._lock:
            if descriptor not in self._handles:
                call(descriptor)
            self._note("sync", descriptor)

    def sync_all(self, call: Any) -> None:
        with self._lock:
            self.trace.append(Operation("sync all"))

    def rename(self, call: Any, source: Any, target: Any, **more: Any) -> None:
        with self._lock:
            call(source, target, **more)
            self._two("rename", source, target)

    def link(self, call: Any, source: Any, target: Any, **more: Any) -> None:
        with self._lock:
            call(source, target, **more)
            self._two("link", source, target)

    def one(self, kind: str) -> Callable[..., None]:
        def changed(call: Any, path: Any, *rest: Any, **more: Any) -> None:
            with self._lock:
                call(path, *rest, **more)
                inside = self._inside(path)
                if inside is not None:
                    self.trace.append(Operation(kind, inside))

        return changed

    def _note(self, kind: str, descriptor: int, **more: Any) -> None:
        handle = self._handles.get(descriptor)
        if handle is not None:
            self.trace.append(Operation(kind, handle=handle, **more))

    def _two(self, kind: str, source: Any, target: Any) -> None:
        first, second = self._inside(source), self._inside(target)
        if first is not None and second is not None:
            self.trace.append(Operation(kind, first, second))
