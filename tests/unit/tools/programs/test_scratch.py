"""Temporary directories are private, and gone when their program is, whatever it made of them."""

from __future__ import annotations

import asyncio
import os
import stat
import subprocess
from pathlib import Path

from openclaw_actors.tools.scratch import Scratch


def test_a_directory_is_private_and_taken_back_with_all_that_is_in_it(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "keep").write_text("x")

    async def scene() -> None:
        scratch = Scratch(tmp_path / "tmp")
        path = await scratch.make()
        assert stat.S_IMODE(path.stat().st_mode) == stat.S_IMODE(path.parent.stat().st_mode) == 0o700
        (path / "a" / "b").mkdir(parents=True)
        for number in range(500):
            (path / "a" / str(number)).touch()
        (path / "link").symlink_to(outside)
        (path / "a" / "link").symlink_to(outside / "keep")
        (path / "a").chmod(0)
        await scratch.remove(path)
        assert not path.exists()

    asyncio.run(scene())
    assert (outside / "keep").read_text() == "x"


def test_an_empty_one_is_used_again_and_not_shared(tmp_path: Path) -> None:
    async def scene() -> None:
        scratch = Scratch(tmp_path)
        first = await scratch.make()
        assert await scratch.make() != first
        first.chmod(0o777)
        await scratch.remove(first)
        again = await scratch.make()
        assert again == first
        assert stat.S_IMODE(again.stat().st_mode) == 0o700

    asyncio.run(scene())


def test_those_of_dead_sessions_are_removed_and_those_of_living_ones_stay(tmp_path: Path) -> None:
    process = subprocess.Popen(["true"])
    process.wait()
    dead, living = tmp_path / f"{process.pid}-x", tmp_path / f"{os.getppid()}-x"
    for path in (dead, living):
        (path / "d").mkdir(parents=True)

    asyncio.run(_make(tmp_path))
    assert not dead.exists()
    assert living.exists()


async def _make(root: Path) -> None:
    await Scratch(root).make()
