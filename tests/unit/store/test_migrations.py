"""A store is brought from version to version, resumes where a step failed, and a newer one stays as it is."""

from __future__ import annotations

from pathlib import Path

import pytest

from openclaw_actors.store.failures import StoreCannotOpen
from openclaw_actors.store.files import Files
from openclaw_actors.store.migrations import FORMAT, STEPS, Step, bring_up_to_date, format_of, steps_from
from openclaw_actors.store.takeover import waiting_in
from tests.unit.store.scene import KEY, opened, options, reopen, run, turn


def test_the_steps_lead_from_an_unversioned_store_to_this_version() -> None:
    assert [step.to for step in STEPS] == list(range(1, FORMAT + 1))
    assert steps_from(0) == STEPS
    assert steps_from(FORMAT) == ()


def test_a_store_of_today_without_a_version_is_adopted_whole(tmp_path: Path) -> None:
    async def main() -> None:
        with opened(tmp_path) as store:
            await store.append(KEY, (await store.open_session(KEY)).token, turn(0), keep=False)
        (tmp_path / "memory" / "format").unlink()
        assert (await reopen(tmp_path)).turns == 1
        assert format_of(tmp_path / "memory") == FORMAT

    run(main())


def test_a_newer_store_is_not_touched(tmp_path: Path) -> None:
    async def main() -> None:
        with opened(tmp_path) as store:
            await store.append(KEY, (await store.open_session(KEY)).token, turn(0), keep=False)
        root = tmp_path / "memory"
        (root / "format").write_text("2\n")
        (root / "notes").rmdir()
        before = {path: (path.stat().st_mtime_ns, path.stat().st_size) for path in [root, *root.rglob("*")]}
        with pytest.raises(StoreCannotOpen, match="install that version again"), opened(tmp_path):
            pass
        assert before == {
            path: (path.stat().st_mtime_ns, path.stat().st_size) for path in [root, *root.rglob("*")]
        }

    run(main())
    assert options(tmp_path).path.is_dir()


def test_a_step_that_fails_is_begun_anew_and_those_before_it_are_not(tmp_path: Path) -> None:
    done: list[str] = []

    def first(root: Path, files: Files) -> None:
        done.append("first")

    def second(root: Path, files: Files) -> None:
        done.append("second")
        if done.count("second") == 1:
            raise OSError("the disk is full")

    steps = (Step(1, "one", first), Step(2, "two", second))
    with pytest.raises(OSError, match="full"):
        bring_up_to_date(tmp_path, Files(), steps)
    assert format_of(tmp_path) == 1
    assert bring_up_to_date(tmp_path, Files(), steps) == steps[1:]
    assert (format_of(tmp_path), done) == (2, ["first", "second", "second"])
    assert bring_up_to_date(tmp_path, Files(), steps) == ()


def test_what_an_older_gateway_left_is_counted_and_left_alone(tmp_path: Path) -> None:
    assert waiting_in(tmp_path) == {"conversations": 0, "notes": 0, "contacts": 0}
    (tmp_path / "sessions").mkdir()
    (tmp_path / "sessions" / "plain.json").write_text('{"id":"plain","history":[]}')
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "style.md").write_text("plain")
    (tmp_path / "contacts.json").write_text('{"contactsByPhone":{"+1":{"phoneE164":"+1","doNotText":true}}}')
    assert waiting_in(tmp_path) == {"conversations": 1, "notes": 1, "contacts": 1}
