"""Programs end with their call, with all that they have started, and what they printed is told honestly."""

from __future__ import annotations

import asyncio
import os
import resource
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from openclaw_actors.proctree import descendants
from openclaw_actors.tools.base import ToolFailed
from openclaw_actors.tools.programs import Ended, Programs
from tests.unit.tools.programs.conftest import MakePrograms

FOREVER = "sleep 1000"
LEAVINGS = {
    "in the background": f"{FOREVER} & echo ready",
    "nohup": f"nohup {FOREVER} >/dev/null 2>&1 & echo ready",
    "setsid": f"setsid {FOREVER} & echo ready",
    "double fork": f"( setsid sh -c '{FOREVER} & {FOREVER}' & ) ; echo ready",
    "without its environment": f"env -i setsid {FOREVER} & echo ready",
    "that ignores SIGTERM": f"trap '' TERM; {FOREVER} & echo ready",
    "that is stopped": f"{FOREVER} & kill -STOP $!; echo ready",
}


async def sh(programs: Programs, command: str, *, timeout_s: float = 20.0, **options: object) -> Ended:
    return await programs.run(["/bin/sh", "-c", command], timeout_s=timeout_s, **options)  # type: ignore[arg-type]


def ours(programs: Programs) -> set[int]:
    """What lives below this process besides the guard and what was there before."""
    return descendants() - set(programs._spare()) - programs._guard.pids


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(10.0):
        while not condition():  # noqa: ASYNC110 - nothing tells of it
            await asyncio.sleep(0.01)


# What it gives


def test_a_program_gives_its_code_and_its_output(make_programs: MakePrograms) -> None:
    ended = asyncio.run(sh(make_programs(), "echo out; echo err >&2; exit 3"))
    assert (ended.cause, ended.code) == ("exited", 3)
    assert (ended.stdout.text(), ended.stderr.text()) == ("out\n", "err\n")


def test_a_signal_is_told_as_a_shell_tells_it(make_programs: MakePrograms) -> None:
    assert asyncio.run(sh(make_programs(), "kill -SEGV $$")).code == 139


@pytest.mark.parametrize("last", ["the last line\n", "no newline at its end"])
def test_the_last_line_is_always_there(make_programs: MakePrograms, last: str) -> None:
    programs = make_programs()

    async def scene() -> None:
        for _ in range(20):
            ended = await programs.run(["printf", "%s", f"first\n{last}"], timeout_s=20.0)
            assert ended.stdout.text() == f"first\n{last}"

    asyncio.run(scene())


def test_what_still_writes_a_moment_after_the_end_is_read(make_programs: MakePrograms) -> None:
    ended = asyncio.run(sh(make_programs(), "(sleep 0.05; echo late) & echo early"))
    assert ended.stdout.text() == "early\nlate\n"


def test_100_megabytes_are_read_to_the_end_in_little_memory(make_programs: MakePrograms) -> None:
    command = "echo first; head -c 100000000 /dev/zero | tr '\\0' x; echo; echo last"
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    ended = asyncio.run(sh(make_programs(), command))
    grown_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    text = ended.stdout.text()
    assert (ended.cause, ended.code) == ("exited", 0)
    assert text.startswith("first\nxxx")
    assert text.endswith("xxx\nlast\n")
    assert f"[… {100_000_012 - 65_536} bytes left out …]" in text
    assert grown_kb < 8_192


def test_what_cannot_be_started_says_why(make_programs: MakePrograms, tmp_path: Path) -> None:
    programs = make_programs()
    with pytest.raises(ToolFailed, match="No such file"):
        asyncio.run(programs.run(["true"], timeout_s=1.0, cwd=tmp_path / "nowhere"))
    with pytest.raises(ToolFailed, match="null byte"):
        asyncio.run(programs.run(["echo", "a\0b"], timeout_s=1.0))
    assert asyncio.run(programs.run(["/nonexistent"], timeout_s=5.0)).code == 127


# What it gets


def test_the_environment_is_an_allow_list(make_programs: MakePrograms) -> None:
    environ = {
        "PATH": os.environ["PATH"],
        "HOME": "/home/x",
        "LC_TIME": "C",
        "OPENAI_API_KEY": "secret",
        "SSH_AUTH_SOCK": "/s",
    }
    said = asyncio.run(sh(make_programs(environ=environ, passed=("SSH_AUTH_SOCK",)), "env")).stdout.text()
    assert "HOME=/home/x" in said
    assert "LC_TIME=C" in said
    assert "SSH_AUTH_SOCK=/s" in said
    assert "secret" not in said
    without = asyncio.run(sh(make_programs(environ=environ), "env")).stdout.text()
    assert "SSH_AUTH_SOCK" not in without


def test_it_runs_in_the_workspace_with_an_own_temporary_directory(
    make_programs: MakePrograms, tmp_path: Path
) -> None:
    ended = asyncio.run(sh(make_programs(), 'pwd; echo "$TMPDIR"; stat -c %a "$TMPDIR"; touch "$TMPDIR/x"'))
    workspace, temporary, mode = ended.stdout.text().split()
    assert workspace == str(tmp_path / "workspace")
    assert Path(temporary).parent == tmp_path / "tmp"
    assert mode == "700"
    assert not Path(temporary).exists()


def test_stdin_is_at_its_end(make_programs: MakePrograms) -> None:
    assert asyncio.run(sh(make_programs(), "cat; echo done")).stdout.text() == "done\n"


