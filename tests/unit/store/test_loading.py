"""Which file is a key's, and what happens to one that cannot be trusted."""

from __future__ import annotations

from pathlib import Path

import pytest

from openclaw_actors.core.conversation import decode_state
from openclaw_actors.core.records import Record
from openclaw_actors.messages.persistence import ListSessions
from openclaw_actors.store.framing import seal
from openclaw_actors.store.names import hashed_name, plain_name
from tests.unit.store.scene import (
    KEY,
    began,
    ended,
    journal_of,
    opened,
    refused,
    reopen,
    run,
    snapshot_of,
    turn,
    user,
)

OTHER = "websocket:local:other"


async def say(path: Path, key: str, *, turns: int = 1) -> None:
    with opened(path) as store:
        token = (await store.open_session(key)).token
        for index in range(turns):
            await store.append(key, token, turn(index), keep=False)


def outside(path: Path) -> list[Path]:
    return [each for each in path.rglob("*") if each.is_file() and "memory" not in each.parts]


def sessions(path: Path) -> Path:
    return path / "memory" / "sessions"


@pytest.mark.parametrize(
    "key", ["k" * 200, "k" * 190, "漢" * 62, "../../etc/passwd", "/", ".", "a\0b", "x" * 9_000]
)
def test_every_key_has_a_conversation_of_its_own_inside_the_store(tmp_path: Path, key: str) -> None:
    async def scene() -> None:
        await say(tmp_path, key)
        assert (await reopen(tmp_path, key)).turns == 1
        assert (await reopen(tmp_path, key + "2")).turns == 0
        assert outside(tmp_path) == []
        with opened(tmp_path) as store:
            page = await store.list_sessions(ListSessions(offset=0, limit=10, contains=""))
            assert [each.session for each in page.sessions] == [key]

    run(scene())


def collide(path: Path) -> None:
    """Puts OTHER's journal where KEY's would stand, as a file system that ignores case may."""
    journal_of(path, OTHER).rename(journal_of(path, KEY))


def test_two_keys_whose_names_are_one_keep_two_conversations(tmp_path: Path) -> None:
    async def scene() -> None:
        await say(tmp_path, OTHER, turns=2)
        collide(tmp_path)
        await say(tmp_path, KEY)
        assert (sessions(tmp_path) / f"{hashed_name(KEY)}.jsonl").exists()
        assert (await reopen(tmp_path, KEY)).turns == 1
        assert journal_of(tmp_path, KEY).read_bytes().count(b'"kind":"turn_ended"') == 2
        with opened(tmp_path) as store:
            assert (await store.open_session(KEY)).token
            await store.flush(deadline_s=10)
        # The other one is gone, archived perhaps: what stands under the hash is still KEY's conversation.
        journal_of(tmp_path, KEY).unlink()
        snapshot_of(tmp_path, KEY).unlink(missing_ok=True)
        assert (await reopen(tmp_path, KEY)).turns == 1

    run(scene())


def test_both_names_taken_by_others_is_an_error_that_harms_nobody(tmp_path: Path) -> None:
    async def scene() -> None:
        await say(tmp_path, OTHER)
        data = journal_of(tmp_path, OTHER).read_bytes()
        for name in (plain_name(KEY, limit=200), hashed_name(KEY)):
            (sessions(tmp_path) / f"{name}.jsonl").write_bytes(data)
        with opened(tmp_path) as store:
            assert (await refused(store.open_session(KEY))).code == "corrupt"
        assert journal_of(tmp_path, KEY).read_bytes() == data

    run(scene())


