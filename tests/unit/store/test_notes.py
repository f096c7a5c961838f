from __future__ import annotations

import base64
import errno
from pathlib import Path

import pytest

from openclaw_actors.store.names import hashed_name
from openclaw_actors.store.notes import MAX_KEY_CHARS, MAX_NOTE_BYTES
from tests.unit.store.scene import Faults, opened, refused, run

LONG = "project:" + "漢" * 300


def notes(path: Path) -> Path:
    directory = path / "memory" / "notes"
    directory.mkdir(parents=True, exist_ok=True)
    return directory


def encoded(key: str) -> str:
    return base64.urlsafe_b64encode(key.encode()).rstrip(b"=").decode()


def test_notes_are_written_read_listed_and_deleted_also_by_the_next_process(tmp_path: Path) -> None:
    async def scene() -> None:
        with opened(tmp_path) as store:
            for key in ("project:a", "project:b", "other", LONG):
                await store.save_note(key, f"text of {key}\n")
            await store.save_note("other", "")
        with opened(tmp_path) as store:
            assert await store.load_note(LONG) == f"text of {LONG}\n"
            assert await store.load_note("other") == ""
            assert await store.load_note("nothing") is None
            assert await store.list_notes("project:") == ("project:a", "project:b", LONG)
            assert await store.list_notes(limit=2) == ("other", "project:a")
            assert await store.delete_note("project:a") is True
            assert await store.delete_note("project:a") is False
            assert await store.list_notes() == ("other", "project:b", LONG)

    run(scene())


@pytest.mark.parametrize(
    "key", ["../../outside", "/etc/passwd", "a\0b", "k" * 190, "..", "x" * MAX_KEY_CHARS]
)
def test_any_key_stays_inside(tmp_path: Path, key: str) -> None:
    async def scene() -> None:
        with opened(tmp_path) as store:
            await store.save_note(key, "text")
            assert await store.load_note(key) == "text"
            assert await store.list_notes() == (key,)

    run(scene())
    assert len(list(notes(tmp_path).iterdir())) == 1


@pytest.mark.parametrize(
    ("key", "text", "code"),
    [
        ("", "t", "bad_key"),
        ("  ", "t", "bad_key"),
        ("k" * (MAX_KEY_CHARS + 1), "t", "bad_key"),
        ("\ud800", "t", "bad_key"),
        ("k", "\ud800", "persistence_failed"),
        ("k", "x" * (MAX_NOTE_BYTES + 1), "too_large"),
    ],
)
def test_what_cannot_be_kept_is_refused(tmp_path: Path, key: str, text: str, code: str) -> None:
    async def scene() -> None:
        with opened(tmp_path) as store:
            assert (await refused(store.save_note(key, text))).code == code
            assert await store.list_notes() == ()

    run(scene())


def test_a_damaged_note_is_set_aside_and_said(tmp_path: Path) -> None:
    async def scene() -> None:
        with opened(tmp_path) as store:
            await store.save_note("a", "text")
            (path,) = notes(tmp_path).iterdir()
            path.write_bytes(path.read_bytes().replace(b"text", b"tect"))
            refusal = await refused(store.load_note("a"))
            (aside,) = notes(tmp_path).iterdir()
            assert (refusal.code, aside.name in refusal.text) == ("corrupt", True)
            assert await store.list_notes() == ()

    run(scene())


def test_two_keys_whose_names_are_one_keep_two_notes(tmp_path: Path) -> None:
    async def scene() -> None:
        with opened(tmp_path) as store:
            await store.save_note("first", "1")
            (path,) = notes(tmp_path).iterdir()
            path.rename(notes(tmp_path) / f"{encoded('second')}.json")  # as where case is ignored
            assert await store.load_note("second") is None
            await store.save_note("second", "2")
            assert await store.load_note("second") == "2"
            assert (notes(tmp_path) / f"{hashed_name('second')}.json").exists()

    run(scene())


def test_the_old_note_stands_when_the_new_one_cannot_be_written(tmp_path: Path) -> None:
    files = Faults()

    async def scene() -> None:
        with opened(tmp_path, files) as store:
            await store.save_note("a", "old")
            files.fail("flush", errno.ENOSPC, path="notes")
            assert (await refused(store.save_note("a", "new"))).code == "persistence_failed"
            assert await store.load_note("a") == "old"
            files.heal()

    run(scene())
    assert len(list(notes(tmp_path).iterdir())) == 1


def test_a_note_that_cannot_be_deleted_is_not_said_to_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Stuck(Faults):
        def remove(self, path: Path) -> None:
            if path.parent.name == "notes":
                raise OSError(errno.EACCES, "Permission denied")
            super().remove(path)

    async def scene() -> None:
        with opened(tmp_path, Stuck()) as store:
            await store.save_note("a", "text")
            assert (await refused(store.delete_note("a"))).code == "unavailable"
            assert await store.load_note("a") == "text"

    run(scene())


def test_notes_of_the_older_gateway_are_read_and_taken_over_when_written(tmp_path: Path) -> None:
    for key in ("project:x:style", "plan"):
        (notes(tmp_path) / f"{encoded(key)}.md").write_text(f"old {key}", encoding="utf-8")
    (notes(tmp_path) / f"{encoded('bad')}.md").write_bytes(b"\xff\xfe\xff")

    async def scene() -> None:
        with opened(tmp_path) as store:
            assert await store.list_notes("p") == ("plan", "project:x:style")
            assert await store.load_note("plan") == "old plan"
            await store.save_note("plan", "new plan")
            assert await store.load_note("plan") == "new plan"
            assert await store.list_notes("p") == ("plan", "project:x:style")
            assert await store.delete_note("project:x:style") is True
            assert await store.load_note("project:x:style") is None
            assert (await refused(store.load_note("bad"))).code == "corrupt"

    run(scene())
    assert [path.read_text() for path in (tmp_path / "memory" / "legacy").iterdir()] == ["old plan"]
