"""Appends to a disk that fails: what passes costs time only, what stays is refused or held in memory."""

from __future__ import annotations

import asyncio
import errno
import os
from pathlib import Path

import pytest

from openclaw_actors.core.conversation import decode_state
from openclaw_actors.store import files as files_module
from tests.unit.store.scene import (
    ERRORS,
    KEY,
    Faults,
    journal_of,
    opened,
    refused,
    reopen,
    reopen_copy,
    run,
    turn,
    until,
    user,
)

OTHER = "websocket:local:other"


class TestFailingDisk:
    @pytest.mark.parametrize("step", ["open", "write", "flush"])
    @pytest.mark.parametrize("code", ERRORS, ids=lambda code: errno.errorcode[code])
    def test_a_failure_that_passes_costs_time_only(self, tmp_path: Path, step: str, code: int) -> None:
        files = Faults()

        async def scene() -> None:
            with opened(tmp_path, files) as store:
                token = (await store.open_session(KEY)).token
                files.fail(step, code, path=".jsonl", times=2)
                assert await store.append(KEY, token, turn(0), keep=False) == (3, True)
                files.fail(step, code, path=journal_of(tmp_path).name, times=2)
                assert await store.append(KEY, token, turn(1), keep=False) == (6, True)
                assert store.counters.exhausted == 0
                assert store.counters.retries >= 2
            assert (await reopen(tmp_path)).turns == 2

        run(scene())

    @pytest.mark.parametrize("step", ["open", "write", "flush", "flush directory"])
    @pytest.mark.parametrize("code", ERRORS, ids=lambda code: errno.errorcode[code])
    def test_drop_takes_nothing_when_all_attempts_failed(self, tmp_path: Path, step: str, code: int) -> None:
        files = Faults()

        async def scene() -> None:
            with opened(tmp_path, files) as store:
                token = (await store.open_session(KEY)).token
                files.fail(step, code, path="sessions")
                refusal = await refused(store.append(KEY, token, turn(0), keep=False))
                assert refusal.code == "persistence_failed"
                assert errno.errorcode[code] in refusal.text
                assert store.counters.exhausted == 1
                assert store.counters.failed >= 3
                assert store.problem
                assert store.dirty_sessions == 0
                assert (await reopen_copy(tmp_path)).number == 0  # a crash now must not bring it back
                files.heal()
                assert await store.append(KEY, token, turn(0)[:1], keep=False) == (1, True)
                assert store.problem == ""
            assert (await reopen(tmp_path)).number == 1

        run(scene())

    @pytest.mark.parametrize("step", ["write", "flush"])
    def test_keep_loses_nothing_while_the_process_lives(self, tmp_path: Path, step: str) -> None:
        files = Faults()

        async def scene() -> None:
            with opened(tmp_path, files) as store:
                token = (await store.open_session(KEY)).token
                await store.append(KEY, token, turn(0)[:2], keep=False)
                files.fail(step, errno.ENOSPC, path=journal_of(tmp_path).name)
                assert await store.append(KEY, token, turn(0)[2:], keep=True) == (3, False)
                assert await store.append(KEY, token, turn(1), keep=True) == (6, False)
                assert store.dirty_sessions == 1
                assert store.counters.exhausted == 2
                assert (await refused(store.close_session(KEY, token))).code == "dirty"
                page = await store.read_events(KEY, after_seq=0, max_events=100, max_bytes=1 << 20)
                assert [event.seq for event in page.events] == [1, 2, 3, 4, 5, 6]
                again = await store.open_session(KEY)
                assert decode_state(again.state).number == 6
                assert await store.flush(deadline_s=0.1) is False
                files.heal()
                await until(lambda: store.dirty_sessions == 0)
                assert await store.append(KEY, again.token, turn(2), keep=False) == (9, True)
                assert store.problem == ""
            assert (await reopen(tmp_path)).turns == 3

        run(scene())

    def test_what_is_kept_has_a_limit(self, tmp_path: Path) -> None:
        files = Faults()

        async def scene() -> None:
            with opened(tmp_path, files, max_kept_bytes=2_000) as store:
                token = (await store.open_session(KEY)).token
                files.fail("write", errno.ENOSPC, path="sessions")
                assert await store.append(KEY, token, turn(0), keep=True) == (3, False)
                large = (user(4, 4, "large", "x" * 2_000),)
                assert (
                    await refused(store.append(KEY, token, large, keep=True))
                ).code == "persistence_failed"
                files.heal()
                assert await store.flush(deadline_s=10)

        run(scene())

    def test_a_session_whose_file_fails_does_not_delay_the_others(self, tmp_path: Path) -> None:
        files = Faults()

        async def scene() -> None:
            with opened(tmp_path, files, write_backoff_s=20.0) as store:
                ill = (await store.open_session(KEY)).token
                well = (await store.open_session(OTHER)).token
                files.fail("flush", errno.EIO, path=journal_of(tmp_path).name, times=1)
                waiting = store.append(KEY, ill, turn(0), keep=False)
                await until(lambda: store.counters.failed == 1)
                for index in range(20):  # all of it while the other one waits 20 s for its second attempt
                    await store.append(OTHER, well, turn(index), keep=False)
                assert not waiting.done()

        run(scene())

    def test_the_waits_between_attempts_double(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        files = Faults()

        async def scene() -> list[float]:
            loop = asyncio.get_running_loop()
            delays: list[float] = []
            real = loop.call_later

            def call_later(delay, callback, *args, **more):  # type: ignore[no-untyped-def]
                if getattr(callback, "__name__", "") == "_write":
                    delays.append(delay)
                return real(delay, callback, *args, **more)

            monkeypatch.setattr(loop, "call_later", call_later)
            with opened(tmp_path, files, write_attempts=4) as store:
                token = (await store.open_session(KEY)).token
                files.fail("write", errno.EIO, path="sessions")
                await refused(store.append(KEY, token, turn(0), keep=False))
                files.heal()
            return delays

        assert run(scene()) == [0.01, 0.02, 0.04]

    def test_a_write_that_takes_less_than_all_is_continued(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        real = os.pwrite
        monkeypatch.setattr(
            files_module.os, "pwrite", lambda fd, data, offset: real(fd, bytes(data[:7]), offset)
        )

        async def scene() -> None:
            with opened(tmp_path) as store:
                token = (await store.open_session(KEY)).token
                await store.append(KEY, token, turn(0), keep=False)
            monkeypatch.undo()
            assert (await reopen(tmp_path)).turns == 1

        run(scene())

    def test_after_a_failed_sync_the_file_is_opened_again_and_cut_back(self, tmp_path: Path) -> None:
        files = Faults()

        async def scene() -> None:
            with opened(tmp_path, files) as store:
                token = (await store.open_session(KEY)).token
                await store.append(KEY, token, turn(0), keep=False)
                name = journal_of(tmp_path).name
                files.fail("flush", errno.EIO, path=name, times=1)
                files.steps.clear()
                await store.append(KEY, token, turn(1), keep=False)
                steps = [step for step, file in files.steps if file == name]
                assert steps == ["write", "flush", "cut", "open", "cut", "write", "flush"]

        run(scene())

    @pytest.mark.parametrize("code", ERRORS, ids=lambda code: errno.errorcode[code])
    def test_what_cannot_be_read_now_is_no_new_conversation(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int
    ) -> None:
        async def scene() -> None:
            with opened(tmp_path) as store:
                token = (await store.open_session(KEY)).token
                await store.append(KEY, token, turn(0), keep=False)
            real = os.open
            failing = True

            def open_(path, *args, **more):  # type: ignore[no-untyped-def]
                if failing and str(path).endswith(journal_of(tmp_path).name):
                    raise OSError(code, os.strerror(code))
                return real(path, *args, **more)

            with opened(tmp_path) as store:
                monkeypatch.setattr(os, "open", open_)
                refusal = await refused(store.open_session(KEY))
                assert (refusal.code, errno.errorcode[code] in refusal.text) == ("unavailable", True)
                failing = False
                assert decode_state((await store.open_session(KEY)).state).turns == 1
            assert journal_of(tmp_path).exists()

        run(scene())

    def test_a_full_disk_can_still_be_opened_and_read(self, tmp_path: Path) -> None:
        files = Faults()

        async def scene() -> None:
            with opened(tmp_path) as store:
                token = (await store.open_session(KEY)).token
                await store.append(KEY, token, turn(0)[:1], keep=False)
            files.fail("write", errno.ENOSPC)
            with opened(tmp_path, files) as store:
                assert [each.session for each in await store.open_turns()] == [KEY]
                assert (await store.check_writable()) != ""
                files.heal()
                assert (await store.check_writable()) == ""

        run(scene())

    def test_probes_at_the_same_time_do_not_disturb_each_other(self, tmp_path: Path) -> None:
        async def scene() -> None:
            with opened(tmp_path) as store:
                answers = await asyncio.gather(*(store.check_writable() for _ in range(40)))
                assert set(answers) == {""}
            assert list((tmp_path / "memory" / "sessions").iterdir()) == []

        run(scene())
