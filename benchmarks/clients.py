"""Owns the processes that stand around a gateway in a measurement: load generators, and the baseline."""

from __future__ import annotations

__all__ = ["BaselineServer", "Load", "ModelServer"]

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Literal

from benchmarks.gateway import ROOT
from benchmarks.load import Round
from benchmarks.processes import Tree

Sync = Literal["inline", "thread"]


class _Helper:
    """A Python process that talks over its pipes and ends when its standard input does."""

    def __init__(self, module: str, *arguments: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", module, *arguments],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    @property
    def pid(self) -> int:
        return self._process.pid

    def hear(self) -> str:
        """The next line. Raises RuntimeError if the process has ended."""
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"{self._process.args!r} ended with {self._process.wait()}")
        return line.rstrip("\n")

    def say(self, line: str) -> None:
        """Send a line."""
        assert self._process.stdin is not None
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()

    def close(self) -> None:
        """End it."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            self._process.stdin.close()
            self._process.wait(10.0)
        except (BrokenPipeError, subprocess.TimeoutExpired):
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()


class Load:
    """Sessions in parallel, spread over one or more client processes; a context manager.

    Args:
        url: of the WebSocket.
        sessions: how many, each with a connection of its own.
        processes: how many processes they are spread over.
        prefix: of the session ids.
        text: what everybody says each time.
    """

    def __init__(
        self, url: str, *, sessions: int, processes: int = 1, prefix: str = "bench", text: str = "hi"
    ) -> None:
        shares = [sessions // processes + (number < sessions % processes) for number in range(processes)]
        self._helpers = [
            _Helper(
                "benchmarks.load",
                url,
                "--sessions",
                str(share),
                "--prefix",
                f"{prefix}-{number}-",
                "--text",
                text,
            )
            for number, share in enumerate(shares)
        ]

    def __enter__(self) -> Load:
        for helper in self._helpers:
            helper.hear()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for helper in self._helpers:
            helper.close()

    def round(self, order: Mapping[str, float]) -> Round:
        """All of them talk, as `benchmarks.load` says; what all saw together."""
        line = json.dumps(order)
        for helper in self._helpers:
            helper.say(line)
        rounds = [Round(**json.loads(helper.hear())) for helper in self._helpers]
        return Round(
            turns=sum(each.turns for each in rounds),
            seconds=max(each.seconds for each in rounds),
            done_ms=[value for each in rounds for value in each.done_ms],
            accepted_ms=[value for each in rounds for value in each.accepted_ms],
            cpu_s=sum(each.cpu_s for each in rounds),
        )


class BaselineServer:
    """The running baseline; a context manager.

    Args:
        directory: for its files.
        sync: whether the loop waits for the disk (`inline`) or a thread does.
    """

    def __init__(self, directory: Path, sync: Sync) -> None:
        self._helper = _Helper("benchmarks.baseline", str(directory), "--sync", sync)
        self.url = ""

    def __enter__(self) -> BaselineServer:
        self.url = self._helper.hear()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._helper.close()

    @property
    def tree(self) -> Tree:
        """Its process."""
        return Tree(self._helper.pid, "baseline")


class ModelServer:
    """A running `benchmarks.model_server`; a context manager."""

    def __init__(self) -> None:
        self._helper = _Helper("benchmarks.model_server")
        self.url = ""
        """Of the API, as `llm.endpoint` wants it."""

    def __enter__(self) -> ModelServer:
        self.url = f"http://127.0.0.1:{int(self._helper.hear())}/v1"
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._helper.close()

    def seen(self) -> tuple[int, float, float]:
        """Requests since the last time, the mean size of their bodies, and processor seconds since its start."""
        self._helper.say("seen")
        seen = json.loads(self._helper.hear())
        return seen["requests"], seen["body_bytes"] / max(1, seen["requests"]), seen["cpu_s"]
