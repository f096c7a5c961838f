"""The process of `start`: what it says, what it refuses, how it ends, and that it comes back.

The supervisor is a stub, so that these tests are about `start` alone; `test_commands.py` has the real one.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import pty
import shutil
import signal
import socket
import subprocess
import termios
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.system.conftest import GatewayFactory
from tests.system.gateway import READY, Gateway, wait_until

STUB = "tests.system.cli.stub_supervisor"
QUICK_PINGS = {"supervision": {"ping_interval_seconds": 0.1, "ping_timeout_seconds": 0.5}}


@pytest.fixture
def stub(make_gateway: GatewayFactory) -> Gateway:
    """A running gateway with the stub as its supervisor."""
    return make_gateway(module=STUB).start()


@contextlib.contextmanager
def small_disk(directory: Path, size: str) -> Iterator[Path]:
    """A real file system of its own that is soon full."""
    directory.mkdir(mode=0o700, parents=True)
    if subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", directory], check=False
    ).returncode:
        pytest.skip("only root can mount a small disk")
    try:
        yield directory
    finally:
        subprocess.run(["umount", "-l", directory], check=True)


def fill(path: Path) -> None:
    """Write a file until the disk is full."""
    with path.open("wb", buffering=0) as file:
        while shutil.disk_usage(path.parent).free:
            file.write(bytes(4096))


def record_of(gateway: Gateway) -> dict[str, Any]:
    record: dict[str, Any] = json.loads((gateway.state_dir / "run" / "current.json").read_text())
    return record


def tree(gateway: Gateway) -> list[int]:
    """The pids from `start` down: start, admin, supervisor, its child."""
    by_parent = {process.ppid: process.pid for process in gateway.processes()}
    pids = [gateway.pid]
    while pids[-1] in by_parent:
        pids.append(by_parent[pids[-1]])
    return pids


def wait_for_another_boot(gateway: Gateway, before: dict[str, Any]) -> dict[str, Any]:
    def now() -> dict[str, Any] | None:
        record = record_of(gateway)
        return record if record["boot"] != before["boot"] and record["state"] == "ready" else None

    found: dict[str, Any] = wait_until(now, what="the gateway is ready again")
    return found


# What it says


def test_it_tells_who_runs_and_one_signal_ends_it_in_order(stub: Gateway) -> None:
    record = record_of(stub)
    assert record["pid"] == stub.pid
    assert record["state"] == "ready"
    assert f"ws://{record['ws']}/ws" == stub.ws_url
    assert Path(record["supervisor"]).is_socket()
    assert stub.err.text() == ""
    assert stub.terminate() == 0
    stub.check_nothing_left()
    assert [line for line in stub.out.lines if READY.match(line)] == stub.out.lines[2:3]


def test_no_process_that_forks_has_a_second_thread(stub: Gateway) -> None:
    pids = tree(stub)
    assert len(pids) == 4
    for pid in pids[:3]:
        assert "Threads:\t1\n" in Path(f"/proc/{pid}/status").read_text()


def test_secrets_leave_the_environment_of_every_process(make_gateway: GatewayFactory) -> None:
    gateway = make_gateway(
        module=STUB, environment={"OPENAI_API_KEY": "sk-visible", "OPENCLAW_AUTH_TOKEN": "tok-visible"}
    ).start()
    for pid in tree(gateway):
        environ = Path(f"/proc/{pid}/environ").read_bytes()
        assert b"visible" not in environ
        assert b"PATH=" in environ
    gateway.terminate()


def test_the_first_stdout_reader_may_leave(make_gateway: GatewayFactory) -> None:
    gateway = make_gateway(module=STUB)
    command, environment = gateway.cli_command("start", "--demo", "--port", "0", "--http-port", "0")
    read, write = os.pipe()
    os.close(read)
    pid = os.posix_spawn(command[0], command, environment, file_actions=[(os.POSIX_SPAWN_DUP2, write, 1)])
    os.close(write)
    wait_until(lambda: (gateway.state_dir / "run" / "current.json").exists(), what="it runs")
    wait_until(lambda: record_of(gateway)["state"] == "ready", what="it is ready")
    os.kill(pid, signal.SIGTERM)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


# What it refuses


def test_a_second_start_names_the_first_and_leaves_it_alone(stub: Gateway) -> None:
    before = record_of(stub)
    result = stub.cli("start", "--demo")
    assert result.returncode == 1
    assert f"pid {stub.pid}" in result.stderr
    assert "Traceback" not in result.stderr
    assert record_of(stub) == before
    assert Path(before["supervisor"]).is_socket()
    assert stub.terminate() == 0
    stub.check_nothing_left()


def test_a_configuration_with_errors_is_refused_with_all_of_them(make_gateway: GatewayFactory) -> None:
    gateway = make_gateway(module=STUB, config={"port": 99999, "sessions": {"max_lives": 3}})
    result = gateway.cli("start")
    assert result.returncode == 2
    assert "port" in result.stderr
    assert "sessions.max_lives" in result.stderr
    assert "sessions.max_live" in result.stderr
    assert not (gateway.state_dir / "run").exists()


def test_a_supervisor_that_cannot_start_says_why_and_leaves_nothing(make_gateway: GatewayFactory) -> None:
    gateway = make_gateway(module=STUB, environment={"STUB": "init_failed"})
    gateway.spawn()
    assert gateway.wait() == 1
    assert gateway.err.wait_for_end(deadline_s=30.0)
    assert gateway.err.text() == "Error: the port is in use"
    gateway.check_nothing_left()


def test_a_supervisor_that_dies_at_each_start_is_given_up(make_gateway: GatewayFactory) -> None:
    gateway = make_gateway(
        module=STUB,
        environment={"STUB": "dies"},
        config={"supervision": {"max_restarts": 2, "backoff_seconds": 0.01}},
    )
    gateway.spawn()
    assert gateway.wait() == 1
    assert gateway.err.wait_for_end(deadline_s=30.0)
    assert "Error: the supervisor died while it started, again and again" in gateway.err.text()
    gateway.check_nothing_left()


def test_a_supervisor_that_hangs_while_it_starts_is_replaced_before_the_start_up_is_over_its_time(
    make_gateway: GatewayFactory,
) -> None:
    gateway = make_gateway(
        module=STUB,
        environment={"STUB": "hangs"},
        config={**QUICK_PINGS, "actors": {"start_timeout_seconds": 3600}},
    )
    gateway.start()
    assert "the supervisor did not answer for 0.5 s while it started" in gateway.err.text()
    assert gateway.terminate() == 0
    gateway.check_nothing_left()


@pytest.mark.parametrize("kind", ["file", "foreign", "below a file", "read-only"])
def test_a_state_directory_that_cannot_be_used_is_refused(
    make_gateway: GatewayFactory, tmp_path: Path, kind: str
) -> None:
    state = tmp_path / "state"
    match kind:
        case "file":
            state.write_text("")
        case "below a file":
            (tmp_path / "file").write_text("")
            state = tmp_path / "file" / "state"
        case "foreign":
            if os.getuid() != 0:
                pytest.skip("only root can give a directory away")
            state.mkdir()
            os.chown(state, 65534, 65534)
        case "read-only":
            state = Path("/proc/self/state")
    gateway = make_gateway(module=STUB, state_dir=state)
    result = gateway.cli("start", "--demo")
    assert result.returncode == 1
    assert result.stderr.startswith("Error: ")
    assert str(state) in result.stderr
    assert "--state-dir" in result.stderr
    assert result.stderr.count("\n") == 1


def test_a_full_disk_is_said_in_one_line(make_gateway: GatewayFactory) -> None:
    gateway = make_gateway(module=STUB)
    with small_disk(gateway.state_dir, "64k") as disk:
        fill(disk / "fill")
        result = gateway.cli("start", "--demo", "--port", "0", "--http-port", "0")
        assert result.returncode == 1
        assert result.stderr.startswith("Error: ")
        assert "No space left on device" in result.stderr
        assert "make room on that disk" in result.stderr
        assert result.stderr.count("\n") == 1


def test_a_disk_that_is_full_for_the_record_alone_is_said_with_a_remedy(make_gateway: GatewayFactory) -> None:
    """The directories and the lock are there already: the first thing that needs room is the record."""
    gateway = make_gateway(module=STUB)
    with small_disk(gateway.state_dir, "64k") as disk:
        for name in ("logs", "run", "memory"):
            (disk / name).mkdir(mode=0o700)
        fill(disk / "fill")
        result = gateway.cli("start", "--demo", "--port", "0", "--http-port", "0")
        assert result.returncode == 1
        assert "make room on that disk (df -h, df -i), or choose another with --state-dir" in result.stderr
        assert result.stderr.count("\n") == 1


def test_a_state_directory_too_long_for_a_socket_works(make_gateway: GatewayFactory, tmp_path: Path) -> None:
    state = tmp_path / ("long" * 20) / "state"
    gateway = make_gateway(module=STUB, state_dir=state).start()
    run = (state / "run").resolve()
    assert len(str(run)) < 60
    assert run.stat().st_mode & 0o777 == 0o700
    assert gateway.cli("start", "--demo").returncode == 1
    assert gateway.terminate() == 0
    gateway.check_nothing_left()
    run.rmdir()


def test_more_sessions_than_open_files_are_refused(make_gateway: GatewayFactory) -> None:
    gateway = make_gateway(module=STUB, config={"sessions": {"max_live": 10**9}})
    result = gateway.cli("start", "--demo")
    assert result.returncode == 1
    assert "sessions.max_live" in result.stderr


# How it ends


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_every_signal_that_asks_for_the_end_ends_it_in_order(stub: Gateway, number: signal.Signals) -> None:
    assert stub.terminate(number) == 0
    stub.check_nothing_left()


def test_a_hangup_ends_it_only_where_its_terminal_is_gone(
    make_gateway: GatewayFactory, stub: Gateway
) -> None:
    os.kill(stub.pid, signal.SIGHUP)  # without a terminal it is a service manager's, who wants a reload
    wait_until(lambda: "not reloaded" in stub.out.text(), what="it says so, and goes on")
    assert stub.terminate() == 0
    gateway = make_gateway(module=STUB)
    command, environment = gateway.cli_command("start", "--demo", "--port", "0", "--http-port", "0")
    master, terminal = pty.openpty()
    process = subprocess.Popen(
        command,
        cwd=gateway.directory,
        env=environment,
        stdin=terminal,
        stdout=terminal,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
    )
    os.close(terminal)
    shown = b""
    while b"ready ws=" not in shown or not shown.endswith(b"\n"):
        shown += os.read(master, 65_536)
    os.close(master)
    assert process.wait(30.0) == 0
    assert list((gateway.state_dir / "run").iterdir()) == []


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_the_second_signal_ends_it_at_once(
    make_gateway: GatewayFactory, number: signal.Signals, code: int
) -> None:
    gateway = make_gateway(module=STUB, environment={"STUB": "deaf"}).start()
    assert gateway.process is not None
    gateway.note_processes()
    gateway.process.send_signal(signal.SIGTERM)
    wait_until(lambda: record_of(gateway)["state"] == "stopping", what="it stops")
    assert gateway.process.poll() is None
    gateway.process.send_signal(number)
    assert gateway.wait(deadline_s=10.0) == code
    gateway.check_nothing_left()


def test_an_end_that_the_supervisor_was_told_ends_it_too(stub: Gateway) -> None:
    assert stub.stop() == 0


def test_a_signal_while_it_starts_ends_it(make_gateway: GatewayFactory) -> None:
    gateway = make_gateway(module=STUB)
    gateway.spawn()
    lock = gateway.state_dir / "run" / "lock"
    wait_until(lock.exists, what="it has the lock")
    assert gateway.terminate() in (0, -signal.SIGTERM)
    gateway.check_nothing_left()


def test_a_gateway_that_was_killed_leaves_no_process_and_can_be_started_again(stub: Gateway) -> None:
    stub.note_processes()
    os.kill(stub.pid, signal.SIGKILL)
    stub.wait()
    wait_until(lambda: not stub.processes(), deadline_s=30.0, what="the processes below are gone too")
    stub.restart()
    assert len([path for path in (stub.state_dir / "run").iterdir() if path.is_dir()]) == 1
    assert stub.terminate() == 0
    stub.check_nothing_left()


# How it comes back


@pytest.mark.parametrize("level", [1, 2], ids=["admin", "supervisor"])
def test_a_dead_root_is_built_anew_on_the_same_ports(stub: Gateway, level: int) -> None:
    before, pids = record_of(stub), tree(stub)
    os.kill(pids[level], signal.SIGKILL)
    after = wait_for_another_boot(stub, before)
    assert (after["ws"], after["http"]) == (before["ws"], before["http"])
    assert not Path(before["run_dir"]).exists()
    assert not set(tree(stub)[1:]) & set(pids)
    wait_until(lambda: len(stub.err.lines) >= 2, what="it died; it is ready again")
    assert stub.terminate() == 0
    assert len(stub.err.lines) == 2
    stub.check_nothing_left()


def test_a_root_that_is_built_anew_on_a_full_disk_is_found(make_gateway: GatewayFactory) -> None:
    gateway = make_gateway(module=STUB, config=QUICK_PINGS)
    with small_disk(gateway.state_dir, "256k") as disk:
        gateway.start()
        before = record_of(gateway)
        fill(disk / "fill")
        os.kill(tree(gateway)[2], signal.SIGKILL)
        wait_for_another_boot(gateway, before)
        assert gateway.stop() == 0


def test_a_record_for_which_there_was_no_room_is_written_when_there_is(make_gateway: GatewayFactory) -> None:
    gateway = make_gateway(module=STUB, config=QUICK_PINGS)
    with small_disk(gateway.state_dir, "256k") as disk:
        gateway.start()
        before = record_of(gateway)
        (disk / "run" / "current.json").unlink()
        fill(disk / "fill")
        os.kill(tree(gateway)[2], signal.SIGKILL)
        wait_until(lambda: "ready again" in gateway.err.text(), what="it is ready again")
        assert gateway.cli("status").returncode == 3
        (disk / "fill").unlink()
        wait_until((disk / "run" / "current.json").exists, what="there is a record again")
        assert wait_for_another_boot(gateway, before)["state"] == "ready"
        assert gateway.stop() == 0


@pytest.mark.parametrize("what", ["the boot's directory", "run"])
def test_a_gateway_whose_run_directory_is_removed_is_built_anew(
    make_gateway: GatewayFactory, what: str
) -> None:
    gateway = make_gateway(module=STUB, config=QUICK_PINGS).start()
    before = record_of(gateway)
    shutil.rmtree(before["run_dir"] if what != "run" else gateway.state_dir / "run")
    wait_until((gateway.state_dir / "run" / "current.json").exists, what="there is a record")
    wait_for_another_boot(gateway, before)
    result = gateway.cli("start", "--demo", "--port", "0", "--http-port", "0")
    assert result.returncode == 1
    assert "already runs" in result.stderr
    assert gateway.stop() == 0


def test_a_stopped_supervisor_is_replaced(make_gateway: GatewayFactory) -> None:
    gateway = make_gateway(module=STUB, config=QUICK_PINGS).start()
    before = record_of(gateway)
    os.kill(tree(gateway)[2], signal.SIGSTOP)
    wait_for_another_boot(gateway, before)
    assert gateway.terminate() == 0
    gateway.check_nothing_left()


def test_a_start_that_was_stopped_itself_forgives(make_gateway: GatewayFactory) -> None:
    gateway = make_gateway(module=STUB, config=QUICK_PINGS).start()
    before = record_of(gateway)
    os.kill(gateway.pid, signal.SIGSTOP)
    time.sleep(2.0)  # the passing of time is what is tested
    os.kill(gateway.pid, signal.SIGCONT)
    time.sleep(1.0)
    assert record_of(gateway) == before
    assert gateway.terminate() == 0


def test_signals_work_while_it_is_built_anew(make_gateway: GatewayFactory) -> None:
    config = {"supervision": {"backoff_seconds": 20, "backoff_max_seconds": 30}}
    gateway = make_gateway(module=STUB, config=config).start()
    before = record_of(gateway)
    os.kill(tree(gateway)[2], signal.SIGKILL)
    again = wait_for_another_boot(gateway, before)
    os.kill(tree(gateway)[2], signal.SIGKILL)  # the second death within the window: now it backs off
    wait_until(lambda: not Path(again["run_dir"]).exists(), what="the second boot has ended")
    began = time.monotonic()
    assert gateway.terminate() == 0
    assert time.monotonic() - began < 15
    gateway.check_nothing_left()


def test_a_port_that_is_taken_at_the_return_is_tried_again(make_gateway: GatewayFactory) -> None:
    gateway = make_gateway(module=STUB, config={"supervision": {"backoff_seconds": 0.2}}).start()
    before = record_of(gateway)
    supervisor = tree(gateway)[2]
    host, port = before["ws"].split(":")
    os.kill(gateway.pid, signal.SIGSTOP)  # or it would be faster than we
    os.kill(supervisor, signal.SIGKILL)
    with socket.socket() as squatter:
        squatter.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        wait_until(lambda: _bind(squatter, host, int(port)), what="the port is free")
        squatter.listen()
        os.kill(gateway.pid, signal.SIGCONT)
        wait_until(lambda: "built anew, after 0." in gateway.err.text(), what="it tries")
    wait_for_another_boot(gateway, before)
    assert gateway.terminate() == 0


def _bind(taker: socket.socket, host: str, port: int) -> bool:
    try:
        taker.bind((host, port))
    except OSError:
        return False
    return True
