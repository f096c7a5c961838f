"""Tests what becomes of tools that wait for a person: exactly one outcome each, whatever comes in between."""

from __future__ import annotations

import pytest

from openclaw_actors.core.admission import SessionLimits
from openclaw_actors.core.approvals import only_waits, waiting_calls
from openclaw_actors.core.drafts import MOST_QUESTIONS, approval_asked, sub_agent_called
from openclaw_actors.core.records import ApprovalAsked, ApprovalDecided, ToolFinished, ToolStarted
from openclaw_actors.messages import ToolApprovalRequired, ToolCall, Usage
from tests.unit.core.session_world import World, delivery


def asked(*tools: str, limits: SessionLimits | None = None) -> World:
    """A session whose model has asked for these tools; those in capitals wait for a person."""
    world = World(limits)
    world.asking = frozenset(name for name in tools if name.isupper())
    world.deliver(delivery("m1"))
    world.store_writes()
    world.model_answers("", *tools)
    world.store_writes()
    return world


def results(world: World) -> list[tuple[str, str]]:
    return [(record.name, record.status) for record in world.journal if isinstance(record, ToolFinished)]


def test_a_tool_that_needs_approval_waits_and_the_others_go_on() -> None:
    world = asked("a", "B")
    assert [tool.call.name for tool in world.tools] == ["a"]
    [question] = [event for event in world.said if isinstance(event, ToolApprovalRequired)]
    assert (question.name, question.arguments, question.turn_id) == ("B", "{}", "turn-m1")
    assert world.asked == [question.approval_id]
    world.tool_ends()
    world.store_writes()
    assert world.call is None, "the model was called without the result"
    assert only_waits(world.core.state)


def test_nobody_is_asked_about_more_than_so_many_tools_at_once() -> None:
    world = World()
    names = [f"B{number}" for number in range(MOST_QUESTIONS + 2)]
    world.asking = frozenset(names)
    world.deliver(delivery("m1"))
    world.store_writes()
    world.model_answers("", *names)
    world.store_writes()
    assert len(world.asked) == MOST_QUESTIONS
    assert [name for name, status in results(world) if status == "denied"] == names[MOST_QUESTIONS:]
    world.settle()
    assert [status for _, status in results(world)].count("ok") == MOST_QUESTIONS
    world.check_all_answered()


def test_an_approved_tool_runs_once_its_decision_is_recorded() -> None:
    world = asked("B")
    world.decides(world.asked[0], approved=True)
    assert not world.tools
    assert not world.told
    world.store_writes()
    assert [tool.call.name for tool in world.tools] == ["B"]
    assert [(each.status, each.text) for each in world.told] == [("decided", "B was approved and runs.")]
    world.settle()
    assert results(world) == [("B", "ok")]
    world.check_all_answered()


def test_a_denied_tool_does_not_run_and_the_model_is_told() -> None:
    world = asked("B")
    world.decides(world.asked[0], approved=False)
    world.store_writes()
    assert not world.tools
    assert world.call is not None, "the model is to hear of it"
    [result] = [record for record in world.journal if isinstance(record, ToolFinished)]
    assert (result.status, result.text) == ("denied", "Tool execution denied by user.")
    assert [(each.call.name, each.status) for each in world.not_run] == [("B", "denied")]
    assert not [record for record in world.journal if isinstance(record, ToolStarted)]


@pytest.mark.parametrize(("first", "word"), [(True, "approved"), (False, "denied")])
@pytest.mark.parametrize("recorded", [True, False])
def test_a_second_decision_changes_nothing_and_is_told_so(first: bool, word: str, recorded: bool) -> None:
    world = asked("B")
    approval_id = world.asked[0]
    world.decides(approval_id, approved=first)
    if recorded:
        world.store_writes()
    world.decides(approval_id, approved=not first)
    world.store_writes_all()
    assert [each.status for each in world.told] == ["decided", "already"]
    assert world.told[1].text == f"B was {word} already."
    world.settle()
    assert results(world) == [("B", "ok" if first else "denied")]
    world.decides(approval_id, approved=True)
    assert world.told[-1].text == f"B was {word} already.", "also long after the turn"


