"""Tests one conversation's decisions: what is recorded, said and asked, and in which order."""

from __future__ import annotations

import pytest

from openclaw_actors.core.admission import SessionLimits
from openclaw_actors.core.records import ToolFinished, TurnBegan
from openclaw_actors.messages import AssistantChunk, ErrorEvent, Notice
from tests.unit.core.session_world import INSTANCE, World, delivery


def test_a_plain_turn_is_recorded_before_anything_is_said_of_it() -> None:
    world = World()
    world.deliver(delivery("m1"))
    assert world.said == []
    assert world.accepted == []
    world.store_writes()
    assert world.accepted == ["m1"]
    assert [type(event).__name__ for event in world.said] == ["MessageAccepted", "TurnStarted"]
    world.model_says("hel")
    world.model_answers("hello")
    assert world.text() == "hello"
    assert world.done() == []
    world.store_writes()
    assert [(done.status, done.text, done.usage.total) for done in world.done()] == [
        ("completed", "hello", 3)
    ]
    assert world.core.idle


def test_messages_that_come_during_a_turn_wait_and_are_answered_in_order() -> None:
    world = World()
    world.deliver(delivery("m1"))
    world.store_writes()
    for name in ("m2", "m3"):
        world.deliver(delivery(name))
    world.settle()
    assert [end.message_id for end in world.ends()] == ["m1", "m2", "m3"]
    assert world.accepted == ["m1", "m2", "m3"]


def test_a_message_that_cannot_be_written_is_refused_and_leaves_no_trace() -> None:
    world = World()
    world.deliver(delivery("m1"))
    world.store_refuses()
    assert world.refused["m1/1"].code == "persistence_failed"
    assert world.core.idle
    world.deliver(delivery("m1", hand_over=2))
    world.settle()
    assert [end.message_id for end in world.ends()] == ["m1"]


def test_an_answer_that_the_store_refuses_to_keep_is_written_when_it_can() -> None:
    world = World()
    world.deliver(delivery("m1"))
    world.store_writes()
    world.deliver(delivery("m2"))
    world.store_writes()
    world.model_answers("hello")
    for _ in range(3):
        world.store_refuses()
        assert not world.core.idle
        world.retry = False
        world.do(world.core.try_again(world.now))
    assert [event.code for event in world.said if isinstance(event, Notice)] == ["persistence_degraded"]
    world.settle()
    assert [(end.message_id, end.text) for end in world.ends()] == [("m1", "hello"), ("m2", "the answer")]
    assert [r.message_id for r in world.journal if isinstance(r, TurnBegan)] == ["m1", "m2"]


def test_a_stop_is_heard_although_the_store_refused_before() -> None:
    world = World()
    world.deliver(delivery("m1"))
    world.store_writes()
    world.stop()
    world.store_refuses()
    assert world.outcomes == []
    world.settle()
    assert [outcome.stopped for outcome in world.outcomes] == [1]
    assert [end.status for end in world.ends()] == ["stopped"]


def test_what_the_store_holds_in_memory_is_said_with_a_warning() -> None:
    world = World()
    world.deliver(delivery("m1"))
    world.store_writes()
    world.model_answers("hello")
    world.store_writes(durable=False)
    assert [done.text for done in world.done()] == ["hello"]
    assert any(isinstance(event, Notice) and event.code == "persistence_degraded" for event in world.said)
    assert world.core.degraded


def degraded(*answers: str) -> World:
    """A session whose answers, all but the first ones, are in the store's memory only."""
    world = World()
    for number, answer in enumerate(answers):
        world.deliver(delivery(f"m{number}"))
        world.store_writes()
        world.model_answers(answer)
        world.store_writes(durable=False)
    return world


def test_what_only_the_memory_of_a_dead_store_had_is_given_to_the_next_one() -> None:
    world = degraded("hello")
    told = list(world.said)
    world.store_forgets(1)
    assert not world.core.idle
    world.store_writes()
    assert [end.text for end in world.ends()] == ["hello"]
    assert world.said == told, "nobody hears of it twice"
    assert world.core.idle
    assert not world.core.degraded
    world.deliver(delivery("m1"))
    world.settle()
    world.check_all_answered()


