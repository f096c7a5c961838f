"""The model is given every turn with its outcome, what was said once, and no more than it can read."""

from __future__ import annotations

from typing import Any

from openclaw_actors.agent.prompt import PromptBuilder, build_prompt
from openclaw_actors.agent.system_prompt import SYSTEM_PROMPT
from openclaw_actors.core.conversation import Conversation, HistoryTurn, OpenMessage, Step, ToolOutcome
from openclaw_actors.messages.model import ChatMessage, ToolCall

__all__: list[str] = []

CALL = ToolCall(call_id="c", name="look", arguments="{}")


def turn(user: str, answer: str, *steps: Step, status: Any = "completed") -> HistoryTurn:
    return HistoryTurn(user=user, steps=list(steps), answer=answer, status=status)


def running(text: str, *steps: Step) -> OpenMessage:
    return OpenMessage(
        message_id="m",
        text=text,
        seq=1,
        at=0.0,
        channel="websocket",
        delivery_id="d",
        correlation_id="k",
        steps=list(steps),
    )


def prompt(*window: HistoryTurn, then: OpenMessage | None = None) -> list[ChatMessage]:
    state = Conversation(key="k", window=list(window), open=[] if then is None else [then])
    first, *rest = build_prompt(state)
    assert first == ChatMessage(role="system", text=SYSTEM_PROMPT)
    return rest


def said(messages: list[ChatMessage]) -> list[tuple[str, str]]:
    return [(message.role, message.text) for message in messages]


def test_turns_and_the_one_that_runs() -> None:
    assert said(prompt(turn("a", "A"), turn("b", "B"), then=running("c"))) == [
        ("user", "a"),
        ("assistant", "A"),
        ("user", "b"),
        ("assistant", "B"),
        ("user", "c"),
    ]


def test_no_question_is_left_without_an_answer() -> None:
    for status in ("stopped", "failed", "interrupted", "completed"):
        (_, answer) = prompt(turn("a", "", status=status))
        assert answer.text.startswith("(")
    assert said(prompt(turn("a", "as far as", status="stopped")))[1] == ("assistant", "as far as")


def test_tools_with_their_results_and_without() -> None:
    done = Step(text="I look.", calls=(CALL,), outcomes={"c": ToolOutcome(status="ok", text="seen")})
    lost = Step(text="", calls=(CALL,), started={"c"})
    never = Step(text="", calls=(CALL,))

    messages = prompt(then=running("a", done, lost, never))

    assert said(messages) == [
        ("user", "a"),
        ("assistant", "I look."),
        ("tool", "seen"),
        ("assistant", ""),
        ("tool", "Interrupted: the outcome of this call is unknown."),
        ("assistant", ""),
        ("tool", "Not run: the turn ended before it was this call's turn."),
    ]
    assert messages[1].tool_calls == (CALL,)
    assert (messages[2].call_id, messages[2].name) == ("c", "look")


def test_what_the_steps_of_a_turn_said_stands_in_it_once() -> None:
    step = Step(text="I look.", calls=(CALL,), outcomes={"c": ToolOutcome(status="ok", text="seen")})
    again = Step(text="Once more.", calls=(CALL,), outcomes={"c": ToolOutcome(status="ok", text="seen")})

    whole = prompt(turn("a", "I look.\n\nOnce more.\n\nIt is blue.", step, again))
    broken = prompt(turn("a", "It failed.", step, status="failed"))

    assert [text for role, text in said(whole) if role == "assistant"] == [
        "I look.",
        "Once more.",
        "It is blue.",
    ]
    assert said(broken)[-1] == ("assistant", "It failed.")


def test_the_oldest_turns_give_way_where_there_is_too_much() -> None:
    large = "x" * 1_000_000
    window = [turn(f"{number}", large) for number in range(20)]

    messages = prompt(*window, then=running("now"))

    users = [message.text for message in messages if message.role == "user"]
    assert users == ["13", "14", "15", "16", "17", "18", "19", "now"]
    assert sum(len(message.text) for message in messages) < 8_000_100


def test_the_turn_that_runs_is_never_cut() -> None:
    text = "x" * 9_000_000

    assert said(prompt(turn("old", "y" * 9_000_000), then=running(text))) == [("user", text)]


def test_a_builder_that_has_made_prompts_before_makes_those_of_one_that_has_not() -> None:
    """The window loses turns in front, is summarised, restored, emptied, and grows: what was kept must follow."""
    a, b, c, d = (turn(name, name.upper(), Step(text="x", calls=(CALL,))) for name in "abcd")
    summary = HistoryTurn(user="", steps=[], answer="so far", status="completed", stands_for=3)
    windows = [
        [a],
        [a, b],
        [b, c],
        [c, d],
        [summary, d],
        [summary, d, a],
        [b, a],
        [b],
        [],
        [a, a],
        [a, a, b],
        [d],
    ]
    builder = PromptBuilder()
    for window in windows:
        state = Conversation(key="k", window=list(window), open=[running("now")])
        assert builder.build(state) == build_prompt(state)
        assert builder.build(state) == build_prompt(state)
