"""The contacts: what people said about being texted outlives crashes, failing disks and damage."""

from __future__ import annotations

import asyncio
import errno
from collections.abc import Callable
from pathlib import Path

import pytest

from openclaw_actors.messages import Contact
from openclaw_actors.store.names import plain_name
from tests.unit.store.scene import ERRORS, Faults, opened, refused, run, until

ANN, BOB = "+15551230001", "+15551230002"


def contacts_of(path: Path) -> Path:
    return path / "memory" / "contacts"


def file_of(path: Path, phone: str) -> Path:
    return contacts_of(path) / f"{plain_name(phone, limit=207)}.json"


async def known(path: Path, phone: str) -> Contact:
    """What the next process knows."""
    with opened(path) as store:
        return await store.contacts.get(phone)


async def say(path: Path, phone: str, *, stop: bool, at: float = 1.0, message_id: str = "") -> Contact:
    with opened(path) as store:
        return await store.contacts.set_do_not_text(phone, do_not_text=stop, at=at, message_id=message_id)


def may_be_texted(contact: Contact) -> bool:
    return not contact.do_not_text and contact.certain


def test_who_wrote_and_what_they_said_is_known_to_the_next_process(tmp_path: Path) -> None:
    async def scene() -> None:
        with opened(tmp_path) as store:
            assert await store.contacts.get(ANN) == Contact(phone=ANN, do_not_text=False)
            await store.contacts.touch(ANN, 10.0)
            await store.contacts.touch(ANN, 200.0)
            await store.contacts.touch(ANN, 150.0)  # a clock that was set back
        assert await known(tmp_path, ANN) == Contact(
            phone=ANN, do_not_text=False, created_at=10.0, last_seen_at=200.0
        )
        assert (await say(tmp_path, BOB, stop=True, at=30.0)).do_not_text
        assert await known(tmp_path, BOB) == Contact(
            phone=BOB, do_not_text=True, created_at=30.0, last_seen_at=30.0
        )
        assert may_be_texted(await say(tmp_path, BOB, stop=False, at=40.0))
        assert may_be_texted(await known(tmp_path, BOB))
        assert may_be_texted(await known(tmp_path, ANN))

    run(scene())


def test_what_is_answered_is_on_the_disk(tmp_path: Path) -> None:
    files = Faults()

    async def scene() -> None:
        with opened(tmp_path, files) as store:
            files.steps.clear()
            await store.contacts.touch(ANN, 1.0)
            assert [step for step, _ in files.steps] == [
                "open", "write", "flush", "rename", "flush directory",
            ]  # fmt: skip

    run(scene())


def test_many_who_write_at_once_share_a_sync_of_the_directory(tmp_path: Path) -> None:
    files = Faults()
    phones = [f"+1555{number:07}" for number in range(100)]

    async def scene() -> None:
        with opened(tmp_path, files) as store:
            files.steps.clear()
            await asyncio.gather(*(store.contacts.touch(phone, 1.0) for phone in phones for _ in range(2)))
            assert len(files.names("flush directory")) < 10
            assert all([(await store.contacts.get(phone)).created_at == 1.0 for phone in phones])

    run(scene())


def test_a_message_costs_its_own_contact_only(tmp_path: Path) -> None:
    files = Faults()

    async def scene() -> None:
        with opened(tmp_path, files) as store:
            for number in range(50):
                await store.contacts.touch(f"+1555{number:07}", 1.0)
            files.steps.clear()
            await store.contacts.touch(ANN, 1.0)
            assert {name for step, name in files.names("rename")} == {file_of(tmp_path, ANN).name}

    run(scene())


def test_a_repeated_message_changes_nothing_again(tmp_path: Path) -> None:
    async def scene() -> None:
        with opened(tmp_path) as store:
            await store.contacts.set_do_not_text(ANN, do_not_text=False, at=1.0, message_id="SM1")
            await store.contacts.set_do_not_text(ANN, do_not_text=True, at=2.0, message_id="SM2")
        late = await say(tmp_path, ANN, stop=False, at=3.0, message_id="SM1")
        assert late.do_not_text
        assert (await known(tmp_path, ANN)).do_not_text
        assert may_be_texted(await say(tmp_path, ANN, stop=False, at=4.0, message_id="SM3"))
        assert may_be_texted(await say(tmp_path, ANN, stop=True, at=5.0, message_id="SM2"))

    run(scene())


