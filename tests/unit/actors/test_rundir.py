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
def state_dir() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="oca-") as name:
        path = Path(name) / "state"
        rundir.prepare_state_dir(path)
        yield path


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


def test_state_and_run_directory_are_private(state_dir: Path) -> None:
    assert state_dir.stat().st_mode & 0o777 == 0o700
    assert (state_dir / "run").stat().st_mode & 0o777 == 0o700


def test_a_run_directory_open_to_others_is_closed(state_dir: Path) -> None:
    (state_dir / "run").chmod(0o755)
    rundir.prepare_state_dir(state_dir)
    assert (state_dir / "run").stat().st_mode & 0o777 == 0o700


def test_a_file_in_place_of_the_state_directory(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("mine")
    with pytest.raises(StateDirError, match="not a directory"):
        rundir.prepare_state_dir(path)
    with pytest.raises(StateDirError, match="not a directory"):
        rundir.prepare_state_dir(path / "below")
    assert path.read_text() == "mine"


def test_a_state_directory_of_another_user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 12345)
    with pytest.raises(StateDirError, match="another user"):
        rundir.prepare_state_dir(tmp_path)


def test_a_state_directory_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda *_: False)  # root may write everywhere, so it is told otherwise
    with pytest.raises(StateDirError, match="cannot write"):
        rundir.prepare_state_dir(tmp_path)


def test_the_second_lock_is_refused_and_the_first_stays(state_dir: Path) -> None:
    first, second = StateLock(state_dir), StateLock(state_dir)
    first.acquire()
    with pytest.raises(AlreadyRunning):
        second.acquire()
    with pytest.raises(AlreadyRunning):
        second.acquire()
    first.release()
    second.acquire()
    second.release()


def test_a_released_lock_leaves_no_file(state_dir: Path) -> None:
    lock = StateLock(state_dir)
    lock.acquire()
    lock.release()
    lock.release()
    assert list((state_dir / "run").iterdir()) == []


def test_a_lock_on_a_file_that_was_just_removed_does_not_count(
    state_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the opening and the locking, the last owner removed the file; somebody else may lock a new one."""
    path = state_dir / "run" / "lock"
    opened = []
    real_open = os.open

    def open_then_lose(*arguments: object) -> int:
        fd = real_open(*arguments)  # type: ignore[arg-type]
        if not opened:
            path.unlink()
        opened.append(fd)
        return fd

    monkeypatch.setattr(os, "open", open_then_lose)
    lock = StateLock(state_dir)
    lock.acquire()
    assert len(opened) == 2
    with pytest.raises(AlreadyRunning):
        StateLock(state_dir).acquire()
    lock.release()


def test_the_lock_of_a_dead_process_is_free(state_dir: Path) -> None:
    code = (
        "import sys, pathlib, os, signal\n"
        "from openclaw_actors.actors.rundir import StateLock\n"
        "StateLock(pathlib.Path(sys.argv[1])).acquire()\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    subprocess.run([sys.executable, "-c", code, str(state_dir)], check=False, timeout=20)
    assert (state_dir / "run" / "lock").exists()
    lock = StateLock(state_dir)
    lock.acquire()
    lock.release()


def test_a_record_is_read_back(state_dir: Path) -> None:
    record = make_record(state_dir / "run" / "b1", supervisor="/x/a1", ws="127.0.0.1:1", http="127.0.0.1:2")
    rundir.write_record(state_dir, record)
    assert rundir.read_record(state_dir) == record
    rundir.remove_record(state_dir)
    assert rundir.read_record(state_dir) is None
    assert list((state_dir / "run").iterdir()) == []


def test_a_record_of_a_dead_process_says_nothing(state_dir: Path) -> None:
    rundir.write_record(state_dir, make_record(state_dir, started_ticks=1))
    assert rundir.read_record(state_dir) is None
    child = subprocess.Popen([sys.executable, "-c", ""])
    record = make_record(state_dir, pid=child.pid)
    child.wait(20)
    rundir.write_record(state_dir, record)
    assert rundir.read_record(state_dir) is None


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"boot": 1}', b"\xff\xfe"])
def test_a_torn_record_says_nothing(state_dir: Path, content: bytes) -> None:
    (state_dir / "run" / "current.json").write_bytes(content)
    assert rundir.read_record(state_dir) is None


def test_no_state_directory_at_all(tmp_path: Path) -> None:
    assert rundir.read_record(tmp_path / "none") is None


def test_a_boot_directory_is_private_and_its_own(state_dir: Path) -> None:
    run_dir = rundir.make_boot_dir(state_dir, "b1", fits=lambda _: True)
    assert run_dir == state_dir / "run" / "b1"
    assert run_dir.stat().st_mode & 0o777 == 0o700
    with pytest.raises(StateDirError, match="exists"):
        rundir.make_boot_dir(state_dir, "b1", fits=lambda _: True)


def test_a_long_path_moves_the_sockets(state_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(state_dir.parent))
    run_dir = rundir.make_boot_dir(state_dir, "b1", fits=lambda path: not path.startswith(str(state_dir)))
    assert run_dir.parent == state_dir.parent
    assert run_dir.stat().st_mode & 0o777 == 0o700


def test_without_a_runtime_directory_the_temporary_one_serves(
    state_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(state_dir.parent / "none"))
    monkeypatch.setattr(tempfile, "tempdir", str(state_dir.parent))
    run_dir = rundir.make_boot_dir(state_dir, "b1", fits=lambda path: not path.startswith(str(state_dir)))
    assert run_dir.parent == state_dir.parent


def test_no_place_is_short_enough(state_dir: Path) -> None:
    with pytest.raises(StateDirError, match="too long"):
        rundir.make_boot_dir(state_dir, "b1", fits=lambda _: False)


def test_remains_of_dead_boots_go(state_dir: Path) -> None:
    moved = state_dir.parent / "openclaw-0-b2"
    for directory in (state_dir / "run" / "b1", moved):
        directory.mkdir()
        with socket.socket(socket.AF_UNIX) as dead:
            dead.bind(str(directory / "a1"))
    rundir.write_record(state_dir, make_record(moved, started_ticks=1))
    (state_dir / "run" / ".current.json.17").write_text("torn")
    rundir.clean_stale_boots(state_dir)
    assert list((state_dir / "run").iterdir()) == []
    assert not moved.exists()


def test_a_record_cannot_have_a_foreign_directory_removed(state_dir: Path) -> None:
    precious = state_dir.parent / "precious"
    precious.mkdir()
    rundir.write_record(state_dir, make_record(precious, started_ticks=1))
    rundir.clean_stale_boots(state_dir)
    assert precious.is_dir()


def test_a_living_orphan_is_ended(state_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rundir, "ORPHANS_END_WITHIN_S", 0.4)
    run_dir = state_dir / "run" / "b1"
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
        rundir.clean_stale_boots(state_dir)
        assert orphan.wait(5) == -9
    assert not run_dir.exists()
