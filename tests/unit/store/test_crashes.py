"""The power fails at every moment of a workload: what was confirmed is there, and nothing that was never asked for.

And the other way round: without any one of its syncs the store is found out.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from chaos.crashes import run_crashes
from chaos.disk import Disk, read_tree, write_tree
from chaos.trace import Operation, recording
from openclaw_actors.store.files import Files
from openclaw_actors.store.ownership import StoreLock
from openclaw_actors.store.writer import Job, Writer
from tests.size import FULL

SEED = 1
SECONDS = 12.0 if FULL else 4.0
PATIENCE_S = 200.0
"""For a fault that is found in two, on a machine that does nothing else."""


def test_no_crash_takes_away_what_was_confirmed() -> None:
    found = run_crashes(SEED, seconds=SECONDS)
    assert found.problems == []
    assert found.states > 20


class Forgetful(Files):
    """Leaves out a sync."""

    forgets = ""

    def flush(self, descriptor: int) -> None:
        if self.forgets not in os.readlink(f"/proc/self/fd/{descriptor}"):
            super().flush(descriptor)

    def flush_directory(self, directory: Path) -> None:
        if self.forgets != directory.name:
            super().flush_directory(directory)


def forgetting(what: str) -> Callable[[], Files]:
    return type("Forgets", (Forgetful,), {"forgets": what})


@pytest.mark.parametrize(
    "what",
    ["sessions", "archive", "outbox.jsonl", "open-turns.jsonl", "contacts", "notes", "branches"],
)
def test_a_sync_that_is_left_out_is_found_out(what: str) -> None:
    found = run_crashes(SEED, seconds=PATIENCE_S, files=forgetting(what), most_problems=1)
    assert found.problems


@pytest.mark.parametrize("step", ["_list_turns", "_note"])
def test_what_is_noted_after_the_records_is_found_out(monkeypatch: pytest.MonkeyPatch, step: str) -> None:
    commit, note = Writer._commit, getattr(Writer, step)

    def late(self: Writer, batch: list[Job]) -> None:
        commit(self, batch)
        note(self, batch)

    monkeypatch.setattr(Writer, step, lambda *_: None)
    monkeypatch.setattr(Writer, "_commit", late)
    assert run_crashes(SEED, seconds=PATIENCE_S, most_problems=1).problems


def test_a_count_of_openings_that_is_not_synced_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    count = StoreLock._count

    def unsynced(self: StoreLock) -> int:
        with monkeypatch.context() as without:
            without.setattr(os, "fdatasync", lambda _: None)
            return count(self)

    monkeypatch.setattr(StoreLock, "_count", unsynced)
    assert run_crashes(SEED, seconds=PATIENCE_S, most_problems=1).problems


def test_contents_that_follow_their_names_are_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that replaces another without having been synced."""

    def replace(self: Files, path: Path, data: bytes, *, staging: Path | None = None, **_: bool) -> None:
        temporary = self.temporary(path if staging is None else staging / path.name)
        self.write_new(temporary, data)
        self.rename(temporary, path)
        self.flush_directory(path.parent)

    monkeypatch.setattr(Files, "replace", replace)
    assert run_crashes(SEED, seconds=PATIENCE_S, most_problems=1).problems


def test_the_trace_tells_all_that_was_done(tmp_path: Path) -> None:
    root = tmp_path / "root"
    write_tree(root, {"a": b"old", "d": None})
    disk = Disk(read_tree(root))
    with recording(root) as trace:
        files = Files()
        files.replace(root / "a", b"new")
        files.make_directory(root / "d" / "e")
        files.replace(root / "d" / "e" / "f", b"deep", staging=root)
        files.link(root / "a", root / "g")
        files.remove(root / "a")
    for each in trace:
        assert isinstance(each, Operation)
        disk.apply(each)
    assert disk.now() == read_tree(root) == {"d": None, "d/e": None, "d/e/f": b"deep", "g": b"new"}
    assert disk.durable() == {**disk.now(), "a": b"new"}
