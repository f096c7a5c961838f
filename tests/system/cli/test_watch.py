"""The live status on a terminal, against the real gateway."""

from __future__ import annotations

from tests.system.cli.terminal import ENTER, Terminal
from tests.system.gateway import Gateway, wait_until

DOWN, ESCAPE = "\x1b[B", "\x1b"


def test_a_person_watches_filters_restarts_and_sees_the_gateway_come_back_and_end(gateway: Gateway) -> None:
    assert gateway.cli("send", "hello", "--session", "a").returncode == 0
    before = gateway.pid_of("http")
    command, environment = gateway.cli_command("status", "--watch")
    with Terminal(command, {**environment, "NO_COLOR": "1"}, gateway.directory) as terminal:
        at = terminal.wait_for("healthy, up ")
        at = terminal.wait_for("q leave", after=at)
        terminal.press("/http" + ENTER)
        at = terminal.wait_for("[/http, 2 actors]", after=at)
        terminal.press(DOWN + DOWN + "r")
        at = terminal.wait_for("restart http? y does it", after=at)
        terminal.press("y")
        wait_until(
            lambda: gateway.nodes()["http"]["pid"] not in (None, before), what="http has another process"
        )
        terminal.press("c" + ESCAPE)
        at = terminal.wait_for("PER SECOND", after=at)

        terminal.resize(lines=8, columns=100)
        at = terminal.wait_for("COUNTER", after=at)

        killed = gateway.kill("supervisor")
        wait_until(lambda: gateway.nodes()["supervisor"]["pid"] != killed, what="another supervisor")
        terminal.press("c")
        at = terminal.wait_for(f" {gateway.pid_of('http')} ", after=at)

        gateway.stop()
        terminal.wait_for("no gateway is running", after=at)
        assert terminal.wait() == 3
        assert terminal.is_as_before
        assert terminal.raw.count(b"\x1b[?1049h") == terminal.raw.count(b"\x1b[?1049l") == 1
        assert b"\x1b[3" not in terminal.raw.replace(b"\x1b[3m", b"")


def test_q_leaves_and_the_terminal_is_as_it_was(gateway: Gateway) -> None:
    command, environment = gateway.cli_command("status", "--watch")
    with Terminal(command, environment, gateway.directory) as terminal:
        terminal.wait_for("q leave")
        terminal.press("q")
        assert terminal.wait() == 0
        assert terminal.is_as_before
