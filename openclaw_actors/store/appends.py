"""Decides the fate of an append: fenced, known already, a gap, written, tried again, refused or kept in memory."""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from openclaw_actors.core.conversation import apply
from openclaw_actors.core.records import Record, UserSaid, encode_record
from openclaw_actors.store.entry import Append, Entry, refuse, settle
from openclaw_actors.store.options import Counters, StoreOptions
from openclaw_actors.store.outbox import due_changes
from openclaw_actors.store.usage import UsageLedger
from openclaw_actors.store.writer import Job

__all__ = ["AppendPath", "Stored"]

logger = logging.getLogger(__name__)
_NOWHERE = Path()


class Stored(NamedTuple):
    """The records up to this number are stored; without `durable`, in memory only."""

    number: int
    durable: bool


class AppendPath:
    """The way of records to the disk. Lives in the event loop; the disk is the writer's.

    Args:
        submit: hands jobs to the writer, whose reports come back through `report`.
        ready: called when an entry takes its next operation.
        named: names in the list of open turns.
        usage: where what turns have used is noted.
    """

    def __init__(
        self,
        options: StoreOptions,
        counters: Counters,
        submit: Callable[[list[Job]], None],
        ready: Callable[[Entry], None],
        named: dict[str, None],
        usage: UsageLedger,
    ) -> None:
        self._usage = usage
        self._options = options
        self._counters = counters
        self._submit = submit
        self._ready = ready
        self._named = named
        self._batch: list[Job] = []
        self._lasts: dict[str, tuple[int, str]] = {}
        self._loop = asyncio.get_running_loop()
        self.dirty: dict[str, Entry] = {}
        self.kept_bytes = 0

    def take(self, entry: Entry, append: Append) -> None:
        """Begins an append on an entry that is not busy."""
        problem = self._check(entry, append)
        if problem is not None:
            refuse(append.future, *problem)
            return
        if not append.records:
            return
        if entry.timer is not None:
            entry.timer.cancel()
            entry.timer = None
        entry.pending = append
        entry.attempt = 1
        entry.busy = True
        self._write(entry)

    def _check(self, entry: Entry, append: Append) -> tuple[str, str] | None:
        """Refuses, or leaves in `append` what has to be written; nothing, if it is answered already."""
        if append.token < entry.token:
            return "fenced", f"token {append.token} is older than {entry.token}"
        records = append.records
        state = entry.state
        if not records:
            settle(append.future, Stored(state.number, durable=not entry.dirty))
            return None
        known = state.number - records[0].number + 1
        if known > 0 and append.token != entry.writer_token:
            return "fenced", f"record {records[0].number} was written by another incarnation"
        entry.token = append.token
        if known >= len(records):
            number = records[-1].number
            append.records = ()
            settle(append.future, Stored(number, durable=number <= entry.durable_number))
            return None
        append.records = records = records[max(0, known) :]
        problem = _out_of_order(records, state.number, state.seq)
        if problem:
            return "gap", problem
        try:
            append.bodies = [encode_record(record) for record in records]
        except (TypeError, ValueError, OverflowError, RecursionError) as error:
            return "persistence_failed", f"the record cannot be written: {type(error).__name__}"
        largest = max(map(len, append.bodies))
        if largest > self._options.max_record_bytes:
            return "persistence_failed", f"a record of {largest} bytes is over memory.max_record_bytes"
        return None

    def _write(self, entry: Entry) -> None:
        entry.timer = None
        opens = ""
        if entry.key not in self._named and _accepts(entry):
            opens = entry.key
        records = [record for append in entry.unwritten for record in append.records]
        job, self._lasts[entry.key] = entry.job(opens, due_changes(entry.key, records))
        if not self._batch:
            self._loop.call_soon(self._send)
        self._batch.append(job)

    def _send(self) -> None:
        batch, self._batch = self._batch, []
        self._submit(batch)

    def close_turns(self, key: str) -> None:
        """Strikes a session from the list of open turns, with the next commit."""
        if self._named.pop(key, self) is self:
            return
        if not self._batch:
            self._loop.call_soon(self._send)
        self._batch.append(Job(_NOWHERE, 0, b"", closes=key))

    def complete_turns(self, keys: Sequence[str]) -> None:
        """Adds what was found to be missing from the list of open turns, which names all from then on."""
        if not self._batch:
            self._loop.call_soon(self._send)
        self._batch.extend(Job(_NOWHERE, 0, b"", opens=key) for key in keys)
        self._batch.append(Job(_NOWHERE, 0, b"", completes=True))

    def report(self, jobs: list[Job], seconds: float) -> None:
        """Takes a commit's outcome; all its receipts go out."""
        self._counters.commits.observe(seconds)
        for job in jobs:
            if job.listed:
                self._named[job.opens] = None
            entry = job.owner
            if not isinstance(entry, Entry):
                continue
            if job.error is None:
                self._written(entry, job)
            else:
                self._failed(entry, job.error)

    def _written(self, entry: Entry, job: Job) -> None:
        self._counters.succeeded += 1
        if job.data and not entry.end:
            self._counters.began += 1
        entry.end += len(job.data)
        entry.last = self._lasts.pop(entry.key)
        entry.cut = False
        for kept in entry.kept:
            self._counters.written += len(kept.records)
            self.kept_bytes -= sum(map(len, kept.bodies))
        entry.kept.clear()
        if self.dirty.pop(entry.key, None) is not None:
            logger.info("session %s: the disk has everything again", entry.key)
        append, entry.pending = entry.pending, None
        if append is not None:
            self._apply(entry, append)
            self._counters.written += len(append.records)
            settle(append.future, Stored(entry.state.number, durable=True))
        entry.durable_number = entry.state.number
        entry.patience_s = 0.0
        entry.busy = False
        self._ready(entry)

    def _apply(self, entry: Entry, append: Append) -> None:
        now = time.time()
        for record in append.records:
            self._counters.turns.note(entry.state, record, now)
            self._usage.note(entry.state, record)
            apply(entry.state, record, window_turns=self._options.window_turns)
        entry.writer_token = append.token

    def _failed(self, entry: Entry, error: OSError) -> None:
        entry.cut = True
        self._counters.failed += 1
        self._lasts.pop(entry.key, None)
        options = self._options
        if entry.pending is not None and entry.attempt < options.write_attempts:
            self._counters.retries += 1
            delay = options.write_backoff_s * 2 ** (entry.attempt - 1)
            entry.attempt += 1
            entry.timer = self._loop.call_later(delay, self._write, entry)
            return
        append, entry.pending = entry.pending, None
        if append is not None:
            self._exhausted(entry, append, error)
        entry.busy = False
        entry.patience_s = min(options.patient_backoff_s, max(options.write_backoff_s, entry.patience_s * 2))
        entry.timer = self._loop.call_later(entry.patience_s, self._try_again, entry)
        self._ready(entry)

    def _exhausted(self, entry: Entry, append: Append, error: OSError) -> None:
        self._counters.exhausted += 1
        size = sum(map(len, append.bodies))
        name = errno.errorcode.get(error.errno or 0, type(error).__name__)
        keep = append.keep and self.kept_bytes + size <= self._options.max_kept_bytes
        outcome = "kept in memory and tried again" if keep else "refused"
        logger.error(
            "session %s: %d records could not be written (%s); %s",
            entry.key,
            len(append.records),
            name,
            outcome,
        )
        if not keep:
            why = os.strerror(error.errno) if error.errno else name
            refuse(append.future, "persistence_failed", f"the disk does not take it: {why} ({name})")
            return
        self.kept_bytes += size
        self._apply(entry, append)
        entry.kept.append(append)
        self.dirty[entry.key] = entry
        settle(append.future, Stored(entry.state.number, durable=False))

    def _try_again(self, entry: Entry) -> None:
        """What nobody waits for any more: kept records, or a file's end that must go."""
        if entry.busy:
            return
        entry.busy = True
        self._counters.retries += 1
        self._write(entry)

    def hurry(self) -> None:
        """Tries now whatever waits for its next attempt."""
        for entry in tuple(self.dirty.values()):
            if entry.timer is not None and not entry.busy:
                entry.timer.cancel()
                self._try_again(entry)


def _accepts(entry: Entry) -> bool:
    return any(isinstance(record, UserSaid) for append in entry.unwritten for record in append.records)


def _out_of_order(records: Sequence[Record], number: int, seq: int) -> str:
    for record in records:
        if record.number != number + 1:
            return f"record {record.number} after {number}"
        number += 1
        own = getattr(record, "seq", None)
        if own is not None:
            if own != seq + 1:
                return f"seq {own} after {seq}"
            seq += 1
    return ""
