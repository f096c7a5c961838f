"""Limits, memory, versions, the log and the tree of actors: what is there against what is needed."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import msgspec
import pytest

from openclaw_actors.actors.rundir import RunRecord
from openclaw_actors.cli.doctor import actors, limits, logfile, memory, versions
from openclaw_actors.errors import AskTimeout
from openclaw_actors.messages import Status, StatusNode
from tests.unit.cli.doctor.world import World, levels, told

ME = os.getpid()
MARK = "Limit                     Soft Limit           Hard Limit           Units\n"
GROUP = f"{ME}__cgroup"


def limit(name: str, soft: object, hard: object) -> str:
    return f"{MARK}{name:<26}{soft:<21}{hard:<21}x\n"


@pytest.mark.parametrize(
    ("hard", "level", "text"),
    [
        ("200", "error", "sessions.max_live = 256 needs 832"),
        ("900", "warning", "1000 connections are allowed"),
        ("65536", "ok", "65536 open files are allowed"),
    ],
)
def test_open_files(world: World, hard: str, level: str, text: str) -> None:
    world.kernel(**{f"{ME}__limits": limit("Max open files", 100, hard)})
    assert text in told(world.see(limits.look, proc=world.proc), level)


def test_the_remedy_fits(world: World) -> None:
    world.kernel(**{f"{ME}__limits": limit("Max open files", 100, 200)})
    (found,) = (each for each in world.see(limits.look, proc=world.proc) if each.level == "error")
    fits = int(found.remedy.rpartition(" ")[2])
    world.configure({"sessions": {"max_live": fits}})
    assert "error" not in levels(world.see(limits.look, proc=world.proc))


def test_the_processes_of_a_control_group(world: World) -> None:
    world.kernel(**{GROUP: "0::/system.slice/openclaw.service\n"})
    groups = world.root / "cgroup"
    inner = groups / "system.slice" / "openclaw.service"
    inner.mkdir(parents=True)
    (inner / "pids.max").write_text("max\n")
    (inner / "pids.current").write_text("20\n")
    (groups / "system.slice" / "pids.max").write_text("100\n")
    (groups / "system.slice" / "pids.current").write_text("40\n")
    text = told(world.see(limits.look, proc=world.proc, cgroups=groups), "warning")
    assert "allows 100 processes and threads, 40 are there" in text


def test_the_processes_of_an_older_control_group(world: World) -> None:
    world.kernel(**{GROUP: "9:pids:/docker/x\n1:name=systemd:/\n"})
    groups = world.root / "cgroup"
    (groups / "pids" / "docker" / "x").mkdir(parents=True)
    (groups / "pids" / "docker" / "x" / "pids.max").write_text("64")
    (groups / "pids" / "docker" / "x" / "pids.current").write_text("4")
    text = told(world.see(limits.look, proc=world.proc, cgroups=groups), "warning")
    assert "allows 64 processes" in text


def test_memory_of_a_small_container(world: World) -> None:
    world.kernel(**{GROUP: "0::/\n", "meminfo": "MemTotal: 9 kB\nMemAvailable:   16000000 kB\n"})
    groups = world.root / "cgroup"
    groups.mkdir()
    (groups / "memory.max").write_text("268435456\n")
    (groups / "memory.current").write_text("68435456\n")
    (found,) = world.see(memory.look, proc=world.proc, cgroups=groups)
    assert found.level == "warning"
    assert "200.0 MB are free in the control group" in found.what
    assert "sessions.max_live: 44" in found.remedy
    world.configure({"sessions": {"max_live": 20}})
    assert levels(world.see(memory.look, proc=world.proc, cgroups=groups)) == {"ok"}


def test_memory_that_the_kernel_does_not_promise_twice(world: World) -> None:
    world.kernel(sys__vm__overcommit_memory="2\n")
    assert "overcommit_memory is 2" in told(world.see(memory.look, proc=world.proc), "info")


def test_anybody_may_look_into_our_memory(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.kernel(sys__kernel__yama__ptrace_scope="0\n")
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert "ptrace_scope is 0" in told(world.see(limits.look, proc=world.proc), "info")


@pytest.mark.parametrize(
    ("version", "wanted", "unmet"),
    [
        ("14.1", ">=14", ""),
        ("13.9", ">=14", ">=14"),
        ("4.0.1", "==4.0.1", ""),
        ("4.0.2", "==4.0.1", "==4.0.1"),
        ("16.0", ">=14,<16", "<16"),
        ("0.19.0rc1", ">=0.19", ""),
        ("6", ">=6.0.0", ""),
    ],
)
def test_versions(version: str, wanted: str, unmet: str) -> None:
    assert versions.unmet(version, wanted) == unmet


def test_a_program_newer_than_the_gateway_that_runs(world: World) -> None:
    record = RunRecord(boot="b", pid=ME, started_ticks=0, run_dir="/x", state="ready")
    boot = time.time() - time.clock_gettime(time.CLOCK_BOOTTIME)
    newest = max(path.stat().st_mtime for path in Path(versions.__file__).parents[2].rglob("*.py"))
    hertz = os.sysconf("SC_CLK_TCK")
    before = int((newest - 100 - boot) * hertz)
    after = int((newest + 100 - boot) * hertz)
    old, new = (msgspec.structs.replace(record, started_ticks=ticks) for ticks in (before, after))
    assert "newer than the gateway" in told(world.see(versions.look, record=old), "warning")
    assert "newer than the gateway" not in told(world.see(versions.look, record=new), "warning")


# The log


def line(age_s: float, level: str, text: str, *, form: str = "human") -> str:
    stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(time.time() - age_s)) + ".123Z"
    if form == "json":
        at = f'"ts":"{stamp}","level":"{level.lower()}","process":"router","pid":7,"logger":"x"'
        return f'{{{at},"text":"{text}"}}'
    return f'{stamp} {level:<7} router[7] openclaw_actors.x corr=abc session="a b" {text}'


@pytest.mark.parametrize("form", ["human", "json"])
def test_errors_of_the_last_hour_are_counted_by_kind(world: World, form: str) -> None:
    world.make("logs")
    lines = [
        line(10, "ERROR", "session (pid 123) died", form=form),
        line(20, "ERROR", "session (pid 4567) died", form=form),
        line(30, "CRITICAL", "no room", form=form),
        line(40, "WARNING", "not an error", form=form),
        line(7200, "ERROR", "long ago", form=form),
        "half a li",
        "{half of json",
    ]
    (world.state / "logs" / "gateway.log").write_text("\n".join(lines))
    text = told(world.see(logfile.look), "warning")
    assert text.splitlines() == [
        "2 in the last hour, of router: session (pid N) died",
        "1 in the last hour, of router: no room",
    ]


def test_a_log_that_is_not_set_aside(world: World) -> None:
    world.make("logs")
    world.configure({"logging": {"max_bytes": 4096, "backups": 0}})
    (world.state / "logs" / "gateway.log").write_bytes(b"x\n" * 10_000)
    assert "holds 20.0 kB" in told(world.see(logfile.look), "warning")


# The tree


def node(name: str, kind: str = "service", **fields: Any) -> StatusNode:
    values: dict[str, Any] = {
        "state": "running",
        "pid": ME,
        "incarnation": 1,
        "restarts": 0,
        "mailbox_depth": 0,
        "age_seconds": 60.0,
        "rss_bytes": 1,
        "doing": "idle",
        **fields,
    }
    return StatusNode(name=name, kind=kind, **values)


class Answering:
    """Stands for the running gateway: says what a test wants."""

    def __init__(self, answer: Any) -> None:
        self.answer = answer

    async def status(self) -> Any:
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


def tree(*children: StatusNode, problems: tuple[str, ...] = ()) -> Status:
    return Status(
        root=node("supervisor", "supervisor", children=children),
        counters={},
        healthy=not problems,
        problems=problems,
        uptime_seconds=90.0,
        draining=False,
    )


def see_tree(world: World, answer: Any, *, state: str = "ready") -> Any:
    record = RunRecord(boot="b", pid=ME, started_ticks=0, run_dir="/x", state=state)
    return world.see(actors.look, record=record, gateway=Answering(answer))


def test_actors_that_were_restarted_fail_or_do_not_keep_up(world: World) -> None:
    sessions = (node("sms:+1", "session", restarts=2), node("b", "session", mailbox_depth=500))
    status = tree(
        node("model", restarts=1),
        node("router", children=sessions),
        problems=("persistence: failed",),
    )
    found = see_tree(world, status)
    assert "persistence: failed" in told(found, "error")
    warnings = told(found, "warning")
    assert "model was restarted once, the last time 1 min ago" in warnings
    assert "sms:+1 (2 times)" in warnings
    assert "b has 500 messages" in warnings


def test_replies_that_were_set_aside_and_a_drain_that_can_be_cancelled(world: World) -> None:
    status = tree(node("sms"))
    status = msgspec.structs.replace(
        status, counters={"sms_dead_letters": 2.0, "sms_ambiguous": 1.0}, draining=True
    )
    found = see_tree(world, status)
    assert "2 that Twilio does not take, 1 that may have been sent" in told(found, "warning")
    assert any("outbox list" in each.remedy for each in found)
    assert any("drain --cancel" in each.remedy for each in found)


def test_a_supervisor_that_does_not_answer(world: World) -> None:
    assert "does not answer: no answer in time" in told(see_tree(world, AskTimeout()), "error")


def test_a_gateway_that_restarts(world: World) -> None:
    assert "is restarting" in told(see_tree(world, tree(), state="restarting"), "warning")


def test_all_is_well(world: World) -> None:
    assert levels(see_tree(world, tree(node("model")))) == {"ok"}
    assert levels(world.see(actors.look)) == {"info"}
