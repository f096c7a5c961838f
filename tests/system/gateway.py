"""Owns a real gateway for a test: the processes, what they print, and the proof that nothing of them is left."""

from __future__ import annotations

__all__ = ["Gateway", "GatewayFailed", "Process", "wait_until"]

import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import yaml

from openclaw_actors.cli.status import document
from openclaw_actors.config import find_paths
from openclaw_actors.errors import OpenClawError
from openclaw_actors.messages.admin import GetHealth, GetStatus
from openclaw_actors.messages.base import Message
from tests.system import asking
from tests.system.ports import free_port

ROOT = str(Path(__file__).parents[2])
MARKER = "OPENCLAW_TEST_GATEWAY_MARKER"
READY = re.compile(r"^ready ws=(?P<ws>wss?://\S+/ws) http=(?P<http>https?://\S+) state=(?P<state>.+)$")
START_DEADLINE_S = 45.0
STOP_DEADLINE_S = 45.0
POLL_S = 0.01


class GatewayFailed(AssertionError):
    """Raised when the gateway did not do what the test relies on; its text holds what the gateway printed."""


def wait_until(condition: Callable[[], Any], *, deadline_s: float = 30.0, what: str = "") -> Any:
    """Look again and again until `condition()` is true, and return its value; fail at the deadline."""
    end = time.monotonic() + deadline_s
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"not within {deadline_s} s: {what or condition}")
        time.sleep(POLL_S)


@dataclass(frozen=True)
class Process:
    """A process as /proc shows it; `started` tells it from a later one with the same pid."""

    pid: int
    ppid: int
    pgid: int
    sid: int
    state: str
    started: int

    @property
    def alive(self) -> bool:
        now = _read_process(self.pid)
        return now is not None and now.started == self.started and now.state not in "ZX"


def _read_process(pid: int) -> Process | None:
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    fields = text.rpartition(")")[2].split()
    return Process(
        pid=pid,
        ppid=int(fields[1]),
        pgid=int(fields[2]),
        sid=int(fields[3]),
        state=fields[0],
        started=int(fields[19]),
    )


def _all_processes() -> dict[int, Process]:
    found = (_read_process(int(entry.name)) for entry in Path("/proc").iterdir() if entry.name.isdigit())
    return {process.pid: process for process in found if process is not None}


def _has_marker(pid: int, marker: str) -> bool:
    try:
        return f"{MARKER}={marker}".encode() in Path(f"/proc/{pid}/environ").read_bytes()
    except OSError:
        return False


class _Lines:
    """Collects the lines of a pipe in a thread, so that a test can wait for one of them."""

    def __init__(self, stream: IO[str]) -> None:
        self.lines: list[str] = []
        self.ended = False
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._read, args=(stream,), daemon=True)
        self._thread.start()

    def _read(self, stream: IO[str]) -> None:
        with stream:
            for line in stream:
                with self._changed:
                    self.lines.append(line.rstrip("\n"))
                    self._changed.notify_all()
        with self._changed:
            self.ended = True
            self._changed.notify_all()

    def wait_for(self, pattern: re.Pattern[str], *, deadline_s: float, skip: int = 0) -> re.Match[str] | None:
        """The first match in the lines from number `skip` on; None at the deadline or the end of the pipe."""
        end = time.monotonic() + deadline_s
        with self._changed:
            while True:
                for line in self.lines[skip:]:
                    if match := pattern.search(line):
                        return match
                left = end - time.monotonic()
                if self.ended or left <= 0:
                    return None
                self._changed.wait(left)

    def wait_for_end(self, *, deadline_s: float) -> bool:
        with self._changed:
            return self._changed.wait_for(lambda: self.ended, deadline_s)

    def text(self) -> str:
        return "\n".join(self.lines)


