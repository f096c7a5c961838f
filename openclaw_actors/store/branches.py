"""Owns the branches: a conversation's history as it stood at one moment, to go back to.

    branches/<hash of session>/<hash of branch>.json    {"crc":"…","format":1,"branch":"…","session":"…",…,"window":[…]}
    branches/<base64 of branch>.json                    as OpenClaw.NET left it

Each session has a directory, so listing its branches reads nobody else's. All of it blocks and runs in one thread.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec

from openclaw_actors.messages.history import HistoryTurn
from openclaw_actors.messages.persistence import BranchSummary
from openclaw_actors.store.documents import Documents
from openclaw_actors.store.failures import StoreRefusal
from openclaw_actors.store.files import Files
from openclaw_actors.store.legacy_records import OldMessage, unix_time, window_of
from openclaw_actors.store.names import hashed_name, key_of_name

__all__ = ["MAX_BRANCHES", "MAX_NAME_CHARS", "Branch", "Branches"]

logger = logging.getLogger(__name__)

MAX_BRANCHES = 100
"""Of one session."""
MAX_NAME_CHARS = 128
MAX_BRANCH_BYTES = 33_554_432
FORMAT = 1


class Branch(msgspec.Struct, frozen=True):
    """What the file holds."""

    format: int
    branch: str
    session: str
    name: str
    created_at: float
    """Unix time."""
    number: int
    """The conversation's last record when it was made; 0 if that is not known."""
    window: list[HistoryTurn]

    def summary(self) -> BranchSummary:
        """As others see it."""
        return BranchSummary(
            branch=self.branch, name=self.name, created_at=self.created_at, turns=len(self.window)
        )


class _OldBranch(msgspec.Struct, rename="camel"):
    branch_id: str
    session_id: str
    name: str = ""
    created_at: str | None = None
    history: list[OldMessage] = []


_old_decoder = msgspec.json.Decoder(_OldBranch)


class Branches:
    """The branches of one store.

    Args:
        root: the store's directory.
    """

    def __init__(self, root: Path, files: Files) -> None:
        self._directory = root / "branches"
        self._retired = root / "legacy"
        self._files = files
        self._documents = Documents(
            "branch", Branch, files, max_bytes=MAX_BRANCH_BYTES, staging=self._directory
        )

    def save(self, session: str, name: str, number: int, window: list[HistoryTurn]) -> Branch:
        """Raises StoreRefusal: `bad_key`, `too_many`, `too_large`, `persistence_failed`; OSError."""
        if not name.strip() or len(name) > MAX_NAME_CHARS or not name.isprintable():
            raise StoreRefusal(
                "bad_key", f"a branch needs a name of 1 to {MAX_NAME_CHARS} printable characters"
            )
        directory = self._of(session)
        if not directory.is_dir():
            try:
                directory.mkdir(mode=0o700)
                self._files.flush_directory(self._directory)
            except OSError as error:
                raise StoreRefusal(
                    "persistence_failed", f"the disk does not take the branch: {error.strerror}"
                ) from error
        if sum(1 for _ in _documents_in(directory)) >= MAX_BRANCHES:
            raise StoreRefusal(
                "too_many", f"a conversation may have {MAX_BRANCHES} branches; delete one first"
            )
        now = time.time_ns()
        branch = Branch(
            format=FORMAT,
            branch=f"{session}:branch:{name}:{now}",
            session=session,
            name=name,
            created_at=now / 1e9,
            number=number,
            window=window,
        )
        self._documents.write(self._path(session, branch.branch), branch)
        return branch

    def take_over(self, session: str) -> None:
        """Makes all branches of a session ours, so that they are in one place. Raises OSError."""
        self._take_over(session)

    def load(self, session: str, branch: str) -> Branch | None:
        """The branch of this session; None if there is none. Raises StoreRefusal: `corrupt`; OSError."""
        self._take_over(session)
        found = self._documents.read(self._path(session, branch))
        return found if found is not None and (found.session, found.branch) == (session, branch) else None

    def of(self, session: str) -> list[Branch]:
        """All of a session, newest first. Damaged ones are set aside and left out. Raises OSError."""
        self._take_over(session)
        found: list[Branch] = []
        for path in _documents_in(self._of(session)):
            try:
                branch = self._documents.read(path)
            except StoreRefusal:
                continue  # set aside, and logged
            if branch is not None and branch.session == session:
                found.append(branch)
        return sorted(found, key=lambda branch: branch.created_at, reverse=True)

    def delete(self, session: str, branch: str) -> bool:
        """Returns whether there was one. Raises StoreRefusal: `corrupt`; OSError."""
        if self.load(session, branch) is None:
            return False
        self._documents.remove(self._path(session, branch))
        return True

    def _of(self, session: str) -> Path:
        return self._directory / hashed_name(session)

    def _path(self, session: str, branch: str) -> Path:
        return self._of(session) / f"{hashed_name(branch)}.json"

    def _take_over(self, session: str) -> None:
        """Turns what OpenClaw.NET left of this session into ours. A file that cannot be read stays where it is."""
        for path in self._old(session):
            try:
                old = _old_decoder.decode(path.read_bytes())
            except (msgspec.DecodeError, ValueError) as error:
                logger.warning("the branch %s cannot be taken over: %s", path.name, error)
                continue
            if old.session_id != session:
                continue
            self._of(session).mkdir(mode=0o700, exist_ok=True)
            self._files.flush_directory(self._directory)
            branch = Branch(
                format=FORMAT,
                branch=old.branch_id,
                session=session,
                name=old.name,
                created_at=unix_time(old.created_at),
                number=0,
                window=window_of(old.history),
            )
            try:
                self._documents.write(self._path(session, old.branch_id), branch)
            except StoreRefusal as refusal:
                logger.warning("the branch %s cannot be taken over: %s", path.name, refusal)
                continue
            self._files.move(path, self._retired / path.name)

    def _old(self, session: str) -> Iterator[Path]:
        """Old files that may be of this session: their names say so, or say nothing."""
        for path in _documents_in(self._directory):
            key = key_of_name(path.stem)
            if key is None or key.startswith(f"{session}:branch:"):
                yield path


def _documents_in(directory: Path) -> list[Path]:
    try:
        with os.scandir(directory) as entries:
            return [
                Path(entry.path)
                for entry in entries
                if entry.name.endswith(".json") and not entry.name.startswith(".")
            ]
    except FileNotFoundError:
        return []
