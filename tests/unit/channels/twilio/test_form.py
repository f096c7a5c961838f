from __future__ import annotations

import xml.etree.ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openclaw_actors.channels.twilio.form import MAX_FIELDS, FormError, only, parse_form
from openclaw_actors.channels.twilio.keywords import Keyword, keyword_in, starts_again
from openclaw_actors.channels.twilio.twiml import reply_with


def test_every_field_is_kept_in_its_order() -> None:
    body = b"a=1&b=&a=2&a=1&c=x+y%2B%E6%BC%A2&d&e=1;f=2"
    assert parse_form(body) == (
        ("a", "1"), ("b", ""), ("a", "2"), ("a", "1"), ("c", "x y+漢"), ("d", ""), ("e", "1;f=2"),
    )  # fmt: skip


@pytest.mark.parametrize("body", [b"a=\xff", b"a=%FF", b"%C3=1"])
def test_what_is_not_utf8_is_refused(body: bytes) -> None:
    with pytest.raises(FormError, match="not UTF-8"):
        parse_form(body)


def test_a_form_of_very_many_fields_is_refused() -> None:
    assert len(parse_form(b"&".join([b"a=1"] * MAX_FIELDS))) == MAX_FIELDS
    with pytest.raises(FormError, match=f"more than {MAX_FIELDS} fields"):
        parse_form(b"&".join([b"a=1"] * (MAX_FIELDS + 1)))


def test_a_field_that_must_be_one_is_one() -> None:
    fields = parse_form(b"From=1&To=2&To=2")
    assert (only(fields, "From"), only(fields, "Body")) == ("1", "")
    with pytest.raises(FormError, match="To is there 2 times"):
        only(fields, "To")


@given(st.text())
def test_any_text_arrives_as_it_is_but_for_what_xml_cannot_hold(text: str) -> None:
    document = reply_with(text)
    assert document.startswith('<?xml version="1.0" encoding="UTF-8"?><Response><Message>')
    message = ET.fromstring(document).find("Message")
    assert message is not None
    legal = "".join(char for char in text if reply_with(char) != reply_with(""))
    assert (message.text or "") == legal.replace("\r\n", "\n").replace("\r", "\n")


def test_what_xml_needs_escaped_is_escaped() -> None:
    assert "<Message>&lt;a&gt; &amp; &quot;b&quot; &apos;c&apos;</Message>" in reply_with("<a> & \"b\" 'c'\0")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        *((word, Keyword.STOP) for word in ("STOP", "stop", " Stop \n", "STOPALL", "UNSUBSCRIBE", "Cancel")),
        *((word, Keyword.STOP) for word in ("END", "quit", "REVOKE", "OPTOUT")),
        *((word, Keyword.START) for word in ("START", "start", "UNSTOP")),
        *((word, Keyword.HELP) for word in ("HELP", "Info")),
        *(
            (text, None)
            for text in ("", "YES", "stop it", "please stop", "STOP.", "opt out", "the end", "no")
        ),
    ],
)
def test_keywords_are_the_whole_message(text: str, said: Keyword | None) -> None:
    assert keyword_in(text) is said


def test_what_twilio_says_it_took_a_message_for_counts() -> None:
    assert keyword_in("arrêt", "STOP") is Keyword.STOP
    assert keyword_in("weiter", "start") is Keyword.START
    assert keyword_in("hilfe", "HELP") is Keyword.HELP
    assert keyword_in("hallo", "SOMETHING") is None


def test_yes_starts_again() -> None:
    assert starts_again(" yes ")
    assert not starts_again("yes please")
