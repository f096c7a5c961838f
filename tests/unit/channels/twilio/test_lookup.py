from __future__ import annotations

import json
from email.utils import formatdate
from typing import Any

import pytest

from openclaw_actors.channels.twilio.lookup import (
    Listed,
    Unreadable,
    goes_on,
    list_query,
    read_page,
    search,
)
from openclaw_actors.channels.twilio.outbound import Sender
from openclaw_actors.core.outbox_lane import Absent, Found, Unclear

SENDER = Sender(from_number="+1999")
SINCE = 1_790_000_000.0


def shown(sid: str, body: str = "hello", **changes: Any) -> dict[str, Any]:
    at = changes.pop("at", SINCE)
    message = {
        "sid": sid,
        "body": body,
        "to": "+1555",
        "from": "+1999",
        "direction": "outbound-api",
        "date_created": formatdate(at),
        "date_sent": None,
        "messaging_service_sid": None,
        "num_segments": "1",
    }
    return {**message, **changes}


def look(*messages: dict[str, Any], sender: Sender = SENDER, known: tuple[str, ...] = ()) -> Any:
    page = read_page(json.dumps({"messages": messages}).encode())
    return search(
        page.messages, sender, to="+1555", bodies=("hello",), since=SINCE, known_sids=frozenset(known)
    )


def test_a_message_with_the_same_words_to_the_same_number_is_found() -> None:
    assert look(shown("SM2", "other"), shown("SM1")) == Found("SM1")


@pytest.mark.parametrize("body", [" hello\n", "Sent from your Twilio trial account - hello"])
def test_what_twilio_makes_of_the_words_is_found(body: str) -> None:
    assert look(shown("SM1", body)) == Found("SM1")


def test_a_message_that_has_not_been_sent_yet_counts() -> None:
    assert look(shown("SM1", date_sent=None, status="queued")) == Found("SM1")


def test_of_two_the_first_attempt_s_is_found() -> None:
    assert look(shown("SM2"), shown("SM1")) == Found("SM1")


@pytest.mark.parametrize(
    "changes",
    [
        {"to": "+1666"},
        {"direction": "inbound"},
        {"direction": "outbound-reply"},
        {"from": "+1888"},
        {"at": SINCE - 400},
    ],
)
def test_what_cannot_be_it_is_not_it(changes: dict[str, Any]) -> None:
    assert look(shown("SM1", **changes)) == Absent()


def test_clocks_may_differ_a_little_and_a_strange_date_is_none() -> None:
    assert look(shown("SM1", at=SINCE - 200)) == Found("SM1")
    assert look(shown("SM1", date_created="yesterday")) == Found("SM1")


def test_what_is_known_to_be_another_is_not_it() -> None:
    assert look(shown("SM1"), known=("SM1",)) == Absent()


def test_something_that_nobody_knows_of_leaves_it_open() -> None:
    assert look(shown("SM1", "h3llo")) == Unclear()
    assert look() == Absent()


def test_a_messaging_service_sends_from_any_of_its_numbers() -> None:
    service = Sender(messaging_service_sid="MG1", from_number="+1999")
    assert look(shown("SM1", messaging_service_sid="MG1", **{"from": "+1777"}), sender=service) == Found(
        "SM1"
    )
    assert look(shown("SM1", messaging_service_sid="MG2"), sender=service) == Absent()
    assert list_query(service, "+1555") == {"To": "+1555", "PageSize": "100"}
    assert list_query(SENDER, "+1555") == {"To": "+1555", "PageSize": "100", "From": "+1999"}


def page(*messages: dict[str, Any], uri: str | None = "/2010-04-01/Accounts/AC1/Messages.json?Page=1") -> Any:
    return read_page(json.dumps({"messages": messages, "next_page_uri": uri}).encode())


def test_older_pages_matter_as_long_as_they_may_be_young_enough() -> None:
    assert goes_on(page(shown("SM1")), SINCE)
    assert not goes_on(page(shown("SM1", at=SINCE - 1_000)), SINCE)
    assert not goes_on(page(shown("SM1"), uri=None), SINCE)
    assert not goes_on(page(), SINCE)


def test_credentials_follow_no_address_to_elsewhere() -> None:
    assert not goes_on(page(shown("SM1"), uri="https://evil.example/2010-04-01/"), SINCE)
    assert not goes_on(page(shown("SM1"), uri="@evil.example/"), SINCE)


@pytest.mark.parametrize("body", [b"", b"[]", b"<html>", b'{"messages":3}', b"\xff"])
def test_what_is_no_list_is_not_taken_for_an_empty_one(body: bytes) -> None:
    with pytest.raises(Unreadable):
        read_page(body)


def test_a_message_shows_little_and_is_still_one() -> None:
    assert read_page(b'{"messages":[{"sid":"SM1"}]}').messages == [Listed(sid="SM1")]
