"""Measures tools with the real gateway: what one costs a turn, many at once, much output, and how fast it stops."""

from __future__ import annotations

__all__ = ["measure_tools"]

import asyncio
import json
import os
import signal
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.gateway import Gateway
from benchmarks.people import Person, people
from benchmarks.processes import Tree
from benchmarks.table import Row, median

_CONFIG: dict[str, Any] = {
    "tooling": {
        "allow_shell": True,
        "require_tool_approval": True,
        "approval_required_tools": ["project_memory"],
    },
    "supervision": {"max_restarts": 1_000},
}
_MAX_ROUND_TRIP_MS = 10.0
_SLEEPERS = 50
_MAX_SPREAD_S = 3.0
_PRINTED_BYTES = 100_000_000
_MAX_GROWTH_MB = 30.0
_MAX_STOP_S = 1.0
_SLEEP = "54321.25"
"""A number that no other program sleeps for."""
_CLEAR_PEAK = "5"


def _tool(name: str, **arguments: object) -> str:
    return f"/demo tool {name} {json.dumps(arguments)}"


def measure_tools(directory: Path, *, turns: int, runs: int, stops: int) -> tuple[list[Row], str]:
    """Everything about tools.

    Args:
        turns: of each kind, for the round trip.
        runs: how often fifty sleep, and how often much is printed.
        stops: in each state.

    Returns:
        The rows, and a table of how long a stop takes in each state.
    """
    config = {**_CONFIG, "workspace": str(directory / "workspace")}
    with Gateway(directory / "gateway", config) as gateway:
        rows = asyncio.run(_round_trips(gateway, turns))
        rows += asyncio.run(_sleepers(gateway, runs))
        rows += asyncio.run(_printers(gateway, runs))
        stopped, table = asyncio.run(_stops(gateway, stops))
    return rows + stopped, table


async def _round_trips(gateway: Gateway, turns: int) -> list[Row]:
    plain: list[float] = []
    noted: list[float] = []
    run: list[float] = []
    kinds = (
        ("hi", plain),
        (_tool("memory", action="read", key="k"), noted),
        (_tool("shell", command=":"), run),
    )
    async with people(gateway.url, 1, prefix="round-trip-") as (person,):
        for text, _ in kinds:
            await person.turn(text)
        for _ in range(turns):  # in turn, so that a slow moment of the machine is everybody's
            for text, times in kinds:
                seconds, done = await person.turn(text)
                if done["status"] != "completed":
                    raise RuntimeError(f"the turn was not completed: {done}")
                times.append(seconds * 1e3)
    return [
        Row(
            name="a tool call adds to a turn, its own time included, p50",
            value=median(noted) - median(plain),
            unit="ms",
            target=_MAX_ROUND_TRIP_MS,
            beside=f"`memory`; a turn without {median(plain):.1f} ms",
            digits=2,
        ),
        Row(
            name="the same with a program (`shell`)",
            value=median(run) - median(plain),
            unit="ms",
            digits=2,
        ),
    ]


async def _sleepers(gateway: Gateway, runs: int) -> list[Row]:
    spreads: list[float] = []
    lasts: list[float] = []
    text = _tool("shell", command="sleep 1")
    async with people(gateway.url, _SLEEPERS, prefix="sleeper-") as all_:
        for _ in range(runs):  # the first one also forks the sessions
            took = [seconds for seconds, _ in await asyncio.gather(*(each.turn(text) for each in all_))]
            spreads.append(max(took) - min(took))
            lasts.append(max(took))
    return [
        Row(
            name=f"{_SLEEPERS} sessions run `sleep 1`, from the first end to the last",
            value=max(spreads),
            unit="s",
            target=_MAX_SPREAD_S,
            runs=spreads,
            beside=f"the worst; all had ended after {max(lasts):.1f} s",
            digits=2,
        )
    ]


async def _printers(gateway: Gateway, runs: int) -> list[Row]:
    grew: list[float] = []
    async with people(gateway.url, runs, prefix="printer-") as all_:
        for person in all_:
            before = set(_sessions(gateway.tree))
            await person.turn("hi")
            (pid,) = set(_sessions(gateway.tree)) - before
            resident = _status_mb(pid, "VmRSS")
            _forget_peak(pid)
            text = _tool("shell", command=f"yes | head -c {_PRINTED_BYTES}")
            await person.say(text)
            result = await person.hear("tool_result")
            if result["status"] != "ok" or "[truncated]" not in result["text"]:
                raise RuntimeError(f"it did not end as it should: {result['status']} {result['text'][-200:]}")
            await person.hear("turn_done")
            grew.append(_status_mb(pid, "VmHWM") - resident)
    return [
        Row(
            name="a command prints 100 MB: the session's memory at its peak, above before",
            value=max(grew),
            unit="MB",
            target=_MAX_GROWTH_MB,
            runs=grew,
            beside="ends with 0, truncated",
        )
    ]


@dataclass(frozen=True)
class _Scene:
    """One session, and how to find its process."""

    person: Person
    tree: Tree
    others: frozenset[int]
    """Processes of other sessions."""

    @property
    def pid(self) -> int:
        (pid,) = set(_sessions(self.tree)) - self.others
        return pid


_State = Callable[[_Scene], Awaitable[str]]
"""Brings a session into a state; returns the id of the message whose turn is to be stopped."""


async def _in_model_call(scene: _Scene) -> str:
    message_id = await scene.person.say("/demo hang")
    await scene.person.hear("turn_started")
    return message_id


