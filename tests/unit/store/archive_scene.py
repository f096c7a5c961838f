"""What the tests of deleting and restoring share: conversations of whole turns, and where they are."""

from __future__ import annotations

from openclaw_actors.core.conversation import decode_state
from openclaw_actors.core.records import UserSaid
from openclaw_actors.messages.archive import ArchiveSummary, ListArchives, ReadRecords
from openclaw_actors.messages.persistence import ListSessions
from openclaw_actors.store import FileStore
from tests.unit.store.scene import (
    KEY,
    began,
    ended,
    user,
)

ONE = "20260101T000000Z-00000001"
TWO = "20260102T000000Z-00000002"


async def converse(store: FileStore, turns: int, *, key: str = KEY) -> None:
    """So many whole turns, behind whatever there is, and a snapshot."""
    opened_ = await store.open_session(key)
    state = decode_state(opened_.state)
    number, seq = state.number, state.seq
    for index in range(turns):
        message = f"m{seq}-{index}"
        records = (
            user(number + 1, seq + 1, message),
            began(number + 2, seq + 2, message),
            ended(number + 3, seq + 3, message),
        )
        await store.append(key, opened_.token, records, keep=False)
        number, seq = number + 3, seq + 3
    await store.close_session(key, opened_.token)


async def texts(store: FileStore, name: str = KEY) -> list[str]:
    """What people said in a conversation, read in small pages."""
    found: list[str] = []
    cursor = ""
    while True:
        page = await store.archives.read_records(ReadRecords(name=name, cursor=cursor, max_bytes=300))
        found += [record.text for record in page.records if isinstance(record, UserSaid)]
        cursor = page.cursor
        if not cursor:
            return found


async def archived(store: FileStore, name: str = "") -> list[ArchiveSummary]:
    return list((await store.archives.page(ListArchives(name=name))).archives)


async def listed(store: FileStore) -> list[str]:
    return [each.session for each in (await store.list_sessions(ListSessions())).sessions]


async def newest(store: FileStore, key: str = KEY) -> list[int]:
    return [event.seq for event in (await store.read_newest(key, 100)).events]
