"""Decides how a test runs programs: below this process, which adopts what they leave, and nothing of which is left."""

from __future__ import annotations

__all__ = ["MakePrograms", "make_programs"]

import asyncio
import ctypes
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from openclaw_actors.proctree import children_of
from openclaw_actors.tools.launch import ProgramLimits
from openclaw_actors.tools.programs import Programs

MakePrograms = Callable[..., Programs]

_PR_SET_CHILD_SUBREAPER = 36


@pytest.fixture
def make_programs(tmp_path: Path) -> Iterator[MakePrograms]:
    """A function that makes `Programs` in `tmp_path`; keyword arguments are those of `ProgramLimits`."""
    libc = ctypes.CDLL(None)
    libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    before = children_of(os.getpid())
    made: list[Programs] = []

    def make(
        *, environ: dict[str, str] | None = None, passed: tuple[str, ...] = (), **limits: int
    ) -> Programs:
        programs = Programs(
            ProgramLimits(**limits),
            workspace=tmp_path / "workspace",
            scratch=tmp_path / "tmp",
            environ=os.environ if environ is None else environ,
            passed=passed,
            spare=lambda: before,
        )
        made.append(programs)
        return programs

    yield make
    for programs in made:
        asyncio.run(programs.close())
    left = children_of(os.getpid()) - before
    libc.prctl(_PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0)
    assert not left, f"left behind: {left}"
    assert not list((tmp_path / "tmp").glob("*")), "a temporary directory is left"