def test_a_write_on_which_the_store_died_goes_out_again_after_what_the_store_forgot() -> None:
    world = degraded("hello")
    world.deliver(delivery("m1"))
    assert world.write is not None
    world.store_forgets(1)
    world.settle()
    assert [done.text for done in world.done()] == ["hello", "the answer"]
    assert world.accepted == ["m0", "m1"]
    world.check_all_answered()


def test_a_store_that_dies_again_while_it_is_given_back_what_it_forgot_gets_all_of_it() -> None:
    long = "x" * (3 << 20)
    world = World()
    for number in range(3):
        world.deliver(delivery(f"m{number}"))
    world.store_writes_all()
    durable = len(world.journal)
    while world.call is not None or world.write is not None:
        if world.call is not None:
            world.model_answers(long)
        world.store_writes(durable=False)
    assert len(world.ends()) == 3
    world.store_forgets(len(world.journal) - durable)
    world.store_writes(durable=False)
    assert world.write is not None, "it is more than one message takes"
    world.store_forgets(len(world.journal) - durable)
    world.settle()
    world.check_all_answered()
    assert world.core.idle


def test_while_the_next_store_cannot_keep_what_was_forgotten_messages_are_refused() -> None:
    world = degraded("hello")
    world.deliver(delivery("m1"))
    world.store_forgets(1)
    world.store_refuses()
    assert [refused.code for refused in world.refused.values()] == ["persistence_failed"]
    world.settle()
    assert [end.text for end in world.ends()] == ["hello"]


def test_what_the_session_itself_does_not_have_it_cannot_give_back() -> None:
    world = World()
    world.deliver(delivery("m1"))
    world.store_writes()
    world.model_answers("hello")
    assert world.core.store_misses(world.now) is None


def test_an_answer_beyond_the_limit_ends_the_turn_and_the_call() -> None:
    world = World(SessionLimits(max_answer_chars=10))
    world.deliver(delivery("m1"))
    world.store_writes()
    world.model_says("12345")
    world.model_says("678901")
    assert world.call is None
    world.settle()
    assert [(end.status, end.code) for end in world.ends()] == [("failed", "too_long")]
    world.deliver(delivery("m2"))
    world.store_writes()
    world.model_answers("12345678901")
    world.settle()
    assert [end.code for end in world.ends()] == ["too_long", "too_long"]


def test_a_stop_ends_the_running_turn_and_leaves_the_waiting_ones() -> None:
    world = World()
    world.deliver(delivery("m1"))
    world.store_writes()
    world.deliver(delivery("m2"))
    world.store_writes()
    world.model_says("half")
    world.stop()
    assert world.call is None
    assert world.outcomes == []
    world.settle()
    assert [(end.message_id, end.status, end.text) for end in world.ends()] == [
        ("m1", "stopped", "half"),
        ("m2", "completed", "the answer"),
    ]
    assert [outcome.stopped for outcome in world.outcomes] == [1]


def test_a_stop_of_the_queue_ends_all_of_it() -> None:
    world = World()
    for name in ("m1", "m2", "m3"):
        world.deliver(delivery(name))
    world.store_writes()
    world.stop(queue=True)
    world.settle()
    assert [end.status for end in world.ends()] == ["stopped"] * 3
    assert [outcome.stopped for outcome in world.outcomes] == [3]


def test_a_stop_of_the_queue_ends_what_came_before_it_and_is_not_recorded_yet() -> None:
    world = World()
    for name in ("m1", "m2", "m3"):
        world.deliver(delivery(name))
    world.stop(queue=True)
    world.deliver(delivery("m4"))
    world.settle()
    assert [(end.message_id, end.status) for end in world.ends()][:3] == [
        ("m1", "stopped"),
        ("m2", "stopped"),
        ("m3", "stopped"),
    ]
    assert world.core.idle


def test_a_stop_ends_what_was_said_before_it_and_not_what_came_behind_that() -> None:
    world = World()
    world.deliver(delivery("m0"))
    world.settle()
    # While something is written, neither is heard yet.
    world.deliver(delivery("c0", text="/status"))
    for name in ("m1", "m2"):
        world.deliver(delivery(name))
    world.stop()
    world.settle()
    ends = {end.message_id: end.status for end in world.ends()}
    assert (ends["m1"], ends["m2"]) == ("stopped", "completed")
    assert [outcome.stopped for outcome in world.outcomes] == [1]


