"""A backup of a store in use is what it held at one moment; a restored one is that store, and minds what came after."""

from __future__ import annotations

import asyncio
import os
import threading
from pathlib import Path

import pytest

from openclaw_actors.core.conversation import decode_state
from openclaw_actors.messages.outbox import Delivery
from openclaw_actors.store import FileStore
from openclaw_actors.store.backup_files import STAGING, Place
from openclaw_actors.store.backup_tar import About, BackupWriter
from openclaw_actors.store.backups import Backups, _Links
from openclaw_actors.store.files import Files
from openclaw_actors.store.ownership import openings_of, restored_beside
from openclaw_actors.store.restoring import exchange, unpack
from tests.unit.store.scene import KEY, as_json, began, ended, opened, refused, reopen, run, turn, until, user

SMS = "sms:+15551234567"
ABOUT = About(version="1.2.3", store_format=1, at=1_000.0)


async def say(store: FileStore, key: str, *, turns: int, first: int = 0, close: bool = False) -> None:
    token = (await store.open_session(key)).token
    for index in range(first, first + turns):
        await store.append(key, token, turn(index), keep=False)
    if close:
        await store.close_session(key, token)


async def pack(store: FileStore, path: Path, *, max_bytes: int = 1_000) -> None:
    """Reads the whole backup, in small pieces, into a file."""
    begun = await store.backups.begin("b1")
    with path.open("wb") as file:
        await fill(store, begun.name, BackupWriter(file, ABOUT, compress=False), max_bytes=max_bytes)


async def fill(store: FileStore, name: str, writer: BackupWriter, *, max_bytes: int = 1_000) -> None:
    place: Place | None = Place()
    while place is not None:
        page = await store.backups.read(name, place, max_bytes=max_bytes)
        for piece in page.pieces:
            writer.add(piece)
        place = page.after
    store.backups.end(name)
    writer.finish()


def restore(backup: Path, directory: Path) -> tuple[Path | None, int]:
    """What `restore` does, into `directory/memory`."""
    directory.mkdir(exist_ok=True)
    with backup.open("rb") as file:
        unpacked, doubted = unpack(file, directory / "memory", Files())
    return exchange(unpacked, directory / "memory", Files()), doubted


def journals(root: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (root / "memory" / "sessions").glob("*.jsonl")}


def test_backup_restored_elsewhere_is_the_store(tmp_path: Path) -> None:
    async def main() -> None:
        with opened(tmp_path / "a") as store:
            for number in range(5):
                await say(store, f"websocket:local:{number}", turns=3, close=number % 2 == 0)
            await store.save_note("project:default:style", "plain")
            await store.branches.save("websocket:local:1", "before")
            await store.archiving.archive("websocket:local:4", "20261126T000000Z-0123abcd")
            await pack(store, tmp_path / "backup.tar")
            await until(lambda: not (tmp_path / "a" / "memory" / STAGING).exists())
        assert restore(tmp_path / "backup.tar", tmp_path / "b") == (None, 0)
        assert journals(tmp_path / "b") == journals(tmp_path / "a")
        for number in range(4):
            key = f"websocket:local:{number}"
            there, here = await reopen(tmp_path / "a", key), await reopen(tmp_path / "b", key)
            assert as_json(there) == as_json(here)
            assert here.turns == 3
        with opened(tmp_path / "b") as store:
            assert await store.load_note("project:default:style") == "plain"
            assert [branch.name for branch in await store.branches.of("websocket:local:1")] == ["before"]
            await store.archiving.restore("websocket:local:4", "20261126T000000Z-0123abcd", replaced_as="")
            assert decode_state((await store.open_session("websocket:local:4")).state).turns == 3

    run(main())
    for path in (tmp_path / "b" / "memory").rglob("*"):
        assert path.stat().st_mode & 0o077 == 0, path


