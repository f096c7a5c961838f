from __future__ import annotations

import json
from typing import Any

import pytest

from openclaw_actors.channels.twilio.outbound import (
    Outcome,
    Sender,
    classify,
    message_form,
    messages_path,
    number_of,
)
from openclaw_actors.core.outbox_lane import NotTaken, Refused, Taken, Unknown


def answer(status: int, body: Any = b"", **headers: str) -> Outcome:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return classify(
        status, {name.replace("_", "-"): value for name, value in headers.items()}, data, wall_now_s=1e9
    )


def error(status: int, code: int, message: str = "why") -> Outcome:
    return answer(status, {"code": code, "message": message, "more_info": "https://…", "status": status})


def test_a_message_that_was_taken_has_a_name() -> None:
    assert answer(201, {"sid": "SM1", "status": "queued", "error_code": None}) == Taken("SM1")


@pytest.mark.parametrize("body", [b"<html>log in to the hotel</html>", b"", {"status": "queued"}, b"\xff{"])
def test_what_looks_like_success_without_a_name_is_none(body: Any) -> None:
    assert answer(200, body) == Unknown("HTTP 200 without a message's sid")


def test_too_many_requests_were_surely_not_processed() -> None:
    outcome = answer(429, {"code": 20429, "message": "Too many"}, Retry_After="7")
    assert outcome == NotTaken("Twilio answered HTTP 429, code 20429: Too many", 20429, 7.0)
    assert answer(429, b"slow down") == NotTaken("Twilio answered HTTP 429")


@pytest.mark.parametrize("status", [500, 503])
def test_where_twilio_itself_failed_the_list_can_settle_it(status: int) -> None:
    assert answer(status) == Unknown(f"Twilio answered HTTP {status}", answered=True)


@pytest.mark.parametrize("status", [502, 504, 520, 408])
def test_where_somebody_in_between_gave_up_nothing_is_known(status: int) -> None:
    assert answer(status) == Unknown(f"Twilio answered HTTP {status}")


@pytest.mark.parametrize("code", [21211, 21612, 21614, 21408, 21617, 21602])
def test_what_is_wrong_with_a_message_stays_wrong(code: int) -> None:
    outcome = error(400, code, "no\nnumber")
    assert outcome == Refused(f"Twilio answered HTTP 400, code {code}: no number", code)


def test_who_said_stop_to_twilio_has_said_stop() -> None:
    outcome = error(400, 21610)
    assert isinstance(outcome, Refused)
    assert outcome.opted_out


@pytest.mark.parametrize(
    ("status", "code"), [(401, 20003), (403, 20005), (404, 20404), (400, 21606), (400, 21703), (400, 21611)]
)
def test_what_is_wrong_with_us_is_no_fault_of_the_message(status: int, code: int) -> None:
    outcome = error(status, code)
    assert isinstance(outcome, NotTaken)
    assert outcome.code == code


@pytest.mark.parametrize("status", [301, 302, 401, 403, 404, 405, 407])
def test_who_is_not_twilio_has_not_taken_it(status: int) -> None:
    assert isinstance(answer(status, b"<html>"), NotTaken)


def test_a_reason_has_one_line_and_an_end() -> None:
    outcome = error(400, 21211, "x" * 10_000)
    assert isinstance(outcome, Refused)
    assert len(outcome.reason) < 300


def test_the_form_names_the_service_or_else_the_number() -> None:
    service = Sender(messaging_service_sid="MG1", from_number="+1999")
    assert message_form(service, "+1555", "hi") == {"To": "+1555", "Body": "hi", "MessagingServiceSid": "MG1"}
    number = Sender(from_number="+1999")
    assert message_form(number, "+1555", "hi \ud800") == {"To": "+1555", "Body": "hi ?", "From": "+1999"}
    assert messages_path("AC1") == "/2010-04-01/Accounts/AC1/Messages.json"
    assert number_of("sms:+1555") == "+1555"