def test_a_stop_of_nothing_says_so() -> None:
    world = World()
    world.stop()
    assert [outcome.stopped for outcome in world.outcomes] == [0]
    assert world.journal == []


@pytest.mark.parametrize("late", ["answer", "piece", "failure", "timeout"])
def test_what_comes_after_a_stop_changes_nothing(late: str) -> None:
    world = World()
    world.deliver(delivery("m1"))
    world.store_writes()
    call = world.call
    world.stop()
    world.call = call
    match late:
        case "answer":
            world.model_answers("too late")
        case "piece":
            world.model_says("too late")
        case "failure":
            world.model_fails()
        case _:
            world.do(world.core.turn_timed_out("turn-m1", world.now))
    world.call = None
    world.settle()
    assert [(end.status, end.text) for end in world.ends()] == [("stopped", "")]


def test_a_turn_beyond_its_deadline_fails_and_the_next_begins() -> None:
    world = World()
    world.deliver(delivery("m1"))
    world.store_writes()
    world.deliver(delivery("m2"))
    world.store_writes()
    world.do(world.core.turn_timed_out("turn-m1", world.now))
    world.settle()
    assert [(end.status, end.code) for end in world.ends()] == [("failed", "timeout"), ("completed", None)]


@pytest.mark.parametrize("how", ["stream_broken", "model lost"])
def test_a_lost_call_begins_again_so_often_and_then_fails(how: str) -> None:
    broken = how == "stream_broken"
    limits = SessionLimits(max_restarts_of_turn=2 if broken else 0, max_losses_of_turn=0 if broken else 2)
    world = World(limits)
    world.deliver(delivery("m1"))
    world.store_writes()
    for attempt in (1, 2, 3):
        assert world.core.turn is not None
        assert world.core.turn.attempt == attempt
        world.model_says(f"attempt {attempt}")
        if how == "stream_broken":
            world.model_fails("stream_broken")
        else:
            world.call = None
            world.do(world.core.model_lost(world.now))
        world.store_writes()
    assert [end.status for end in world.ends()] == ["failed"]
    assert world.core.idle


def test_tools_are_recorded_before_they_run_and_before_the_model_hears_of_them() -> None:
    world = World()
    world.deliver(delivery("m1"))
    world.store_writes()
    world.model_answers("let me look", "a", "b")
    assert not world.tools
    world.store_writes()
    assert [tool.call.name for tool in world.tools] == ["a", "b"]
    world.tool_ends()
    world.store_writes()
    assert world.call is None, "one tool still runs"
    world.tool_ends()
    world.store_writes()
    world.model_answers("done")
    world.settle()
    assert [end.text for end in world.ends()] == ["let me look\n\ndone"]


def test_a_turn_that_never_stops_asking_for_tools_is_ended() -> None:
    world = World(SessionLimits(max_model_calls=3))
    world.deliver(delivery("m1"))
    world.store_writes()
    for _ in range(3):
        world.model_answers("", "a")
        world.store_writes()
        if world.tools:
            world.tool_ends()
            world.store_writes()
    assert [(end.status, end.code) for end in world.ends()] == [("failed", "tool_iterations")]


def test_a_tool_that_ran_during_the_crash_is_not_run_again() -> None:
    world = World()
    world.deliver(delivery("m1"))
    world.store_writes()
    world.model_answers("let me look", "a", "b")
    world.store_writes()
    world.tool_ends()
    world.store_writes()
    world.crash(deaths=1)
    assert not world.tools
    world.settle()
    finished = [(r.name, r.status) for r in world.journal if isinstance(r, ToolFinished)]
    assert finished == [("a", "ok"), ("b", "interrupted")]
    assert [end.status for end in world.ends()] == ["completed"]


