"""Owns the commit: one thread writes what waits of all sessions, syncs it together, and reports the whole at once.

A commit, in this order: the list of open turns, if it must name more sessions, to the disk; the outbox's journal, if
replies are due or have come further, to the disk; every journal's lines into its file; every touched file to the disk;
the directory, if files are new. A crash at any point leaves nothing that was acknowledged out, and at worst names too
many sessions. A file that fails fails alone.
"""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from queue import Empty, SimpleQueue

from openclaw_actors.store.boxes import Change
from openclaw_actors.store.files import Files
from openclaw_actors.store.outbox_file import OutboxFile
from openclaw_actors.store.turns import Change as TurnChange
from openclaw_actors.store.turns import TurnList

__all__ = ["Job", "Writer"]

logger = logging.getLogger(__name__)

_OPEN_FILES = 256
"""Journals kept open between commits."""


class Job:
    """One session's part of a commit.

    Args:
        path: the journal.
        offset: its valid length; whatever stands behind it is void.
        data: the lines to write; empty: only cut back.
        cut: an earlier write failed, so the file is reopened and cut back to `offset` first.
        opens: the session's name, if the list of open turns must hold it before the receipt goes out.
        closes: its name, if the list need not hold it any more.
        completes: from here on the list names all, which it did not until now.
        notes: what the outbox's journal must say before the receipt goes out.
        forgets: the file at this path is about to be another one, so it is closed.
    """

    __slots__ = (
        "closes",
        "completes",
        "cut",
        "data",
        "error",
        "forgets",
        "listed",
        "noted",
        "notes",
        "offset",
        "opens",
        "owner",
        "path",
    )

    def __init__(
        self,
        path: Path,
        offset: int,
        data: bytes,
        *,
        cut: bool = False,
        opens: str = "",
        closes: str = "",
        completes: bool = False,
        notes: tuple[Change, ...] = (),
        forgets: bool = False,
        owner: object = None,
    ) -> None:
        self.path = path
        self.offset = offset
        self.data = data
        self.cut = cut
        self.opens = opens
        self.closes = closes
        self.completes = completes
        self.notes = notes
        self.forgets = forgets
        self.owner = owner
        self.listed = False
        self.noted = False
        self.error: OSError | None = None

    @classmethod
    def noting(cls, notes: tuple[Change, ...], *, owner: object) -> Job:
        """A job that only concerns the outbox."""
        return cls(Path(), 0, b"", notes=notes, owner=owner)


