"""The demo provider echoes, obeys, and breaks only what it was told to."""

from __future__ import annotations

import asyncio
import time

import pytest

from openclaw_actors.messages.events import Usage
from openclaw_actors.messages.model import ChatMessage, Complete, ToolCall
from openclaw_actors.providers.base import Answer, CallError
from openclaw_actors.providers.demo import FAULT_TOOL, DemoProvider

__all__: list[str] = []


def user(text: str) -> ChatMessage:
    return ChatMessage(role="user", text=text)


def assistant(text: str, *calls: ToolCall) -> ChatMessage:
    return ChatMessage(role="assistant", text=text, tool_calls=calls)


def ask(
    *messages: ChatMessage | str, provider: DemoProvider | None = None, faults: bool = False
) -> tuple[Answer, list[str]]:
    request = Complete(
        call_id="c1",
        session="s",
        correlation_id="k",
        messages=tuple(user(m) if isinstance(m, str) else m for m in messages),
    )
    deltas: list[str] = []
    answer = asyncio.run((provider or DemoProvider(faults=faults)).complete(request, deltas.append))
    assert "".join(deltas) == answer.text
    return answer, deltas


@pytest.mark.parametrize(
    "text",
    [
        "hello",
        "hello there",
        "  two  spaces ",
        "",
        " ",
        "line\nbreak",
        "/demo",
        "/demo x",
        "/demonstrate",
        "é🙂",
    ],
)
def test_echo(text: str) -> None:
    answer, _ = ask(text)

    assert answer.text == f"echo: {text}"
    assert answer.tool_calls == ()


def test_echo_comes_word_by_word_and_counts_words() -> None:
    answer, deltas = ask(ChatMessage(role="system", text="be kind"), "one two three")

    assert deltas == ["echo:", " one", " two", " three"]
    assert answer.usage == Usage(input_tokens=5, output_tokens=4)


def test_the_last_thing_said_is_answered() -> None:
    answer, _ = ask("first", assistant("echo: first"), "second")

    assert answer.text == "echo: second"


def test_recall() -> None:
    history: list[ChatMessage | str] = [
        "a b",
        assistant("echo: a b"),
        "c",
        assistant("echo: c"),
        "/demo recall",
    ]

    assert ask(*history)[0].text == "turns=2 first=a b last=c"
    assert ask("/demo recall")[0].text == "turns=0 first= last="


def test_a_summary_says_what_it_is_of_and_is_no_turn() -> None:
    material = '{"text": "before"}\n{"person": "one\u2028two"}\n{"person": "thr'
    request = Complete(
        call_id="c", session="s", correlation_id="k", messages=(user(material),), purpose="summary"
    )
    answer = asyncio.run(DemoProvider(faults=False).complete(request, lambda _: None))
    assert answer.text == "lines=2 first=before last=one\u2028two"
    summary = ChatMessage(role="user", text="a summary", name="summary")
    assert ask(summary, "a", "/demo recall")[0].text == "turns=1 first=a last=a"


def test_slow_takes_its_time_and_says_a_word_every_tenth_of_a_second() -> None:
    started = time.monotonic()

    answer, deltas = ask("/demo slow 0.5")

    assert time.monotonic() - started >= 0.5
    assert answer.text == "1 2 3 4 5"
    assert len(deltas) == 5


@pytest.mark.parametrize("argument", ["", "soon", "-1", "nan", "1e9"])
def test_slow_explains_itself(argument: str) -> None:
    assert ask(f"/demo slow {argument}")[0].text.startswith("usage: /demo slow")


def test_tokens() -> None:
    answer, _ = ask("/demo tokens 1000")

    assert answer.usage.output_tokens == 1000
    assert answer.text.split() == [str(n) for n in range(1, 1001)]
    assert ask("/demo tokens 0")[0].usage.output_tokens == 0
    assert ask("/demo tokens many")[0].text.startswith("usage:")


def test_long_answers_let_others_run() -> None:
    ticks = 0

    async def count_ticks() -> None:
        nonlocal ticks
        while True:
            ticks += 1
            await asyncio.sleep(0)

    async def run() -> None:
        counter = asyncio.create_task(count_ticks())
        request = Complete(
            call_id="c", session="s", correlation_id="k", messages=(user("/demo tokens 10000"),)
        )
        await DemoProvider(faults=False).complete(request, lambda _: None)
        counter.cancel()

    asyncio.run(run())

    assert ticks > 10


def test_tool_asks_and_then_reports() -> None:
    asked, _ = ask('/demo tool read_file {"path": "a b"}')
    (call,) = asked.tool_calls
    assert (call.name, call.arguments) == ("read_file", '{"path": "a b"}')
    assert asked.text == ""

    result = ChatMessage(role="tool", text="the content", call_id=call.call_id, name=call.name)
    answer, _ = ask('/demo tool read_file {"path": "a b"}', assistant("", call), result)

    assert answer.text == "read_file: the content"
    assert answer.tool_calls == ()


def test_tool_without_or_with_odd_arguments() -> None:
    assert ask("/demo tool shell")[0].tool_calls[0].arguments == "{}"
    assert ask("/demo tool shell {broken")[0].tool_calls[0].arguments == "{broken"
    assert ask("/demo tool")[0].text == "echo: /demo tool"


def test_results_of_earlier_turns_are_not_reported_again() -> None:
    call = ToolCall(call_id="x", name="shell", arguments="{}")
    result = ChatMessage(role="tool", text="done", call_id="x", name="shell")

    answer, _ = ask("/demo tool shell", assistant("", call), result, assistant("shell: done"), "hello")

    assert answer.text == "echo: hello"


@pytest.mark.parametrize(
    ("command", "arguments"),
    [
        ("/demo crash", '{"fault":"crash"}'),
        ("/demo spin", '{"fault":"spin"}'),
        ("/demo eat 300", '{"fault":"eat","megabytes":300}'),
    ],
)
def test_faults_of_the_session_are_asked_for_as_a_tool(command: str, arguments: str) -> None:
    (call,) = ask(command, faults=True)[0].tool_calls

    assert (call.name, call.arguments) == (FAULT_TOOL, arguments)


@pytest.mark.parametrize("command", ["crash", "spin", "eat 10", "fail 3", "hang"])
def test_faults_are_only_echoed_where_they_are_not_allowed(command: str) -> None:
    answer, _ = ask(f"/demo {command}")

    assert answer.text == f"echo: /demo {command}"
    assert answer.tool_calls == ()


def test_fail_makes_the_next_calls_fail() -> None:
    provider = DemoProvider(faults=True)
    answer, _ = ask("/demo fail 2", provider=provider)
    assert answer.text == "the next 2 provider calls fail"

    for _ in range(2):
        with pytest.raises(CallError) as failure:
            ask("hello", provider=provider)
        assert failure.value.retryable
        assert failure.value.code == "provider"

    assert ask("hello", provider=provider)[0].text == "echo: hello"


def test_hang_ends_only_by_cancellation() -> None:
    async def run() -> None:
        request = Complete(call_id="c", session="s", correlation_id="k", messages=(user("/demo hang"),))
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(DemoProvider(faults=True).complete(request, lambda _: None), 0.05)

    asyncio.run(run())
