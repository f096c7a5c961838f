"""What reaches the disk, and in which order."""

from __future__ import annotations

import errno
from pathlib import Path

from openclaw_actors.store.boxes import Boxes, Due
from openclaw_actors.store.outbox_file import OutboxFile, read_boxes
from openclaw_actors.store.turns import TurnList, read_names
from openclaw_actors.store.writer import Job, Writer
from tests.unit.store.scene import Faults


class Scene:
    def __init__(self, root: Path) -> None:
        self.root = root
        (root / "sessions").mkdir()
        self.files = Faults()
        self.list = root / "open-turns.jsonl"
        turns = TurnList(self.list, self.files)
        turns.rewrite(())
        self.files.steps.clear()
        outbox = OutboxFile(root / "outbox.jsonl", self.files, Boxes(), 0)
        self.writer = Writer(self.files, turns, outbox, lambda jobs, seconds: None)

    def path(self, name: str) -> Path:
        return self.root / "sessions" / f"{name}.jsonl"

    def job(self, name: str, offset: int, data: bytes, **more: object) -> Job:
        return Job(self.path(name), offset, data, **more)  # type: ignore[arg-type]


def test_the_list_is_on_the_disk_before_a_journal_is_written_and_all_files_are_synced_together(
    tmp_path: Path,
) -> None:
    scene = Scene(tmp_path)
    jobs = [scene.job("a", 0, b"first a\n", opens="a"), scene.job("b", 0, b"first b\n", opens="b")]
    scene.writer.commit(jobs)
    assert scene.files.names("write", "flush", "flush directory") == [
        ("write", "open-turns.jsonl"),
        ("flush", "open-turns.jsonl"),
        ("write", "a.jsonl"),
        ("write", "b.jsonl"),
        ("flush", "a.jsonl"),
        ("flush", "b.jsonl"),
        ("flush directory", "sessions"),
    ]
    assert [job.error for job in jobs] == [None, None]
    assert [job.listed for job in jobs] == [True, True]


def test_a_file_that_exists_needs_no_sync_of_its_directory(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    scene.writer.commit([scene.job("a", 0, b"one\n")])
    scene.files.steps.clear()
    scene.writer.commit([scene.job("a", 4, b"two\n")])
    assert scene.files.steps == [("write", "a.jsonl"), ("flush", "a.jsonl")]
    assert scene.path("a").read_bytes() == b"one\ntwo\n"


def test_without_its_name_in_the_list_no_message_is_written(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    scene.files.fail("flush", errno.ENOSPC, path="open-turns", times=1)
    accepting, other = scene.job("a", 0, b"one\n", opens="a"), scene.job("b", 0, b"one\n")
    scene.writer.commit([accepting, other])
    assert (accepting.error is None, accepting.listed, other.error) == (False, False, None)
    assert not scene.path("a").exists()


def test_a_file_that_fails_fails_alone(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    scene.files.fail("flush", errno.EIO, path="a.jsonl")
    ill, well = scene.job("a", 0, b"one\n"), scene.job("b", 0, b"one\n")
    scene.writer.commit([ill, well])
    assert (ill.error is None, well.error) == (False, None)
    assert scene.path("a").read_bytes() == b""


def test_a_file_that_begins_anew_is_not_written_into_the_one_that_was_set_aside(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    scene.writer.commit([scene.job("a", 0, b"damaged later\n")])
    aside = scene.path("a").rename(tmp_path / "sessions" / "a.jsonl.quarantined-1")
    scene.writer.commit([scene.job("a", 0, b"new\n")])
    assert aside.read_bytes() == b"damaged later\n"
    assert scene.path("a").read_bytes() == b"new\n"


def test_the_list_is_written_in_the_order_of_what_happened(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    scene.writer.commit([scene.job("a", 0, b"1\n", opens="a"), scene.job("b", 0, b"1\n", opens="b")])
    scene.writer.commit(
        [
            Job(Path(), 0, b"", closes="a"),
            scene.job("a", 2, b"2\n", opens="a"),
            Job(Path(), 0, b"", closes="b"),
        ]
    )
    assert read_names(scene.list) == ({"a": None}, True)


def test_cutting_back_what_was_never_made_makes_nothing(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    job = scene.job("a", 0, b"", cut=True)
    scene.writer.commit([job])
    assert job.error is None
    assert not scene.path("a").exists()


def test_few_files_stay_open(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    before = len(list(Path("/proc/self/fd").iterdir()))
    scene.writer.commit([scene.job(f"s{index}", 0, b"1\n") for index in range(400)])
    assert len(list(Path("/proc/self/fd").iterdir())) <= before + 256
    again = [scene.job(f"s{index}", 2, b"2\n") for index in range(400)]
    scene.writer.commit(again)
    assert {job.error for job in again} == {None}
    assert scene.path("s0").read_bytes() == b"1\n2\n"


def test_an_error_that_nobody_thought_of_fails_the_commit_and_not_the_thread(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    job = scene.job("a", 0, "no bytes")  # type: ignore[arg-type]
    scene.writer.commit([job])
    assert job.error is not None


def test_that_a_reply_is_due_is_on_the_disk_before_the_reply(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    due = Due(session="sms:+1555", seq=3, after=2, at=1.0)
    job = scene.job("a", 0, b"reply\n", notes=(due,))
    scene.writer.commit([job])
    assert (job.error, job.noted) == (None, True)
    assert scene.files.names("write", "flush")[:3] == [
        ("write", "outbox.jsonl"),
        ("flush", "outbox.jsonl"),
        ("write", "a.jsonl"),
    ]
    box = read_boxes(tmp_path / "outbox.jsonl")[0].get("sms:+1555")
    assert box is not None
    assert (box.due, box.cursor) == (3, 2)


def test_a_reply_whose_notice_cannot_be_written_is_not_written_and_others_are(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    scene.files.fail("flush", errno.EIO, path="outbox", times=1)
    reply = scene.job("a", 0, b"reply\n", notes=(Due(session="sms:+1555", seq=3, after=2, at=1.0),))
    other = scene.job("b", 0, b"other\n")
    scene.writer.commit([reply, other])
    assert reply.error is not None
    assert not reply.noted
    assert not scene.path("a").exists()
    assert scene.path("b").read_bytes() == b"other\n"
    assert (tmp_path / "outbox.jsonl").read_bytes() == b""


def test_what_is_written_into_a_removed_file_is_not_stored(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    scene.writer.commit([scene.job("a", 0, b"one\n")])
    scene.path("a").unlink()
    job = scene.job("a", 4, b"two\n")
    scene.writer.commit([job])
    assert job.error is not None
    assert job.error.errno == errno.ENOENT
