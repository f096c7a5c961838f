"""Decides when snapshots are due and writes them in a thread, beside everything else."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import Executor
from functools import partial
from typing import Any

from openclaw_actors.store.entry import Entry, settle
from openclaw_actors.store.files import Files
from openclaw_actors.store.options import Counters, StoreOptions

__all__ = ["Snapshots"]

logger = logging.getLogger(__name__)


class Snapshots:
    """The snapshots of all sessions.

    Args:
        ready: called when a session's snapshot is done, with its entry.
    """

    def __init__(
        self,
        options: StoreOptions,
        counters: Counters,
        files: Files,
        threads: Executor,
        ready: Callable[[Entry], None],
    ) -> None:
        self._options = options
        self._counters = counters
        self._files = files
        self._threads = threads
        self._ready = ready
        self._loop = asyncio.get_running_loop()

    def write_if_due(self, entry: Entry) -> None:
        """Begins a snapshot if the last one is too far behind the journal."""
        options = self._options
        since = max(entry.snapshot_number, entry.snapshot_failed)
        due = (
            entry.state.number - since >= options.snapshot_every_records
            or entry.end - entry.snapshot_end >= options.snapshot_every_bytes
        )
        if due and since < entry.state.number and not (entry.dirty or entry.busy or entry.snapshotting):
            self._begin(entry, None)

    def write(self, entry: Entry, future: asyncio.Future[Any]) -> None:
        """Writes a snapshot, if anything is new, and answers when that is over. A failure costs time only, at the
        next opening: the journal has everything."""
        if entry.snapshot_number >= entry.state.number or entry.dirty:
            settle(future, None)
        elif entry.snapshotting:
            self._loop.call_later(0.01, self.write, entry, future)
        else:
            self._begin(entry, future)

    def _begin(self, entry: Entry, future: asyncio.Future[Any] | None) -> None:
        entry.snapshotting = True
        number, end = entry.state.number, entry.end
        data = entry.encode_snapshot(window_turns=self._options.window_turns)
        work = partial(self._files.replace, entry.snapshot, data)
        writing = self._loop.run_in_executor(self._threads, work)

        def done(writing: asyncio.Future[None]) -> None:
            entry.snapshotting = False
            error = writing.exception()
            if error is None:
                self._counters.snapshots += 1
                entry.snapshot_number, entry.snapshot_end = number, end
                entry.snapshot_bytes, entry.snapshot_failed = len(data), 0
            else:
                self._counters.snapshots_failed += 1
                entry.snapshot_failed = number
                logger.warning("the snapshot of %s could not be written: %s", entry.key, error)
            if future is not None:
                settle(future, None)
            if not entry.busy:
                self._ready(entry)

        writing.add_done_callback(done)
