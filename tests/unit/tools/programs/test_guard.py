"""What runs programs is killed, and none of its ancestors sweeps: the guard ends them."""

from __future__ import annotations

import subprocess
import sys
import time
import uuid
from pathlib import Path

import pytest

_OWNER = """
import asyncio, os, sys
from pathlib import Path
from openclaw_actors.actorsystem import become_subreaper
from openclaw_actors.tools.launch import ProgramLimits
from openclaw_actors.tools.programs import Programs

async def main(directory, command):
    programs = Programs(
        ProgramLimits(), workspace=Path(directory), scratch=Path(directory, "tmp"), environ=os.environ
    )
    await programs.run(["/bin/sh", "-c", command], timeout_s=0)

become_subreaper()
asyncio.run(main(*sys.argv[1:]))
"""


def holding(text: str, *, name: str) -> set[int]:
    """Processes with this text in their environment or their command line."""
    found = set()
    for path in Path("/proc").glob(f"[0-9]*/{name}"):
        try:
            if text.encode() in path.read_bytes():
                found.add(int(path.parent.name))
        except OSError:
            continue
    return found


@pytest.mark.parametrize("where", ["setsid", "nohup", "setsid env -i"])
def test_programs_end_with_what_runs_them_wherever_they_went(tmp_path: Path, where: str) -> None:
    mark = uuid.uuid4().hex
    command = f"MARK={mark} {where} sh -c 'sleep 1000; : {mark}' & echo > started; sleep 0.5; echo > seen; sleep 1000"
    owner = subprocess.Popen([sys.executable, "-c", _OWNER, str(tmp_path), command])
    deadline = time.monotonic() + 20
    while not (tmp_path / "seen").exists():  # by then a look has found even what hides
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert holding(mark, name="cmdline") - {owner.pid}
    owner.kill()
    owner.wait()
    deadline = time.monotonic() + 5
    while left := holding(mark, name="cmdline") | holding(mark, name="environ"):
        assert time.monotonic() < deadline, f"left: {left}"
        time.sleep(0.01)
