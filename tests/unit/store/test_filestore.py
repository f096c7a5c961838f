"""The store as its users see it: appends, tokens, the list of open turns, and its end."""

from __future__ import annotations

import asyncio
import errno
import threading
from pathlib import Path

import msgspec
import pytest

from openclaw_actors.core.conversation import decode_state
from openclaw_actors.messages.events import Usage
from openclaw_actors.store import FileStore, StoreCannotOpen
from openclaw_actors.store.framing import seal
from openclaw_actors.store.turns import read_names
from tests.unit.store.scene import (
    KEY,
    Faults,
    as_json,
    began,
    ended,
    journal_of,
    listed,
    opened,
    options,
    refused,
    reopen,
    run,
    snapshot_of,
    turn,
    until,
    user,
)

OTHER = "websocket:local:other"


class TestAppends:
    def test_what_was_acknowledged_is_there_for_the_next_process(self, tmp_path: Path) -> None:
        async def scene() -> None:
            with opened(tmp_path) as store:
                session = await store.open_session(KEY)
                for index in range(3):
                    await store.append(KEY, session.token, turn(index), keep=False)
                before = decode_state((await store.open_session(KEY)).state)
            assert before.turns == 3
            assert as_json(await reopen(tmp_path)) == as_json(before)

        run(scene())

    def test_a_repeated_append_is_acknowledged_and_not_written(self, tmp_path: Path) -> None:
        async def scene() -> None:
            with opened(tmp_path) as store:
                token = (await store.open_session(KEY)).token
                first = await store.append(KEY, token, turn(0), keep=False)
            size = journal_of(tmp_path).stat().st_size
            with opened(tmp_path) as store:  # the acknowledgement was lost with the process
                assert await store.append(KEY, token, turn(0), keep=False) == first
                assert journal_of(tmp_path).stat().st_size == size
                assert await store.append(KEY, token, (*turn(0), *turn(1)), keep=False) == (6, True)
            assert (await reopen(tmp_path)).turns == 2

        run(scene())

    @pytest.mark.parametrize(
        "records",
        [turn(1), (user(1, 2, "m"),), (user(1, 1, "m"), began(3, 2, "m"))],
        ids=["number", "seq", "inside"],
    )
    def test_records_that_do_not_follow_are_a_gap(self, tmp_path: Path, records: tuple) -> None:  # type: ignore[type-arg]
        async def scene() -> None:
            with opened(tmp_path) as store:
                token = (await store.open_session(KEY)).token
                assert (await refused(store.append(KEY, token, records, keep=False))).code == "gap"
                assert await store.append(KEY, token, turn(0), keep=False) == (3, True)

        run(scene())

    def test_an_older_incarnation_is_fenced_off(self, tmp_path: Path) -> None:
        async def scene() -> None:
            with opened(tmp_path) as store:
                old = (await store.open_session(KEY)).token
                new = (await store.open_session(KEY)).token
                assert new > old
                for waiting in (
                    store.append(KEY, old, turn(0), keep=True),
                    store.close_session(KEY, old),
                ):
                    assert (await refused(waiting)).code == "fenced"
                await store.append(KEY, new, turn(0), keep=False)
                same_numbers = store.append(KEY, new + 1, turn(0), keep=False)
                assert (await refused(same_numbers)).code == "fenced"
            assert (await reopen(tmp_path)).turns == 1

        run(scene())

    def test_tokens_rise_although_the_count_of_openings_was_lost(self, tmp_path: Path) -> None:
        async def scene() -> None:
            for _ in range(3):
                with opened(tmp_path) as store:
                    before = (await store.open_session(KEY)).token
                    number = decode_state((await store.open_session(KEY)).state).number
                    await store.append(KEY, before + 1, turn(number // 3), keep=False)
            (tmp_path / "memory" / "store.lock").unlink()
            with opened(tmp_path) as store:
                token = (await store.open_session(KEY)).token
                assert token > before + 1
                assert await store.append(KEY, token, turn(3), keep=False) == (12, True)

        run(scene())

    @pytest.mark.parametrize("text", ["\ud800", "x" * 2_000], ids=["surrogate", "large"])
    def test_a_record_that_cannot_be_written_harms_nobody(self, tmp_path: Path, text: str) -> None:
        async def scene() -> None:
            with opened(tmp_path, max_record_bytes=1_500) as store:
                token = (await store.open_session(KEY)).token
                bad = (user(1, 1, "m", text), began(2, 2, "m"))
                assert (await refused(store.append(KEY, token, bad, keep=True))).code == "persistence_failed"
                assert await store.append(KEY, token, turn(0), keep=False) == (3, True)

        run(scene())

    @pytest.mark.parametrize("tokens", [1 << 70, -5])
    def test_a_provider_that_counts_nonsense_does_not_lock_the_conversation(
        self, tmp_path: Path, tokens: int
    ) -> None:
        async def scene() -> None:
            with opened(tmp_path) as store:
                token = (await store.open_session(KEY)).token
                end = msgspec.structs.replace(ended(3, 3, "m0"), usage=Usage(input_tokens=tokens))
                await store.append(KEY, token, (*turn(0)[:2], end), keep=False)
                assert decode_state((await store.open_session(KEY)).state).turns == 1
                assert await store.flush(deadline_s=10)
            assert (await reopen(tmp_path)).turns == 1

        run(scene())

    @pytest.mark.parametrize("key", ["", "\ud800"])
    def test_a_bad_key_is_refused(self, tmp_path: Path, key: str) -> None:
        async def scene() -> None:
            with opened(tmp_path) as store:
                assert (await refused(store.open_session(key))).code == "unknown"

        run(scene())

    def test_an_operation_that_fails_is_refused_and_the_next_one_served(self, tmp_path: Path) -> None:
        async def scene() -> None:
            with opened(tmp_path) as store:
                token = (await store.open_session(KEY)).token
                nonsense = store.append(KEY, token, ("no record",), keep=False)  # type: ignore[arg-type]
                assert (await refused(nonsense)).code == "unavailable"
                assert await store.append(KEY, token, turn(0), keep=False) == (3, True)

        run(scene())


class TestOpenTurns:
    def test_a_message_is_listed_until_its_turn_has_ended(self, tmp_path: Path) -> None:
        async def scene() -> None:
            with opened(tmp_path) as store:
                for key, at in ((KEY, 20.0), (OTHER, 10.0), ("done", 5.0)):
                    token = (await store.open_session(key)).token
                    await store.append(key, token, (user(1, 1, "m", at=at),), keep=False)
                await store.append("done", token, turn(0)[1:2], keep=False)
                await store.append("done", token, (ended(3, 3, "m"),), keep=False)
                assert {KEY, OTHER} <= {*listed(tmp_path)}
            with opened(tmp_path) as store:
                assert [each.session for each in await store.open_turns()] == [OTHER, KEY]
                assert sorted(listed(tmp_path)) == sorted([KEY, OTHER])

        run(scene())

    @pytest.mark.parametrize("harm", ["missing", "damaged", "of another version"])
    def test_a_list_that_cannot_be_trusted_is_made_anew_from_the_sessions(
        self, tmp_path: Path, harm: str
    ) -> None:
        path = tmp_path / "memory" / "open-turns.jsonl"

        async def scene() -> None:
            with opened(tmp_path) as store:
                for key in (KEY, OTHER):
                    token = (await store.open_session(key)).token
                    await store.append(key, token, turn(0)[:1], keep=False)
            if harm == "missing":
                path.unlink()
            elif harm == "damaged":
                path.write_bytes(b"?" + path.read_bytes()[1:])
            else:
                path.write_bytes(seal(b'"open":7}'))
            crashed_before_anybody_asked(tmp_path)
            store = FileStore.open(options(tmp_path))
            assert {each.session for each in await store.open_turns()} == {KEY, OTHER}
            token = (await store.open_session("third")).token
            await store.append("third", token, turn(0)[:1], keep=False)
            # That is in the file, too: the next process need not ask them all.
            await until(lambda: read_names(path) == (dict.fromkeys([KEY, OTHER, "third"]), True))
            store.close()

        run(scene())

    def test_names_struck_out_and_opened_in_one_commit_stay(self, tmp_path: Path) -> None:
        """A conversation that goes to sleep and is woken while the disk is slow."""

        async def scene() -> None:
            with opened(tmp_path) as store:
                token = (await store.open_session(KEY)).token
                await store.append(KEY, token, turn(0), keep=False)
                closing = store.close_session(KEY, token)
                opening = store.open_session(KEY)
                woken = (await opening).token
                await store.append(KEY, woken, turn(1)[:1], keep=False)
                await closing
                assert listed(tmp_path) == [KEY]

        run(scene())

    def test_an_answer_that_only_memory_has_keeps_its_session_listed(self, tmp_path: Path) -> None:
        files = Faults()

        async def scene() -> None:
            with opened(tmp_path, files) as store:
                token = (await store.open_session(KEY)).token
                await store.append(KEY, token, turn(0)[:1], keep=False)
                files.fail("write", errno.ENOSPC, path="sessions")
                assert not (await store.append(KEY, token, turn(0)[1:], keep=True)).durable
                assert not await store.flush(deadline_s=0.05)
            with opened(tmp_path) as store:
                assert [each.session for each in await store.open_turns()] == [KEY]

        run(scene())

    def test_a_session_that_is_being_read_at_the_end_stays_listed(self, tmp_path: Path) -> None:
        async def scene() -> None:
            with opened(tmp_path) as store:
                token = (await store.open_session(KEY)).token
                await store.append(KEY, token, turn(0)[:1], keep=False)
            with opened(tmp_path) as store:
                waiting = store.open_session(KEY)
            waiting.cancel()
            assert listed(tmp_path) == [KEY]

        run(scene())

    def test_a_damaged_session_hides_no_other_and_is_left_for_who_can_be_told(self, tmp_path: Path) -> None:
        async def scene() -> None:
            with opened(tmp_path) as store:
                for key in (KEY, OTHER):
                    token = (await store.open_session(key)).token
                    await store.append(key, token, turn(0)[:1], keep=False)
                    await store.append(key, token, turn(0)[1:2], keep=False)
            data = bytearray(journal_of(tmp_path).read_bytes())
            data[200] ^= 1
            journal_of(tmp_path).write_bytes(data)
            with opened(tmp_path) as store:
                assert [each.session for each in await store.open_turns()] == [OTHER]
                assert journal_of(tmp_path).read_bytes() == data
                refusal = await refused(store.open_session(KEY))
                assert (refusal.code, "set aside" in refusal.text) == ("corrupt", True)
                assert decode_state((await store.open_session(KEY)).state).number == 0

        run(scene())

    def test_turns_of_a_dead_session_are_ended_in_its_place(self, tmp_path: Path) -> None:
        async def scene() -> None:
            with opened(tmp_path) as store:
                token = (await store.open_session(KEY)).token
                await store.append(
                    KEY, token, (user(1, 1, "a"), user(2, 2, "b"), user(3, 3, "c")), keep=False
                )
                assert await store.end_open_turns(KEY, "stopped", queue=False) == (4, True)
                assert (
                    await refused(store.append(KEY, token, (began(4, 4, "b"),), keep=True))
                ).code == "fenced"
                assert await store.end_open_turns(KEY, "stopped", queue=True) == (6, True)
            state = await reopen(tmp_path)
            assert ([each.user for each in state.window], state.open) == (
                ["text of a", "text of b", "text of c"],
                [],
            )

        run(scene())


def crashed_before_anybody_asked(path: Path) -> None:
    """A process opens the store, accepts one more message, and dies before it has asked the sessions."""

    async def scene() -> None:
        with opened(path):
            pass

    thread = threading.Thread(target=lambda: asyncio.run(scene()))
    thread.start()
    thread.join()


class TestEnd:
    def test_flushing_leaves_snapshots_of_all(self, tmp_path: Path) -> None:
        async def scene() -> None:
            with opened(tmp_path) as store:
                for key in (KEY, OTHER):
                    token = (await store.open_session(key)).token
                    await store.append(key, token, turn(0), keep=False)
                assert await store.flush(deadline_s=10)
                assert snapshot_of(tmp_path, KEY).exists()
                assert snapshot_of(tmp_path, OTHER).exists()

        run(scene())

    def test_what_is_under_way_is_part_of_a_flush(self, tmp_path: Path) -> None:
        async def scene() -> None:
            with opened(tmp_path) as store:
                token = (await store.open_session(KEY)).token
                writing = store.append(KEY, token, turn(0), keep=False)
                assert await store.flush(deadline_s=10)
                assert writing.done()
            assert (await reopen(tmp_path)).turns == 1

        run(scene())

    def test_a_directory_that_cannot_be_used_says_why(self, tmp_path: Path) -> None:
        (tmp_path / "memory").write_text("a file")

        async def scene() -> None:
            with pytest.raises(StoreCannotOpen) as caught:
                FileStore.open(options(tmp_path))
            assert caught.value.code == "configuration"
            assert "memory.storage_path" in caught.value.text

        run(scene())

    def test_a_disk_that_cannot_be_read_at_start_says_so_and_lets_go(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        async def scene() -> None:
            with opened(tmp_path):
                pass
            (tmp_path / "memory" / "open-turns.jsonl").unlink()
            (tmp_path / "memory" / "open-turns.jsonl").mkdir()
            with pytest.raises(StoreCannotOpen):
                FileStore.open(options(tmp_path))
            (tmp_path / "memory" / "open-turns.jsonl").rmdir()
            with opened(tmp_path, lock_timeout_s=0.0):
                pass

        run(scene())

    def test_what_crashes_leave_of_unfinished_files_is_removed(self, tmp_path: Path) -> None:
        async def scene() -> None:
            with opened(tmp_path):
                pass
            for name in (".", "sessions", "notes", "branches"):
                (tmp_path / "memory" / name / ".abc.json.77-1.tmp").write_text("half")
            with opened(tmp_path):
                assert list((tmp_path / "memory").rglob("*.tmp")) == []

        run(scene())
