"""The contacts of OpenClaw.NET are taken over, and damage among them forgets nobody's STOP."""

from __future__ import annotations

import errno
import json
from pathlib import Path
from typing import Any

import pytest

from openclaw_actors.messages import Contact
from openclaw_actors.store.legacy_contacts import read_old_contacts
from tests.unit.store.scene import Faults, opened, refused, run
from tests.unit.store.test_contacts import contacts_of, known, may_be_texted, say

ANN, BOB, EVE, NEW = "+15551230001", "+15551230002", "+15551230003", "+15559999999"


def entry(phone: str, *, stop: bool, **more: Any) -> dict[str, Any]:
    return {
        "phoneE164": phone,
        "doNotText": stop,
        "createdAt": "2026-02-20T10:00:00.1234567+00:00",
        "lastSeenAt": "2026-02-21T11:00:00+01:00",
        **more,
    }


def old_file(path: Path, entries: dict[str, Any]) -> Path:
    path = path / "memory" / "contacts.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps({"contactsByPhone": entries}).replace("+", "\\u002B")
    path.write_text(text)
    return path


def both(path: Path) -> Path:
    return old_file(path, {ANN: entry(ANN, stop=True), BOB: entry(BOB, stop=False, displayName="Bob")})


def test_the_old_contacts_are_taken_over_once(tmp_path: Path) -> None:
    old = both(tmp_path)
    data = old.read_bytes()

    async def scene() -> None:
        assert (await known(tmp_path, ANN)).do_not_text
        bob = await known(tmp_path, BOB)
        assert bob == Contact(
            phone=BOB, do_not_text=False, created_at=1771581600.123456, last_seen_at=1771668000.0
        )
        assert may_be_texted(await known(tmp_path, NEW))

    run(scene())
    assert not old.exists()
    assert (tmp_path / "memory" / "legacy" / "contacts.json").read_bytes() == data
    assert len(list(contacts_of(tmp_path).iterdir())) == 2


def test_all_of_them_cost_one_sync(tmp_path: Path) -> None:
    phones = [f"+1555{number:07}" for number in range(500)]
    old_file(tmp_path, {phone: entry(phone, stop=True) for phone in phones})
    files = Faults()

    async def scene() -> None:
        with opened(tmp_path, files) as store:
            files.steps.clear()
            assert (await store.contacts.get(phones[-1])).do_not_text
            order = [step for step, _ in files.names("flush all", "rename")]
            assert order[0] == "flush all"
            assert order.count("flush all") == 1
            assert order.count("rename") == 501

    run(scene())


@pytest.mark.parametrize("step", ["write", "flush all", "rename", "flush directory"])
def test_a_disk_that_fails_meanwhile_forgets_nothing(tmp_path: Path, step: str) -> None:
    old = both(tmp_path)
    files = Faults()

    async def scene() -> None:
        with opened(tmp_path, files) as store:
            files.fail(step, errno.ENOSPC)
            assert (await refused(store.contacts.get(ANN))).code == "unavailable"
            assert (await refused(store.contacts.touch(NEW, 1.0))).code == "persistence_failed"
            files.heal()
            assert (await store.contacts.get(ANN)).do_not_text
            assert may_be_texted(await store.contacts.get(BOB))

    run(scene())
    assert not old.exists()


def test_an_entry_that_cannot_be_read_is_in_doubt_and_no_other(tmp_path: Path) -> None:
    broken = {"phoneE164": EVE, "createdAt": "2026-02-20T10:00:00Z"}
    old_file(tmp_path, {ANN: entry(ANN, stop=True), BOB: entry(BOB, stop=False), EVE: broken})

    async def scene() -> None:
        eve = await known(tmp_path, EVE)
        assert (eve.do_not_text, eve.certain) == (True, False)
        assert may_be_texted(await known(tmp_path, BOB))
        assert may_be_texted(await known(tmp_path, NEW))
        assert may_be_texted(await say(tmp_path, EVE, stop=False))

    run(scene())


@pytest.mark.parametrize("damage", ["torn", "empty", "zeros", "another document"])
def test_a_damaged_file_leaves_everybody_in_doubt_whom_it_does_not_name(tmp_path: Path, damage: str) -> None:
    old = both(tmp_path)
    data = old.read_bytes()
    damaged = {
        "torn": data[: data.rindex(b'"phoneE164"') + 20],
        "empty": b"",
        "zeros": b"\0" * len(data),
        "another document": b"[]",
    }[damage]
    old.write_bytes(damaged)

    async def scene() -> None:
        for _ in range(2):
            for phone in (ANN, BOB, NEW):
                found = await known(tmp_path, phone)
                readable = phone == ANN and damage == "torn"
                assert (found.do_not_text, found.certain) == (True, readable), phone
        with opened(tmp_path) as store:
            touched = await store.contacts.touch(NEW, 1.0)
            assert (touched.do_not_text, touched.certain) == (True, False)
        assert may_be_texted(await say(tmp_path, BOB, stop=False))
        assert may_be_texted(await known(tmp_path, BOB))

        (tmp_path / "memory" / "contacts-in-doubt.json").unlink()  # a person has looked after it
        assert may_be_texted(await known(tmp_path, NEW))
        assert may_be_texted(await known(tmp_path, EVE))

    run(scene())
    assert not old.exists()
    (kept,) = old.parent.glob("contacts.json.quarantined-*")
    assert kept.read_bytes() == damaged


def test_readable_entries_of_a_damaged_file_are_kept_and_stop_wins(tmp_path: Path) -> None:
    old = both(tmp_path)
    parts = (entry(BOB, stop=False), entry(ANN, stop=True), entry(ANN, stop=False))
    old.write_bytes(b"\xff" + b"garbage".join(json.dumps(part).encode() for part in parts) + b'{"phoneE164":')

    async def scene() -> None:
        assert may_be_texted(await known(tmp_path, BOB))
        assert (await known(tmp_path, ANN)).do_not_text

    run(scene())


def test_an_old_file_that_comes_back_does_not_overrule_what_people_said_since(tmp_path: Path) -> None:
    async def scene() -> None:
        await say(tmp_path, ANN, stop=False, at=2_000_000_000.0)
        await say(tmp_path, BOB, stop=True)
        await say(tmp_path, EVE, stop=False, at=1.0)
        entries = {ANN: entry(ANN, stop=True), BOB: entry(BOB, stop=False), EVE: entry(EVE, stop=True)}
        old_file(tmp_path, entries)
        assert may_be_texted(await known(tmp_path, ANN))
        assert (await known(tmp_path, BOB)).do_not_text
        assert (await known(tmp_path, EVE)).do_not_text

    run(scene())


def test_a_file_beyond_any_use_is_not_read_into_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("openclaw_actors.store.legacy_contacts.MAX_FILE_BYTES", 100)
    found = read_old_contacts(both(tmp_path))
    assert "larger than 100 bytes" in found.problem
    assert not found.contacts
