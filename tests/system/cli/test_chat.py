"""The conversation at a terminal and without one, against the real gateway."""

from __future__ import annotations

import os
import select
import signal
import subprocess
from pathlib import Path

from tests.system.cli.terminal import CTRL_C, CTRL_D, ENTER, UP, Terminal
from tests.system.conftest import GatewayFactory
from tests.system.gateway import Gateway, wait_until

GREETING = "/help shows what can be done here"


def chat(gateway: Gateway, *arguments: str) -> Terminal:
    """A chat on a terminal, ready for the first key."""
    command, environment = gateway.cli_command("chat", *arguments)
    terminal = Terminal(command, environment, gateway.directory)
    terminal.wait_for(">", after=terminal.wait_for(GREETING))
    return terminal


def leave(terminal: Terminal, *, code: int, keys: str = "") -> None:
    """Press keys that end it; the terminal must be as it was."""
    terminal.press(keys)
    assert terminal.wait() == code
    assert terminal.is_as_before


def kill_the_root(gateway: Gateway) -> None:
    """Kill the supervisor, and wait until what was below it is dead too and cannot begin an answer any more."""
    pids = {node["pid"] for node in gateway.nodes().values()}
    below = [process for process in gateway.processes() if process.pid in pids]
    gateway.kill("supervisor")
    wait_until(lambda: not any(process.alive for process in below), what="everything below start has ended")


def wait_until_idle(terminal: Terminal) -> None:
    """Ask until no answer is running any more."""

    def idle() -> bool:
        at = len(terminal.shown)
        terminal.enter("/status")
        terminal.wait_for("messages without an answer", after=at)
        return "nothing is running" in terminal.shown[at:]

    wait_until(idle, what="the answer has ended")


# On a terminal


def test_a_conversation_with_arrow_keys_and_ctrl_d(gateway: Gateway) -> None:
    with chat(gateway) as terminal:
        terminal.enter("hello there")
        at = terminal.wait_for("echo: hello there")
        terminal.enter("second")
        at = terminal.wait_for("echo: second", after=at)
        terminal.press(UP + UP + ENTER)
        at = terminal.wait_for("echo: hello there", after=at)
        leave(terminal, keys=CTRL_D, code=0)
    history = gateway.state_dir / "chat_history"
    assert history.stat().st_mode & 0o777 == 0o600
    with chat(gateway) as terminal:
        terminal.press(UP + UP + ENTER)
        terminal.wait_for("echo: second")


def test_the_prompt_can_be_used_while_an_answer_streams(gateway: Gateway) -> None:
    with chat(gateway) as terminal:
        terminal.enter("/demo slow 3")
        at = terminal.wait_for("> /demo slow 3")
        terminal.press("typed meanwhile")
        terminal.enter("")
        at = terminal.wait_for("(waits behind 1)", after=at)
        terminal.wait_for("echo: typed meanwhile", after=at)


def test_ctrl_c_stops_the_turn_and_then_leaves(gateway: Gateway) -> None:
    with chat(gateway) as terminal:
        terminal.enter("/demo slow 30")
        at = terminal.wait_for("> /demo slow 30")
        terminal.enter("/status")
        at = terminal.wait_for("an answer is running", after=at)
        terminal.press(CTRL_C)
        at = terminal.wait_for("(stopped", after=at, deadline_s=30.0)
        terminal.enter("still here")
        terminal.wait_for("echo: still here", after=at)
        wait_until_idle(terminal)
        leave(terminal, keys=CTRL_C, code=130)


def test_ctrl_c_stops_the_turn_also_after_a_stop_that_had_nothing_to_do(gateway: Gateway) -> None:
    with chat(gateway) as terminal:
        terminal.enter("/stop")
        at = terminal.wait_for("nothing to stop")
        terminal.enter("/demo slow 30")
        at = terminal.wait_for("> /demo slow 30", after=at)
        at = terminal.wait_for(" 3", after=at)
        terminal.press(CTRL_C)
        at = terminal.wait_for("(stopped", after=at)
        terminal.enter("still here")
        terminal.wait_for("echo: still here", after=at)


def test_a_stop_straight_after_a_change_of_the_conversation_is_not_lost_in_silence(gateway: Gateway) -> None:
    with chat(gateway) as terminal:
        terminal.press(f"/session other{ENTER}/stop{ENTER}")
        wait_until(
            lambda: "nothing to stop" in terminal.shown or "cannot be stopped now" in terminal.shown,
            what="something is said",
        )


def test_nothing_is_asked_of_the_terminal_and_nothing_is_scrolled(gateway: Gateway) -> None:
    with chat(gateway) as terminal:
        for number in range(3):
            terminal.enter(f"line {number}")
            terminal.wait_for(f"echo: line {number}")
        leave(terminal, keys=CTRL_D, code=0)
        assert b"\x1b[6n" not in terminal.raw  # an answer that comes late moves everything
        assert terminal.raw.count(b"\n") < 30


