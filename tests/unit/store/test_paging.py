"""Events at any age, in pages."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from openclaw_actors.store.paging import Page
from tests.unit.store.scene import KEY, Faults, opened, refused, run, turn

TURNS = 300


async def fill(path: Path, *, text: str = "") -> None:
    with opened(path, fsync=False) as store:
        token = (await store.open_session(KEY)).token
        for index in range(TURNS):
            await store.append(KEY, token, turn(index, text=text), keep=False)


@pytest.mark.parametrize("text", ["short", "x" * 3_000])
def test_pages_follow_each_other_without_gap_or_overlap(tmp_path: Path, text: str) -> None:
    async def scene() -> None:
        await fill(tmp_path, text=text)
        with opened(tmp_path) as store:
            seen: list[int] = []
            complete = False
            while not complete:
                page = await store.read_events(
                    KEY, after_seq=seen[-1] if seen else 0, max_events=77, max_bytes=50_000
                )
                seen += [event.seq for event in page.events]
                complete = page.complete
            assert seen == list(range(1, 3 * TURNS + 1))

    run(scene())


@pytest.mark.parametrize("after", [0, 1, 2, 449, 450, 451, 898, 899])
def test_a_page_begins_right_after_its_number(tmp_path: Path, after: int) -> None:
    async def scene() -> None:
        await fill(tmp_path, text="x" * 1_000)
        with opened(tmp_path) as store:
            page = await store.read_events(KEY, after_seq=after, max_events=1, max_bytes=1 << 20)
            assert [event.seq for event in page.events] == [after + 1]
            assert page.complete is (after == 899)

    run(scene())


def test_nothing_comes_after_the_end(tmp_path: Path) -> None:
    async def scene() -> None:
        await fill(tmp_path)
        with opened(tmp_path) as store:
            for after in (900, 5_000):
                assert await store.read_events(KEY, after_seq=after, max_events=9, max_bytes=999) == Page(
                    (), True
                )
            assert await store.read_events("nobody", after_seq=0, max_events=9, max_bytes=999) == Page(
                (), True
            )

    run(scene())


def test_an_event_larger_than_a_page_is_a_page_of_its_own(tmp_path: Path) -> None:
    async def scene() -> None:
        await fill(tmp_path, text="x" * 3_000)
        with opened(tmp_path) as store:
            page = await store.read_events(KEY, after_seq=0, max_events=100, max_bytes=100)
            assert [event.seq for event in page.events] == [1]
            assert not page.complete

    run(scene())


def test_what_waits_for_the_disk_is_paged_by_the_same_limits(tmp_path: Path) -> None:
    files = Faults()

    async def scene() -> None:
        with opened(tmp_path, files) as store:
            token = (await store.open_session(KEY)).token
            await store.append(KEY, token, turn(0), keep=False)
            files.fail("write", errno.ENOSPC, path="sessions")
            for index in range(1, 4):
                await store.append(KEY, token, turn(index, text="x" * 1_000), keep=True)
            page = await store.read_events(KEY, after_seq=3, max_events=100, max_bytes=1_500)
            assert [event.seq for event in page.events] == [4, 5, 6]
            assert not page.complete
            files.heal()
            assert await store.flush(deadline_s=10)

    run(scene())


def test_the_newest_of_a_session(tmp_path: Path) -> None:
    async def scene() -> None:
        await fill(tmp_path)
        with opened(tmp_path) as store:
            assert [event.seq for event in (await store.read_newest(KEY, 4)).events] == [897, 898, 899, 900]
            assert (await refused(store.read_newest("nobody", 4))).code == "unknown"

    run(scene())
