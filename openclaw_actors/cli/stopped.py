"""Decides how a command has the store to itself: no gateway runs on the state directory, and none can start."""

from __future__ import annotations

__all__ = ["stopped"]

import contextlib
import os
from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from openclaw_actors.config import StatePaths


@contextlib.contextmanager
def stopped(paths: StatePaths) -> Iterator[None]:
    """Hold the locks of the state directory and of the store, as far as they are there.

    Raises:
        AlreadyRunning: a gateway runs on the state directory.
        StoreCannotOpen: `locked`: something else uses the store.
    """
    from openclaw_actors.actors.rundir import StateLock, read_record
    from openclaw_actors.errors import AlreadyRunning
    from openclaw_actors.store.ownership import StoreLock

    lock, store = StateLock(paths.run), StoreLock(paths.memory)
    if paths.run.is_dir():
        try:
            lock.acquire()
        except AlreadyRunning:
            record = read_record(paths.run)
            raise AlreadyRunning(
                str(paths.state) if record is None else f"{paths.state} (pid {record.pid})"
            ) from None
    try:
        if os.path.isdir(paths.memory):
            store.hold()
        yield
    finally:
        store.release()
        lock.release()
