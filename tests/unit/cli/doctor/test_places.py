"""Modes, owners, room and file systems: the fault is made for real where that is possible here."""

from __future__ import annotations

import os
import stat
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from openclaw_actors.cli.doctor import disk, state
from openclaw_actors.cli.doctor.runner import Checked, repaired
from tests.unit.cli.doctor.world import World, levels, told


@pytest.fixture
def small_disk() -> Iterator[Path]:
    """A real file system of four megabytes and two hundred files."""
    directory = Path(tempfile.mkdtemp(prefix="oca-disk-"))
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=4m,nr_inodes=60", "tmpfs", str(directory)],
        capture_output=True,
        check=False,
    )
    if mounted.returncode != 0:
        directory.rmdir()
        pytest.skip("a file system can only be mounted by root")
    yield directory
    subprocess.run(["umount", "-l", str(directory)], check=True)
    directory.rmdir()


def test_a_new_state_directory_is_no_problem(world: World) -> None:
    assert levels(world.see(state.look)) == {"info"}


def test_one_that_cannot_be_made_is(world: World) -> None:
    context = world.context()
    world.state.write_text("a file")
    found = world.see(state.look, context)
    assert f"{world.state} is not a directory" in told(found, "error")


def test_modes_are_found_and_repaired(world: World) -> None:
    world.make("logs", "memory", "memory/sessions", "run")
    (world.state / "memory").chmod(0o750)
    (world.state / "run").chmod(0o777)
    log = world.state / "logs" / "gateway.log"
    log.write_text("")
    log.chmod(0o644)
    found = world.see(state.look)
    assert f"{world.state}/run has the mode 0777: others can change it" in told(found, "error")
    assert f"{world.state}/memory has the mode 0750: others can read it" in told(found, "warning")
    assert f"{log} has the mode 0644" in told(found, "warning")

    done = [repaired(Checked("state", each)) for each in found]
    assert sorted(each.fixed for each in done if each.fixed) == sorted(
        [f"chmod 700 {world.state}/memory", f"chmod 700 {world.state}/run", f"chmod 600 {log}"]
    )
    assert levels(world.see(state.look)) == {"ok"}
    assert stat.S_IMODE((world.state / "run").stat().st_mode) == 0o700


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_what_belongs_to_somebody_else_is_told_and_left_alone(world: World) -> None:
    world.make("logs", "memory")
    os.chown(world.state / "memory", 12_345, 12_345)
    (world.state / "memory").chmod(0o777)
    (world.state / "logs" / "gateway.log").write_text("")
    os.chown(world.state / "logs" / "gateway.log", 12_345, 12_345)
    found = world.see(state.look)
    assert "memory belongs to the user 12345" in told(found, "error")
    assert "gateway.log belongs to the user 12345" in told(found, "error")
    assert all(each.repair is None for each in found)


def test_a_long_path_moves_the_sockets(world: World) -> None:
    world.state = world.root / ("long" * 25)
    assert "sockets are in" in told(world.see(state.look), "info")


def test_a_full_disk(world: World, small_disk: Path) -> None:
    world.configure({"memory": {"storage_path": str(small_disk / "memory")}})
    found = world.see(disk.look)
    assert "are free for the store" in told(found, "error")
    assert "more files can be made" in told(found, "error")
    assert "lies on tmpfs" in told(found, "warning")
    assert "in memory" in told(found, "warning")


def test_a_disk_that_was_mounted_read_only(world: World, small_disk: Path) -> None:
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    world.configure({"memory": {"storage_path": str(small_disk)}})
    assert "read-only" in told(world.see(disk.look), "error")


@pytest.mark.parametrize(
    ("kind", "level", "text"),
    [
        ("nfs4", "warning", "file system of the network"),
        ("fuse.sshfs", "warning", "file system of the network"),
        ("vfat", "error", "knows no owners"),
        ("overlay", "warning", "the layer of a container"),
        ("ext4", "ok", "are free"),
    ],
)
def test_kinds_of_file_systems(world: World, kind: str, level: str, text: str) -> None:
    real = os.path.realpath(world.root)
    world.kernel(
        self__mountinfo=(
            "20 1 8:1 / / rw,relatime - ext4 /dev/root rw\n"
            f"30 20 0:40 / {real} rw,noatime shared:1 - {kind} server:/export rw\n"
            f"31 20 0:41 / {real}-other ro - ext4 /dev/x ro\n"
        )
    )
    found = world.see(disk.look, proc=world.proc)
    assert text in told(found, level)
