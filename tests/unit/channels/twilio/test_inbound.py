"""The order of the checks of the webhook, and what each of them leaves undone."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

import pytest

from openclaw_actors.channels.twilio.form import CONTENT_TYPE
from openclaw_actors.channels.twilio.inbound import (
    Answer,
    Inbound,
    InboundRules,
    Look,
    Request,
    Say,
    Step,
    Touch,
    Turn,
)
from openclaw_actors.channels.twilio.signature import signature_of
from openclaw_actors.config.features import TwilioConfig
from openclaw_actors.messages import Contact

TOKEN = "secret"
ANN, US, STRANGER = "+15551230001", "+15559990000", "+15556667777"
BASE = "https://gateway.example"
URL = BASE + "/twilio/sms/inbound"
NOBODY = Contact(phone=ANN, do_not_text=False)
WROTE = Contact(phone=ANN, do_not_text=False, created_at=1.0, last_seen_at=1.0)
STOPPED = Contact(phone=ANN, do_not_text=True, created_at=1.0, last_seen_at=1.0)
IN_DOUBT = Contact(phone=ANN, do_not_text=True, created_at=1.0, last_seen_at=1.0, certain=False)


def rules(**changes: Any) -> InboundRules:
    config = TwilioConfig(
        **{
            "enabled": True,
            "webhook_public_base_url": BASE,
            "allowed_from_numbers": (ANN,),
            "allowed_to_numbers": (US,),
            "rate_limit_per_from_per_minute": 3,
            "help_text": "<help>",
            **changes,
        }
    )
    return InboundRules(config, TOKEN)


def request(
    body: str = "hello",
    *,
    sender: str = ANN,
    to: str = US,
    sid: str = "SM1",
    signed: bool = True,
    content_type: str = CONTENT_TYPE,
    query: str = "",
    more: tuple[tuple[str, str], ...] = (),
) -> Request:
    fields = (("From", sender), ("To", to), ("Body", body), ("MessageSid", sid), ("Blank", ""), *more)
    url = f"{URL}?{query}" if query else URL
    return Request(
        content_type=content_type,
        body=urlencode(fields).encode(),
        query=query,
        signature=signature_of(TOKEN, url, fields) if signed else "wrong",
    )


def answer(step: Step) -> tuple[int, str]:
    assert isinstance(step, Answer), step
    return step.status, step.reason


def test_a_message_goes_to_its_session_when_its_sender_is_noted() -> None:
    desk = rules()
    step = desk.decide(request("  hello \n", query="a=b"), 0.0)
    assert step == Touch(Inbound(sender=ANN, text="hello", message_id="SM1"))
    assert desk.known(step, WROTE) == Turn(step.inbound)


# Each of these is wrong in all that later checks look at, too; what is found first is told.
WRONG_LATER: dict[str, Any] = {"sender": STRANGER, "signed": False}


@pytest.mark.parametrize(
    ("made", "found"),
    [
        (request("x" * 66_000, content_type="text/plain"), (413, "body_too_large")),
        (request("x" * 3_000, content_type="application/json", **WRONG_LATER), (400, "not_a_form")),
        (request("x" * 3_000, content_type="multipart/form-data", **WRONG_LATER), (400, "not_a_form")),
        (request("x" * 3_000, sender=" ", signed=False), (400, "bad_form")),
        (request("x" * 3_000, to="", signed=False), (400, "bad_form")),
        (request("x" * 3_000, more=(("From", ANN),), signed=False), (400, "bad_form")),
        (request("x" * 3_000, sender="+1\n2", signed=False), (400, "bad_form")),
        (request("x" * 3_000, sender="9" * 65, signed=False), (400, "bad_form")),
        (request("x" * 3_000, sid="S" * 129, signed=False), (400, "bad_form")),
        (request("x" * 2_001, **WRONG_LATER), (413, "text_too_long")),
        (request("x" * 2_000, **WRONG_LATER), (401, "bad_signature")),
        (request("STOP", **WRONG_LATER), (401, "bad_signature")),
        (request(sender=STRANGER), (401, "not_allowed")),
        (request(to=STRANGER), (401, "not_allowed")),
    ],
)
def test_the_checks_have_their_order(made: Request, found: tuple[int, str]) -> None:
    assert answer(rules().decide(made, 0.0)) == found


def test_the_texts_of_errors_name_the_field() -> None:
    desk = rules()
    texts = [
        desk.decide(request(content_type="text/plain"), 0.0),
        desk.decide(request(sender=""), 0.0),
        desk.decide(request(more=(("Body", "x"),)), 0.0),
        desk.decide(request("x" * 66_000), 0.0),
    ]
    assert [step.text for step in texts if isinstance(step, Answer)] == [
        "Expected form content.",
        "Missing From/To.",
        "Body is there 2 times; once is allowed.",
        "Request too large.",
    ]


@pytest.mark.parametrize("lists", ["allowed_from_numbers", "allowed_to_numbers"])
def test_an_empty_list_allows_nobody(lists: str) -> None:
    assert answer(rules(**{lists: ()}).decide(request(), 0.0)) == (401, "not_allowed")


def test_without_validation_any_signature_passes() -> None:
    assert isinstance(rules(validate_signature=False).decide(request(signed=False), 0.0), Touch)


# Limits and repetitions


def test_a_sender_has_a_limit_and_its_own() -> None:
    other = "+15551230002"
    desk = rules(allowed_from_numbers=(ANN, other))
    for number in range(3):
        assert isinstance(desk.decide(request(sid=f"SM{number}"), 0.0), Touch)
    assert answer(desk.decide(request(sid="SM3"), 0.0)) == (429, "rate_limited")
    assert isinstance(desk.decide(request(sid="SM3", sender=other), 0.0), Touch)
    assert isinstance(desk.decide(request(sid="SM3"), 120.0), Touch)


def test_what_twilio_repeats_does_not_count_again() -> None:
    desk = rules(rate_limit_per_from_per_minute=1)
    first = desk.decide(request(), 0.0)
    assert isinstance(first, Touch)
    assert isinstance(desk.decide(request(), 0.0), Touch), "it was not taken yet"
    desk.taken(first.inbound)
    assert answer(desk.decide(request(), 0.0)) == (200, "duplicate")
    assert answer(desk.decide(request(sid="SM2"), 0.0)) == (429, "rate_limited")


def test_an_unsigned_request_makes_nothing_known_and_counts_for_nothing() -> None:
    desk = rules(rate_limit_per_from_per_minute=1)
    for _ in range(5):
        assert answer(desk.decide(request(signed=False), 0.0)) == (401, "bad_signature")
    assert isinstance(desk.decide(request(), 0.0), Touch)


def test_messages_without_an_id_are_all_new() -> None:
    desk = rules()
    for _ in range(3):
        step = desk.decide(request(sid=""), 0.0)
        assert isinstance(step, Touch)
        desk.taken(step.inbound)
    assert answer(desk.decide(request(sid=""), 0.0)) == (429, "rate_limited")


def test_the_id_of_one_sender_is_not_that_of_another() -> None:
    desk = rules(allowed_from_numbers=(ANN, STRANGER))
    step = desk.decide(request(), 0.0)
    assert isinstance(step, Touch)
    desk.taken(step.inbound)
    assert isinstance(desk.decide(request(sender=STRANGER), 0.0), Touch)


def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("openclaw_actors.channels.twilio.inbound._REMEMBERED", 10)
    desk = rules(rate_limit_per_from_per_minute=1_000)
    for number in range(100):
        desk.decide(request(sid=f"SM{number}"), 0.0)
    assert len(desk._counted) == 10


# Keywords


@pytest.mark.parametrize(("text", "stop"), [("stop", True), (" Cancel ", True), ("START", False)])
def test_a_keyword_is_noted_and_not_passed_on(text: str, *, stop: bool) -> None:
    desk = rules()
    step = desk.decide(request(text), 0.0)
    assert isinstance(step, Say)
    assert step.do_not_text is stop
    assert answer(desk.known(step, STOPPED if stop else WROTE)) == (200, "stop" if stop else "start")
    assert answer(desk.decide(request(text), 0.0)) == (200, "duplicate")


def test_stop_is_heard_beyond_the_limit() -> None:
    desk = rules(rate_limit_per_from_per_minute=1)
    assert isinstance(desk.decide(request(), 0.0), Touch)
    assert isinstance(desk.decide(request("STOP", sid="SM2"), 0.0), Say)
    assert answer(desk.decide(request("START", sid="SM3"), 0.0)) == (429, "rate_limited")


@pytest.mark.parametrize("contact", [STOPPED, IN_DOUBT])
@pytest.mark.parametrize("text", ["hello", "HELP", "no"])
def test_who_said_stop_gets_no_turn_and_no_text(contact: Contact, text: str) -> None:
    desk = rules()
    step = desk.decide(request(text), 0.0)
    assert isinstance(step, Touch)
    assert desk.known(step, contact) == Answer(200, "opted_out")


def test_yes_is_an_answer_but_from_who_said_stop() -> None:
    desk = rules()
    step = desk.decide(request("Yes"), 0.0)
    assert isinstance(step, Touch)
    assert desk.known(step, WROTE) == Turn(step.inbound)
    again = desk.known(step, STOPPED)
    assert again == Say(step.inbound, do_not_text=False)
    assert isinstance(again, Say)
    assert answer(desk.known(again, WROTE)) == (200, "start")


def test_help_is_answered_and_answered_again() -> None:
    desk = rules()
    for _ in range(2):
        step = desk.decide(request("help"), 0.0)
        assert isinstance(step, Touch)
        assert desk.known(step, WROTE) == Answer(200, "help", "<help>", twiml=True)


def test_what_twilio_answered_is_not_answered_twice() -> None:
    desk = rules()
    step = desk.decide(request("hilfe", more=(("OptOutType", "HELP"),)), 0.0)
    assert isinstance(step, Touch)
    assert desk.known(step, WROTE) == Answer(200, "help")


# What is attached


def test_the_agent_learns_of_what_it_cannot_see() -> None:
    desk = rules(rate_limit_per_from_per_minute=10)
    for body, count, text in (
        ("look", "2", "look\n[2 attached: cannot be shown here]"),
        ("", "1", "[1 attached: cannot be shown here]"),
        ("look", "0", "look"),
        ("look", "x", "look"),
    ):
        step = desk.decide(request(body, sid=f"SM{body}{count}", more=(("NumMedia", count),)), 0.0)
        assert isinstance(step, Touch)
        assert step.inbound.text == text


def test_a_blank_message_is_no_turn() -> None:
    desk = rules()
    step = desk.decide(request(" \n"), 0.0)
    assert isinstance(step, Touch)
    assert desk.known(step, WROTE) == Answer(200, "empty")


# Strangers


def test_strangers_get_the_help_text_within_a_limit_for_all_of_them() -> None:
    desk = rules(auto_reply_for_blocked=True)
    for number in range(3):
        step = desk.decide(request(sender=f"+1666{number}"), 0.0)
        assert isinstance(step, Look)
        assert desk.known(step, NOBODY) == Answer(200, "not_allowed", "<help>", twiml=True)
    assert answer(desk.decide(request(sender="+16669"), 0.0)) == (401, "not_allowed")


def test_a_stranger_who_said_stop_gets_nothing() -> None:
    desk = rules(auto_reply_for_blocked=True)
    step = desk.decide(request("STOP", sender=STRANGER), 0.0)
    assert isinstance(step, Look)
    said = desk.known(step, NOBODY)
    assert isinstance(said, Say)
    assert said.do_not_text
    assert answer(desk.known(said, STOPPED)) == (200, "stop")
    step = desk.decide(request("hello", sender=STRANGER), 0.0)
    assert isinstance(step, Look)
    assert desk.known(step, STOPPED) == Answer(401, "not_allowed")


def test_the_stop_of_who_is_not_allowed_any_more_is_heard() -> None:
    desk = rules()
    step = desk.decide(request("STOP", sender=STRANGER), 0.0)
    assert isinstance(step, Look)
    said = desk.known(step, WROTE)
    assert isinstance(said, Say)
    assert answer(desk.known(said, STOPPED)) == (401, "stop")
    assert answer(desk.known(step, NOBODY)) == (401, "not_allowed"), "nobody knows this number"
