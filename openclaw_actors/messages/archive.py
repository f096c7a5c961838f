"""Of archived conversations and of whole histories: to the supervisor, who passes them on to the store; all asks."""

from __future__ import annotations

from openclaw_actors.messages.base import Plain, Value
from openclaw_actors.messages.events import TurnDone
from openclaw_actors.messages.records import Record

__all__ = [
    "ArchiveList",
    "ArchiveRestored",
    "ArchiveSession",
    "ArchiveSummary",
    "ArchivesPurged",
    "ListArchives",
    "PurgeArchives",
    "ReadRecords",
    "RecordsPage",
    "RestoreArchive",
    "SessionArchived",
]


class ArchiveSummary(Value):
    """An archived conversation at a glance."""

    archive: str
    """What the other messages name it by, such as `20261125T223102Z-5d1c0f5e`; no two are the same."""
    session: str
    archived_at: float
    """Unix time, as are the others."""
    created_at: float
    last_active_at: float
    turns: int
    size_bytes: int
    """Of its journal."""
    state: str = "archived"
    """`archived`, or `quarantined`: it was damaged and set aside before it was archived, and cannot be restored."""


class ListArchives(Plain):
    """Archived conversations, the newest archive first. Answered by `ArchiveList`."""

    offset: int = 0
    limit: int = 100
    contains: str = ""
    """Only those whose key or archive contains this."""
    prefix: str = ""
    """Only of sessions whose keys begin with this."""
    name: str = ""
    """Only this archive, or all of this session's."""


class ArchiveList(Plain):
    """A page of archives."""

    archives: tuple[ArchiveSummary, ...]
    total: int


class ArchiveSession(Plain):
    """router -> store: end the conversation's open turns, fence its live incarnation off, move it to the archive.

    Answered by `SessionArchived`; asked again with the same `archive`, it is answered again. Refused with code
    `unknown`, `dirty` while records wait for the disk, `persistence_failed`, `unavailable`; nothing has changed then
    but that turns may have ended.
    """

    session: str
    archive: str
    idle_since: float | None = None
    """Refuse with code `in_use` if it was active after that (Unix time, seconds), lives, or is not finished."""


class SessionArchived(Plain):
    """The conversation is in the archive; the next message under its key begins a new one."""

    session: str
    archives: tuple[ArchiveSummary, ...]
    """The conversation, if there was one, and what had been set aside under its key."""
    ended: tuple[TurnDone, ...] = ()
    """The ends of the turns that were open still."""
    incarnation: int = 0
    """The fencing token that ended all incarnations before."""


class RestoreArchive(Plain):
    """router -> store: give the key its archived conversation back. Answered by `ArchiveRestored`.

    Refused as `ArchiveSession`, and with code `exists` if the key has another conversation by now.
    """

    session: str
    archive: str
    replaced_as: str = ""
    """Archive the other conversation under this name instead of refusing."""


class ArchiveRestored(Plain):
    """The archive is the conversation again."""

    session: str
    archive: str
    replaced: tuple[ArchiveSummary, ...] = ()
    ended: tuple[TurnDone, ...] = ()
    """As in `SessionArchived`, of the conversation that was replaced."""
    incarnation: int = 0


class PurgeArchives(Plain):
    """Remove archives for good, the oldest first. Answered by `ArchivesPurged`; refused with code `unknown`.

    What is named must be archived; nothing else is ever removed.
    """

    names: tuple[str, ...] = ()
    """Archives, and sessions: all of a session's archives."""
    older_than_s: float | None = None
    """Those that were archived longer ago than this; of the named ones, if there are names."""
    dry_run: bool = False
    """Only say which."""
    limit: int = 1_000


class ArchivesPurged(Plain):
    """These archives are gone for good."""

    archives: tuple[ArchiveSummary, ...]
    more: bool
    """The limit was reached; ask again."""


class ReadRecords(Plain):
    """A page of a conversation's whole journal. Answered by `RecordsPage`; refused with code `unknown`, `corrupt`,
    and `changed` if what the cursor belongs to is no longer under this name.

    The pages together are the conversation as it stood when the first was read, whatever happens meanwhile.
    """

    name: str
    """A session's key, or an archive. A key without a conversation stands for its newest archive."""
    cursor: str = ""
    """Of the page before; empty for the first."""
    max_bytes: int = 262_144
    newest_bytes: int | None = None
    """Begin so many bytes before the end, with a whole record; at least one is found. None: at the beginning."""


class RecordsPage(Plain):
    """Records in order; at least one, however large, if there is any left."""

    session: str
    archive: str
    """Empty: it is not archived."""
    records: tuple[Record, ...]
    cursor: str
    """Empty: this was the last page."""
    created_at: float = 0.0
    last_active_at: float = 0.0
    turns: int = 0
    """Of the whole conversation, as are the two before; on the first page only."""
