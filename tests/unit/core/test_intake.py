"""Tests that each message gets exactly one receipt, however the messages are batched."""

from __future__ import annotations

from openclaw_actors.core.admission import SessionLimits
from openclaw_actors.core.conversation import Conversation, apply
from openclaw_actors.core.drafts import numbered
from openclaw_actors.core.effects import Effect, TellChannel, TellRouter
from openclaw_actors.core.intake import Intake
from openclaw_actors.messages import Accepted, Refused, Settled
from tests.unit.core.session_world import delivery


def _receipts(effects: list[Effect]) -> list[tuple[str, str]]:
    return [
        (type(effect.message).__name__, effect.message.delivery_id)
        for effect in effects
        if isinstance(effect, TellChannel) and isinstance(effect.message, Accepted | Refused)
    ]


def _settled(effects: list[Effect]) -> list[tuple[str, bool]]:
    return [
        (effect.message.delivery_ids[0], effect.message.recorded)
        for effect in effects
        if isinstance(effect, TellRouter) and isinstance(effect.message, Settled)
    ]


def test_a_batch_is_told_only_when_it_is_recorded_and_only_once() -> None:
    intake, state = Intake(SessionLimits(), 7, lambda: 1.0), Conversation(key="k")
    for name in ("m1", "m2"):
        intake.add(delivery(name))
    drafts, effects = intake.admit(state, turn_runs=False)
    assert [(draft.message_id, draft.queued) for draft in drafts] == [("m1", 0), ("m2", 1)]
    assert effects == []
    told = intake.recorded()
    assert _receipts(told) == [("Accepted", "m1/1"), ("Accepted", "m2/1")]
    assert _settled(told) == [("m1/1", True), ("m2/1", True)]
    assert intake.recorded() == []


def test_what_could_not_be_recorded_is_refused() -> None:
    intake, state = Intake(SessionLimits(), 7, lambda: 1.0), Conversation(key="k")
    intake.add(delivery("m1"))
    intake.admit(state, turn_runs=False)
    told = intake.not_recorded()
    assert _receipts(told) == [("Refused", "m1/1")]
    assert _settled(told) == [("m1/1", False)]


def test_the_same_message_twice_in_one_batch_is_recorded_once_and_answered_twice() -> None:
    intake, state = Intake(SessionLimits(), 7, lambda: 1.0), Conversation(key="k")
    intake.add(delivery("m1"))
    intake.add(delivery("m1", hand_over=2))
    drafts, _ = intake.admit(state, turn_runs=False)
    assert len(drafts) == 1
    for record in numbered(drafts, state, 1.0):
        apply(state, record, window_turns=50)
    told = intake.recorded()
    drafts, more = intake.admit(state, turn_runs=True)
    assert drafts == []
    assert _receipts([*told, *more]) == [("Accepted", "m1/1"), ("Accepted", "m1/2")]
    assert len(intake) == 0


def test_long_messages_are_written_in_batches_that_fit_and_in_order() -> None:
    intake, state = Intake(SessionLimits(max_batch_chars=10), 7, lambda: 1.0), Conversation(key="k")
    for name, size in (("m1", 6), ("m2", 5), ("m3", 50), ("m4", 1)):
        intake.add(delivery(name, "x" * size))
    batches = []
    while len(intake):
        drafts, _ = intake.admit(state, turn_runs=False)
        batches.append([draft.message_id for draft in drafts])
        intake.recorded()
    assert batches == [["m1"], ["m2"], ["m3"], ["m4"]]