def test_a_restarted_turn_streams_anew_as_the_next_attempt() -> None:
    world = World()
    world.deliver(delivery("m1"))
    world.store_writes()
    world.model_says("half of")
    world.crash(deaths=1)
    world.store_writes()
    world.model_says("whole")
    chunks = [event for event in world.said if isinstance(event, AssistantChunk)]
    assert [(chunk.attempt, chunk.offset, chunk.text) for chunk in chunks] == [
        (1, 0, "half of"),
        (2, 0, "whole"),
    ]


@pytest.mark.parametrize(
    ("deaths", "quarantined"),
    [([1], False), ([1, 1], True), ([0, 0, 0, 0], False), ([1, 0, 0], False), ([1, 0, 1], True)],
)
def test_two_deaths_by_the_own_doing_quarantine_the_turn_others_do_not_count(
    deaths: list[int], quarantined: bool
) -> None:
    world = World()
    world.deliver(delivery("m1"))
    world.store_writes()
    world.deliver(delivery("m2"))
    world.store_writes()
    for each in deaths:
        world.crash(deaths=each)
        world.store_writes()
    world.settle()
    ends = [(end.message_id, end.status, end.code) for end in world.ends()]
    guilty = ("m1", "failed", "quarantined") if quarantined else ("m1", "completed", None)
    assert ends == [guilty, ("m2", "completed", None)]
    errors = [event for event in world.said if isinstance(event, ErrorEvent)]
    assert [error.message_id for error in errors] == (["m1"] if quarantined else [])


def test_a_new_record_of_the_turn_wipes_its_deaths_out() -> None:
    world = World()
    world.deliver(delivery("m1"))
    world.store_writes()
    world.crash(deaths=1)
    world.store_writes()
    world.model_answers("look", "a")
    world.store_writes()
    world.tool_ends()
    world.store_writes()
    world.crash(deaths=1)
    world.settle()
    assert [end.status for end in world.ends()] == ["completed"]


@pytest.mark.parametrize(("alive", "status"), [(True, "completed"), (False, "interrupted")])
def test_a_connections_own_turn_is_resumed_only_while_its_connection_may_live(
    alive: bool, status: str
) -> None:
    world = World()
    for name in ("m1", "m2"):
        world.deliver(delivery(name, bound_to=INSTANCE))
    world.store_writes_all()
    world.open(channels=frozenset({INSTANCE} if alive else {"another"}))
    world.settle()
    assert [end.status for end in world.ends()] == [status] * 2


def test_a_repeated_message_gets_the_first_ones_outcome_and_no_second_turn() -> None:
    world = World()
    world.deliver(delivery("m1"))
    world.settle()
    world.deliver(delivery("m1", hand_over=2))
    world.settle()
    assert len(world.ends()) == 1
    assert [(each.receipt.seq, each.ended_seq) for each in world.found] == [(1, 3)]
    world.deliver(delivery("m1", "another text", hand_over=3))
    assert world.refused["m1/3"].code == "message_id_conflict"


def test_while_draining_nothing_new_is_taken_and_no_turn_begins() -> None:
    world = World()
    world.deliver(delivery("m1"))
    world.store_writes()
    world.deliver(delivery("m2"))
    world.store_writes()
    world.do(world.core.drain(world.now))
    world.deliver(delivery("m3"))
    assert world.refused["m3/1"].code == "draining"
    world.settle()
    assert [end.message_id for end in world.ends()] == ["m1"]
    world.open()
    world.settle()
    assert [end.message_id for end in world.ends()] == ["m1", "m2"]


@pytest.mark.parametrize("step_s", [400 * 86_400.0, -400 * 86_400.0])
def test_a_clock_that_is_set_refuses_nothing_that_is_on_its_way_and_takes_nothing_too_late(
    step_s: float,
) -> None:
    world = World(SessionLimits(accept_timeout_s=10.0))
    world.now = 100.0
    for message in (delivery("in time", at=95.0), delivery("too late", at=85.0)):
        world.unsettled[message.delivery_id] = message
        world.do(world.core.delivered(message, 1_790_000_000.0 + step_s))
    world.store_writes()
    assert world.accepted == ["in time"]
    refusals = [(name, refused.code) for name, refused in world.refused.items()]
    assert refusals == [("too late/1", "not_accepted")]