class Writer:
    """The thread and the files that only it touches.

    Args:
        report: called in the thread after each commit with its jobs and its duration in seconds; `error` is set in
            those that failed.
    """

    def __init__(
        self,
        files: Files,
        turns: TurnList,
        outbox: OutboxFile,
        report: Callable[[list[Job], float], None],
    ) -> None:
        self._files = files
        self._turns = turns
        self._outbox = outbox
        self._report = report
        self._queue: SimpleQueue[list[Job] | Callable[[], None] | None] = SimpleQueue()
        self._watched: set[Path] | None = None
        self._open: OrderedDict[Path, int] = OrderedDict()
        self._thread = threading.Thread(target=self._run, name="store-writer", daemon=True)

    def start(self) -> None:
        """Starts the thread."""
        self._thread.start()

    def submit(self, jobs: list[Job]) -> None:
        """Has these jobs committed, together with whatever else waits."""
        self._queue.put(jobs)

    def between_commits(self, work: Callable[[], None]) -> None:
        """Has something done in the thread while nothing is being written. It must be quick, and raise nothing."""
        self._queue.put(work)

    def watch(self) -> None:
        """Remember from now on which journals are written to; only between commits."""
        self._watched = set()

    def unwatch(self) -> set[Path]:
        """Which were written to; nothing more is remembered."""
        watched, self._watched = self._watched, None
        return watched or set()

    def close(self, *, timeout_s: float = 5.0) -> bool:
        """Ends the thread after what was submitted; returns whether it ended in time."""
        if self._thread.is_alive():
            self._queue.put(None)
            self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _run(self) -> None:
        ended = False
        while not ended:
            waiting = [self._queue.get()]
            with contextlib.suppress(Empty):
                while True:
                    waiting.append(self._queue.get_nowait())
            ended = None in waiting
            batch = [job for jobs in waiting if isinstance(jobs, list) for job in jobs]
            if batch:
                started = time.monotonic()
                self.commit(batch)
                self._report(batch, time.monotonic() - started)
            for work in waiting:
                if callable(work):
                    work()
        for path in tuple(self._open):
            self._close(path)
        self._turns.close()
        self._outbox.close()

    def commit(self, batch: list[Job]) -> None:
        """Carries out the jobs and sets `error` in those that failed. Raises nothing: without its thread the store
        would answer nobody ever again."""
        try:
            self._commit(batch)
        except Exception as error:
            logger.exception("a commit failed in a way that nobody thought of")
            for job in batch:
                job.error = job.error or OSError(errno.EIO, f"{type(error).__name__}: {error}")

    def _commit(self, batch: list[Job]) -> None:
        self._list_turns(batch)
        self._note(batch)
        created: dict[Path, list[Job]] = {}
        written: dict[Path, list[Job]] = {}
        for job in batch:
            if job.error is None and (job.data or job.cut):
                try:
                    if self._write(job):
                        created.setdefault(job.path.parent, []).append(job)
                    written.setdefault(job.path, []).append(job)
                except OSError as error:
                    self._fail([job], error)
        for path, jobs in written.items():
            try:
                if path in self._open:
                    self._files.flush(self._open[path])
            except OSError as error:
                self._fail(jobs, error)
        for directory, jobs in created.items():
            try:
                self._files.flush_directory(directory)
            except OSError as error:
                self._fail(jobs, error)
        self._close_files(batch)

    def _close_files(self, batch: list[Job]) -> None:
        for job in batch:
            if job.forgets:
                self._close(job.path)
        while len(self._open) > _OPEN_FILES:
            self._close(next(iter(self._open)))

    def _list_turns(self, batch: list[Job]) -> None:
        opens = [job for job in batch if job.opens]
        changes: list[TurnChange] = []
        for job in batch:  # in their order: a session may be struck out and opened again in one commit
            if job.closes:
                changes.append(("closed", job.closes))
            if job.opens:
                changes.append(("open", job.opens))
            if job.completes:
                changes.append(("complete", ""))
        if not changes:
            return
        try:
            self._turns.write(changes)
        except OSError as error:
            for job in opens:
                job.error = error
        else:
            for job in opens:
                job.listed = True

    def _note(self, batch: list[Job]) -> None:
        jobs = [job for job in batch if job.notes and job.error is None]
        if not jobs:
            return
        try:
            self._outbox.write(change for job in jobs for change in job.notes)
        except OSError as error:
            for job in jobs:
                job.error = error
        else:
            for job in jobs:
                job.noted = True

    def _write(self, job: Job) -> bool:
        """Returns whether the file is new. A new file's data is synced before its directory entry."""
        created = job.offset == 0
        if job.cut or created:
            self._close(
                job.path
            )  # a file that begins may have a predecessor that was set aside, still open here
        if created and not job.data and not job.path.exists():
            return False
        descriptor = self._open.get(job.path, -1)
        if descriptor < 0:
            descriptor = self._open[job.path] = self._files.open(job.path, create=created)
        self._open.move_to_end(job.path)
        watched = self._watched
        if watched is not None:
            watched.add(job.path)
        if job.cut:
            self._files.cut(descriptor, job.offset)
        if job.data:
            self._files.write_at(descriptor, job.data, job.offset)
        return created

    def _fail(self, jobs: list[Job], error: OSError) -> None:
        """Cuts back at once: nobody must find, after a crash, what its sender was told is not stored."""
        for job in jobs:
            job.error = error
            descriptor = self._open.get(job.path, -1)
            if descriptor >= 0:
                try:
                    self._files.cut(descriptor, job.offset)
                except OSError:
                    pass  # it is cut before the next write, and the next write is tried for ever
                self._close(job.path)

    def _close(self, path: Path) -> None:
        descriptor = self._open.pop(path, -1)
        if descriptor >= 0:
            os.close(descriptor)
