"""Files are read and listed within bounds, and what is cut is told."""

from __future__ import annotations

import os

import pytest

from openclaw_actors.tools.files import ListFilesTool, ReadFileTool
from tests.unit.tools.place import Workplace


@pytest.mark.parametrize(
    ("count", "lines"), [(200, 200), (0, 1), (-5, 1), (1, 1), (4_999, 4_999), (5_000, 5_000), (9_999, 5_000)]
)
def test_as_many_lines_as_asked_for_within_what_is_allowed(place: Workplace, count: int, lines: int) -> None:
    text = "\n".join(str(number) for number in range(1, 6_001))
    (place.make() / "f").write_text(text)
    answer = place.call(ReadFileTool, path="f", max_lines=count)
    assert answer == "\n".join(text.split("\n")[:lines]) + "\n[truncated: more lines]"


def test_two_hundred_lines_unless_asked_for_more(place: Workplace) -> None:
    (place.make() / "f").write_text("x\n" * 200)
    assert place.call(ReadFileTool, path="f") == "\n".join("x" * 200)
    (place.make() / "f").write_text("x\n" * 201)
    assert place.call(ReadFileTool, path="f").endswith("x\n[truncated: more lines]")


@pytest.mark.parametrize(
    ("first", "answer"),
    [(1, "a\nb\n[truncated: more lines]"), (2, "b\nc"), (3, "c"), (-1, "a\nb\n[truncated: more lines]")],
)
def test_reading_goes_on_at_a_line(place: Workplace, first: int, answer: str) -> None:
    for ending in ("", "\n"):
        (place.make() / "f").write_text("a\nb\nc" + ending)
        assert place.call(ReadFileTool, path="f", first_line=first, max_lines=2) == answer


@pytest.mark.parametrize(("text", "count"), [("a\nb\nc", 3), ("a\nb\n", 2), ("", 0)])
def test_a_line_that_is_not_there_is_told(place: Workplace, text: str, count: int) -> None:
    (place.make() / "f").write_text(text)
    failure = place.refusal(ReadFileTool, path="f", first_line=7)
    assert failure.text == f"Error: f has {count} lines; there is no line 7."


def test_an_empty_file_is_an_empty_text(place: Workplace) -> None:
    (place.make() / "f").write_text("")
    assert place.call(ReadFileTool, path="f") == ""


def test_a_line_without_end_is_cut(place: Workplace) -> None:
    (place.make() / "f").write_text("first\n" + "x" * 3_000_000)
    answer = place.call(ReadFileTool, path="f")
    assert answer.startswith("first\nxxx")
    assert answer.endswith("xxx\n[truncated: line 2 goes on; the answer is cut at 262144 bytes]")
    assert len(answer) < 263_000


def test_what_is_no_text_is_told(place: Workplace) -> None:
    (place.make() / "f").write_bytes(b"\x7fELF\0\0")
    assert place.refusal(ReadFileTool, path="f").text == "Error: f is a binary file of 6 bytes, not text."
    (place.make() / "f").write_bytes(b"\xef\xbb\xbfna\xefve\r\nx\r\n")
    assert place.call(ReadFileTool, path="f") == "na\ufffdve\nx"


def test_a_directory_is_listed(place: Workplace) -> None:
    workspace = place.make()
    (workspace / "sub" / "deep").mkdir(parents=True)
    (workspace / "b.py").write_text("12345")
    (workspace / "a.txt").write_text("")
    (workspace / "sub" / "c.py").write_text("x")
    (workspace / "sub" / "deep" / "d.py").write_text("x")
    (workspace / "link").symlink_to(place.outside)
    os.mkfifo(workspace / "pipe")
    plain = ["a.txt (0 bytes)", "b.py (5 bytes)", f"link -> {place.outside}", "pipe (special)", "sub/"]
    assert place.call(ListFilesTool).splitlines() == plain
    assert place.call(ListFilesTool, path="sub").splitlines() == ["c.py (1 bytes)", "deep/"]
    python = ["b.py (5 bytes)", "sub/c.py (1 bytes)", "sub/deep/d.py (1 bytes)"]
    assert place.call(ListFilesTool, pattern="*.py", recursive=True).splitlines() == python
    assert place.call(ListFilesTool, pattern="**/*.py").splitlines() == python
    assert place.call(ListFilesTool, pattern="sub/*.py", recursive=True).splitlines() == python[1:]
    assert place.call(ListFilesTool, pattern="*.rs") == "No files match."
    assert place.call(ListFilesTool, path="sub/deep", pattern="*") == "d.py (1 bytes)"


def test_an_empty_directory_is_told(place: Workplace) -> None:
    assert place.call(ListFilesTool) == "The directory is empty."
    assert place.refusal(ListFilesTool, path="no").text == "Error: Directory not found: no"
    (place.workspace / "f").write_text("")
    assert place.refusal(ListFilesTool, path="f").text == "Error: f is not a directory."


def test_a_long_listing_is_cut_and_says_so(place: Workplace) -> None:
    for number in range(1_200):
        (place.make() / f"{number:04}").touch()
    lines = place.call(ListFilesTool).splitlines()
    assert len(lines) == 1_001
    assert (lines[0], lines[999]) == ("0000 (0 bytes)", "0999 (0 bytes)")
    assert lines[-1] == "[truncated: 200 more entries; a narrower pattern shows them]"


def test_a_deep_tree_is_cut_and_says_so(place: Workplace) -> None:
    deep = place.make().joinpath(*["d"] * 40)
    deep.mkdir(parents=True)
    lines = place.call(ListFilesTool, recursive=True).splitlines()
    assert lines[-1] == "[truncated: directories over 32 deep are left out]"
    assert lines[-2] == "d/" * 32


def test_a_name_of_other_bytes_is_shown(place: Workplace) -> None:
    with open(os.fsencode(place.make()) + b"/\xff\xfe", "wb"):
        pass
    assert place.call(ListFilesTool) == "\ufffd\ufffd (0 bytes)"