def test_a_stdin_that_is_kept_ends_with_the_call(make_programs: MakePrograms) -> None:
    ended = asyncio.run(sh(make_programs(), "cat; echo done", keeps_stdin=True, timeout_s=0.3))
    assert ended.cause == "timeout"


def test_no_descriptor_of_ours_is_inherited(make_programs: MakePrograms) -> None:
    assert asyncio.run(sh(make_programs(), "ls /proc/self/fd")).stdout.text().split() == ["0", "1", "2", "3"]


def test_the_kernel_limits_a_program(make_programs: MakePrograms) -> None:
    programs = make_programs(file_mb=1, memory_mb=64)
    ended = asyncio.run(sh(programs, "ulimit -c; ulimit -d; head -c 9999999 /dev/zero > big; stat -c %s big"))
    assert ended.stdout.text().split() == ["0", "65536", str(1024 * 1024)]


# How it ends


@pytest.mark.parametrize("name", LEAVINGS)
def test_nothing_is_left_of_what_it_leaves(make_programs: MakePrograms, name: str) -> None:
    programs = make_programs()

    async def scene() -> None:
        ended = await sh(programs, LEAVINGS[name])
        assert (ended.cause, ended.stdout.text()) == ("exited", "ready\n")
        assert ours(programs) == set()

    asyncio.run(scene())


@pytest.mark.parametrize(
    "command",
    [
        FOREVER,
        f"trap '' TERM; {FOREVER}; {FOREVER}",
        "kill -STOP $$",
        f"setsid {FOREVER} & {FOREVER}",
        "while :; do :; done",
        "yes",
        "exec >&- 2>&-; sleep 1000",
    ],
)
def test_a_call_that_is_cancelled_leaves_nothing_within_a_second(
    make_programs: MakePrograms, command: str
) -> None:
    programs = make_programs()

    async def scene() -> None:
        call = asyncio.ensure_future(sh(programs, command, timeout_s=0))
        await until(lambda: len(programs) == 1)
        await asyncio.sleep(0.05)  # in whatever state it is by now
        began = time.monotonic()
        call.cancel()
        await asyncio.wait({call})
        assert call.cancelled()
        assert ours(programs) == set()
        assert time.monotonic() - began < 10
        assert len(programs) == 0

    asyncio.run(scene())


def test_one_that_is_cancelled_twice_does_not_get_its_time_to_end(make_programs: MakePrograms) -> None:
    programs = make_programs()

    async def scene() -> None:
        call = asyncio.ensure_future(sh(programs, "trap '' TERM; echo; sleep 1000; sleep 1000", timeout_s=0))
        await until(lambda: len(programs) == 1)
        await asyncio.sleep(0.05)
        call.cancel()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        call.cancel()
        await asyncio.wait({call})
        assert ours(programs) == set()

    asyncio.run(scene())


def test_a_program_may_say_something_when_its_time_is_over(make_programs: MakePrograms) -> None:
    command = "trap 'echo cleaned up; exit 0' TERM; echo started; while :; do sleep 0.02; done"
    ended = asyncio.run(sh(make_programs(), command, timeout_s=0.3))
    assert ended.cause == "timeout"
    assert ended.stdout.text() == "started\ncleaned up\n"


def test_too_many_processes_are_ended(make_programs: MakePrograms) -> None:
    programs = make_programs(processes=20)

    async def scene() -> None:
        ended = await sh(programs, "for i in $(seq 40); do sleep 1000 & done; wait")
        assert ended.cause == "processes"
        assert ours(programs) == set()

    asyncio.run(scene())


def test_too_much_memory_of_several_processes_is_ended(make_programs: MakePrograms) -> None:
    eat = "head -c 50000000 /dev/zero | tail -c 50000000 | sleep 1000"
    ended = asyncio.run(sh(make_programs(memory_mb=100), f"{eat} & {eat} & {eat} & wait"))
    assert ended.cause == "memory"


def test_programs_beside_each_other_end_each_for_itself(make_programs: MakePrograms) -> None:
    programs = make_programs()

    async def scene() -> None:
        long = asyncio.ensure_future(sh(programs, "(setsid sh -c 'sleep 0.6; echo mine' &); sleep 0.8"))
        await until(lambda: len(programs) == 1)
        await asyncio.sleep(0.2)
        await sh(programs, f"setsid {FOREVER} & echo")
        assert (await long).stdout.text() == "mine\n"
        assert ours(programs) == set()

    asyncio.run(scene())


def test_descriptors_do_not_grow(make_programs: MakePrograms) -> None:
    programs = make_programs()

    async def scene() -> None:
        await sh(programs, "true")
        before = len(os.listdir("/proc/self/fd"))
        for _ in range(5):
            await sh(programs, f"{FOREVER} & echo")
            await sh(programs, FOREVER, timeout_s=0.05)
        assert len(os.listdir("/proc/self/fd")) == before

    asyncio.run(scene())


def test_a_guard_that_was_killed_is_replaced(make_programs: MakePrograms) -> None:
    programs = make_programs()

    async def scene() -> None:
        call = asyncio.ensure_future(sh(programs, FOREVER, timeout_s=0))
        await until(lambda: programs._guard.pids)
        (first,) = programs._guard.pids
        os.kill(first, signal.SIGKILL)
        await until(lambda: programs._guard.pids - {first})
        call.cancel()
        await asyncio.wait({call})

    asyncio.run(scene())
