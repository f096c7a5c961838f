"""What a journal says after a crash at any byte, and when it is damaged."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from openclaw_actors.core.conversation import Conversation, apply, decode_state
from openclaw_actors.core.records import Record, encode_record
from openclaw_actors.store import FileStore
from openclaw_actors.store.journal import Damaged, OtherKey, frame, header_line, load
from tests.unit.store.scene import KEY, as_json, journal_of, opened, run, snapshot_of, turn, user

COMMITS: list[tuple[Record, ...]] = [turn(0), turn(1)[:1], turn(1)[1:], turn(2)]
"""Of several records, of one, of two."""


def lines_of(commits: list[tuple[Record, ...]], key: str = KEY) -> list[bytes]:
    """Each commit's bytes, the header in the first."""
    blocks = [b"".join(frame([encode_record(r) for r in records], [7] * len(records))) for records in commits]
    return [header_line(key) + blocks[0], *blocks[1:]]


def state_of(commits: list[tuple[Record, ...]], key: str = KEY) -> Conversation:
    state = Conversation(key=key)
    for records in commits:
        for record in records:
            apply(state, record, window_turns=50)
    return state


def write(path: Path, data: bytes, key: str = KEY) -> Path:
    journal = journal_of(path, key)
    journal.parent.mkdir(parents=True, exist_ok=True)
    journal.write_bytes(data)
    return journal


def read(path: Path, key: str = KEY) -> Conversation:
    loaded = load(journal_of(path, key), snapshot_of(path, key), key, window_turns=50)
    assert loaded is not None
    return loaded.state


def test_a_crash_at_any_byte_leaves_whole_commits_and_a_journal_to_go_on_with(tmp_path: Path) -> None:
    blocks = lines_of(COMMITS, "cut-0000")
    ends = [sum(map(len, blocks[: count + 1])) for count in range(len(blocks))]

    async def check(store: FileStore, length: int) -> None:
        key = f"cut-{length:04}"
        write(tmp_path, b"".join(lines_of(COMMITS, key))[:length], key)
        expected = state_of(COMMITS[: sum(end <= length for end in ends)], key)
        session = await store.open_session(key)
        assert as_json(decode_state(session.state)) == as_json(expected), f"cut at byte {length}"
        later = user(expected.number + 1, expected.seq + 1, "later")
        stored = await store.append(key, session.token, (later,), keep=False)
        assert stored == (expected.number + 1, True)
        apply(expected, later, window_turns=50)
        assert as_json(read(tmp_path, key)) == as_json(expected), f"cut at byte {length}"

    async def every_byte() -> None:
        with opened(tmp_path, fsync=False) as store:
            for length in range(ends[-1] + 1):
                await check(store, length)

    run(every_byte())


def test_zeros_behind_the_last_commit_are_what_a_power_cut_leaves(tmp_path: Path) -> None:
    data = b"".join(lines_of(COMMITS))
    write(tmp_path, data + b"\0" * 5_000)
    assert as_json(read(tmp_path)) == as_json(state_of(COMMITS))


def test_nothing_but_zeros_is_a_first_commit_that_never_ended(tmp_path: Path) -> None:
    write(tmp_path, b"\0" * 4_096)
    assert read(tmp_path).number == 0


LONG = "websocket:local:" + "k" * 600


@pytest.mark.parametrize("key", [KEY, LONG])
def test_sectors_of_a_first_commit_come_to_the_disk_in_any_order(tmp_path: Path, key: str) -> None:
    records = (user(1, 1, "m0", "x" * 700), *turn(0)[1:])
    data = lines_of([records], key)[0]
    size = 512 * -(-len(data) // 512)
    for missing in range(0, size, 512):
        left = (data[:missing] + b"\0" * 512 + data[missing + 512 :])[: len(data)]
        write(tmp_path, left, key)
        assert read(tmp_path, key).number == 0, f"without the sector at {missing}"


def test_zeros_at_the_beginning_of_what_was_acknowledged_are_damage(tmp_path: Path) -> None:
    data = b"".join(lines_of([turn(0, text="x" * 600), turn(1)]))
    write(tmp_path, b"\0" * 512 + data[512:])
    with pytest.raises(Damaged):
        read(tmp_path)


def test_whole_lines_of_an_unfinished_commit_do_not_make_a_torn_one_damage(tmp_path: Path) -> None:
    *before, last = lines_of(COMMITS)
    first, second, third = last.splitlines(keepends=True)
    write(tmp_path, b"".join(before) + first + b"\0" * len(second) + third)
    assert as_json(read(tmp_path)) == as_json(state_of(COMMITS[:-1]))


@pytest.mark.parametrize("block", [0, 1, 2])
def test_damage_before_the_last_commit_is_never_cut_off(tmp_path: Path, block: int) -> None:
    blocks = lines_of(COMMITS)
    blocks[block] = blocks[block][:-20] + b"#" + blocks[block][-19:]
    data = b"".join(blocks)
    journal = write(tmp_path, data)
    with pytest.raises(Damaged):
        read(tmp_path)
    assert journal.read_bytes() == data


@pytest.mark.parametrize("block", [1, 2])
def test_a_commit_that_is_missing_is_damage(tmp_path: Path, block: int) -> None:
    blocks = lines_of(COMMITS)
    del blocks[block]
    write(tmp_path, b"".join(blocks))
    with pytest.raises(Damaged):
        read(tmp_path)


def test_a_damaged_first_line_is_damage(tmp_path: Path) -> None:
    write(tmp_path, b"X" + b"".join(lines_of(COMMITS))[1:])
    with pytest.raises(Damaged):
        read(tmp_path)


def test_another_keys_file_is_told_apart(tmp_path: Path) -> None:
    journal = write(tmp_path, b"".join(lines_of(COMMITS)))
    with pytest.raises(OtherKey):
        load(journal, snapshot_of(tmp_path), "websocket:local:other", window_turns=50)


def test_nothing_stored_is_none(tmp_path: Path) -> None:
    assert load(journal_of(tmp_path), snapshot_of(tmp_path), KEY, window_turns=50) is None


def test_a_directory_in_the_place_of_a_journal_is_an_error_not_an_empty_conversation(tmp_path: Path) -> None:
    journal_of(tmp_path).mkdir(parents=True)
    with pytest.raises(IsADirectoryError):
        load(journal_of(tmp_path), snapshot_of(tmp_path), KEY, window_turns=50)


def test_a_journal_survives_its_reader_being_cancelled(tmp_path: Path) -> None:
    write(tmp_path, b"".join(lines_of(COMMITS)))

    async def scene() -> Conversation:
        with opened(tmp_path) as store:
            waiting = store.open_session(KEY)
            waiting.cancel()
            await asyncio.sleep(0)
            return decode_state((await store.open_session(KEY)).state)

    assert as_json(run(scene())) == as_json(state_of(COMMITS))
