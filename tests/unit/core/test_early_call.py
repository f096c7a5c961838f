"""The model call that goes out beside its question's record, told to nobody before that record stands."""

from __future__ import annotations

from openclaw_actors.core.admission import SessionLimits
from openclaw_actors.core.effects import CallModel, Effect
from openclaw_actors.messages import AssistantChunk
from tests.unit.core.session_world import World, delivery


def calls_of(world: World) -> list[str]:
    """Notes the ids of the model calls that go out from now on."""
    calls: list[str] = []

    def note(number: int, effect: Effect) -> None:
        if isinstance(effect, CallModel):
            calls.append(effect.call_id)

    world.before = note
    return calls


def test_the_model_answers_while_the_question_is_written_and_nobody_hears_of_it_before() -> None:
    world = World()
    world.deliver(delivery("m1"))
    assert world.call is not None
    assert world.call.question == "text of m1"
    world.model_says("the ")
    world.model_answers("the answer")
    assert (world.said, world.accepted, world.ends()) == ([], [], [])
    world.store_writes()
    assert world.accepted == ["m1"]
    assert world.text() == "the answer"
    assert world.done() == [], "its end is not stored yet"
    world.store_writes()
    assert [each.text for each in world.done()] == ["the answer"]
    assert world.core.idle


def test_a_question_that_cannot_be_stored_leaves_nothing_of_its_call() -> None:
    world = World()
    world.deliver(delivery("m1"))
    world.model_says("the ")
    world.store_refuses()
    assert world.call is None, "the call goes on for nobody"
    assert [each.code for each in world.refused.values()] == ["persistence_failed"]
    assert world.said == []
    world.deliver(delivery("m2"))
    world.settle()
    assert [(each.message_id, each.text) for each in world.done()] == [("m2", "the answer")]


def test_who_stops_before_the_question_is_stored_ends_its_call_too() -> None:
    world = World()
    world.deliver(delivery("m1"))
    world.model_answers("the answer")
    world.stop()
    world.settle()
    assert [(each.status, each.text) for each in world.done()] == [("stopped", "")]
    assert world.call is None
    assert not any(isinstance(event, AssistantChunk) for event in world.said)


def test_a_call_that_is_lost_before_its_question_is_stored_is_made_again() -> None:
    world = World()
    calls = calls_of(world)
    world.deliver(delivery("m1"))
    world.model_says("what the dead model said ")
    world.call = None
    world.do(world.core.model_lost(world.now))
    world.settle()
    assert calls == ["turn-m1/1/1", "turn-m1/1/1"]
    assert [each.text for each in world.done()] == ["the answer"]
    assert world.text() == "the answer"


def test_a_failure_counts_when_its_question_stands() -> None:
    world = World()
    world.deliver(delivery("m1"))
    world.model_fails()
    assert world.said == []
    world.settle()
    assert [each.status for each in world.done()] == ["failed"]


def test_what_is_kept_has_a_limit_and_the_turn_finds_it_out_again() -> None:
    world = World(SessionLimits(max_answer_chars=10))
    calls = calls_of(world)
    world.deliver(delivery("m1"))
    world.model_says("eleven chars")
    assert world.call is None, "more is kept than may be"
    world.store_writes()
    assert world.call is not None
    world.model_says("eleven chars")
    world.settle()
    assert len(calls) == 2
    assert [each.status for each in world.done()] == ["failed"]


def test_a_question_that_came_while_the_last_answer_was_written_is_asked_once() -> None:
    world = World()
    world.deliver(delivery("m1"))
    world.store_writes()
    world.model_answers("one")
    calls = calls_of(world)
    world.deliver(delivery("m2"))
    world.settle()
    assert calls == ["turn-m2/1/1"]
    assert [each.message_id for each in world.done()] == ["m1", "m2"]


def test_no_call_goes_out_for_a_conversation_that_has_spent_its_tokens() -> None:
    world = World(SessionLimits(turn_token_budget=1, token_budget=3))
    world.deliver(delivery("m1"))
    world.settle()
    calls = calls_of(world)
    world.deliver(delivery("m2"))
    world.settle()
    assert calls == []


def test_a_message_beside_a_command_waits_for_what_the_command_does() -> None:
    world = World()
    world.deliver(delivery("m1"))
    world.store_writes()
    world.model_answers("one")
    world.deliver(delivery("c", "/model other"))
    world.deliver(delivery("m2"))
    world.store_writes()
    assert world.call is None
    world.settle()
    assert [each.message_id for each in world.done()] == ["m1", "c", "m2"]
