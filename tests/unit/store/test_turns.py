from __future__ import annotations

import errno
from pathlib import Path

import pytest

from openclaw_actors.store.files import Files
from openclaw_actors.store.turns import TurnList, read_names
from tests.unit.store.scene import Faults


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "open-turns.jsonl"


def test_names_are_listed_until_they_are_struck_out(path: Path) -> None:
    turns = TurnList(path, Files())
    turns.write([("open", "a"), ("open", "b"), ("closed", "a"), ("open", "c")])
    assert read_names(path) == ({"b": None, "c": None}, True)


def test_a_list_that_is_missing_tells_too_little(path: Path) -> None:
    assert read_names(path) == ({}, False)


def test_a_torn_end_counts_for_nothing_and_is_cut_off_by_the_next_line(path: Path) -> None:
    turns = TurnList(path, Files())
    turns.write([("open", "a")])
    turns.close()
    with path.open("ab") as file:
        file.write(path.read_bytes()[:20])
    assert read_names(path) == ({"a": None}, True)
    TurnList(path, Files(), names=["a"]).write([("open", "b")])
    assert read_names(path) == ({"a": None, "b": None}, True)


def test_every_truncation_names_what_was_written_before_it(path: Path) -> None:
    TurnList(path, Files()).write([("open", "a"), ("open", "b")])
    data = path.read_bytes()
    for length in range(len(data)):
        path.write_bytes(data[:length])
        names, complete = read_names(path)
        assert list(names) == ["a", "b"][: data[:length].count(b"\n")]
        assert complete


def test_a_damaged_line_makes_the_list_incomplete(path: Path) -> None:
    TurnList(path, Files()).write([("open", "a"), ("open", "b")])
    path.write_bytes(path.read_bytes().replace(b'"a"', b'"x"'))
    assert read_names(path) == ({"b": None}, False)


def test_an_incomplete_list_stays_so_until_it_is_said_to_name_all(path: Path) -> None:
    turns = TurnList(path, Files(), complete=False)
    turns.write([("open", "a")])
    assert read_names(path) == ({"a": None}, False)
    turns.rewrite(["a", "b"])
    assert read_names(path) == ({"a": None, "b": None}, False)
    turns.write([("complete", "")])
    assert read_names(path) == ({"a": None, "b": None}, True)


@pytest.mark.parametrize("step", ["write", "flush"])
def test_after_a_failure_the_list_goes_on_at_its_last_whole_line(path: Path, step: str) -> None:
    files = Faults()
    turns = TurnList(path, files)
    turns.write([("open", "a")])
    files.fail(step, errno.ENOSPC, times=1)
    with pytest.raises(OSError, match="No space"):
        turns.write([("open", "b"), ("open", "c")])
    turns.write([("open", "d")])
    names, complete = read_names(path)
    assert complete
    assert {"a", "d"} <= set(names) <= {"a", "b", "c", "d"}


def test_only_an_opened_name_has_to_reach_the_disk_at_once(path: Path) -> None:
    files = Faults()
    turns = TurnList(path, files)
    turns.write([("open", "a")])
    files.steps.clear()
    turns.write([("closed", "a")])
    assert files.names("flush") == []


def test_a_list_of_a_gateway_that_runs_for_weeks_stays_short(path: Path) -> None:
    turns = TurnList(path, Files(sync=False), compact_bytes=4_000)
    turns.write([("open", "stays")])
    for index in range(2_000):
        turns.write([("open", f"connection-{index}")])
        turns.write([("closed", f"connection-{index}")])
        assert path.stat().st_size <= 4_200
    assert read_names(path) == ({"stays": None}, True)


def test_a_list_that_cannot_be_compacted_goes_on(path: Path) -> None:
    files = Faults(sync=False)
    turns = TurnList(path, files, compact_bytes=100)
    files.fail("rename", errno.ENOSPC)
    for index in range(20):
        turns.write([("open", str(index)), ("closed", str(index))])
    turns.write([("open", "last")])
    assert read_names(path) == ({"last": None}, True)
