"""Checks what is shown of work that takes its time; that it is seen at all is checked on a terminal."""

from __future__ import annotations

import io
import threading
from contextlib import redirect_stderr
from pathlib import Path

import pytest

from openclaw_actors.cli import progress
from openclaw_actors.cli.progress import Bar, CountedFile, Spinner


class Stderr(io.StringIO):
    """Standard error as a terminal, which tells when something was written to it."""

    def __init__(self) -> None:
        super().__init__()
        self.written = threading.Event()

    def isatty(self) -> bool:
        return True

    def write(self, text: str) -> int:
        count = super().write(text)
        if "work" in text:
            self.written.set()
        return count


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "AFTER_S", 0.0)
    monkeypatch.setenv("TERM", "xterm")


def test_work_that_goes_on_is_seen_and_leaves_nothing() -> None:
    with redirect_stderr(Stderr()) as terminal, Spinner("work [of somebody]"):
        assert terminal.written.wait(10.0)
    text = terminal.getvalue()
    assert "work [of somebody]" in text
    assert text.endswith("\x1b[2K"), "the line is still there"


def _work_that_fails(terminal: Stderr) -> None:
    with Spinner("work"):
        assert terminal.written.wait(10.0)
        raise KeyError


def test_an_error_takes_the_line_away_too() -> None:
    with redirect_stderr(Stderr()) as terminal:
        with pytest.raises(KeyError):
            _work_that_fails(terminal)
        assert terminal.getvalue().endswith("\x1b[2K")
    with redirect_stderr(Stderr()) as terminal, Spinner("work again"):
        assert terminal.written.wait(10.0)


def test_work_within_other_work_has_no_line_of_its_own() -> None:
    with redirect_stderr(Stderr()) as terminal, Spinner("work"), Spinner("other"), Bar(10, "a bar") as bar:
        assert terminal.written.wait(10.0)
        bar.advance(5)
    assert "other" not in terminal.getvalue()
    assert "a bar" not in terminal.getvalue()


def test_without_a_terminal_nothing_is_shown() -> None:
    with redirect_stderr(io.StringIO()) as pipe, Spinner("work"), Bar(10, "a bar") as bar:
        bar.advance(10)
    assert pipe.getvalue() == ""


def test_a_file_tells_how_far_it_was_read(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"x" * 1_000)
    with redirect_stderr(Stderr()) as terminal, Bar(2_000, "reading") as bar, CountedFile(path, bar) as file:
        while file.read(300):
            pass
        file.seek(0)
        assert len(file.read()) == 1_000
    assert "reading" in terminal.getvalue()
