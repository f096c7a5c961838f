"""What else can be done in a conversation at a terminal: go to another one, send again, look into a tool call."""

from __future__ import annotations

from tests.system.cli.terminal import CTRL_D, ENTER, Terminal
from tests.system.cli.test_chat import chat, leave, wait_until_idle
from tests.system.conftest import GatewayFactory
from tests.system.gateway import Gateway

TAB, CTRL_R = "\t", "\x12"


def test_one_goes_to_another_conversation_by_number_by_name_and_by_tab(gateway: Gateway) -> None:
    with chat(gateway, "--session", "holiday plans") as terminal:
        terminal.enter("hello")
        terminal.wait_for("echo: hello")
    with chat(gateway) as terminal:
        terminal.enter("/sessions holiday")
        at = terminal.wait_for("holiday plans  (", after=terminal.wait_for("  1  "))
        terminal.enter("/switch 1")
        at = terminal.wait_for("(conversation holiday plans)", after=at)
        terminal.enter("/demo recall")
        at = terminal.wait_for("turns=1 first=hello", after=at)
        terminal.enter("/sessions nowhere")
        at = terminal.wait_for("no conversation is called so: nowhere", after=at)
        terminal.enter("/switch somewhere new")
        at = terminal.wait_for("(conversation somewhere new)", after=at)
        terminal.press(f"/sw{TAB}")
        at = terminal.wait_for("/switch", after=at)
        terminal.press(f"hol{TAB}")
        at = terminal.wait_for("iday plans", after=at)
        terminal.press(ENTER)
        at = terminal.wait_for("(conversation holiday plans)", after=at)
        leave(terminal, keys=CTRL_D, code=0)


def test_what_was_not_taken_is_sent_again_when_the_person_wants_it(make_gateway: GatewayFactory) -> None:
    gateway = make_gateway(config={"sessions": {"max_pending": 1}}).start()
    with chat(gateway) as terminal:
        terminal.enter("/demo slow 30")
        at = terminal.wait_for(" 2", after=terminal.wait_for("> /demo slow 30"))
        terminal.enter("first that waits")
        at = terminal.wait_for("(waits behind 1)", after=at)
        terminal.enter("one too many")
        at = terminal.wait_for("(/resend sends it again)", after=at)
        terminal.enter("/status")
        at = terminal.wait_for("one too many: not taken (busy)", after=at)
        terminal.enter("/stop")
        at = terminal.wait_for("(answers: first that waits)", after=at)
        wait_until_idle(terminal)
        terminal.enter("/resend")
        terminal.wait_for("echo: one too many", after=at)
        at = len(terminal.shown)
        terminal.enter("/resend")
        terminal.wait_for("(every message was taken)", after=at)


def test_a_tool_call_is_a_line_and_can_be_seen_whole(gateway: Gateway) -> None:
    with chat(gateway) as terminal:
        terminal.enter('/demo tool read_file {"path": "nowhere.txt"}')
        at = terminal.wait_for('[1 read_file {"path": "nowhere.txt"}]')
        at = terminal.wait_for("[1 error:", after=at)
        terminal.enter("/tool")
        at = terminal.wait_for("tool call 1: read_file", after=at)
        terminal.wait_for("error:", after=at)


def test_what_was_entered_before_is_found_by_a_part_of_it(gateway: Gateway) -> None:
    with chat(gateway) as terminal:
        for text in ("first of all", "second", "third"):
            terminal.enter(text)
            terminal.wait_for(f"echo: {text}")
        at = len(terminal.shown)
        terminal.press(CTRL_R)
        at = terminal.wait_for("reverse-i-search", after=at)
        terminal.press("first")
        at = terminal.wait_for(" of all", after=at)
        terminal.press(ENTER + ENTER)
        terminal.wait_for("echo: first of all", after=at)


def test_lines_can_ask_for_the_list_too(gateway: Gateway) -> None:
    result = gateway.cli("chat", stdin="hello\n/sessions\n")
    assert result.returncode == 0
    assert "*  1  " in result.stderr
    assert "main  (" in result.stderr


def test_who_waits_for_the_end_of_the_gateway_sees_what_it_waits_for(gateway: Gateway) -> None:
    with chat(gateway) as terminal:
        terminal.enter("/demo slow 30")
        terminal.wait_for(" 2", after=terminal.wait_for("> /demo slow 30"))
        command, environment = gateway.cli_command("stop", "--grace", "4")
        with Terminal(command, environment, gateway.directory) as stopping:
            stopping.wait_for("the gateway finishes what runs")
            assert stopping.wait() == 0
            assert stopping.is_as_before


def test_the_markdown_of_an_answer_is_shown_as_what_it_means(gateway: Gateway) -> None:
    text = "a **bold** word and `code`"
    with chat(gateway) as terminal:
        terminal.enter(text)
        terminal.wait_for("echo: a bold word and code")
        assert b"a \x1b[1mbold\x1b[0m word" in terminal.raw
        assert f"> {text}" in terminal.shown, "what the person said stays what it is"
    with chat(gateway, "--plain") as terminal:
        terminal.enter(text)
        terminal.wait_for(f"echo: {text}")
        assert b"\x1b[1mbold" not in terminal.raw
