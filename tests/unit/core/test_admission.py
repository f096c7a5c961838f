"""Tests which message is taken, known or refused, and why."""

from __future__ import annotations

from dataclasses import replace

import msgspec
import pytest

from openclaw_actors.core.admission import Admission, Known, SessionLimits, Taken
from openclaw_actors.core.conversation import Conversation, apply
from openclaw_actors.core.drafts import numbered, turn_ended, user_said
from openclaw_actors.messages import Deliver, Refused, Usage
from tests.unit.core.session_world import delivery


def _state(*names: str, ended: int = 0, tokens: int = 0) -> Conversation:
    state = Conversation(key="k")
    for name in names:
        for record in numbered([user_said(delivery(name), 0)], state, 1.0):
            apply(state, record, window_turns=50)
    for message in state.open[:ended]:
        end = turn_ended(message, "completed", "done", usage=Usage(input_tokens=tokens))
        for record in numbered([end], state, 2.0):
            apply(state, record, window_turns=50)
    return state


def _decide(
    admission: Admission, deliver: Deliver, state: Conversation, *, now: float = 1.0, turn_runs: bool = True
) -> Taken | Known | Refused:
    return admission.decide(deliver, state, taken_before=0, turn_runs=turn_runs, now=now)


def test_a_new_message_is_taken_behind_those_that_wait() -> None:
    assert _decide(Admission(SessionLimits()), delivery("m3"), _state("m1", "m2")) == Taken(queued=2)


@pytest.mark.parametrize(
    ("limits", "state", "code", "text"),
    [
        (SessionLimits(max_pending=1), _state("m1", "m2"), "busy", "Server is busy. Please retry."),
        (
            SessionLimits(token_budget=1_000),
            _state("m1", ended=1, tokens=1_234),
            "budget",
            "This session has reached its token budget (1,234/1,000 tokens). Please start a new conversation.",
        ),
    ],
)
def test_limits_refuse_in_their_own_words(
    limits: SessionLimits, state: Conversation, code: str, text: str
) -> None:
    refused = _decide(Admission(limits), delivery("m9"), state)
    assert isinstance(refused, Refused)
    assert (refused.code, refused.text, refused.message_id) == (code, text, "m9")


def test_who_cannot_try_again_may_wait_behind_more_but_not_behind_any_number(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("openclaw_actors.core.admission.MAX_PATIENT", 3)
    admission = Admission(SessionLimits(max_pending=1))
    patient = msgspec.structs.replace(delivery("m9"), patient=True)
    assert _decide(admission, patient, _state("m1", "m2", "m3")) == Taken(queued=3)
    refused = _decide(admission, patient, _state("m1", "m2", "m3", "m4"))
    assert isinstance(refused, Refused)
    assert refused.code == "busy"
    assert isinstance(
        _decide(Admission(SessionLimits(max_pending=9)), patient, _state("m1", "m2", "m3", "m4")), Taken
    )


def test_the_running_turn_takes_no_place_among_those_that_wait() -> None:
    limits = SessionLimits(max_pending=1)
    assert isinstance(_decide(Admission(limits), delivery("m2"), _state("m1")), Taken)
    refused = _decide(Admission(limits), delivery("m2"), _state("m1"), turn_runs=False)
    assert isinstance(refused, Refused)


def test_a_message_that_its_sender_was_told_is_not_taken_is_not_taken() -> None:
    admission = Admission(SessionLimits(accept_timeout_s=10.0))
    assert isinstance(_decide(admission, delivery("m1", at=100.0), _state(), now=110.0), Taken)
    refused = _decide(admission, delivery("m1", at=100.0), _state(), now=110.1)
    assert isinstance(refused, Refused)
    assert refused.code == "not_accepted"


def test_so_many_in_a_minute_and_no_more() -> None:
    admission = Admission(SessionLimits(rate_limit_per_minute=2))
    verdicts = [
        _decide(admission, delivery(f"m{n}", at=at), _state(), now=at) for n, at in enumerate((0, 1, 2, 60))
    ]
    assert [type(verdict) for verdict in verdicts] == [Taken, Taken, Refused, Taken]


def test_our_own_second_hand_over_gets_the_first_ones_receipt_and_end() -> None:
    """The first one's events may have been lost with the process that was to send them."""
    known = _decide(Admission(SessionLimits()), delivery("m1"), _state("m1", ended=1))
    assert isinstance(known, Known)
    assert known.accepted.duplicate is not None
    assert (known.accepted.duplicate.seq, known.ended_seq) == (1, 2)


@pytest.mark.parametrize(("ended", "ended_seq"), [(0, 0), (1, 2)])
def test_a_repetition_gets_the_first_receipt_and_where_its_end_stands(ended: int, ended_seq: int) -> None:
    known = _decide(Admission(SessionLimits()), delivery("m1", hand_over=2), _state("m1", ended=ended))
    assert isinstance(known, Known)
    assert known.accepted.duplicate is not None
    assert (known.accepted.duplicate.seq, known.accepted.duplicate.duplicate) == (1, True)
    assert known.ended_seq == ended_seq


def test_the_same_id_with_another_text_is_refused_also_while_draining_a_repetition_is_answered() -> None:
    admission = Admission(SessionLimits(), draining=True)
    conflict = _decide(admission, delivery("m1", "other", hand_over=2), _state("m1"))
    assert isinstance(conflict, Refused)
    assert conflict.code == "message_id_conflict"
    assert isinstance(_decide(admission, delivery("m1", hand_over=2), _state("m1")), Known)
    new = _decide(admission, delivery("m2"), _state("m1"))
    assert isinstance(new, Refused)
    assert new.code == "draining"


def test_limits_of_nought_mean_none() -> None:
    admission = Admission(replace(SessionLimits(), token_budget=0, rate_limit_per_minute=0))
    state = _state("m1", ended=1, tokens=10**9)
    assert all(isinstance(_decide(admission, delivery(f"x{n}"), state), Taken) for n in range(500))
