"""Checks run side by side; one that fails or hangs is a finding, and a repair that fails is told."""

from __future__ import annotations

import asyncio
import threading
import time

from openclaw_actors.cli.doctor.context import Context
from openclaw_actors.cli.doctor.finding import Finding, error, info, ok
from openclaw_actors.cli.doctor.report import document, errors_left
from openclaw_actors.cli.doctor.runner import Check, Checked, blocking, repaired, run_checks
from tests.unit.cli.doctor.world import World


def test_a_check_that_raises_is_a_finding_and_the_others_are_told(world: World) -> None:
    def broken(context: Context) -> list[Finding]:
        raise KeyError("pid")

    async def fine(context: Context) -> list[Finding]:
        return [ok("fine")]

    checks = [Check("broken", blocking(broken)), Check("fine", fine)]
    found = asyncio.run(run_checks(checks, world.context()))
    assert [(each.check, each.finding.level) for each in found] == [("broken", "warning"), ("fine", "ok")]
    assert found[0].finding.what == "this check failed itself: KeyError: 'pid'"


def test_a_check_that_hangs_is_given_up_and_nobody_waits_for_its_thread(world: World) -> None:
    never = threading.Event()

    def hang(context: Context) -> list[Finding]:
        never.wait(30)
        return []

    began = time.monotonic()
    found = asyncio.run(run_checks([Check("hung", blocking(hang))], world.context(), deadline_s=0.1))
    assert time.monotonic() - began < 10
    assert "not done within 0.1 s" in found[0].finding.what
    never.set()


def test_checks_run_at_once(world: World) -> None:
    both = threading.Barrier(2, timeout=10)

    def meet(context: Context) -> list[Finding]:
        both.wait()
        return [ok("met")]

    checks = [Check("a", blocking(meet)), Check("b", blocking(meet))]
    found = asyncio.run(run_checks(checks, world.context()))
    assert [each.finding.what for each in found] == ["met", "met"]


def test_a_repair_ends_an_error_and_one_that_fails_is_told() -> None:
    def fails() -> str:
        raise PermissionError(1, "Operation not permitted", "/x")

    healed = repaired(Checked("c", error("a", why="b", remedy="c", repair=lambda: "did it")))
    left = repaired(Checked("c", error("a", why="b", remedy="c", repair=fails)))
    untouched = repaired(Checked("c", info("a")))
    assert (healed.fixed, left.not_fixed, untouched.fixed) == ("did it", "/x: Operation not permitted", "")
    assert errors_left([healed, left, untouched]) == 1
    assert [each.get("fixed") for each in document([healed, left], running=False)["findings"]] == [
        "did it",
        None,
    ]
