"""Checks who may run on a state directory, what others can read of it, and that a dead boot's remains go."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from openclaw_actors.actors import rundir
from openclaw_actors.actors.rundir import RunRecord, StateLock
from openclaw_actors.errors import AlreadyRunning, StateDirError


@pytest.fixture
def run() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="oca-") as name:
        yield Path(name)


def make_record(run_dir: Path, *, pid: int | None = None, **fields: object) -> RunRecord:
    pid = pid or os.getpid()
    ticks = rundir.process_start_ticks(pid) or 0
    values = {
        "boot": "b1",
        "pid": pid,
        "started_ticks": ticks,
        "run_dir": str(run_dir),
        "state": "ready",
        **fields,
    }
    return RunRecord(**values)  # type: ignore[arg-type]


def test_the_second_lock_is_refused_and_the_first_stays(run: Path) -> None:
    first, second = StateLock(run), StateLock(run)
    first.acquire()
    with pytest.raises(AlreadyRunning):
        second.acquire()
    with pytest.raises(AlreadyRunning):
        second.acquire()
    first.release()
    second.acquire()
    second.release()


def test_a_released_lock_leaves_no_file(run: Path) -> None:
    lock = StateLock(run)
    lock.acquire()
    lock.release()
    lock.release()
    assert list(run.iterdir()) == []


def test_a_lock_on_a_file_that_was_just_removed_does_not_count(
    run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the opening and the locking, the last owner removed the file; somebody else may lock a new one."""
    path = run / "lock"
    opened = []
    real_open = os.open

    def open_then_lose(*arguments: object) -> int:
        fd = real_open(*arguments)  # type: ignore[arg-type]
        if not opened:
            path.unlink()
        opened.append(fd)
        return fd

    monkeypatch.setattr(os, "open", open_then_lose)
    lock = StateLock(run)
    lock.acquire()
    assert len(opened) == 2
    with pytest.raises(AlreadyRunning):
        StateLock(run).acquire()
    lock.release()


def test_the_lock_of_a_dead_process_is_free(run: Path) -> None:
    code = (
        "import sys, pathlib, os, signal\n"
        "from openclaw_actors.actors.rundir import StateLock\n"
        "StateLock(pathlib.Path(sys.argv[1])).acquire()\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    subprocess.run([sys.executable, "-c", code, str(run)], check=False, timeout=20)
    assert (run / "lock").exists()
    lock = StateLock(run)
    lock.acquire()
    lock.release()


def test_a_record_is_read_back(run: Path) -> None:
    record = make_record(run / "b1", supervisor="/x/a1", ws="127.0.0.1:1", http="127.0.0.1:2")
    rundir.write_record(run, record)
    assert rundir.read_record(run) == record
    rundir.remove_record(run)
    assert rundir.read_record(run) is None
    assert list(run.iterdir()) == []


def test_a_record_of_a_dead_process_says_nothing(run: Path) -> None:
    rundir.write_record(run, make_record(run, started_ticks=1))
    assert rundir.read_record(run) is None
    child = subprocess.Popen([sys.executable, "-c", ""])
    record = make_record(run, pid=child.pid)
    child.wait(20)
    rundir.write_record(run, record)
    assert rundir.read_record(run) is None


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"boot": 1}', b"\xff\xfe"])
def test_a_torn_record_says_nothing(run: Path, content: bytes) -> None:
    (run / "current.json").write_bytes(content)
    assert rundir.read_record(run) is None


def test_no_runectory_at_all(tmp_path: Path) -> None:
    assert rundir.read_record(tmp_path / "none") is None


def test_a_boot_directory_is_private_and_its_own(run: Path) -> None:
    run_dir = rundir.make_boot_dir(run, "b1")
    assert run_dir == run / "b1"
    assert run_dir.stat().st_mode & 0o777 == 0o700
    with pytest.raises(StateDirError, match="exists"):
        rundir.make_boot_dir(run, "b1")


def test_remains_of_dead_boots_go(run: Path) -> None:
    (run / "b1").mkdir()
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(run / "b1" / "a1"))
    rundir.write_record(run, make_record(run / "b1", started_ticks=1))
    (run / ".current.json.17").write_text("torn")
    rundir.clean_stale_boots(run)
    assert list(run.iterdir()) == []


def test_a_living_orphan_is_ended(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rundir, "ORPHANS_END_WITHIN_S", 2.0)
    run_dir = run / "b1"
    run_dir.mkdir()
    code = (
        "import socket, sys, time\n"
        "s = socket.socket(socket.AF_UNIX); s.bind(sys.argv[1]); s.listen(); print('up', flush=True)\n"
        "time.sleep(60)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(run_dir / "a1")], stdout=subprocess.PIPE
    ) as orphan:
        assert orphan.stdout is not None
        assert orphan.stdout.readline() == b"up\n"
        # A zombie holds no socket any more, so the test need not reap it for the clean-up to end.
        rundir.clean_stale_boots(run)
        assert orphan.wait(5) == -9
    assert not run_dir.exists()


def test_an_orphan_that_just_closed_a_descriptor_is_seen_all_the_same(
    run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that vanished between the listing and the look at it says nothing about the others."""
    code = (
        "import socket, sys, time\n"
        "s = socket.socket(socket.AF_UNIX); s.bind(sys.argv[1]); s.listen(); print('up', flush=True)\n"
        "time.sleep(60)\n"
    )
    with subprocess.Popen([sys.executable, "-c", code, str(run / "a1")], stdout=subprocess.PIPE) as orphan:
        assert orphan.stdout is not None
        assert orphan.stdout.readline() == b"up\n"
        real_listdir = os.listdir

        def with_one_that_is_gone(path: str) -> list[str]:
            names = real_listdir(path)
            return ["99999", *names] if path == f"/proc/{orphan.pid}/fd" else names

        monkeypatch.setattr(os, "listdir", with_one_that_is_gone)
        assert rundir.socket_holders(run) == {orphan.pid}
        orphan.kill()


@pytest.mark.parametrize("pid", [-1, 0, 10**30, 2**22 + 1])
def test_a_record_with_an_impossible_pid_says_nothing(run: Path, pid: int) -> None:
    (run / "current.json").write_text(
        f'{{"boot":"b","pid":{pid},"started_ticks":1,"run_dir":"/x","state":"ready"}}'
    )
    assert rundir.read_record(run) is None


def test_a_lock_whose_file_was_removed_is_taken_again(run: Path) -> None:
    lock = StateLock(run)
    lock.acquire()
    (run / "lock").unlink()
    run.rmdir()
    lock.keep()
    with pytest.raises(AlreadyRunning):
        StateLock(run).acquire()


def test_a_lock_that_another_took_when_its_file_was_removed_is_not_taken_back(run: Path) -> None:
    lock, other = StateLock(run), StateLock(run)
    lock.acquire()
    (run / "lock").unlink()
    other.acquire()
    with pytest.raises(AlreadyRunning):
        lock.keep()
    assert not lock.held
    lock.release()
    assert (run / "lock").exists()
