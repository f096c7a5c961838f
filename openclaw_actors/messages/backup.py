"""Of backups and of retention: from operators to the supervisor, who passes them on to the store; all asks."""

from __future__ import annotations

from openclaw_actors.messages.archive import ArchiveSummary
from openclaw_actors.messages.base import Plain, Value

__all__ = [
    "BackupBegun",
    "BackupEnded",
    "BackupPage",
    "BackupPiece",
    "BeginBackup",
    "EndBackup",
    "ReadBackup",
    "RetentionReport",
    "RetireSession",
    "RetiredSession",
    "RunRetention",
    "SessionRetired",
]


class BeginBackup(Plain):
    """Fix what the store holds at this moment, to be read piece by piece. Answered by `BackupBegun`.

    Nobody's writing waits for it. Refused with code `busy` while another one is read, `not_possible`, `unavailable`.
    """

    backup: str
    """Its name from now on, chosen by who asks: letters and digits."""


class BackupBegun(Plain):
    """It stays until `EndBackup`, or until nothing of it was asked for during a minute."""

    backup: str
    at: float
    """The moment that it shows, Unix time in seconds."""
    files: int
    size_bytes: int
    version: str
    """Of the gateway."""
    store_format: int


class ReadBackup(Plain):
    """The next pieces of a backup. Answered by `BackupPage`; refused with code `unknown` if it is over."""

    backup: str
    number: int = 0
    offset: int = 0
    """Where the page before ended."""
    max_bytes: int = 262_144


class BackupPiece(Value):
    """A part of a file; the parts of one follow each other."""

    path: bytes
    """Below the store's directory."""
    size: int
    """Of the whole file, as the backup has it."""
    modified_at: float
    """Unix time, seconds."""
    offset: int
    data: bytes


class BackupPage(Plain):
    """The next pieces of the files."""

    pieces: tuple[BackupPiece, ...]
    number: int
    offset: int
    """Where the next page begins."""
    complete: bool
    """There is none."""


class EndBackup(Plain):
    """Forget a backup. Answered by `BackupEnded`, also where it is over already."""

    backup: str


class BackupEnded(Plain):
    """The backup is forgotten."""


class RunRetention(Plain):
    """Archive and remove what the section `retention` of the configuration says is too old or too much.

    Answered by `RetentionReport`; refused with code `busy` while it is being done already.
    """

    dry_run: bool = False
    """Only say what would be done."""
    limit: int = 1_000
    """At most so many conversations, and so many archives."""


class RetiredSession(Value):
    """A conversation that is too old, or one too many."""

    session: str
    last_active_at: float
    """Unix time, seconds."""
    size_bytes: int
    archive: str = ""
    """Where it is now; empty: nothing was done."""


class RetentionReport(Plain):
    """What was done, or would be."""

    dry_run: bool
    archived: tuple[RetiredSession, ...]
    purged: tuple[ArchiveSummary, ...]
    kept: int = 0
    """Conversations that are too old and stay, because they live, or something of them is not finished."""
    failed: int = 0
    """Others that could not be archived; the log says why."""
    more: bool = False
    """The limit was reached."""
    limited: bool = True
    """Whether the configuration limits anything at all."""


class RetireSession(Plain):
    """store -> router: archive a conversation that nobody has used since. Answered by `SessionRetired`.

    Refused with code `in_use` if it has a process, or something of it is not finished; and as `ArchiveSession`.
    """

    session: str
    idle_since: float
    """It must not have been active after that, Unix time in seconds."""


class SessionRetired(Plain):
    """The conversation is in the archive, as it was too old or too much."""

    session: str
    archive: str
