"""Measures the actor system beside Thespian's own TCP base: round trips, creation, memory, churn.

python -m benchmarks.actors [--json] [--churn N]
"""

from __future__ import annotations

__all__ = ["Driver", "Echo", "measure"]

import argparse
import json
import os
import shutil
import socket
import sys
import tempfile
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

from thespian.actors import Actor, ActorExitRequest, ActorSystem, ChildActorExited

from benchmarks.table import Row, as_json, markdown, median
from openclaw_actors.actorsystem import UnixSystemBase
from openclaw_actors.proctree import descendants

_WINDOWS = (1, 10, 100)
_WAIT = timedelta(seconds=120)


class Echo(Actor):
    """Sends back what comes."""

    def receiveMessage(self, msg: Any, sender: Any) -> None:  # noqa: N802 - Thespian's name
        if isinstance(msg, int):
            self.send(sender, msg)


class Driver(Actor):
    """Measures from within an actor. A plain Thespian actor, so that it runs on either base."""

    def __init__(self) -> None:
        self.peers: list[Any] = []
        self.asker: Any = None
        self.churning = False

    def receiveMessage(self, msg: Any, sender: Any) -> None:  # noqa: N802 - Thespian's name
        if isinstance(msg, int):
            self._back(sender)
        elif isinstance(msg, ChildActorExited):
            if self.churning:
                self._one_more()
        elif isinstance(msg, tuple):
            self.asker = sender
            getattr(self, "_" + msg[0])(*msg[1:])

    def _rounds(self, window: int, count: int) -> None:
        self.peer = self.createActor(Echo)
        self.todo, self.left, self.window, self.before = count, count, window, 0.0
        self.mode = "warm"
        self.send(self.peer, 0)

    def _populate(self, count: int) -> None:
        self.mode, self.left = "create", count
        self._next()

    def _next(self) -> None:
        self.before = time.perf_counter()
        self.peers.append(self.createActor(Echo))
        self.send(self.peers[-1], 0)

    def _churn(self, count: int) -> None:
        self.mode, self.left, self.churning = "churn", count + 1, True
        self._one_more()

    def _one_more(self) -> None:
        self.left -= 1
        if self.left:
            self.send(self.createActor(Echo), 0)
        else:
            self.churning = False
            self.send(self.asker, "done")

    def _memory(self) -> None:
        self.send(self.asker, (_pss_kb(os.getpid()), len(os.listdir("/proc/self/fd"))))

    def _back(self, sender: Any) -> None:
        if self.mode == "warm":
            self.mode, self.before = "rounds", time.perf_counter()
            for _ in range(self.window):
                self.send(self.peer, 1)
            self.todo -= self.window
        elif self.mode == "rounds":
            self.left -= 1
            if self.todo > 0:
                self.todo -= 1
                self.send(self.peer, 1)
            if self.left == 0:
                self.send(self.asker, time.perf_counter() - self.before)
                self.send(self.peer, ActorExitRequest())
        elif self.mode == "create":
            self.left -= 1
            took = time.perf_counter() - self.before
            if self.left:
                self._next()
            else:
                self.send(self.asker, took)
        else:
            self.send(sender, ActorExitRequest())


def _pss_kb(pid: int) -> int:
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1])
    raise ValueError(f"no Pss of process {pid}")


class _Ours:
    """A system on our base, for one measurement."""

    def __enter__(self) -> Any:
        self.directory = tempfile.mkdtemp(prefix="oca-")
        base = UnixSystemBase(run_dir=self.directory, capabilities={})
        self.system = ActorSystem(systemBase=base, transientUnique=True)
        return self.system

    def __exit__(self, *_error: object) -> None:
        self.system.shutdown()
        shutil.rmtree(self.directory, ignore_errors=True)


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port: int = taken.getsockname()[1]
        return port


