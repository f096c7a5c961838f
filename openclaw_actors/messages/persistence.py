"""To the PersistenceActor, all of them asks."""

from __future__ import annotations

from typing import Literal, TypeAlias

from openclaw_actors.messages.base import Plain
from openclaw_actors.messages.events import DurableEvent
from openclaw_actors.messages.history import HistoryTurn
from openclaw_actors.messages.records import Record

__all__ = [
    "Append",
    "Appended",
    "BranchHistory",
    "BranchList",
    "BranchSession",
    "BranchSummary",
    "CloseSession",
    "Closed",
    "DeleteBranch",
    "DeleteNote",
    "Deleted",
    "EndOpenTurns",
    "EventsPage",
    "FlushStore",
    "ListBranches",
    "ListNotes",
    "ListOpenTurns",
    "ListSessions",
    "LoadNote",
    "NoteKeys",
    "NoteSaved",
    "NoteText",
    "OpenSession",
    "OpenTurn",
    "OpenTurns",
    "ReadBranch",
    "ReadEvents",
    "ReadSession",
    "RestoreBranch",
    "SaveNote",
    "SessionOpened",
    "SessionOrder",
    "SessionPage",
    "SessionSummary",
    "StoreHealth",
    "StoreHealthRequest",
]

SessionOrder: TypeAlias = Literal["active", "size", "key"]
"""By last activity, newest first; by size, largest first; by key."""


class OpenSession(Plain):
    """Load a conversation and issue the next fencing token for it. Answered by `SessionOpened`.

    Refused (AskRefused) with code `corrupt` or `unavailable`.
    """

    session: str


class SessionOpened(Plain):
    """The conversation as it stands, and the token that every append of this incarnation carries."""

    token: int
    state: bytes
    """`core.conversation.encode_state` of it."""


class Append(Plain):
    """Write records durably, in order. Answered by `Appended`.

    Refused (AskRefused) with code `fenced`: a newer incarnation exists, the sender must exit; `gap`: numbers do
    not follow; `persistence_failed`: all attempts failed and, with `when_exhausted="drop"`, nothing of it was taken.
    """

    session: str
    token: int
    records: tuple[Record, ...]
    """With consecutive numbers."""
    when_exhausted: Literal["drop", "keep"]
    """After the last attempt: `drop` refuses; `keep` holds the records in memory, tries again for ever, and
    acknowledges with `durable=False`."""


class Appended(Plain):
    """The records up to this number are stored."""

    number: int
    durable: bool = True


class ReadEvents(Plain):
    """A page of durable events after a number. Answered by `EventsPage`."""

    session: str
    after_seq: int
    max_events: int = 500
    max_bytes: int = 262_144


class EventsPage(Plain):
    """Durable events, in order; `complete`: there were none after these when the page was read."""

    events: tuple[DurableEvent, ...]
    complete: bool


class CloseSession(Plain):
    """Write a snapshot and forget the live incarnation. Answered by `Closed`.

    Refused with code `dirty` while records wait to be written.
    """

    session: str
    token: int


class Closed(Plain):
    """The snapshot is written; the conversation may leave memory."""


class EndOpenTurns(Plain):
    """Record the end of a session's open turns without its process, which is dead. Answered by `Appended`.

    A fresh token is issued first, so that nothing late of the dead incarnation can be written.
    """

    session: str
    status: Literal["stopped", "interrupted", "failed"]
    queue: bool
    """Also the messages that wait."""
    text: str = ""
    code: str | None = None


class OpenTurn(Plain):
    """A session that had accepted messages without an answer. The list may name too many, never too few."""

    session: str
    since: float
    """Unix time of the oldest."""


class ListOpenTurns(Plain):
    """Which sessions have work to resume? Answered by `OpenTurns`, oldest first."""


class OpenTurns(Plain):
    """Every open turn, or more, the oldest first."""

    turns: tuple[OpenTurn, ...]


class ListSessions(Plain):
    """Stored sessions. Answered by `SessionPage`."""

    offset: int = 0
    limit: int = 100
    contains: str = ""
    prefix: str = ""
    """Only keys that begin with this."""
    state: Literal["any", "stored", "quarantined"] = "any"
    order: SessionOrder = "active"
    reverse: bool = False
    only: tuple[str, ...] | None = None
    """Only these keys."""
    without: tuple[str, ...] = ()
    """All but these keys."""


class SessionSummary(Plain):
    """A stored session at a glance."""

    session: str
    created_at: float
    last_active_at: float
    turns: int
    size_bytes: int
    state: str = "stored"
    """`stored`, `quarantined`."""


class SessionPage(Plain):
    """A page of stored sessions."""

    sessions: tuple[SessionSummary, ...]
    total: int


class ReadSession(Plain):
    """One stored session's summary and newest events. Answered by `EventsPage`; refused with code `unknown`."""

    session: str
    last: int = 50


class BranchSession(Plain):
    """Keep a conversation's history as it stands. Answered by `BranchSummary`.

    Refused with code `unknown`, `bad_key`, `too_many` or `too_large`.
    """

    session: str
    name: str


class BranchSummary(Plain):
    """A branch at a glance."""

    branch: str
    """What the other messages name it by."""
    name: str
    created_at: float
    """Unix time."""
    turns: int


class ListBranches(Plain):
    """A conversation's branches, newest first. Answered by `BranchList`."""

    session: str


class BranchList(Plain):
    """A session's branches."""

    branches: tuple[BranchSummary, ...]


class ReadBranch(Plain):
    """What stands in a branch. Answered by `BranchHistory`. Refused with code `unknown`."""

    session: str
    branch: str


class BranchHistory(Plain):
    """What the model was shown when the branch was made."""

    window: tuple[HistoryTurn, ...]


class RestoreBranch(Plain):
    """Give the model a branch's history from now on. Answered by `Appended`.

    The live incarnation, if there is one, is fenced off. Refused with code `unknown`, or `busy` while a turn is open.
    """

    session: str
    branch: str


class DeleteBranch(Plain):
    """Remove a branch for good. Answered by `Deleted`."""

    session: str
    branch: str


class SaveNote(Plain):
    """Write a note durably. Answered by `NoteSaved`. Refused with code `bad_key` or `too_large`."""

    key: str
    text: str


class NoteSaved(Plain):
    """The note is on the disk."""


class LoadNote(Plain):
    """Read a note. Answered by `NoteText`."""

    key: str


class NoteText(Plain):
    """What stands in the note."""

    text: str | None
    """None: there is no such note."""


class ListNotes(Plain):
    """The keys of notes that begin with `prefix`, in order. Answered by `NoteKeys`."""

    prefix: str = ""
    limit: int = 1_000


class NoteKeys(Plain):
    """Keys of notes."""

    keys: tuple[str, ...]


class DeleteNote(Plain):
    """Remove a note for good. Answered by `Deleted`."""

    key: str


class Deleted(Plain):
    """It is there no more."""

    existed: bool


class StoreHealthRequest(Plain):
    """Can the store write? Answered by `StoreHealth` after a real write."""


class StoreHealth(Plain):
    """Whether the store can write, and what it holds in memory or has set aside."""

    writable: bool
    dirty_sessions: int
    exhausted_total: int
    problem: str = ""
    quarantined: tuple[str, ...] = ()
    """Names of files that were set aside because they are damaged; of very many only the first."""
    quarantined_total: int = 0


class FlushStore(Plain):
    """Write everything that waits, snapshots included, as the last thing before exit. Answered by `Closed`."""

    deadline_s: float
