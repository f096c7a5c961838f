from __future__ import annotations

import errno
from pathlib import Path

import pytest

from openclaw_actors.messages.outbox import Delivery
from openclaw_actors.store.boxes import Boxes, Due, Step
from openclaw_actors.store.files import Files
from openclaw_actors.store.outbox_file import OutboxFile, read_boxes
from tests.unit.store.scene import Faults


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "outbox.jsonl"


def due(session: str, seq: int = 3) -> Due:
    return Due(session=session, seq=seq, after=seq - 1, at=1_000.0)


def sent(session: str, seq: int = 3) -> Step:
    delivery = Delivery(session=session, seq=seq, state="sent", at=1_000.0, since=1_000.0, done=True)
    return Step(session=session, delivery=delivery)


def undelivered(path: Path) -> list[str]:
    return [session for session, box in read_boxes(path)[0].items() if box.undelivered]


def test_a_file_that_is_not_there_says_nothing(path: Path) -> None:
    boxes, length, damaged = read_boxes(path)
    assert (len(boxes), length, damaged) == (0, 0, False)


def test_every_truncation_says_what_was_written_before_it(path: Path) -> None:
    OutboxFile(path, Files(), Boxes(), 0).write([due("sms:+1"), due("sms:+2"), sent("sms:+1")])
    data = path.read_bytes()
    expected = [[], ["sms:+1"], ["sms:+1", "sms:+2"], ["sms:+2"]]
    for length in range(len(data) + 1):
        path.write_bytes(data[:length])
        assert undelivered(path) == expected[data[:length].count(b"\n")]
        assert not read_boxes(path)[2]


def test_a_torn_end_is_cut_off_by_the_next_line(path: Path) -> None:
    OutboxFile(path, Files(), Boxes(), 0).write([due("sms:+1")])
    with path.open("ab") as file:
        file.write(path.read_bytes()[:-5] + b"x" * 1_000)
    boxes, length, damaged = read_boxes(path)
    assert not damaged
    OutboxFile(path, Files(), boxes, length).write([due("sms:+2")])
    assert undelivered(path) == ["sms:+1", "sms:+2"]
    assert not read_boxes(path)[2]


def test_a_line_that_was_written_wrongly_in_the_middle_is_damage(path: Path) -> None:
    OutboxFile(path, Files(), Boxes(), 0).write([due("sms:+1"), due("sms:+2")])
    path.write_bytes(path.read_bytes().replace(b"sms:+1", b"sms:+9"))
    assert undelivered(path) == ["sms:+2"]
    assert read_boxes(path)[2]


@pytest.mark.parametrize("step", ["write", "flush"])
@pytest.mark.parametrize("cuts", [True, False])
def test_what_was_refused_is_never_read_again(path: Path, step: str, cuts: bool) -> None:
    files = Faults()
    file = OutboxFile(path, files, Boxes(), 0)
    file.write([due("sms:+1")])
    files.fail(step, errno.ENOSPC, times=1)
    if not cuts:
        files.fail("cut", errno.EIO, times=1)  # the power does not fail, but the disk does once more
    with pytest.raises(OSError, match="No space"):
        file.write([due("sms:+2"), due("sms:+4")])
    if cuts:
        assert undelivered(path) == ["sms:+1"]
    file.write([due("sms:+3")])
    assert undelivered(path) == ["sms:+1", "sms:+3"]


def test_the_file_of_a_gateway_that_runs_for_weeks_stays_short(path: Path) -> None:
    file = OutboxFile(path, Files(sync=False), Boxes(), 0, compact_bytes=4_000)
    file.write([due("sms:+stays")])
    for seq in range(4, 2_000):
        file.write([due("sms:+1", seq), sent("sms:+1", seq)])
        assert path.stat().st_size <= 4_600
    assert undelivered(path) == ["sms:+stays"]


def test_a_file_that_cannot_be_compacted_goes_on(path: Path) -> None:
    files = Faults(sync=False)
    file = OutboxFile(path, files, Boxes(), 0, compact_bytes=100)
    files.fail("rename", errno.ENOSPC)
    for seq in range(4, 40):
        file.write([due("sms:+1", seq), sent("sms:+1", seq)])
    file.write([due("sms:+2")])
    assert undelivered(path) == ["sms:+2"]