def test_keys_that_come_faster_than_they_are_read_are_all_heard(gateway: Gateway) -> None:
    with chat(gateway) as terminal:
        terminal.press(f"one{ENTER}two{ENTER}three{ENTER}{CTRL_D}")
        leave(terminal, code=0)
        assert [f"> {word}" in terminal.shown for word in ("one", "two", "three")] == [True] * 3
        assert b"^D" not in terminal.raw


def test_lines_that_are_pasted_at_once_are_one_message(gateway: Gateway) -> None:
    with chat(gateway) as terminal:
        terminal.press("\x1b[200~first\nsecond\x1b[201~")
        terminal.press(ENTER)
        terminal.wait_for("echo: first\nsecond")
        terminal.press(f"third\x1b{ENTER}fourth{ENTER}")
        terminal.wait_for("echo: third\nfourth")


def test_what_is_not_utf_8_is_refused_and_the_conversation_goes_on(gateway: Gateway) -> None:
    with chat(gateway) as terminal:
        terminal.press(b"a\xffb\r")
        at = terminal.wait_for("not UTF-8")
        terminal.enter("hello")
        terminal.wait_for("echo: hello", after=at)


def test_a_history_that_cannot_be_kept_ends_nothing(gateway: Gateway) -> None:
    (gateway.state_dir / "chat_history").mkdir()
    with chat(gateway) as terminal:
        terminal.enter("hello")
        at = terminal.wait_for("echo: hello")
        terminal.press(UP + ENTER)
        terminal.wait_for("echo: hello", after=at)
        leave(terminal, keys=CTRL_D, code=0)


def test_wide_text_and_tabs_are_shown_as_they_are(gateway: Gateway) -> None:
    family = "\U0001f469\u200d\U0001f469\u200d\U0001f467"
    with chat(gateway) as terminal:
        terminal.enter(f"{family}\u3000\u5bbf" * 3)
        terminal.wait_for(f"echo: {family}\u3000\u5bbf")
        assert "\\u" not in terminal.shown


def test_a_dumb_terminal_has_lines_and_ctrl_c(gateway: Gateway) -> None:
    command, environment = gateway.cli_command("chat")
    with Terminal(command, environment, gateway.directory, kind="dumb") as terminal:
        terminal.enter("hello")
        at = terminal.wait_for("echo: hello")
        terminal.enter("/demo slow 30")
        at = terminal.wait_for("1 2 3", after=at)
        terminal.press(CTRL_C)
        at = terminal.wait_for("(stopped", after=at)
        terminal.enter("still here")
        at = terminal.wait_for("echo: still here", after=at)
        assert b"\x1b" not in terminal.raw
        wait_until_idle(terminal)
        leave(terminal, keys=CTRL_C, code=130)


def test_a_gateway_that_cannot_be_reached_yet_is_said(gateway: Gateway) -> None:
    pid = gateway.kill("websocket", signal.SIGSTOP)
    command, environment = gateway.cli_command("chat")
    with Terminal(command, environment, gateway.directory) as terminal:
        terminal.wait_for("connecting again)", deadline_s=30.0)
        os.kill(pid, signal.SIGCONT)
        terminal.wait_for(GREETING, deadline_s=30.0)


def test_it_does_not_go_to_another_gateway_when_its_own_is_away(make_gateway: GatewayFactory) -> None:
    other = make_gateway().start()
    port = int(other.ws_url.rpartition(":")[2].partition("/")[0])
    gateway = make_gateway(config={"port": port}).start()
    with chat(gateway) as terminal:
        gateway.stop(check=False)
        at = terminal.wait_for("connecting again)")
        terminal.enter("for my own")
        terminal.wait_for("> for my own", after=at)
        gateway.restart()
        terminal.wait_for("echo: for my own", after=at, deadline_s=30.0)
    assert other.cli("sessions", "list").stdout == "no sessions\n"


def test_who_leaves_before_a_message_was_taken_is_told(gateway: Gateway) -> None:
    with chat(gateway) as terminal:
        gateway.stop(check=False)
        terminal.wait_for("connecting again)")
        terminal.enter("too late")
        at = terminal.wait_for("> too late")
        leave(terminal, keys=CTRL_D, code=0)
        terminal.wait_for("1 message has no receipt", after=at)


def test_commands(gateway: Gateway) -> None:
    with chat(gateway) as terminal:
        terminal.enter("/help")
        at = terminal.wait_for("/switch N")
        terminal.enter("/nonsense")
        at = terminal.wait_for("/nonsense is no command", after=at)
        terminal.enter("/session")
        at = terminal.wait_for("/session needs the name", after=at)
        terminal.enter("/session " + "x" * 129)
        at = terminal.wait_for("/session needs the name", after=at)
        terminal.enter("//slash")
        at = terminal.wait_for("echo: /slash", after=at)
        terminal.enter("/session other")
        at = terminal.wait_for("(conversation other)", after=at)
        terminal.enter("/demo recall")
        at = terminal.wait_for("turns=0", after=at)
        terminal.enter("/session main")
        at = terminal.wait_for("(conversation main)", after=at)
        terminal.enter("/demo recall")
        at = terminal.wait_for("turns=1 first=/slash", after=at)
        terminal.enter("/quit")
        assert terminal.wait() == 0


