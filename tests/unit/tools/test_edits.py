"""Files are replaced as a whole or stay as they are."""

from __future__ import annotations

import asyncio
import os
import threading

import msgspec
import pytest

from openclaw_actors.tools import edits
from openclaw_actors.tools.edits import EditFileTool, WriteFileTool
from openclaw_actors.tools.threads import StopFlag, in_thread
from tests.unit.tools.place import Workplace


def names(place: Workplace) -> list[str]:
    return sorted(os.listdir(place.workspace))


def test_a_file_is_written_with_the_directories_above_it(place: Workplace) -> None:
    assert place.call(WriteFileTool, path="a/b/c.txt", content="né\n") == "Written 3 characters to a/b/c.txt"
    assert (place.workspace / "a" / "b" / "c.txt").read_bytes() == "né\n".encode()
    assert place.call(WriteFileTool, path=str(place.workspace / "a/b/c.txt"), content="").startswith(
        "Written 0 "
    )
    assert (place.workspace / "a" / "b" / "c.txt").read_bytes() == b""
    assert os.listdir(place.workspace / "a" / "b") == ["c.txt"]


def test_permissions_stay(place: Workplace) -> None:
    script = place.make() / "run.sh"
    script.write_text("old")
    script.chmod(0o4750)
    place.call(WriteFileTool, path="run.sh", content="new")
    assert script.stat().st_mode & 0o7777 == 0o750
    before = os.umask(0o027)
    try:
        place.call(WriteFileTool, path="fresh", content="x")
    finally:
        os.umask(before)
    assert (place.workspace / "fresh").stat().st_mode & 0o777 == 0o640


def test_what_a_link_leads_to_is_written_and_the_link_stays(place: Workplace) -> None:
    (place.make() / "real").write_text("old")
    (place.workspace / "link").symlink_to("real")
    place.call(WriteFileTool, path="link", content="new")
    assert (place.workspace / "link").is_symlink()
    assert (place.workspace / "real").read_text() == "new"
    (place.workspace / "dangling").symlink_to("sub/target")
    place.call(WriteFileTool, path="dangling", content="new")
    assert (place.workspace / "sub" / "target").read_text() == "new"


def test_a_file_is_no_directory(place: Workplace) -> None:
    (place.make() / "f").write_text("x")
    assert "Not a directory" in place.refusal(WriteFileTool, path="f/below", content="x").text
    assert (place.workspace / "f").read_text() == "x"


@pytest.mark.parametrize("step", ["write", "fsync", "rename"])
def test_a_disk_that_fails_leaves_the_old_text_and_nothing_else(
    place: Workplace, step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (place.make() / "f").write_text("old")

    def fail(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(edits.os, step, fail)
    failure = place.refusal(WriteFileTool, path="f", content="new")
    assert failure.text == "Error: f cannot be written: No space left on device."
    monkeypatch.undo()
    assert (place.workspace / "f").read_text() == "old"
    assert names(place) == ["f"]


def test_nothing_is_written_once_nobody_waits(place: Workplace, monkeypatch: pytest.MonkeyPatch) -> None:
    (place.make() / "f").write_text("old")
    reached, go_on = threading.Event(), threading.Event()

    def slow(fd: int) -> None:
        reached.set()
        go_on.wait(5)

    monkeypatch.setattr(edits.os, "fsync", slow)

    async def scene() -> None:
        tool = WriteFileTool(place.host())
        call = asyncio.ensure_future(
            tool.run(msgspec.convert({"path": "f", "content": "new"}, tool.arguments))
        )
        await asyncio.to_thread(reached.wait, 5)
        call.cancel()
        await asyncio.sleep(0)
        go_on.set()
        with pytest.raises(asyncio.CancelledError):
            await call

    asyncio.run(scene())
    assert (place.workspace / "f").read_text() == "old"
    assert names(place) == ["f"]


def test_a_thread_that_hangs_does_not_hold_the_turn() -> None:
    go_on = threading.Event()

    def hang(flag: StopFlag) -> None:
        go_on.wait(10)

    async def scene() -> None:
        call = asyncio.ensure_future(in_thread(hang))
        await asyncio.sleep(0)
        call.cancel()
        async with asyncio.timeout(3):
            with pytest.raises(asyncio.CancelledError):
                await call
        go_on.set()

    asyncio.run(scene())


def test_a_text_is_replaced_where_it_stands_once(place: Workplace) -> None:
    (place.make() / "f").write_text("one\ntwo\nthree\n")
    answer = place.call(EditFileTool, path="f", old_text="two\n", new_text="2\n2\n")
    assert answer == "Replaced 1 occurrence in f"
    assert (place.workspace / "f").read_text() == "one\n2\n2\nthree\n"


def test_a_text_that_stands_more_often_needs_a_word(place: Workplace) -> None:
    (place.make() / "f").write_text("a b a b a")
    failure = place.refusal(EditFileTool, path="f", old_text="a", new_text="c")
    assert failure.text.startswith("Error: old_text is 3 times in f.")
    assert (place.workspace / "f").read_text() == "a b a b a"
    answer = place.call(EditFileTool, path="f", old_text="a", new_text="c", replace_all=True)
    assert answer == "Replaced 3 occurrences in f"
    assert (place.workspace / "f").read_text() == "c b c b c"


@pytest.mark.parametrize(
    ("old", "new", "text"),
    [
        ("x", "y", "old_text is not in f"),
        ("a", "a", "nothing would change"),
        ("\ud800", "x", "not valid Unicode"),
    ],
)
def test_what_cannot_be_replaced_is_told(place: Workplace, old: str, new: str, text: str) -> None:
    (place.make() / "f").write_text("a")
    tool = EditFileTool(place.host())
    call = edits.EditFileArguments(path="f", old_text=old, new_text=new)
    with pytest.raises(edits.ToolFailed, match=text):
        asyncio.run(tool.run(call))
    assert (place.workspace / "f").read_text() == "a"


def test_a_file_must_be_there_and_be_text_to_be_edited(place: Workplace) -> None:
    assert (
        place.refusal(EditFileTool, path="f", old_text="a", new_text="b").text == "Error: File not found: f"
    )
    (place.make() / "f").write_bytes(b"a\0b")
    assert "binary" in place.refusal(EditFileTool, path="f", old_text="a", new_text="b").text
    assert names(place) == ["f"]


def test_the_line_ends_of_a_file_stay(place: Workplace) -> None:
    (place.make() / "f").write_bytes(b"a\r\nb\r\nc\xff\r\n")
    place.call(EditFileTool, path="f", old_text="a\nb\n", new_text="A\nB\n")
    assert (place.workspace / "f").read_bytes() == b"A\r\nB\r\nc\xff\r\n"


def test_a_file_that_changes_meanwhile_is_not_overwritten(
    place: Workplace, monkeypatch: pytest.MonkeyPatch
) -> None:
    (place.make() / "f").write_text("a")
    monkeypatch.setattr(edits.os, "fsync", lambda _: (place.workspace / "f").write_text("by somebody else"))
    failure = place.refusal(EditFileTool, path="f", old_text="a", new_text="b")
    assert failure.text == "Error: f was changed by something else meanwhile; read it again."
    assert (place.workspace / "f").read_text() == "by somebody else"
    assert names(place) == ["f"]


def test_what_may_be_written_but_not_read_is_not_edited(place: Workplace) -> None:
    (place.make() / "f").write_text("a")
    place.read_roots = []
    assert place.refusal(EditFileTool, path="f", old_text="a", new_text="b").status == "denied"