async def _in_stream(scene: _Scene) -> str:
    message_id = await scene.person.say("/demo slow 60")
    await scene.person.hear("assistant_chunk")
    return message_id


async def _in_tools(scene: _Scene, command: str) -> str:
    message_id = await scene.person.say(_tool("shell", command=command))
    await scene.person.hear("tool_start")
    await _until(lambda: bool(_sleeping()))
    return message_id


async def _in_tool_tree(scene: _Scene) -> str:
    command = f"sleep {_SLEEP} & (setsid sleep {_SLEEP} &) ; sleep {_SLEEP}"
    return await _in_tools(scene, command)


async def _in_deaf_program(scene: _Scene) -> str:
    return await _in_tools(scene, f"trap '' TERM INT HUP; sleep {_SLEEP}; sleep {_SLEEP}")


async def _in_stopped_program(scene: _Scene) -> str:
    message_id = await _in_tools(scene, f"sleep {_SLEEP}")
    for pid in _sleeping():
        os.kill(pid, signal.SIGSTOP)
    return message_id


async def _asking(scene: _Scene) -> str:
    message_id = await scene.person.say(_tool("project_memory", action="list"))
    await scene.person.hear("tool_approval_required")
    return message_id


async def _compacting(scene: _Scene) -> str:
    for number in range(12):  # enough for a summary to stand for something
        await scene.person.turn(f"turn {number}")
    await scene.person.turn("/demo summaries 60")
    message_id = await scene.person.say("/compact")
    await scene.person.hear("message_accepted", messageId=message_id)
    return message_id


async def _spinning(scene: _Scene) -> str:
    message_id = await scene.person.say("/demo spin")
    await scene.person.hear("turn_started")
    pid = scene.pid
    began = _cpu_ticks(pid)
    await _until(lambda: _cpu_ticks(pid) > began + 10)
    return message_id


async def _frozen(scene: _Scene) -> str:
    message_id = await scene.person.say("/demo slow 60")
    await scene.person.hear("assistant_chunk")
    os.kill(scene.pid, signal.SIGSTOP)
    return message_id


_STATES: dict[str, _State] = {
    "a model call that never answers": _in_model_call,
    "an answer that streams": _in_stream,
    "a program with children, one of them in a session of its own": _in_tool_tree,
    "a program that ignores SIGTERM": _in_deaf_program,
    "a program that is stopped (SIGSTOP)": _in_stopped_program,
    "a tool that waits for a person": _asking,
    "a compaction": _compacting,
    "a session that spins": _spinning,
    "a session that is stopped (SIGSTOP)": _frozen,
}


async def _stops(gateway: Gateway, stops: int) -> tuple[list[Row], str]:
    took: dict[str, list[float]] = {}
    gone: list[float] = []
    for kind, (state, begin) in enumerate(_STATES.items()):
        others = frozenset(_sessions(gateway.tree))
        async with people(gateway.url, 1, prefix=f"stopped-{kind}-") as (person,):
            for _ in range(stops):
                await person.turn("hi")
                message_id = await begin(_Scene(person, gateway.tree, others))
                began = time.perf_counter()
                await person.stop()
                done = await person.hear("turn_done", messageId=message_id)
                took.setdefault(state, []).append(time.perf_counter() - began)
                if done["status"] != "stopped":
                    raise RuntimeError(f"{state} was not stopped: {done}")
                if "program" in state:
                    await _until(lambda: not _sleeping())
                    gone.append(time.perf_counter() - began)
    every = sorted(seconds for times in took.values() for seconds in times)
    lines = ["| while there runs | p50 | worst |", "|---|--:|--:|"]
    lines += [
        f"| {state} | {median(times) * 1e3:.0f} ms | {max(times) * 1e3:.0f} ms |"
        for state, times in took.items()
    ]
    return [
        Row(
            name="a stop, until its durable `turn_done`, p99 of all states",
            value=_p99(every),
            unit="s",
            target=_MAX_STOP_S,
            beside=f"{len(every)} stops; the worst {every[-1]:.2f} s",
            digits=2,
        ),
        Row(
            name="the same, until no program of it is left, p99",
            value=_p99(sorted(gone)),
            unit="s",
            target=_MAX_STOP_S,
            beside=f"{len(gone)} stops; SIGTERM first, SIGKILL 0.3 s later",
            digits=2,
        ),
    ], "\n".join(lines)


def _p99(ordered: list[float]) -> float:
    return ordered[min(len(ordered) - 1, round(0.99 * len(ordered)))]


def _forget_peak(pid: int) -> None:
    Path(f"/proc/{pid}/clear_refs").write_text(_CLEAR_PEAK)


async def _until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(30.0):
        while not condition():  # noqa: ASYNC110 - nothing tells of what /proc shows
            await asyncio.sleep(0.01)


def _sessions(tree: Tree) -> list[int]:
    return [pid for pid in tree.pids() if _comm(pid) == "SessionActor"]


def _sleeping() -> list[int]:
    """The programs of tools that sleep, wherever they went."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                line = (entry / "cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
            if line[:2] == [b"sleep", _SLEEP.encode()]:
                found.append(int(entry.name))
    return found


def _comm(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return ""


def _cpu_ticks(pid: int) -> int:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0
    return int(fields[11]) + int(fields[12])


def _status_mb(pid: int, name: str) -> float:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) / 1024
    raise RuntimeError(f"no {name} of {pid}")