def test_a_decision_at_the_deadline_has_one_outcome() -> None:
    world = asked("B", limits=SessionLimits(approval_timeout_s=5))
    approval_id = world.asked[0]
    world.now += 5
    world.decides(approval_id, approved=True)
    world.do(world.core.approval_expired(approval_id, world.now))
    world.store_writes_all()
    assert not world.tools
    assert [(each.status, each.text) for each in world.told] == [
        ("already", "B is no longer asked for: its time is over, and it was denied.")
    ]
    [result] = [record for record in world.journal if isinstance(record, ToolFinished)]
    assert result.text == "Tool execution denied: nobody decided within 5 seconds."


@pytest.mark.parametrize("approved_first", [True, False])
def test_a_decision_and_the_clock_at_once_have_one_outcome(approved_first: bool) -> None:
    world = asked("B")
    approval_id = world.asked[0]
    if approved_first:
        world.decides(approval_id, approved=True)
    world.do(world.core.approval_expired(approval_id, world.now))
    world.decides(approval_id, approved=True)
    world.settle()
    decisions = [record.decision for record in world.journal if isinstance(record, ApprovalDecided)]
    assert decisions == (["approved"] if approved_first else ["expired"])
    world.check_all_answered()


def test_a_question_survives_the_session_and_counts_no_death() -> None:
    world = asked("a", "B")
    world.tool_ends()
    world.store_writes()
    before = world.asked
    for _ in range(4):
        world.crash(deaths=1)
        world.store_writes()
    assert world.asked == before
    assert world.call is None, "the model was called without the result"
    world.decides(before[0], approved=True)
    world.settle()
    assert results(world) == [("a", "ok"), ("B", "ok")]
    assert [end.status for end in world.ends()] == ["completed"]


def test_a_tool_that_ran_beside_a_question_is_interrupted_and_the_question_stays() -> None:
    world = asked("a", "B")
    world.crash(deaths=1)
    world.store_writes()
    assert results(world) == [("a", "interrupted")]
    assert len(world.asked) == 1
    world.settle()
    assert results(world) == [("a", "interrupted"), ("B", "ok")]


def test_an_approved_tool_that_ran_during_the_crash_is_not_run_again() -> None:
    world = asked("B")
    world.decides(world.asked[0], approved=True)
    world.store_writes()
    world.crash(deaths=1)
    world.settle()
    assert results(world) == [("B", "interrupted")]


def test_a_stop_ends_the_question() -> None:
    world = asked("B")
    approval_id = world.asked[0]
    world.stop()
    world.store_writes()
    assert world.asked == []
    world.decides(approval_id, approved=True)
    assert world.told[-1].text == "B is no longer asked for: its turn has ended."
    world.settle()
    assert results(world) == []
    assert [end.status for end in world.ends()] == ["stopped"]


def test_a_decision_that_comes_with_the_stop_runs_nothing() -> None:
    world = asked("B")
    approval_id = world.asked[0]
    world.deliver(delivery("m2"))
    assert world.write is not None
    world.stop()
    world.decides(approval_id, approved=True)
    world.settle()
    assert results(world) == []
    assert world.told[-1].status == "already"


@pytest.mark.parametrize("word", ["/approve", "/approve {id}", "/approve {last}"])
def test_words_decide_in_any_channel(word: str) -> None:
    world = asked("B")
    approval_id = world.asked[0]
    text = word.format(id=approval_id, last=approval_id.rpartition("-")[2])
    world.deliver(delivery("m2", text))
    world.store_writes_all()
    assert [tool.call.name for tool in world.tools] == ["B"]
    assert world.ends()[0].text == "B was approved and runs."
    world.settle()
    assert results(world) == [("B", "ok")]


def test_words_name_what_they_decide_where_several_wait() -> None:
    world = asked("B", "C")
    world.deliver(delivery("m2", "/deny"))
    world.store_writes_all()
    assert world.ends()[0].text == f"Several wait; say which: {', '.join(world.asked)}."
    world.deliver(delivery("m3", f"/deny {world.asked[1]}"))
    world.deliver(delivery("m4", "/approve 77"))
    world.store_writes_all()
    texts = {end.message_id: end.text for end in world.ends()}
    assert texts["m3"] == "C was denied."
    assert texts["m4"] == "There is no approval 77; nothing was changed."
    world.deliver(delivery("m5", "/deny"))
    world.settle()
    assert results(world) == [("C", "denied"), ("B", "denied")]
    world.deliver(delivery("m6", "/approve"))
    world.settle()
    assert world.ends()[-1].text == "Nothing waits for a decision."