def test_backup_shows_one_moment_whatever_is_written_while_it_is_taken_and_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    linked, go_on = asyncio.Event(), threading.Event()
    link_all = Backups._link_all

    def and_wait(self: Backups, directory: Path) -> _Links:
        links = link_all(self, directory)
        self._loop.call_soon_threadsafe(linked.set)
        assert go_on.wait(20.0)
        return links

    monkeypatch.setattr(Backups, "_link_all", and_wait)
    moved = "websocket:local:moved"

    async def main() -> None:
        with opened(tmp_path / "a") as store:
            for key in (KEY, moved, "websocket:local:gone"):
                await say(store, key, turns=2, close=True)
            await store.save_note("note", "old")
            begin = asyncio.ensure_future(store.backups.begin("b1"))
            await linked.wait()
            # Every file has its second name. All of this is before the moment.
            await say(store, KEY, turns=300, first=2)
            await say(store, "websocket:local:new", turns=1)
            await store.archiving.archive(moved, "20261126T000000Z-0123abcd")
            await store.archiving.archive("websocket:local:gone", "20261126T000000Z-0123abce")
            await store.archiving.restore("websocket:local:gone", "20261126T000000Z-0123abce", replaced_as="")
            await store.save_note("note", "new")
            token = (await store.open_session(SMS)).token
            await store.append(SMS, token, (user(1, 1, "m0"), began(2, 2, "m0")), keep=False)
            go_on.set()
            begun = await begin
            # And this is behind it.
            size = {name: len(data) for name, data in journals(tmp_path / "a").items()}
            await say(store, KEY, turns=300, first=302)
            await say(store, "websocket:local:late", turns=1)
            await store.append(SMS, token, (ended(3, 3, "m0"),), keep=False)
            await store.archiving.restore(moved, "20261126T000000Z-0123abcd", replaced_as="")
            await store.save_note("note", "too new")
            with (tmp_path / "backup.tar").open("wb") as file:
                await fill(store, begun.name, BackupWriter(file, ABOUT, compress=True))
            assert begun.size_bytes > sum(size.values())
        restore(tmp_path / "backup.tar", tmp_path / "b")
        now, then = journals(tmp_path / "a"), journals(tmp_path / "b")
        assert then == {name: now[name][: size[name]] for name in size}
        with opened(tmp_path / "b") as store:
            assert decode_state((await store.open_session(KEY)).state).turns == 302
            assert [open_.session for open_ in await store.open_turns()] == [SMS]
            assert await store.load_note("note") == "new"
            assert [each.session for each in store.archiving._archive.all()] == [moved]
            assert await store.quarantined() == []

    run(main())


def test_backup_begun_twice_is_refused_and_one_that_is_over_is_unknown(tmp_path: Path) -> None:
    async def main() -> None:
        with opened(tmp_path) as store:
            await say(store, KEY, turns=1, close=True)
            begun = await store.backups.begin("b1")
            assert (await refused(store.backups.begin("b1"))).code == "busy"
            store.backups.end(begun.name)
            assert (await refused(store.backups.read(begun.name, Place(), max_bytes=1))).code == "unknown"
            assert (await refused(store.backups.begin("../b2"))).code == "bad_key"
            begin = asyncio.ensure_future(store.backups.begin("b2"))
            await asyncio.sleep(0)
            store.backups.end("b2")
            assert (await refused(begin)).code == "unknown"
            assert (await store.backups.begin("b3")).files == begun.files
        assert (tmp_path / "memory" / STAGING).exists()
        with opened(tmp_path):  # what a process left that ended in the middle
            await until(lambda: not (tmp_path / "memory" / STAGING).exists())

    run(main())


def test_backup_nobody_reads_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("openclaw_actors.store.backups._IDLE_S", 0.01)

    async def main() -> None:
        with opened(tmp_path) as store:
            await store.backups.begin("b1")
            await until(lambda: not (tmp_path / "memory" / STAGING).exists())
            await store.backups.begin("b1")

    run(main())