def test_what_one_number_says_is_done_in_its_order(tmp_path: Path) -> None:
    async def scene() -> None:
        with opened(tmp_path) as store:
            said = [
                store.contacts.set_do_not_text(ANN, do_not_text=number % 2 == 0, at=float(number))
                for number in range(101)
            ]
            await asyncio.gather(*said)
            assert (await store.contacts.get(ANN)).do_not_text

    run(scene())


# Damage

DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda data: b"",
    "torn": lambda data: data[: len(data) // 2],
    "without its end": lambda data: data[:-1],
    "a word": lambda data: data.replace(b'"stop"', b'"none"'),
    "zeros": lambda data: b"\0" * len(data),
    "huge": lambda data: data * 1_000,
    "text": lambda data: b"not what it was\n",
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_damage_leaves_its_own_number_in_doubt_until_it_says_start(
    tmp_path: Path, damage: Callable[[bytes], bytes]
) -> None:
    async def scene() -> None:
        with opened(tmp_path) as store:
            await store.contacts.touch(BOB, 1.0)
        await say(tmp_path, ANN, stop=True)
        damaged = damage(file_of(tmp_path, ANN).read_bytes())
        file_of(tmp_path, ANN).write_bytes(damaged)
        for _ in range(2):  # the doubt outlives the process
            found = await known(tmp_path, ANN)
            assert (found.do_not_text, found.certain) == (True, False)
            assert may_be_texted(await known(tmp_path, BOB))
        (kept,) = contacts_of(tmp_path).glob("*.quarantined-*")
        assert kept.read_bytes() == damaged
        with opened(tmp_path) as store:
            touched = await store.contacts.touch(ANN, 5.0)
            assert (touched.do_not_text, touched.certain) == (True, False)
        assert may_be_texted(await say(tmp_path, ANN, stop=False, at=6.0))
        assert may_be_texted(await known(tmp_path, ANN))

    run(scene())


def test_a_file_of_another_number_says_nothing_about_this_one(tmp_path: Path) -> None:
    async def scene() -> None:
        await say(tmp_path, BOB, stop=False)
        file_of(tmp_path, BOB).rename(file_of(tmp_path, ANN))
        found = await known(tmp_path, ANN)
        assert (found.do_not_text, found.certain) == (True, False)

    run(scene())


@pytest.mark.parametrize("step", ["link", "write", "flush", "rename"])
def test_damage_that_cannot_be_set_aside_now_is_in_doubt_all_the_same(tmp_path: Path, step: str) -> None:
    files = Faults()

    async def scene() -> None:
        await say(tmp_path, ANN, stop=True)
        file_of(tmp_path, ANN).write_bytes(b"damage")
        with opened(tmp_path, files) as store:
            files.fail(step, errno.ENOSPC, path="contacts")
            for _ in range(2):
                found = await store.contacts.get(ANN)
                assert (found.do_not_text, found.certain) == (True, False)
            files.heal()
        found = await known(tmp_path, ANN)
        assert (found.do_not_text, found.certain) == (True, False)

    run(scene())


def test_what_a_crash_left_half_written_is_removed_and_the_contact_stands(tmp_path: Path) -> None:
    async def scene() -> None:
        await say(tmp_path, ANN, stop=True)
        left = contacts_of(tmp_path) / f".{file_of(tmp_path, ANN).name}.1-1.tmp"
        left.write_bytes(b'{"crc":"')
        found = await known(tmp_path, ANN)
        assert (found.do_not_text, found.certain) == (True, True)
        assert not left.exists()

    run(scene())


def test_who_writes_often_costs_the_disk_one_write_a_minute(tmp_path: Path) -> None:
    files = Faults()

    async def scene() -> None:
        with opened(tmp_path, files) as store:
            await store.contacts.touch(ANN, 100.0)
            files.steps.clear()
            for second in range(59):
                assert may_be_texted(await store.contacts.touch(ANN, 101.0 + second))
            assert files.steps == []
            assert (await store.contacts.touch(ANN, 160.0)).last_seen_at == 160.0
            await store.contacts.set_do_not_text(ANN, do_not_text=True, at=161.0)
        with opened(tmp_path, files) as store:
            assert (await store.contacts.get(ANN)).do_not_text

    run(scene())


# A disk that fails


@pytest.mark.parametrize("code", ERRORS)
def test_a_write_is_tried_again_and_then_refused(tmp_path: Path, code: int) -> None:
    files = Faults()

    async def scene() -> None:
        with opened(tmp_path, files) as store:
            files.fail("flush", code, path="contacts", times=2)
            assert may_be_texted(await store.contacts.touch(ANN, 1.0))
            assert (store.counters.failed, store.counters.retries) == (2, 2)
            files.fail("flush", code, path="contacts", times=3)
            assert (await refused(store.contacts.touch(ANN, 200.0))).code == "persistence_failed"
            assert store.counters.exhausted == 1
            assert store.problem
            assert (await store.contacts.get(ANN)).last_seen_at == 1.0
            assert (await store.contacts.touch(ANN, 300.0)).last_seen_at == 300.0
            assert not store.problem

    run(scene())


def test_a_stop_that_the_disk_did_not_take_is_honoured_and_written_when_it_can_be(tmp_path: Path) -> None:
    files = Faults()

    async def scene() -> None:
        with opened(tmp_path, files) as store:
            await store.contacts.touch(ANN, 1.0)
            files.fail("write", errno.ENOSPC, path="contacts")
            stop = store.contacts.set_do_not_text(ANN, do_not_text=True, at=2.0)
            assert (await refused(stop)).code == "persistence_failed"
            assert (await store.contacts.get(ANN)).do_not_text
            assert may_be_texted(await store.contacts.get(BOB))
            files.heal()
            await until(lambda: not store.contacts.busy)
        assert (await known(tmp_path, ANN)).do_not_text

    run(scene())


def test_who_writes_after_a_stop_that_waits_is_not_made_to_wait_with_it(tmp_path: Path) -> None:
    files = Faults()

    async def scene() -> None:
        with opened(tmp_path, files, write_backoff_s=0.5, patient_backoff_s=60.0, write_attempts=1) as store:
            files.fail("write", errno.ENOSPC, path="contacts")
            await refused(store.contacts.set_do_not_text(ANN, do_not_text=True, at=2.0))
            files.heal()
            assert (await store.contacts.touch(ANN, 3.0)).do_not_text
            assert not store.contacts.busy

    run(scene())


def test_a_start_after_a_stop_that_waits_for_the_disk_is_the_last_word(tmp_path: Path) -> None:
    files = Faults()

    async def scene() -> None:
        with opened(tmp_path, files) as store:
            files.fail("write", errno.ENOSPC, path="contacts", times=3)
            stop = store.contacts.set_do_not_text(ANN, do_not_text=True, at=2.0)
            await refused(stop)
            assert may_be_texted(await store.contacts.set_do_not_text(ANN, do_not_text=False, at=3.0))
        assert may_be_texted(await known(tmp_path, ANN))

    run(scene())


def test_a_failing_contact_holds_no_other_up(tmp_path: Path) -> None:
    files = Faults()

    async def scene() -> None:
        with opened(tmp_path, files, write_attempts=100, write_backoff_s=5.0) as store:
            files.fail("write", errno.EIO, path=file_of(tmp_path, ANN).name)
            stuck = asyncio.ensure_future(store.contacts.touch(ANN, 1.0))
            assert may_be_texted(await store.contacts.touch(BOB, 1.0))
            assert not stuck.done()
            files.heal()
            assert await store.contacts.flush(deadline_s=5.0)
            assert may_be_texted(await stuck)

    run(scene())


def test_a_contact_that_cannot_be_read_now_is_no_unknown_one(tmp_path: Path) -> None:
    async def scene() -> None:
        await say(tmp_path, ANN, stop=True)
        path = file_of(tmp_path, ANN)
        aside = path.rename(path.with_suffix(".aside"))
        path.mkdir()
        with opened(tmp_path) as store:
            assert (await refused(store.contacts.get(ANN))).code == "unavailable"
            path.rmdir()
            aside.rename(path)
            assert (await store.contacts.get(ANN)).do_not_text

    run(scene())


@pytest.mark.parametrize("phone", ["", "x" * 65, "+1\n2", "\0", "\ud800"])
def test_what_is_no_number_is_refused(tmp_path: Path, phone: str) -> None:
    async def scene() -> None:
        with opened(tmp_path) as store:
            assert (await refused(store.contacts.get(phone))).code == "bad_key"
            assert (await refused(store.contacts.touch(phone, 1.0))).code == "bad_key"

    run(scene())
    assert not list(contacts_of(tmp_path).iterdir())


@pytest.mark.parametrize("phone", ["../../etc/passwd", "whatsapp:+15551230001", "12345", "ACME"])
def test_any_number_stays_inside(tmp_path: Path, phone: str) -> None:
    async def scene() -> None:
        await say(tmp_path, phone, stop=True)
        assert (await known(tmp_path, phone)).do_not_text

    run(scene())
    assert len(list(contacts_of(tmp_path).iterdir())) == 1