def test_what_waits_is_listed_with_what_it_would_do() -> None:
    world = asked("B")
    [waits] = waiting_calls(world.core.state)
    assert (waits.name, waits.arguments, waits.expires_at - waits.asked_at) == ("B", "{}", 300.0)


def test_a_drain_does_not_wait_for_a_person() -> None:
    world = asked("B")
    assert not world.core.idle
    world.core.drain(world.now)
    assert world.core.idle
    world.open()
    world.settle()
    world.check_all_answered()


def test_the_status_says_what_asks_and_how_to_answer() -> None:
    world = asked("B")
    [question] = world.asked
    world.deliver(delivery("c1", "/status"))
    world.store_writes_all()
    [text] = [done.text for done in world.done() if done.message_id == "c1"]
    assert f"B asks for your approval: /approve {question} or /deny {question}" in text
    world.settle()
    world.deliver(delivery("c2", "/status"))
    world.settle()
    [text] = [done.text for done in world.done() if done.message_id == "c2"]
    assert "asks" not in text


def test_who_waits_for_nothing_but_a_person_needs_no_process() -> None:
    world = asked("B")
    assert world.core.rests
    world.crash()
    assert world.core.rests or world.write is not None
    world.store_writes_all()
    assert world.core.rests
    assert not world.core.idle
    world.deliver(delivery("m2"))
    assert not world.core.rests, "what was said is not recorded"
    world.store_writes_all()
    assert world.core.rests, "it waits behind the turn that waits"
    [question] = world.asked
    world.decides(question, approved=True)
    assert not world.core.rests
    world.store_writes_all()
    assert not world.core.rests, "the tool runs"
    world.settle()
    assert world.core.rests
    assert world.core.idle
    world.check_all_answered()


def test_a_tool_that_runs_beside_a_question_needs_its_process() -> None:
    world = World()
    world.asking = frozenset({"B"})
    world.deliver(delivery("m1"))
    world.store_writes_all()
    world.model_answers("", "A", "B")
    world.store_writes_all()
    assert world.asked
    assert not world.core.rests
    world.tool_ends()
    world.store_writes_all()
    assert world.core.rests


def test_ids_are_the_same_however_often_the_question_is_written() -> None:
    world = World()
    world.asking = frozenset({"B"})
    world.deliver(delivery("m1"))
    world.store_writes()
    world.model_answers("", "B")
    world.store_refuses()
    world.do(world.core.try_again(world.now))
    world.store_writes()
    [question] = [record for record in world.journal if isinstance(record, ApprovalAsked)]
    assert question.approval_id.endswith(f"-{question.seq}")
    assert world.asked == [question.approval_id]


def test_decided_ones_are_forgotten_one_day() -> None:
    world = World()
    world.asking = frozenset({"B"})
    for number in range(70):
        world.deliver(delivery(f"m{number}"))
        world.store_writes()
        world.model_answers("", "B")
        world.settle()
    assert 60 <= len(world.core.state.approvals) <= 66


def test_what_a_sub_agent_uses_is_the_turns_and_its_question_ends_with_its_process() -> None:
    world = asked("a")
    call = ToolCall(call_id="c/1", name="b", arguments='{"x": 1}')
    world.do(
        world.core.noted(
            "turn-m1",
            [
                sub_agent_called("turn-m1", "c/1", Usage(input_tokens=100)),
                approval_asked("turn-m1", call, world.now + 300),
            ],
            world.now,
        )
    )
    world.store_writes()
    assert [each.arguments for each in waiting_calls(world.core.state)] == ['{"x": 1}']
    assert not only_waits(world.core.state), "the sub-agent itself runs"
    world.decides(world.asked[0], approved=True)
    world.store_writes()
    assert len(world.tools) == 1, "it is the sub-agent that runs it"
    world.do(world.core.noted("turn-m1", [approval_asked("turn-m1", call, world.now + 300)], world.now))
    world.store_writes()
    late = world.asked[0]
    world.crash()
    world.store_writes()
    assert world.asked == []
    world.decides(late, approved=True)
    assert world.told[-1].status == "already"
    world.settle()
    [end] = world.ends()
    assert end.usage.input_tokens == 102
    world.do(world.core.noted("turn-m1", [approval_asked("turn-m1", call, world.now)], world.now))
    assert world.core.idle, "its turn has ended"
