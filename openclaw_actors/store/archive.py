"""Owns the archive: conversations that were deleted, each with its branches, to be restored or removed for good.

    archive/moving.json                              what is being moved; only meanwhile
    archive/<hash of session>/numbers.json           see `numbers`
    archive/<hash of session>/<archive>/about.json   {"crc":"…","format":1,"archive":"…","session":"…",…}
    archive/<hash of session>/<archive>/session.jsonl, session.json, branches/

A conversation is where its journal is, and a journal moves by one rename: everything before that is undone after a
crash, everything behind it is finished. `moving.json` stands from before the first step until after the last, so a
start looks at one file, however much is archived. Everything here blocks and runs in one thread.
"""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import msgspec

from openclaw_actors.core.archives import is_archive_name, made_with
from openclaw_actors.messages.archive import ArchiveSummary
from openclaw_actors.store.documents import Documents
from openclaw_actors.store.failures import StoreRefusal
from openclaw_actors.store.files import Files
from openclaw_actors.store.journal import key_inside
from openclaw_actors.store.names import hashed_name
from openclaw_actors.store.numbers import NumbersBook

__all__ = ["About", "Archive"]

logger = logging.getLogger(__name__)

FORMAT = 1
MAX_ABOUT_BYTES = 65_536
_ABOUT, _JOURNAL, _SNAPSHOT, _BRANCHES = "about.json", "session.jsonl", "session.json", "branches"


