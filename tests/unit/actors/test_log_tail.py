"""Searching the end of the log: bounded, over a rotation, whatever lies in the file."""

from __future__ import annotations

from pathlib import Path

import pytest

from openclaw_actors.actors import log_tail
from openclaw_actors.actors.log_tail import search_log
from openclaw_actors.core.log_lines import LogQuery

LINE = "2026-11-26T06:43:25.325Z {level:<7} router[1] openclaw_actors.x {marks}line {number}\n"


def lines(*numbers: int, level: str = "INFO", marks: str = "") -> str:
    return "".join(LINE.format(number=number, level=level, marks=marks) for number in numbers)


def texts(tail: log_tail.Tail) -> list[str]:
    return [line.text for line in tail.lines]


@pytest.mark.parametrize("chunk", [7, 64, 65_536])
def test_newest_lines_come_in_order_over_a_rotation(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, chunk: int
) -> None:
    monkeypatch.setattr(log_tail, "_CHUNK", chunk)
    log = tmp_path / "gateway.log"
    (tmp_path / "gateway.log.1").write_text(lines(1, 2))
    log.write_text(lines(3) + "no line of ours\n\n" + lines(4))
    whole = search_log(log, LogQuery(), limit=10, max_bytes=10_000)
    assert texts(whole) == ["line 1", "line 2", "line 3", "line 4"]
    assert not whole.more
    assert whole.searched_bytes == log.stat().st_size + (tmp_path / "gateway.log.1").stat().st_size
    few = search_log(log, LogQuery(), limit=3, max_bytes=10_000)
    assert (texts(few), few.more) == (["line 2", "line 3", "line 4"], True)


def test_no_more_is_read_than_may_be(tmp_path: Path) -> None:
    log = tmp_path / "gateway.log"
    log.write_text(lines(*range(1000)))
    tail = search_log(log, LogQuery(), limit=10_000, max_bytes=len(lines(999)) * 2 + 5)
    assert (texts(tail), tail.more) == (["line 998", "line 999"], True)


def test_marks_are_searched_for(tmp_path: Path) -> None:
    log = tmp_path / "gateway.log"
    log.write_text(lines(1, marks="corr=c-1 ") + lines(2, marks="corr=c-11 ") + lines(3, level="ERROR"))
    assert texts(search_log(log, LogQuery(correlation="c-1"), limit=9, max_bytes=9_999)) == ["line 1"]
    assert texts(search_log(log, LogQuery(level="error"), limit=9, max_bytes=9_999)) == ["line 3"]


def test_there_may_be_no_log_or_a_link_to_elsewhere(tmp_path: Path) -> None:
    log = tmp_path / "gateway.log"
    assert search_log(log, LogQuery(), limit=9, max_bytes=999) == ((), 0, False)
    (tmp_path / "secret").write_text(lines(1))
    log.symlink_to(tmp_path / "secret")
    assert search_log(log, LogQuery(), limit=9, max_bytes=999).lines == ()


def test_a_line_without_an_end_does_not_fill_memory(tmp_path: Path) -> None:
    log = tmp_path / "gateway.log"
    log.write_bytes(lines(1).encode() + b"x" * 3_000_000 + b"\n" + lines(2).encode())
    assert texts(search_log(log, LogQuery(), limit=9, max_bytes=4_000_000)) == ["line 1", "line 2"]
