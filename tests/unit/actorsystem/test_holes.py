"""After holes are filled, what is made lies side by side, however scattered the free blocks were."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]

SCENE = """
import sys
from openclaw_actors.actorsystem.holes import fill_holes

size = int(sys.argv[1])
kept = [bytes(size - 33) for _ in range(20_000)]
scattered = [each for number, each in enumerate(kept) if number % 100]  # a hole here and there
del kept
if sys.argv[2] == "filled":
    fill_holes()
made = [bytes(size - 33) for _ in range(40)]
print(len({id(each) // 4096 for each in made}))
"""


def pages_of_what_is_made(size: int, how: str, **environment: str) -> int:
    """In an interpreter of its own: what this one has done does not count."""
    command = [sys.executable, "-c", SCENE, str(size), how]
    done = subprocess.run(
        command, capture_output=True, text=True, check=True, env={"PYTHONPATH": str(ROOT), **environment}
    )
    return int(done.stdout)


@pytest.mark.parametrize("size", [48, 176, 512])
def test_what_is_made_lies_together(size: int) -> None:
    room = 40 * size // 4096 + 3
    assert pages_of_what_is_made(size, "filled") <= room < pages_of_what_is_made(size, "as it is")


SIZES = """
from pathlib import Path
from openclaw_actors.actorsystem.holes import fill_holes

for _ in range(20):
    taken = fill_holes()
print(taken, Path("/proc/self/statm").read_text().split()[1])
"""


@pytest.mark.parametrize("allocator", ["pymalloc", "malloc"])
def test_it_takes_little_again_and_again_with_any_allocator(allocator: str) -> None:
    environment = {"PYTHONPATH": str(ROOT), "PYTHONMALLOC": allocator}
    done = subprocess.run(
        [sys.executable, "-c", SIZES], capture_output=True, text=True, check=True, env=environment
    )
    taken, resident_pages = map(int, done.stdout.split())
    assert taken <= 32 * 262_144 + 32 * 512
    assert resident_pages < 20_000