def test_backup_without_hard_links_is_refused_and_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_link(*_args: object, **_options: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    async def main() -> None:
        with opened(tmp_path) as store:
            await say(store, KEY, turns=1)
            monkeypatch.setattr(os, "link", no_link)
            refusal = await refused(store.backups.begin("b1"))
            assert refusal.code == "not_possible"
            assert "stop the gateway" in refusal.text
            await say(store, KEY, turns=1, first=1)

    run(main())


# Restoring over a store that went on


def test_restored_store_gives_no_number_twice_that_the_one_before_had_given(tmp_path: Path) -> None:
    async def main() -> None:
        with opened(tmp_path) as store:
            await say(store, KEY, turns=1)
            await pack(store, tmp_path / "backup.tar")
            await say(store, KEY, turns=4, first=1)
            await say(store, "websocket:local:new", turns=2)
        openings = openings_of(tmp_path / "memory")
        aside, _ = restore(tmp_path / "backup.tar", tmp_path)
        assert aside is not None
        assert len(list((aside / "sessions").glob("*.jsonl"))) == 2
        with opened(tmp_path) as store:
            found = await store.open_session(KEY)
            state = decode_state(found.state)
            assert (state.turns, state.seq) == (1, 15)
            assert found.token > openings * 1_000_000
            assert decode_state((await store.open_session("websocket:local:new")).state).seq == 6

    run(main())


def test_who_said_stop_since_has_said_stop(tmp_path: Path) -> None:
    async def main() -> None:
        with opened(tmp_path) as store:
            await store.contacts.touch("+15551234567", 1_000.0)
            await store.contacts.set_do_not_text("+15557654321", do_not_text=True, at=1_000.0)
            await pack(store, tmp_path / "backup.tar")
            await store.contacts.set_do_not_text("+15551234567", do_not_text=True, at=2_000.0)
            await store.contacts.set_do_not_text("+15557654321", do_not_text=False, at=2_000.0)
        restore(tmp_path / "backup.tar", tmp_path)
        with opened(tmp_path) as store:
            assert (await store.contacts.get("+15551234567")).do_not_text
            assert (await store.contacts.get("+15557654321")).do_not_text

    run(main())


def test_replies_that_may_have_been_sent_since_are_doubted(tmp_path: Path) -> None:
    waiting, answering, sent = SMS, "sms:+15550000001", "sms:+15550000002"

    async def main() -> None:
        with opened(tmp_path / "a") as store:
            for key in (waiting, sent):
                await say(store, key, turns=1)
            await store.outbox.record(
                Delivery(session=sent, seq=3, state="sent", at=1_000.0, since=1_000.0, done=True)
            )
            token = (await store.open_session(answering)).token
            await store.append(answering, token, (user(1, 1, "m0"), began(2, 2, "m0")), keep=False)
            assert (await store.outbox.next(waiting)).delivery is None
            await pack(store, tmp_path / "backup.tar")
        assert restore(tmp_path / "backup.tar", tmp_path / "b")[1] == 2
        for _ in range(2):  # and also after another start
            with opened(tmp_path / "b") as store:
                assert set(store.outbox.undelivered(10).sessions) == {waiting}
                reply = await store.outbox.next(waiting)
                assert reply.delivery is not None
                assert reply.delivery.doubtful
        with opened(tmp_path / "b") as store:
            token = (await store.open_session(answering)).token
            await store.append(answering, token, (ended(3, 3, "m0"),), keep=False)
            reply = await store.outbox.next(answering)
            assert reply.delivery is not None
            assert reply.delivery.doubtful
            aside = Delivery(session=answering, seq=3, state="ambiguous", at=1.0, since=1.0, done=True)
            await store.outbox.record(aside)
            await store.append(answering, token, turn_after(3), keep=False)
            reply = await store.outbox.next(answering)
            assert reply.delivery is None, "the next one is nobody's doubt"

    run(main())


def turn_after(number: int) -> tuple[object, ...]:
    return (
        user(number + 1, number + 1, "next"),
        began(number + 2, number + 2, "next"),
        ended(number + 3, number + 3, "next"),
    )


def test_crash_between_the_two_renames_is_finished_by_the_next_start(tmp_path: Path) -> None:
    async def main() -> None:
        with opened(tmp_path) as store:
            await say(store, KEY, turns=1)
            await pack(store, tmp_path / "backup.tar")
            await say(store, KEY, turns=1, first=1)
        root = tmp_path / "memory"
        with (tmp_path / "backup.tar").open("rb") as file:
            unpacked, _ = unpack(file, root, Files())
        unpacked.rename(restored_beside(root))
        assert (await reopen(tmp_path)).turns == 2, "before the first of them nothing has happened"
        root.rename(tmp_path / "aside")
        assert (await reopen(tmp_path)).turns == 1

    run(main())