class About(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of an archived conversation without reading it."""

    format: int = FORMAT
    archive: str
    session: str
    archived_at: float
    created_at: float = 0.0
    last_active_at: float = 0.0
    turns: int = 0
    seq: int = 0
    token: int = 0
    size_bytes: int = 0
    state: str = "archived"

    def summary(self) -> ArchiveSummary:
        """As others see it."""
        return ArchiveSummary(
            archive=self.archive,
            session=self.session,
            archived_at=self.archived_at,
            created_at=self.created_at,
            last_active_at=self.last_active_at,
            turns=self.turns,
            size_bytes=self.size_bytes,
            state=self.state,
        )


class _Move(msgspec.Struct, frozen=True, kw_only=True):
    """What `moving.json` holds."""

    format: int = FORMAT
    kind: Literal["archive", "restore", "purge"]
    session: str
    archive: str
    name: str = ""
    """Of the journal in `sessions/`."""
    snapshot: str = ""


class Archive:
    """The archive of one store.

    Args:
        root: the store's directory.
    """

    def __init__(self, root: Path, files: Files, numbers: NumbersBook) -> None:
        self._directory = root / "archive"
        self._sessions = root / "sessions"
        self._branches = root / "branches"
        self._files = files
        self.numbers = numbers
        self._moving = self._directory / "moving.json"
        self._moves = Documents("move", _Move, files, max_bytes=MAX_ABOUT_BYTES, staging=self._directory)
        self._abouts = Documents(
            "description of an archive", About, files, max_bytes=MAX_ABOUT_BYTES, staging=self._directory
        )

    # Moving

    def settle(self) -> None:
        """Recovers if the disk lets us; else that is tried again before anything else moves."""
        try:
            self.recover()
        except (OSError, StoreRefusal) as error:
            logger.error("what was being archived or restored is not settled yet: %s", error)

    def recover(self) -> None:
        """Undoes or finishes what a crash or a failing disk interrupted. Raises OSError, StoreRefusal."""
        move = self._moves.read(self._moving)
        if move is None:
            return
        place = self._place(move.session, move.archive)
        match move.kind:
            case "archive" if not (place / _JOURNAL).exists():
                self._undo_archiving(move, place)
            case "restore" if (self._sessions / move.name).exists() and not (place / _JOURNAL).exists():
                self._finish_restoring(move, place)
            case "purge":
                self._empty(place)
            case _:
                pass
        self._done()

    def put(self, about: About, journal: Path, snapshot: Path) -> None:
        """Moves a conversation here: once it returns it is archived, and if it raises it is where it was.

        Args:
            journal, snapshot: the conversation's files; the snapshot need not exist.

        Raises:
            StoreRefusal: `persistence_failed`; OSError.
        """
        self.recover()
        self._begin("archive", about, journal, snapshot)
        try:
            self._put(about, journal, snapshot)
        except BaseException:
            self._give_up()
            raise
        self._done()

    def _begin(
        self, kind: Literal["archive", "restore"], about: About, journal: Path, snapshot: Path
    ) -> _Move:
        move = _Move(
            kind=kind,
            session=about.session,
            archive=about.archive,
            name=journal.name,
            snapshot=snapshot.name,
        )
        self._moves.write(self._moving, move)
        return move

    def _put(self, about: About, journal: Path, snapshot: Path) -> None:
        place = self._place(about.session, about.archive)
        self._files.make_directory(place.parent)
        self.numbers.raise_to(about.session, seq=about.seq, token=about.token)
        self._files.make_directory(place)
        self._abouts.write(place / _ABOUT, about)
        if about.state == "archived":
            self._move_branches(self._branches / hashed_name(about.session), place / _BRANCHES)
        if snapshot.exists():
            self._rename(snapshot, place / _SNAPSHOT)
        self._rename(journal, place / _JOURNAL)

    def _undo_archiving(self, move: _Move, place: Path) -> None:
        if (place / _BRANCHES).is_dir():
            self._move_branches(place / _BRANCHES, self._branches / hashed_name(move.session))
        if (place / _SNAPSHOT).exists() and not (self._sessions / move.snapshot).exists():
            self._rename(place / _SNAPSHOT, self._sessions / move.snapshot)
        self._empty(place)

    def take_back(self, about: About, journal: Path, snapshot: Path) -> None:
        """Moves a conversation back; if it raises, it is here still.

        Args:
            journal, snapshot: where its files belong; neither may exist.

        Raises:
            StoreRefusal: `persistence_failed`; OSError.
        """
        self.recover()
        place = self._place(about.session, about.archive)
        self.numbers.raise_to(about.session, seq=about.seq, token=about.token, restored=about.archive)
        move = self._begin("restore", about, journal, snapshot)
        try:
            self._rename(place / _JOURNAL, journal)
        except BaseException:
            self._give_up()
            raise
        try:
            self._finish_restoring(move, place)
        except (OSError, StoreRefusal) as error:
            logger.warning("what belongs to %s follows with the next move: %s", about.session, error)
            return
        self._done()

    def _finish_restoring(self, move: _Move, place: Path) -> None:
        self._move_branches(place / _BRANCHES, self._branches / hashed_name(move.session))
        snapshot = self._sessions / move.snapshot
        if (place / _SNAPSHOT).exists() and not snapshot.exists():
            self._rename(place / _SNAPSHOT, snapshot)
        self._empty(place)

    def was_restored(self, session: str, archive: str) -> bool:
        """Is this archive gone because it was the last that was restored? Raises StoreRefusal, OSError."""
        return self.find(archive) is None and self.numbers.of(session).restored == archive

    def purge(self, about: About) -> None:
        """Removes an archive for good. Raises StoreRefusal: `persistence_failed`; OSError."""
        self.recover()
        self._moves.write(self._moving, _Move(kind="purge", session=about.session, archive=about.archive))
        self._empty(self._place(about.session, about.archive))
        self._done()

    def _give_up(self) -> None:
        """After a failure: back to how it was, if the disk lets us; else before the next move or at the next start."""
        self.settle()

    def _done(self) -> None:
        """What is done stays done if this fails: the next move, or the next start, finds nothing more to do."""
        try:
            self._files.remove(self._moving)
            self._files.flush_directory(self._directory)
        except OSError as error:
            logger.warning("%s cannot be removed now: %s", self._moving.name, error)

    def _rename(self, source: Path, target: Path) -> None:
        """Returns when the disk knows; if it raises, the file is where it was, if the disk lets us."""
        self._files.rename(source, target)
        try:
            self._files.flush_directory(target.parent)
            self._files.flush_directory(source.parent)
        except OSError:
            with contextlib.suppress(OSError):
                self._files.rename(target, source)
            raise

    def _move_branches(self, source: Path, target: Path) -> None:
        """Each keeps its name, which no other branch has."""
        names = _names_in(source)
        if names:
            self._files.make_directory(target)
            for name in names:
                self._files.rename(source / name, target / name)
            self._files.flush_directory(target)
            self._files.flush_directory(source)
        if source.is_dir():
            self._files.remove_directory(source)

    def _empty(self, place: Path) -> None:
        """Removes what is left of an archive; what describes it goes last."""
        if not place.is_dir():
            return
        for name in _names_in(place / _BRANCHES):
            self._files.remove(place / _BRANCHES / name)
        self._files.remove_directory(place / _BRANCHES)
        for name in sorted(_names_in(place), key=lambda name: name == _ABOUT):
            self._files.remove(place / name)
        self._files.remove_directory(place)
        self._files.flush_directory(place.parent)

    # Looking

    def find(self, archive: str) -> About | None:
        """An archive by its name. Raises OSError."""
        if not is_archive_name(archive):
            return None
        for directory in self._of_sessions():
            if (directory / archive / _JOURNAL).exists():
                return self._about(directory / archive)
        return None

    def of(self, session: str) -> list[About]:
        """A session's archives, newest first. Raises OSError."""
        return _newest_first(
            about for about in self._in(self._directory / hashed_name(session)) if about.session == session
        )

    def made_by(self, session: str, archive: str) -> list[About]:
        """What was archived under this name: the conversation, and what had been set aside. Raises OSError."""
        return [about for about in self.of(session) if made_with(about.archive) == archive]

    def all(self, *, contains: str = "") -> list[About]:
        """All archives, or those whose session or name contains something, newest first. Raises OSError."""
        return _newest_first(
            about
            for directory in self._of_sessions()
            for about in self._in(directory)
            if contains in about.session or contains in about.archive
        )

    def paths(self, about: About) -> tuple[Path, Path]:
        """Journal and snapshot of an archive; the snapshot need not exist."""
        place = self._place(about.session, about.archive)
        return place / _JOURNAL, place / _SNAPSHOT

    def _place(self, session: str, archive: str) -> Path:
        return self._directory / hashed_name(session) / archive

    def _of_sessions(self) -> list[Path]:
        with os.scandir(self._directory) as entries:
            return [Path(entry.path) for entry in entries if entry.is_dir(follow_symlinks=False)]

    def _in(self, directory: Path) -> Iterator[About]:
        for name in _names_in(directory):
            if is_archive_name(name) and (directory / name / _JOURNAL).exists():
                yield self._about(directory / name)

    def _about(self, place: Path) -> About:
        """What describes it, or, where that is damaged, what can be told without."""
        try:
            about = self._abouts.read(place / _ABOUT)
        except StoreRefusal:
            about = None  # set aside, and logged
        if about is not None and about.archive == place.name:
            return about
        return self._describe_anew(place)

    def _describe_anew(self, place: Path) -> About:
        journal = place / _JOURNAL
        status = journal.stat()
        key = key_inside(journal)
        return About(
            archive=place.name,
            session=key or f"file {place.parent.name}/{place.name}",
            archived_at=status.st_ctime,
            size_bytes=status.st_size,
            state="archived" if key is not None and self._place(key, place.name) == place else "quarantined",
        )


def _newest_first(abouts: Iterator[About]) -> list[About]:
    return sorted(abouts, key=lambda about: (about.archived_at, about.archive), reverse=True)


def _names_in(directory: Path) -> list[str]:
    try:
        return sorted(os.listdir(directory))
    except (FileNotFoundError, NotADirectoryError):
        return []
