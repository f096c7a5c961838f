"""What a migration replaces is put back when its version was never ready, wherever that or the putting back stopped."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from openclaw_actors.store import undo
from openclaw_actors.store.failures import StoreCannotOpen
from openclaw_actors.store.files import Files
from openclaw_actors.store.migrations import STEPS, Step, bring_up_to_date, format_of
from tests.unit.store.scene import KEY, opened, reopen, run, turn

Content = dict[str, bytes]


def _rewrite(root: Path, files: Files) -> None:
    """Replaces journals, adds a tree's first file and a list, moves one tree away: what a step may do."""
    for path in (root / "sessions").iterdir():
        files.replace(path, b"of a format that nobody else reads")
    files.replace(root / "notes" / "new.json", b"new")
    files.replace(root / "outbox.jsonl", b"new")
    if (root / "contacts").is_dir():
        files.rename(root / "contacts", root / "people")


NEWER = (*STEPS, Step(2, "two", _rewrite))
NEWEST = (*NEWER, Step(3, "three", lambda root, files: None))


def content_of(root: Path) -> Content:
    """All but the count of openings and what is kept."""
    return {
        str(path.relative_to(root)): path.read_bytes()
        for path in sorted(root.rglob("*"))
        if path.is_file() and path.name != "store.lock" and undo._KEPT not in path.parts
    }


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A store with a conversation, a contact, and no reply to anybody."""

    async def main() -> None:
        with opened(tmp_path) as store:
            await store.append(KEY, (await store.open_session(KEY)).token, turn(0), keep=False)

    run(main())
    root = tmp_path / "memory"
    (root / "contacts" / "x.json").write_text("{}")
    (root / "outbox.jsonl").unlink(missing_ok=True)
    return root


def test_a_version_that_was_never_ready_leaves_no_trace_for_the_one_before_it(root: Path) -> None:
    before = content_of(root)
    assert bring_up_to_date(root, Files(), NEWER) == NEWER[1:]
    assert content_of(root) != before
    assert bring_up_to_date(root, Files()) == ()
    assert content_of(root) == before
    assert not [path for path in root.iterdir() if path.name.startswith(".")]
    assert run(reopen(root.parent)).turns == 1


def test_a_version_that_was_ready_is_not_undone(root: Path) -> None:
    bring_up_to_date(root, Files(), NEWER)
    after = content_of(root)
    assert undo.confirm(root)
    assert not undo.confirm(root)
    with pytest.raises(StoreCannotOpen, match="newer version"):
        bring_up_to_date(root, Files())
    undo.remove_leftovers(root)
    assert content_of(root) == after
    assert bring_up_to_date(root, Files(), NEWER) == ()


def test_what_the_first_of_several_versions_found_is_put_back(root: Path) -> None:
    before = content_of(root)
    bring_up_to_date(root, Files(), NEWER)
    bring_up_to_date(root, Files(), NEWEST)
    assert (format_of(root), undo.kept_of(root)) == (3, undo.Kept(before=1, to=3, names=_names(root)))
    assert bring_up_to_date(root, Files(), NEWER) == NEWER[1:]  # put back, then its own step
    assert bring_up_to_date(root, Files()) == ()
    assert content_of(root) == before


def _names(root: Path) -> tuple[str, ...]:
    kept = undo.kept_of(root)
    assert kept is not None
    return kept.names


def test_a_store_without_a_version_gets_none(root: Path) -> None:
    (root / "format").unlink()
    bring_up_to_date(root, Files(), NEWER)
    undo.put_back(root, Files())
    assert format_of(root) == 0


def test_a_step_that_failed_half_way_is_put_back_too(root: Path) -> None:
    before = content_of(root)

    def half(root: Path, files: Files) -> None:
        _rewrite(root, files)
        raise OSError("the disk is full")

    with pytest.raises(OSError, match="full"):
        bring_up_to_date(root, Files(), (*STEPS, Step(2, "two", half)))
    assert format_of(root) == 1
    bring_up_to_date(root, Files())
    assert content_of(root) == before


def test_putting_back_can_stop_anywhere_and_any_version_finishes_it(root: Path) -> None:
    before = content_of(root)
    bring_up_to_date(root, Files(), NEWER)
    count = _stopping_at(root, 10**6)
    assert count > 8
    for steps in (STEPS, NEWER):
        for number in range(count):
            bring_up_to_date(root, Files(), NEWER)
            with pytest.raises(KeyboardInterrupt):
                _stopping_at(root, number)
            bring_up_to_date(root, Files(), steps)
            undo.put_back(root, Files())
            assert content_of(root) == before, number


def _stopping_at(root: Path, number: int) -> int:
    """Put back, and be killed at the n-th change of the disk; returns how many there were."""
    files, count = Files(sync=False), 0

    def counted(call: Callable[..., None]) -> Callable[..., None]:
        def wrapper(*args: object, **options: object) -> None:
            nonlocal count
            if count == number:
                raise KeyboardInterrupt
            count += 1
            call(*args, **options)

        return wrapper

    for name in ("rename", "replace", "make_directory", "remove"):
        setattr(files, name, counted(getattr(files, name)))
    undo.put_back(root, files)
    return count


def test_a_file_system_without_hard_links_has_copies(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr("os.link", refuse)
    before = content_of(root)
    bring_up_to_date(root, Files(), NEWER)
    bring_up_to_date(root, Files())
    assert content_of(root) == before


def test_a_new_store_keeps_nothing(tmp_path: Path) -> None:
    bring_up_to_date(tmp_path, Files())
    assert not undo.is_kept(tmp_path)


def test_an_open_store_is_confirmed_once_its_version_was_ready(root: Path) -> None:
    async def main() -> None:
        (root / "format").unlink()  # the only step of this version is due again
        with opened(root.parent) as store:
            assert not store.is_confirmed()
            undo.confirm(root)
            assert store.is_confirmed()

    run(main())
    assert not [path for path in root.iterdir() if path.name.startswith(".")]
