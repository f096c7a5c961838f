"""Decides how checks are run: all at once, each with a deadline, and none can take the others down."""

from __future__ import annotations

__all__ = ["DEADLINE_S", "Check", "Checked", "DaemonThreads", "blocking", "repaired", "run_checks"]

import asyncio
import threading
from collections.abc import Awaitable, Callable, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from openclaw_actors.cli.doctor.context import Context
from openclaw_actors.cli.doctor.finding import Finding, warning
from openclaw_actors.errors import OpenClawError

_T = TypeVar("_T")

DEADLINE_S = 20.0
"""Longer than the longest question to the running gateway, or to the provider, may take."""


@dataclass(frozen=True, slots=True)
class Check:
    """Something that is looked at."""

    name: str
    run: Callable[[Context], Awaitable[Iterable[Finding]]]


@dataclass(frozen=True, slots=True)
class Checked:
    """One finding, whose it is, and what has become of it."""

    check: str
    finding: Finding
    fixed: str = ""
    """What `--fix` did."""
    not_fixed: str = ""
    """Why `--fix` could not do it."""


class DaemonThreads(ThreadPoolExecutor):
    """One thread for each piece of work, and nobody waits for them: a dead network disk, or a dead resolver, may never
    answer, and at exit Python would wait for the threads of an ordinary executor.
    """

    def submit(self, fn: Callable[..., _T], /, *args: Any, **kwargs: Any) -> Future[_T]:
        """Run something in a thread of its own."""
        future: Future[_T] = Future()

        def work() -> None:
            if not future.set_running_or_notify_cancel():
                return
            try:
                future.set_result(fn(*args, **kwargs))
            except BaseException as error:
                future.set_exception(error)

        threading.Thread(target=work, name="doctor", daemon=True).start()
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:  # noqa: FBT001, FBT002 - as inherited
        """Leaves the threads alone."""


def blocking(look: Callable[[Context], Iterable[Finding]]) -> Callable[[Context], Awaitable[list[Finding]]]:
    """Make a check of a function that waits for the disk."""

    async def run(context: Context) -> list[Finding]:
        return await asyncio.to_thread(lambda: list(look(context)))

    return run


async def run_checks(
    checks: Sequence[Check], context: Context, *, deadline_s: float = DEADLINE_S
) -> list[Checked]:
    """Run checks side by side; the findings come in the order of the checks.

    Args:
        deadline_s: for each of them.
    """
    asyncio.get_running_loop().set_default_executor(DaemonThreads())
    found = await asyncio.gather(*(_run(check, context, deadline_s) for check in checks))
    return [
        Checked(check.name, finding)
        for check, findings in zip(checks, found, strict=True)
        for finding in findings
    ]


async def _run(check: Check, context: Context, deadline_s: float) -> list[Finding]:
    try:
        async with asyncio.timeout(deadline_s):
            return list(await check.run(context))
    except TimeoutError:
        return [_failed(f"it was not done within {deadline_s:g} s", "see what it waits for, then try again")]
    except Exception as error:
        text = " ".join(f"{type(error).__name__}: {error}".split())
        return [_failed(text, "tell us; the other checks are not touched by it")]


def _failed(reason: str, remedy: str) -> Finding:
    return warning(
        f"this check failed itself: {reason}", why="nothing is known of what it looks at", remedy=remedy
    )


def repaired(checked: Checked) -> Checked:
    """Repair one finding, if it can be; whatever goes wrong is noted."""
    repair: Any = checked.finding.repair
    if repair is None:
        return checked
    try:
        return replace(checked, fixed=repair())
    except OSError as error:
        return replace(checked, not_fixed=f"{error.filename or ''}: {error.strerror}".lstrip(": "))
    except OpenClawError as error:
        return replace(checked, not_fixed=str(error) or type(error).__name__)
