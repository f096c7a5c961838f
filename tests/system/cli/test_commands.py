"""Every command against the real gateway: what it prints, what it does, its exit code."""

from __future__ import annotations

import asyncio
import json
import os
import re
import resource
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.system.client import Client
from tests.system.conftest import GatewayFactory
from tests.system.gateway import Gateway, wait_until

SERVICES = ("persistence", "model", "router", "websocket", "http")
NODE_KEYS = {
    "name",
    "kind",
    "state",
    "pid",
    "incarnation",
    "restarts",
    "mailbox_depth",
    "age_seconds",
    "rss_bytes",
    "doing",
    "children",
}


def session_key(name: str) -> str:
    return f"websocket:local:{name}"


# status


def test_status_shows_the_true_tree(gateway: Gateway) -> None:
    assert gateway.cli("send", "hello", "--session", "a").returncode == 0
    nodes = gateway.nodes()
    assert {"supervisor", *SERVICES, session_key("a")} <= set(nodes)
    for name, node in nodes.items():
        assert set(node) >= NODE_KEYS
        assert node["state"] == "running", name
        assert node["rss_bytes"] > 1_000_000
        assert Path(f"/proc/{node['pid']}").exists()
    assert [child["name"] for child in nodes["supervisor"]["children"]][: len(SERVICES)] == list(SERVICES)
    assert nodes[session_key("a")]["kind"] == "session"


def test_status_as_text_has_a_line_a_node_and_no_colour(gateway: Gateway) -> None:
    result = gateway.cli("status")
    assert result.returncode == 0
    assert result.stderr == ""
    assert "\x1b" not in result.stdout
    assert result.stdout.startswith("healthy, up ")
    for name in ("supervisor", *SERVICES):
        assert any(name in line and "running" in line for line in result.stdout.splitlines())


def test_status_watch_goes_on_until_it_is_interrupted(gateway: Gateway) -> None:
    command, environment = gateway.cli_command("status", "--watch")
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        seen = 0
        try:
            while seen < 2:
                line = process.stdout.readline()
                assert line, "it ended"
                seen += line.startswith("healthy")
            process.send_signal(signal.SIGINT)
            assert process.wait(30.0) == 130
        finally:
            process.kill()


def test_sessions_stand_in_the_order_of_their_last_activity(gateway: Gateway) -> None:
    for name in ("a", "b", "c", "a"):
        assert gateway.cli("send", "hello", "--session", name).returncode == 0
    router = gateway.nodes()["router"]
    assert [node["name"] for node in router["children"]] == [session_key(name) for name in "acb"]


def test_output_that_cannot_be_written_is_said_in_one_line(gateway: Gateway) -> None:
    for arguments in (("status",), ("status", "--json"), ("health",), ("send", "hello"), ("--help",)):
        command, environment = gateway.cli_command()
        command = [*command[:3], *arguments]
        environment["OPENCLAW_STATE_DIR"] = str(gateway.state_dir)
        with open("/dev/full", "w") as full:
            result = subprocess.run(
                command, env=environment, stdout=full, stderr=subprocess.PIPE, text=True, check=False
            )
        assert (result.returncode, result.stderr) == (1, "Error: No space left on device; make room first\n")


@pytest.mark.parametrize("closed", [0, 1, 2])
def test_a_closed_stream_is_no_error(gateway: Gateway, closed: int) -> None:
    command, environment = gateway.cli_command("send", "hello")
    redirected = ["sh", "-c", f'exec "$@" {closed}>&-', "sh", *command]
    result = subprocess.run(redirected, env=environment, capture_output=True, text=True, check=False)
    assert result.returncode == 0
    assert result.stderr == ""
    assert result.stdout == ("" if closed == 1 else "echo: hello\n")


def test_start_needs_no_stream_at_all(make_gateway: GatewayFactory) -> None:
    """As a service manager of one's own may start it; with a secret, so that it executes itself anew."""
    gateway = make_gateway(environment={"OPENCLAW_AUTH_TOKEN": "kJ8_2mPqX-7vLz0RtYw3NbHcDf5"})
    command, environment = gateway.cli_command("start", "--demo", "--port", "0", "--http-port", "0")
    bare = ["sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh", *command]
    with subprocess.Popen(bare, env=environment, cwd=gateway.directory) as process:
        try:
            wait_until(lambda: gateway.cli("health", "--ready").returncode == 0, deadline_s=30, what="ready")
            assert gateway.cli("send", "hello").stdout == "echo: hello\n"
        finally:
            process.send_signal(signal.SIGTERM)
            assert process.wait(30) == 0