class _Stock:
    """A system on Thespian's TCP base."""

    def __enter__(self) -> Any:
        caps = {"Admin Port": _free_port()}
        self.system = ActorSystem("multiprocTCPBase", caps, transientUnique=True)
        return self.system

    def __exit__(self, *_error: object) -> None:
        self.system.shutdown()


def _rate(kind: Any, window: int, count: int) -> float:
    with kind() as system:
        seconds = system.ask(system.createActor(Driver), ("rounds", window, count), _WAIT)
    return float(count / seconds)


def _ask(system: Any, driver: Any, *what: Any) -> Any:
    answer = system.ask(driver, what, _WAIT)
    if answer is None:
        raise TimeoutError(f"no answer to {what}")
    return answer


def measure(*, runs: int = 5, quick: bool = False, churn: int = 200) -> list[Row]:
    """Measure and return the rows.

    Args:
        runs: of each figure.
        quick: fewer messages.
        churn: actors that come and go.
    """
    rows = []
    for window in _WINDOWS:
        ours = [_rate(_Ours, window, 1000 if quick else 5000) for _ in range(runs)]
        stock = [_rate(_Stock, window, 100 if quick else 300) for _ in range(runs)]
        ratio = [mine / theirs for mine, theirs in zip(ours, stock, strict=True)]
        target = 8.0 if window == 10 else None
        beside = f"{median(ours):.0f}/s beside {median(stock):.0f}/s of multiprocTCPBase"
        rows.append(
            Row(
                name=f"round trips, window {window}, ours : stock",
                value=median(ratio),
                unit=": 1",
                target=target,
                at_least=True,
                runs=ratio,
                beside=beside,
            )
        )
    with _Ours() as system:
        driver = system.createActor(Driver)
        _ask(system, driver, "populate", 100)
        created = [1000 * _ask(system, driver, "populate", 1) for _ in range(runs)]
        rows.append(
            Row(
                name="create one actor beside 100", value=median(created), unit="ms", target=8.0, runs=created
            )
        )
        sizes = [_pss_kb(pid) / 1024 for pid in descendants(os.getpid()) if _is_echo(pid)]
        rows.append(Row(name="PSS of an idle actor", value=median(sizes), unit="MB", target=4.0))
    with _Ours() as system:
        driver = system.createActor(Driver)
        _ask(system, driver, "churn", 50)
        _ask(system, driver, "populate", 1)
        quick_ms = [1000 * _ask(system, driver, "populate", 1) for _ in range(runs)]
        before = _ask(system, driver, "memory")
        _churn(system, driver, churn)
        after = _ask(system, driver, "memory")
        late_ms = [1000 * _ask(system, driver, "populate", 1) for _ in range(runs)]
        growth = (after[0] - before[0]) / 1024
        beside = f"{before[1]} descriptors before, {after[1]} after"
        rows.append(
            Row(
                name=f"a parent's growth by {churn} lost actors",
                value=growth,
                unit="MB",
                target=1.0,
                beside=beside,
            )
        )
        rows.append(
            Row(
                name=f"create one actor after {churn} lost ones : before",
                value=median(late_ms) / median(quick_ms),
                unit=": 1",
                target=1.25,
                digits=2,
                runs=[late / median(quick_ms) for late in late_ms],
                beside=f"{median(late_ms):.1f} ms after, {median(quick_ms):.1f} ms before",
            )
        )
    return rows


def _churn(system: Any, driver: Any, count: int) -> None:
    """Have `count` actors come and go, in portions that fit into the deadline of an ask."""
    for done in range(0, count, 1000):
        _ask(system, driver, "churn", min(1000, count - done))


def _is_echo(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip() == "Echo"
    except OSError:
        return False


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--churn", type=int, default=200)
    options = parser.parse_args()
    rows = measure(runs=3 if options.quick else 5, quick=options.quick, churn=options.churn)
    sys.stdout.write((json.dumps(as_json(rows)) if options.json else markdown(rows)) + "\n")


if __name__ == "__main__":
    import benchmarks.actors

    benchmarks.actors.main()  # actors need a module with a name