def test_it_comes_back_by_itself_and_misses_nothing(gateway: Gateway) -> None:
    with chat(gateway) as terminal:
        terminal.enter("one")
        at = terminal.wait_for("echo: one")
        terminal.enter("/demo slow 2")
        at = terminal.wait_for("> /demo slow 2", after=at)
        gateway.kill("supervisor")
        at = terminal.wait_for("connecting again)", after=at)
        at = terminal.wait_for("(connected again)", after=at, deadline_s=30.0)
        terminal.enter("two")
        terminal.wait_for("echo: two", after=at, deadline_s=30.0)


def test_what_was_entered_while_the_gateway_was_down_is_sent_once(gateway: Gateway) -> None:
    with chat(gateway) as terminal:
        terminal.enter("one")
        at = terminal.wait_for("echo: one")
        gateway.stop(check=False)
        at = terminal.wait_for("connecting again)", after=at)
        terminal.enter("two")
        at = terminal.wait_for("> two", after=at)
        gateway.restart()
        at = terminal.wait_for("echo: two", after=at, deadline_s=30.0)
        terminal.enter("/demo recall")
        terminal.wait_for("turns=2 first=one last=two", after=at)


def test_the_end_from_outside_leaves_the_terminal_in_order(gateway: Gateway) -> None:
    with chat(gateway) as terminal:
        terminal.process.send_signal(signal.SIGTERM)
        leave(terminal, code=130)


# Without a terminal


def test_lines_in_answers_out(gateway: Gateway) -> None:
    result = gateway.cli("chat", stdin="one\n\n/demo recall\n/nonsense\n")
    assert result.stdout == "echo: one\nturns=1 first=one last=one\n"
    assert "/nonsense is no command" in result.stderr
    assert result.returncode == 0


def test_more_lines_than_the_queue_holds_are_all_answered(make_gateway: GatewayFactory) -> None:
    gateway = make_gateway(config={"sessions": {"max_pending": 2}}).start()
    lines = [f"line {number}" for number in range(12)]
    result = gateway.cli("chat", stdin="\n".join(lines))
    assert result.stdout == "".join(f"echo: {line}\n" for line in lines)


def test_without_a_terminal_it_comes_back_too_and_shows_everything_once(gateway: Gateway) -> None:
    command, environment = gateway.cli_command("chat")
    with subprocess.Popen(
        command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        for number in range(3):
            process.stdin.write(f"message {number}\n")
            assert process.stdout.readline() == f"echo: message {number}\n"
            kill_the_root(gateway)
        output, _ = process.communicate("the last one", timeout=30.0)
        assert output == "echo: the last one\n"
        assert process.returncode == 0


def test_a_file_as_input(gateway: Gateway, tmp_path: Path) -> None:
    (tmp_path / "lines").write_text("one\ntwo")
    command, environment = gateway.cli_command("chat")
    with open(tmp_path / "lines") as lines:
        output = subprocess.run(
            command, env=environment, stdin=lines, capture_output=True, text=True, timeout=30.0, check=True
        )
    assert output.stdout == "echo: one\necho: two\n"


def test_input_is_read_no_faster_than_it_is_answered(gateway: Gateway) -> None:
    command, environment = gateway.cli_command("chat")
    with subprocess.Popen(command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        process.stdin.write(b"/demo slow 60\n")
        process.stdin.flush()
        fd, written = process.stdin.fileno(), 0
        os.set_blocking(fd, False)
        while written < 16_000_000 and select.select([], [fd], [], 1.5)[1]:
            written += os.write(fd, (b"y" * 999 + b"\n") * 4)
        process.kill()
    assert written < 8_000_000


def test_a_reader_that_leaves_ends_it(gateway: Gateway) -> None:
    for command in (("chat",), ("send", "-")):
        arguments, environment = gateway.cli_command(*command, "--session", command[0])
        with subprocess.Popen(
            arguments,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        ) as process:
            assert process.stdin is not None
            assert process.stdout is not None
            assert process.stderr is not None
            process.stdin.write(b"/demo slow 60\n")
            process.stdin.close() if command == ("send", "-") else process.stdin.flush()
            assert process.stdout.read(1)
            process.stdout.close()
            assert process.wait(30.0) == 1
            assert process.stderr.read() == b""


def test_ctrl_c_without_a_terminal_stops_the_turn_and_leaves(gateway: Gateway) -> None:
    command, environment = gateway.cli_command("chat")
    with subprocess.Popen(
        command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdin.write(b"/demo slow 60\n")
        process.stdin.flush()
        assert process.stdout.read(1)
        process.send_signal(signal.SIGINT)
        assert process.wait(30.0) == 130
        assert process.stderr.read() == b""
        assert process.stdout.read().endswith(b"(stopped)\n")


def test_without_a_gateway_it_says_so(make_gateway: GatewayFactory) -> None:
    gateway = make_gateway()
    for text in ("one\n", ""):
        assert gateway.cli("chat", stdin=text).returncode == 3
    command, environment = gateway.cli_command("chat")
    with Terminal(command, environment, gateway.directory) as terminal:
        terminal.wait_for("no gateway is running")
        assert terminal.wait() == 3
