"""Checks that what was entered is kept, privately, within bounds, and that it may fail."""

from __future__ import annotations

from pathlib import Path

from openclaw_actors.cli.chat_history import HISTORY_BYTES, KeptHistory


def entries(path: Path) -> list[str]:
    return list(KeptHistory(path).load_history_strings())


def test_it_is_kept_for_this_user_alone(tmp_path: Path) -> None:
    path = tmp_path / "history"
    history = KeptHistory(path)
    for text in ("one", "two\nlines", "h\xe9"):
        history.store_string(text)
    assert entries(path) == ["h\xe9", "two\nlines", "one"]
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_long_file_is_cut_to_its_newest_entries(tmp_path: Path) -> None:
    path = tmp_path / "history"
    history = KeptHistory(path)
    for number in range(3 * HISTORY_BYTES // 1_000):
        history.store_string(f"{number} " + "x" * 1_000)
    before = entries(path)
    assert path.stat().st_size <= HISTORY_BYTES
    assert path.stat().st_mode & 0o777 == 0o600
    after = entries(path)
    assert 0 < len(after) < len(before) or after == before
    newest = 3 * HISTORY_BYTES // 1_000 - 1
    assert [int(each.split()[0]) for each in after] == [newest - n for n in range(len(after))]
    assert list(tmp_path.iterdir()) == [path]


def test_where_no_file_can_be_it_goes_on(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "missing" / "history"):
        history = KeptHistory(path)
        history.append_string("hello")
        assert history.get_strings() == ["hello"]
        assert entries(path) == []


def test_what_is_not_utf_8_is_not_kept(tmp_path: Path) -> None:
    KeptHistory(tmp_path / "history").store_string("a\udcffb")
    assert entries(tmp_path / "history") == []
