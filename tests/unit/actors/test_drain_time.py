"""How long the last drain took is known to the next start."""

from __future__ import annotations

from pathlib import Path

import pytest

from openclaw_actors.actors.drain_time import FILE_NAME, DrainTime


def test_the_next_start_knows_the_last_drain(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr("time.monotonic", lambda: now)
    first = DrainTime(str(tmp_path))
    assert first.seconds() == 0
    first.begins()
    now += 2.5
    assert first.seconds() == 2.5
    assert first.ends() == 2.5
    assert DrainTime(str(tmp_path)).seconds() == 2.5


@pytest.mark.parametrize("said", ["", "long", "-3", "\x00"])
def test_what_is_no_duration_counts_as_none(tmp_path: Path, said: str) -> None:
    (tmp_path / FILE_NAME).write_text(said)
    assert DrainTime(str(tmp_path)).seconds() == 0


def test_a_state_directory_that_cannot_be_written_ends_no_drain(tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).mkdir()
    drain = DrainTime(str(tmp_path))
    drain.begins()
    assert drain.ends() >= 0
