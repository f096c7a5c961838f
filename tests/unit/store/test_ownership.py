"""One owner, also across processes; a format that is too new; directories that are not ours."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from openclaw_actors.store.failures import StoreCannotOpen
from openclaw_actors.store.files import Files
from openclaw_actors.store.ownership import StoreLock, check_format, prepare

HOLD = """
import sys
from pathlib import Path
from openclaw_actors.store.ownership import StoreLock
StoreLock(Path(sys.argv[1])).acquire(timeout_s=5)
print("held", flush=True)
sys.stdin.read()
"""


def test_another_process_is_told_that_the_store_is_in_use_until_its_owner_is_gone(tmp_path: Path) -> None:
    prepare(tmp_path)
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as owner:
        assert owner.stdout is not None
        assert owner.stdout.readline() == b"held\n"
        with pytest.raises(StoreCannotOpen) as caught:
            StoreLock(tmp_path).acquire(timeout_s=0.0)
        assert caught.value.code == "locked"
        owner.kill()
        lock = StoreLock(tmp_path)
        assert lock.acquire(timeout_s=20.0) == 2  # it waits for an owner who is dying
        lock.release()


def test_every_opening_has_a_number_of_its_own(tmp_path: Path) -> None:
    numbers = []
    for _ in range(3):
        lock = StoreLock(tmp_path)
        numbers.append(lock.acquire(timeout_s=1.0))
        lock.release()
    assert numbers == [1, 2, 3]


def test_an_unreadable_count_goes_on_above_all_earlier_ones(tmp_path: Path) -> None:
    (tmp_path / "store.lock").write_text("?????????????")
    lock = StoreLock(tmp_path)
    first = lock.acquire(timeout_s=1.0)
    lock.release()
    assert first > 1_000_000
    assert lock.acquire(timeout_s=1.0) == first + 1
    lock.release()


def test_the_lock_does_not_go_to_programs_that_are_started(tmp_path: Path) -> None:
    lock = StoreLock(tmp_path)
    lock.acquire(timeout_s=1.0)
    program = [sys.executable, "-c", "print(flush=True); input()"]
    with subprocess.Popen(program, stdin=subprocess.PIPE, stdout=subprocess.PIPE, close_fds=False) as child:
        assert child.stdout is not None
        child.stdout.readline()  # it runs: what it was not to have is closed
        lock.release()
        other = StoreLock(tmp_path)
        assert other.acquire(timeout_s=0.0) == 2
        other.release()
        child.kill()


@pytest.mark.parametrize("kind", ["directory", "link"])
def test_a_lock_that_is_no_file_is_refused(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "store.lock"
    if kind == "directory":
        path.mkdir()
    else:
        path.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(StoreCannotOpen):
        StoreLock(tmp_path).acquire(timeout_s=0.0)
    assert not (tmp_path / "elsewhere").exists()


def test_directories_are_ours_alone(tmp_path: Path) -> None:
    root = tmp_path / "a" / "memory"
    prepare(root)
    for path in (root, *root.iterdir()):
        assert path.stat().st_mode & 0o077 == 0, path


def test_a_store_of_a_newer_version_is_refused(tmp_path: Path) -> None:
    check_format(tmp_path, Files())
    check_format(tmp_path, Files())
    assert (tmp_path / "format").read_text() == "1\n"
    (tmp_path / "format").write_text("2\n")
    with pytest.raises(StoreCannotOpen, match="newer version") as caught:
        check_format(tmp_path, Files())
    assert caught.value.code == "configuration"


def test_a_format_that_is_no_number_is_named(tmp_path: Path) -> None:
    (tmp_path / "format").write_text("one")
    with pytest.raises(StoreCannotOpen, match="format says no format number"):
        check_format(tmp_path, Files())


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a directory away")
def test_somebody_elses_directory_is_refused(tmp_path: Path) -> None:
    root = tmp_path / "memory"
    root.mkdir()
    os.chown(root, 12_345, 12_345)
    with pytest.raises(StoreCannotOpen, match="belongs to user 12345"):
        prepare(root)