def damage(path: Path) -> bytes:
    data = bytearray(journal_of(path).read_bytes())
    data[len(data) // 2] ^= 1
    journal_of(path).write_bytes(data)
    return bytes(data)


def first_turn(after_seq: int) -> tuple[Record, ...]:
    """The first turn of a conversation whose events are numbered from behind another one's."""
    return user(1, after_seq + 1, "m"), began(2, after_seq + 2, "m"), ended(3, after_seq + 3, "m")


def test_a_damaged_conversation_is_kept_aside_and_its_sender_told(tmp_path: Path) -> None:
    async def scene() -> None:
        await say(tmp_path, KEY, turns=3)
        await say(tmp_path, OTHER)
        data = damage(tmp_path)
        with opened(tmp_path) as store:
            refusal = await refused(store.open_session(KEY))
            assert refusal.code == "corrupt"
            (aside,) = sessions(tmp_path).glob("*.quarantined-*")
            assert aside.name in refusal.text
            assert store.counters.quarantined == 1
            session = await store.open_session(KEY)
            before = decode_state(session.state).seq
            assert before > 9, "a client may have these numbers of the damaged one"
            await store.append(KEY, session.token, first_turn(before), keep=False)
            assert [event.seq for event in (await store.read_newest(KEY, 9)).events] == [
                before + 1,
                before + 2,
                before + 3,
            ]
            assert decode_state((await store.open_session(OTHER)).state).turns == 1
            page = await store.list_sessions(ListSessions(offset=0, limit=10, contains=""))
            assert sorted((each.session, each.state) for each in page.sessions) == [
                (KEY, "quarantined"),
                (KEY, "stored"),
                (OTHER, "stored"),
            ]
        assert aside.read_bytes() == data
        assert (await reopen(tmp_path, KEY)).turns == 1

    run(scene())


def test_the_snapshot_goes_with_its_journal(tmp_path: Path) -> None:
    async def scene() -> None:
        await say(tmp_path, KEY, turns=3)
        with opened(tmp_path, snapshot_every_records=1) as store:
            token = (await store.open_session(KEY)).token
            await store.append(KEY, token, turn(3), keep=False)
            await store.close_session(KEY, token)
        snapshot = snapshot_of(tmp_path).read_bytes()
        journal_of(tmp_path).write_bytes(journal_of(tmp_path).read_bytes()[:300])
        with opened(tmp_path) as store:
            assert (await refused(store.open_session(KEY))).code == "corrupt"
            page = await store.list_sessions(ListSessions(offset=0, limit=10, contains=""))
            assert [each.state for each in page.sessions] == ["quarantined"]
        (aside,) = sessions(tmp_path).glob("*.json.quarantined-*")
        assert aside.read_bytes() == snapshot

    run(scene())


def test_a_file_that_is_damaged_while_it_is_in_use_is_not_written_into_after_it_was_set_aside(
    tmp_path: Path,
) -> None:
    async def scene() -> None:
        with opened(tmp_path, cached_sessions=1) as store:
            token = (await store.open_session(KEY)).token
            for index in range(3):
                await store.append(KEY, token, turn(index), keep=False)
            await store.close_session(KEY, token)
            snapshot_of(tmp_path).unlink()
            await store.branches.of(KEY)
            for key in ("x", "y"):  # it leaves memory
                await store.read_events(key, after_seq=0, max_events=1, max_bytes=1)
            data = damage(tmp_path)
            assert (await refused(store.open_session(KEY))).code == "corrupt"
            session = await store.open_session(KEY)
            first = first_turn(decode_state(session.state).seq)
            assert (await store.append(KEY, session.token, first, keep=False)).durable
            (aside,) = sessions(tmp_path).glob("*.quarantined-*")
            assert aside.read_bytes() == data
        assert (await reopen(tmp_path)).turns == 1

    run(scene())


@pytest.mark.parametrize("look", ["events", "newest", "end", "append", "branch"])
def test_only_who_opens_a_damaged_conversation_sets_it_aside(tmp_path: Path, look: str) -> None:
    async def scene() -> None:
        await say(tmp_path, KEY, turns=3)
        data = damage(tmp_path)
        with opened(tmp_path) as store:
            waiting = {
                "events": lambda: store.read_events(KEY, after_seq=0, max_events=9, max_bytes=999),
                "newest": lambda: store.read_newest(KEY, 5),
                "end": lambda: store.end_open_turns(KEY, "stopped", queue=True),
                "append": lambda: store.append(KEY, 1 << 40, turn(3), keep=True),
                "branch": lambda: store.branches.save(KEY, "b"),
            }[look]()
            assert (await refused(waiting)).code == "corrupt"  # type: ignore[arg-type]
        assert journal_of(tmp_path).read_bytes() == data

    run(scene())


def test_a_conversation_of_a_newer_version_is_left_alone(tmp_path: Path) -> None:
    async def scene() -> None:
        with opened(tmp_path) as store:
            data = seal(b'"format":2,"session":"%s"}' % KEY.encode()) + b"what only the newer one knows\n"
            journal_of(tmp_path).write_bytes(data)
            assert (await refused(store.open_session(KEY))).code == "unavailable"
        assert journal_of(tmp_path).read_bytes() == data

    run(scene())