class Gateway:
    """One state directory, and the gateway that runs on it; it can be started again and again.

    Args:
        directory: an empty directory of the test's own; `state/`, the configuration and nothing else go there.
        config: keys of the configuration file, nested as in YAML.
        arguments: further arguments of `start`.
        environment: further environment variables.
        demo: pass `--demo`.
        state_dir: another place for the state.
        module: what Python runs.
    """

    def __init__(
        self,
        directory: Path,
        *,
        config: Mapping[str, Any] | None = None,
        arguments: Sequence[str] = (),
        environment: Mapping[str, str] | None = None,
        demo: bool = True,
        state_dir: Path | None = None,
        module: str = "openclaw_actors",
    ) -> None:
        self.directory = directory
        self.state_dir = state_dir or directory / "state"
        self.config_file = directory / "gateway.yaml"
        self.arguments = list(arguments)
        self.demo = demo
        self.module = module
        self.ws_url = ""
        self.http_url = ""
        self.process: subprocess.Popen[str] | None = None
        self.out: _Lines
        self.err: _Lines
        self._marker = uuid.uuid4().hex
        self._seen: dict[tuple[int, int], Process] = {}
        self._environment = self._clean_environment(environment or {})
        self.ports = (free_port(), free_port())
        self.configure(config or {})

    def _clean_environment(self, extra: Mapping[str, str]) -> dict[str, str]:
        # Without its compiled modules each of the many interpreters would compile the whole package again.
        unwanted = ("OPENCLAW", "OPENAI", "MODEL_PROVIDER_KEY", "XDG_RUNTIME_DIR", "PYTHONDONTWRITEBYTECODE")
        kept = {name: value for name, value in os.environ.items() if not name.startswith(unwanted)}
        return {**kept, MARKER: self._marker, "PYTHONPATH": ROOT, **extra}

    def configure(self, config: Mapping[str, Any]) -> None:
        """Write the configuration file anew; it holds at the next start."""
        self.directory.mkdir(parents=True, exist_ok=True)
        self.config_file.write_text(yaml.safe_dump(dict(config)))

    @property
    def config_text(self) -> str:
        return self.config_file.read_text()

    def use_ports_of(self, other: Gateway) -> None:
        """Listen where another one does, to take its place."""
        self.ports = other.ports

    # Running it

    def spawn(self, *arguments: str) -> None:
        """Start the process and return at once."""
        command = [*self._command("start"), *self._port_options(), *self.arguments, *arguments]
        if self.demo:
            command.append("--demo")
        self.process = subprocess.Popen(
            command,
            cwd=self.directory,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        assert self.process.stdout is not None
        assert self.process.stderr is not None
        self.out = _Lines(self.process.stdout)
        self.err = _Lines(self.process.stderr)

    def start(self, *arguments: str, deadline_s: float = START_DEADLINE_S) -> Gateway:
        """Start it and wait for the `ready` line. Raises GatewayFailed with what it printed."""
        self.spawn(*arguments)
        match = self.out.wait_for(READY, deadline_s=deadline_s)
        if match is None:
            raise GatewayFailed(f"not ready within {deadline_s} s\n{self.printed()}")
        self.ws_url, self.http_url = match["ws"], match["http"]
        assert Path(match["state"]) == self.state_dir
        self.note_processes()
        return self

    def restart(self, *arguments: str) -> Gateway:
        """Start again, on the same ports as always, so that clients can come back."""
        return self.start(*arguments)

    def _port_options(self) -> list[str]:
        websocket, http = self.ports
        return ["--port", str(websocket), "--http-port", str(http)]

    def printed(self) -> str:
        return f"--- stdout\n{self.out.text()}\n--- stderr\n{self.err.text()}\n--- log\n{self.log_text()[-8000:]}"

    def log_text(self) -> str:
        logs = sorted((self.state_dir / "logs").glob("*")) if (self.state_dir / "logs").is_dir() else []
        return "\n".join(log.read_text(errors="replace") for log in logs if log.is_file())

    def _command(self, *arguments: str) -> list[str]:
        command = [sys.executable, "-m", self.module, *arguments]
        return [*command, "--config", str(self.config_file), "--state-dir", str(self.state_dir)]

    # Asking it

    def cli(
        self, *arguments: str, stdin: str | None = None, deadline_s: float = 45.0
    ) -> subprocess.CompletedProcess[str]:
        """Run another command on this gateway's state directory."""
        return subprocess.run(
            self._command(*arguments),
            cwd=self.directory,
            env=self._environment,
            input=stdin if stdin is not None else "",
            capture_output=True,
            text=True,
            timeout=deadline_s,
            check=False,
        )

    def cli_command(self, *arguments: str) -> tuple[list[str], dict[str, str]]:
        """Command line and environment, for a test that starts the process in its own way."""
        return self._command(*arguments), dict(self._environment)

    def status(self) -> dict[str, Any]:
        """What `status --json` would print. Raises GatewayFailed if the supervisor does not answer."""
        status = document(self.ask(GetStatus()))
        self.note_processes()
        return status

    def is_ready(self) -> bool:
        """What `health --ready` would say."""
        return bool(self.ask(GetHealth()).ready)

    def ask(self, message: Message) -> Any:
        """What the supervisor answers to one of the commands' messages. Raises GatewayFailed if it does not."""
        try:
            return asking.ask(self.run_dir, message)
        except OpenClawError as error:
            raise GatewayFailed(f"{type(message).__name__}: {error!r}\n{self.printed()}") from error

    @property
    def run_dir(self) -> Path:
        """Where the record of what runs is, and a directory with the sockets of each boot."""
        return find_paths(str(self.state_dir), "memory", self._environment).run

    def nodes(self) -> dict[str, dict[str, Any]]:
        """The nodes of the tree by name."""
        found: dict[str, dict[str, Any]] = {}

        def visit(node: dict[str, Any]) -> None:
            found[node["name"]] = node
            for child in node.get("children", ()):
                visit(child)

        status = self.status()
        visit(status.get("root", status))
        return found

    @property
    def pid(self) -> int:
        """The process that was started by `start`."""
        assert self.process is not None
        return self.process.pid

    def pid_of(self, name: str) -> int:
        """The pid of an actor by its name in `status`, or of `start` or `admin`."""
        if name == "start":
            return self.pid
        if name == "admin":
            children = [process.pid for process in _all_processes().values() if process.ppid == self.pid]
            assert len(children) == 1, f"start has the children {children}, not just the admin"
            return children[0]
        pid = self.nodes()[name]["pid"]
        assert isinstance(pid, int), f"{name} has no process"
        return pid

    def kill(self, name: str, with_signal: signal.Signals = signal.SIGKILL) -> int:
        """Send a signal to one process, by name; returns its pid."""
        pid = self.pid_of(name)
        self.note_processes()
        os.kill(pid, with_signal)
        return pid

    # Ending it

    def wait(self, *, deadline_s: float = STOP_DEADLINE_S) -> int:
        """Wait until the process of `start` has ended; returns its exit code."""
        assert self.process is not None
        try:
            return self.process.wait(deadline_s)
        except subprocess.TimeoutExpired:
            raise GatewayFailed(f"did not end within {deadline_s} s\n{self.printed()}") from None

    def stop(self, *arguments: str, check: bool = True, grace_s: float | None = None) -> int:
        """End it as the `stop` command does; returns the exit code of `start`. With `check`, nothing may be left.

        The command itself runs where it has arguments, or where the supervisor cannot be asked.
        """
        self.note_processes()
        if arguments or not asking.ask_to_end(self.run_dir, grace_s):
            result = self.cli("stop", *arguments, deadline_s=STOP_DEADLINE_S)
            if result.returncode != 0:
                raise GatewayFailed(f"stop: exit {result.returncode}\n{result.stderr}\n{self.printed()}")
        code = self.wait()
        if check:
            self.check_nothing_left()
        return code

    def terminate(self, with_signal: signal.Signals = signal.SIGTERM) -> int:
        """End it by a signal to `start`; returns its exit code."""
        assert self.process is not None
        self.note_processes()
        self.process.send_signal(with_signal)
        return self.wait()

    def kill_all(self) -> None:
        """SIGKILL every process of it at once, as a power cut would, and wait until they are gone."""
        for process in self.processes():
            _kill(process)
        if self.process is not None:
            self.wait()
        wait_until(lambda: not self.processes(), what="every process of the gateway is gone")

    # Proving that nothing is left

    def processes(self) -> list[Process]:
        """Every living process of this gateway: its descendants, and what carries its mark or was seen before."""
        table = _all_processes()
        mine = {pid for pid in table if pid != os.getpid() and _has_marker(pid, self._marker)}
        if self.process is not None and self.process.poll() is None:
            mine.add(self.process.pid)
        mine |= {process.pid for process in self._seen.values() if process.alive}
        grew = True
        while grew:
            children = {pid for pid, process in table.items() if process.ppid in mine} - mine
            mine |= children
            grew = bool(children)
        found = [table[pid] for pid in mine if pid in table and table[pid].alive]
        self._seen.update({(process.pid, process.started): process for process in found})
        return found

    def note_processes(self) -> None:
        """Remember the processes of now, so that one that escapes later is recognised."""
        self.processes()

    def check_no_process_left(self, *, deadline_s: float = 10.0) -> None:
        """Assert that an ended gateway left no process; another one may have its directory and ports by now."""
        wait_until(
            lambda: not self.processes(),
            deadline_s=deadline_s,
            what=f"no process is left: {self.processes()}",
        )

    def check_nothing_left(self, *, deadline_s: float = 10.0) -> None:
        """Assert that an ended gateway left no process, no socket, no lock and no open port."""
        self.check_no_process_left(deadline_s=deadline_s)
        assert self.out.wait_for_end(deadline_s=deadline_s), "somebody still holds stdout open"
        run = self.state_dir / "run"
        left = sorted(str(path.relative_to(run)) for path in run.rglob("*")) if run.exists() else []
        assert left == [], f"left in run/: {left}"
        for url in (self.ws_url, self.http_url):
            assert not url or not _port_is_open(url), f"{url} is still open"

    def close(self) -> None:
        """End whatever still runs, without any check; for tear-down."""
        for process in self.processes():
            _kill(process)
        if self.process is not None:
            self.process.wait(STOP_DEADLINE_S)
            self.out.wait_for_end(deadline_s=30.0)
            self.err.wait_for_end(deadline_s=30.0)


def _kill(process: Process) -> None:
    if process.alive:
        try:
            os.kill(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass  # ended by itself meanwhile


def _port_is_open(url: str) -> bool:
    host, _, port = url.partition("//")[2].partition("/")[0].rpartition(":")
    with socket.socket() as probe:
        probe.settimeout(1.0)
        return probe.connect_ex((host, int(port))) == 0