def test_the_debug_log_names_messages_by_type_and_never_by_text(make_gateway: GatewayFactory) -> None:
    gateway = make_gateway(config={"logging": {"level": "debug"}}).start()
    assert gateway.cli("send", "a secret of mine").returncode == 0
    assert gateway.stop() == 0
    log = gateway.log_text()
    for name in ("Deliver", "Append", "Complete", "ModelDelta", "SessionEvents"):
        assert re.search(rf"(told|asked) {name} by \S+", log), name
    assert "a secret of mine" not in log


# health


def test_health_is_0(gateway: Gateway) -> None:
    assert gateway.cli("health").stdout == "healthy\n"
    assert gateway.cli("health", "--ready").returncode == 0
    assert json.loads(gateway.cli("health", "--ready", "--json").stdout)["healthy"] is True


def test_health_costs_little_more_than_the_interpreter(gateway: Gateway) -> None:
    command, environment = gateway.cli_command("health")

    def cpu_seconds(*arguments: str) -> float:
        """Not the time on the wall: that of other processes would count too."""
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run(arguments, env=environment, check=True, capture_output=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

    # Whatever runs beside it takes its share of the caches: the least of many is what it costs itself.
    health, interpreter = cpu_seconds(*command), cpu_seconds(sys.executable, "-c", "")
    for _ in range(20):
        if health - interpreter < 0.3:
            return
        health = min(health, cpu_seconds(*command))
        interpreter = min(interpreter, cpu_seconds(sys.executable, "-c", ""))
    assert health - interpreter < 0.3


def test_health_imports_nothing_that_only_others_need(gateway: Gateway) -> None:
    command, environment = gateway.cli_command("health")
    traced = [command[0], "-X", "importtime", *command[1:]]
    result = subprocess.run(traced, env=environment, capture_output=True, text=True, check=True)
    imported = {line.rpartition("|")[2].strip().partition(".")[0] for line in result.stderr.splitlines()}
    assert "click" in imported
    assert not imported & {"rich", "prompt_toolkit", "websockets", "aiohttp"}


def test_health_is_1_when_the_supervisor_does_not_answer(gateway: Gateway) -> None:
    pid = gateway.kill("supervisor", signal.SIGSTOP)
    result = gateway.cli("health")
    assert result.returncode == 1
    assert result.stderr == "not healthy: the supervisor does not answer\n"
    os.kill(pid, signal.SIGCONT)


# stop


def test_stop_leaves_nothing_and_the_second_one_finds_nothing(gateway: Gateway) -> None:
    assert gateway.cli("send", "hello").returncode == 0
    assert gateway.stop() == 0
    result = gateway.cli("stop")
    assert result.returncode == 3
    assert gateway.cli("health").returncode == 3


def test_stop_waits_no_longer_than_its_grace_and_the_turn_is_resumed(make_gateway: GatewayFactory) -> None:
    gateway = make_gateway(config={"logging": {"level": "info"}}).start()

    async def begin() -> str:
        async with Client(gateway.ws_url) as client:
            message_id = await client.send("/demo slow 6")
            await client.expect("turn_started", messageId=message_id)
            return message_id

    message_id = asyncio.run(begin())
    assert gateway.stop("--grace", "0.5") == 0
    assert "1 turns are resumed at the next start" in gateway.log_text()
    gateway.restart()

    async def finish() -> None:
        async with Client(gateway.ws_url) as client:
            await client.resume(0)
            done = await client.expect("turn_done", messageId=message_id, deadline_s=30.0)
            assert done["status"] == "completed"

    asyncio.run(finish())
    gateway.stop()


def test_stop_works_while_the_supervisor_is_stopped(gateway: Gateway) -> None:
    gateway.kill("supervisor", signal.SIGSTOP)
    result = gateway.cli("stop", "--grace", "0", deadline_s=60.0)
    assert result.returncode == 0, result.stderr
    gateway.wait()
    gateway.check_nothing_left()


# sessions, actors


def test_sessions_list_show_stop_restart(gateway: Gateway) -> None:
    assert gateway.cli("sessions", "list").stdout == "no sessions\n"
    assert gateway.cli("send", "hello there", "--session", "a").returncode == 0
    listed = json.loads(gateway.cli("sessions", "list", "--json").stdout)
    assert [each["session"] for each in listed["sessions"]] == [session_key("a")]
    assert session_key("a") in gateway.cli("sessions", "list").stdout

    shown = gateway.cli("sessions", "show", session_key("a")).stdout
    assert "user       hello there" in shown
    assert "assistant  echo: hello there" in shown

    stopped = gateway.cli("sessions", "stop", session_key("a"))
    assert stopped.returncode == 0, stopped.stderr

    pid = gateway.pid_of(session_key("a"))
    assert gateway.cli("sessions", "restart", session_key("a")).returncode == 0
    wait_until(lambda: not Path(f"/proc/{pid}").exists(), what="the session's process ends")
    assert gateway.cli("send", "/demo recall", "--session", "a").stdout.startswith(
        "turns=1 first=hello there"
    )


def test_a_session_that_is_not_there_is_said_to_be_unknown(gateway: Gateway) -> None:
    assert "and no other" in gateway.cli("sessions", "show", "a").stderr
    assert gateway.cli("send", "hello", "--session", "a").returncode == 0
    for command in ("show", "restart", "stop"):
        result = gateway.cli("sessions", command, "a")
        assert result.returncode == 1, command
        assert result.stderr == f"Error: there is no session 'a'; there are {session_key('a')}\n"
    result = gateway.cli("sessions", "stop", session_key("a"))
    assert (result.returncode, result.stdout) == (0, f"nothing runs in {session_key('a')}\n")


def test_a_stored_session_needs_no_restart(gateway: Gateway) -> None:
    assert gateway.cli("send", "hello", "--session", "a").returncode == 0
    gateway.stop()
    gateway.restart()
    for command in ("sessions", "actors"):
        result = gateway.cli(command, "restart", session_key("a"))
        assert result.returncode == 0, result.stderr
        assert "its next message starts one" in result.stdout


def test_sessions_stop_ends_the_running_turn(gateway: Gateway) -> None:
    async def scene() -> None:
        async with Client(gateway.ws_url, session="a") as client:
            message_id = await client.send("/demo slow 30")
            await client.expect("turn_started", messageId=message_id)
            result = await asyncio.to_thread(gateway.cli, "sessions", "stop", session_key("a"))
            assert result.returncode == 0
            done = await client.expect("turn_done", messageId=message_id)
            assert done["status"] == "stopped"

    asyncio.run(scene())


@pytest.mark.parametrize("name", SERVICES)
def test_actors_restart_replaces_a_service(gateway: Gateway, name: str) -> None:
    before = gateway.nodes()[name]
    assert gateway.cli("actors", "restart", name).returncode == 0

    def replaced() -> bool:
        node = gateway.nodes()[name]
        return node["state"] == "running" and node["pid"] != before["pid"]

    wait_until(replaced, what=f"{name} runs again")
    assert gateway.nodes()[name]["incarnation"] > before["incarnation"]
    assert gateway.cli("send", "hello").stdout == "echo: hello\n"


def test_actors_restart_of_the_supervisor_and_of_nobody(gateway: Gateway) -> None:
    pid = gateway.pid_of("supervisor")
    assert gateway.cli("actors", "restart", "supervisor").returncode == 0
    wait_until(lambda: not Path(f"/proc/{pid}").exists(), what="the supervisor has ended")
    assert gateway.cli("send", "hello").stdout == "echo: hello\n"
    result = gateway.cli("actors", "restart", "websoket")
    assert result.returncode == 1
    assert result.stderr.startswith("Error: there is no actor 'websoket'; there are websocket, supervisor, ")
    assert session_key("main") in result.stderr


# send


def test_send_prints_the_answer_and_nothing_else(gateway: Gateway) -> None:
    result = gateway.cli("send", "hello there")
    assert (result.returncode, result.stdout, result.stderr) == (0, "echo: hello there\n", "")
    assert gateway.cli("send", "-", stdin="from stdin").stdout == "echo: from stdin\n"


def test_send_as_json_prints_the_events(gateway: Gateway) -> None:
    result = gateway.cli("send", "hello", "--json")
    events = [json.loads(line) for line in result.stdout.splitlines()]
    assert [event["type"] for event in events if "seq" in event] == [
        "message_accepted",
        "turn_started",
        "turn_done",
    ]
    assert events[-1]["text"] == "echo: hello"


def test_send_survives_the_death_of_the_root(gateway: Gateway) -> None:
    command, environment = gateway.cli_command("send", "/demo slow 3")
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        first = process.stdout.read(1)
        assert first
        gateway.kill("supervisor")
        assert process.wait(30.0) == 0
        assert "(starts again)" in process.stdout.read()


def test_send_ends_with_1_if_the_turn_fails(gateway: Gateway) -> None:
    result = gateway.cli("send", "/demo tool nonsense {}")
    assert result.returncode in (0, 1)  # the tool does not exist; the turn goes on
    key = session_key("bad")
    process = subprocess.Popen(
        gateway.cli_command("send", "/demo slow 30", "--session", "bad")[0],
        env=gateway.cli_command()[1],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.read(1)
    assert gateway.cli("sessions", "stop", key).returncode == 0
    _, errors = process.communicate(timeout=30.0)
    assert process.returncode == 1
    assert "stopped" in errors


def test_send_interrupted_stops_its_turn(gateway: Gateway) -> None:
    command, environment = gateway.cli_command("send", "/demo slow 30", "--session", "a")
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.read(1)
        process.send_signal(signal.SIGINT)
        assert process.wait(30.0) == 130
        process.communicate()
    shown = json.loads(gateway.cli("sessions", "show", session_key("a"), "--json").stdout)
    assert shown["events"][-1]["status"] == "stopped"


def test_send_without_a_gateway_is_3_and_with_a_wrong_token_1(make_gateway: GatewayFactory) -> None:
    gateway = make_gateway(config={"auth_token": "file:token"})
    (gateway.directory / "token").write_text("right\n")
    assert gateway.cli("send", "hello").returncode == 3
    gateway.start()
    assert gateway.cli("send", "hello").stdout == "echo: hello\n"
    (gateway.directory / "token").write_text("wrong\n")
    result = gateway.cli("send", "hello")
    assert result.returncode == 1
    assert "token" in result.stderr


# start, with the real supervisor


@pytest.mark.parametrize("option", ["--port", "--http-port"])
def test_a_port_in_use_is_said_and_nothing_is_left(make_gateway: GatewayFactory, option: str) -> None:
    gateway = make_gateway()
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        gateway.spawn(option, str(port))
        assert gateway.wait() == 1
        assert gateway.err.wait_for_end(deadline_s=30.0)
        errors = [line for line in gateway.err.lines if line.startswith("Error: ")]
        assert len(errors) == 1
        assert str(port) in errors[0]
    gateway.check_nothing_left()


@pytest.mark.parametrize("name", ["admin", "supervisor"])
def test_a_killed_root_comes_back_on_its_ports_with_the_conversation(gateway: Gateway, name: str) -> None:
    assert gateway.cli("send", "hello", "--session", "a").returncode == 0
    before = {process.pid for process in gateway.processes()} - {gateway.pid}
    pid = gateway.kill(name)
    wait_until(lambda: not Path(f"/proc/{pid}").exists(), what=f"{name} has ended")
    answer = gateway.cli("send", "/demo recall", "--session", "a")
    assert answer.stdout == "turns=1 first=hello last=hello\n", answer.stderr
    gateway.status()
    now = {process.pid for process in gateway.processes()} - {gateway.pid}
    assert not before & now

    async def same_port() -> None:
        async with Client(gateway.ws_url, session="a") as client:
            assert (await client.turn("again"))["text"] == "echo: again"

    asyncio.run(same_port())


def test_sigterm_to_the_whole_group_is_a_drain(gateway: Gateway) -> None:
    assert gateway.cli("send", "hello").returncode == 0
    gateway.note_processes()
    os.killpg(gateway.pid, signal.SIGTERM)
    assert gateway.wait() == 0
    gateway.check_nothing_left()
    assert gateway.err.text() == ""


def test_a_killed_start_takes_everything_with_it_and_the_next_one_continues(gateway: Gateway) -> None:
    assert gateway.cli("send", "hello", "--session", "a").returncode == 0
    gateway.note_processes()
    os.kill(gateway.pid, signal.SIGKILL)
    gateway.wait()
    wait_until(lambda: not gateway.processes(), deadline_s=30.0, what="nothing of it is alive")
    assert gateway.cli("health").returncode == 3
    gateway.restart()
    answer = gateway.cli("send", "/demo recall", "--session", "a")
    assert answer.stdout == "turns=1 first=hello last=hello\n"


def test_no_process_that_forks_has_a_second_thread(gateway: Gateway) -> None:
    assert gateway.cli("send", "hello").returncode == 0
    for name in ("start", "admin", "supervisor", "router"):
        status = Path(f"/proc/{gateway.pid_of(name)}/status").read_text()
        assert "Threads:\t1\n" in status, name
