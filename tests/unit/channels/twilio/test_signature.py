"""Twilio's own library signs, and we agree with it, whatever stands in the form."""

from __future__ import annotations

from urllib.parse import urlencode

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from twilio.request_validator import RequestValidator

from openclaw_actors.channels.twilio.form import Fields, parse_form
from openclaw_actors.channels.twilio.signature import SignatureCheck, signature_of

TOKEN = "0123456789abcdef"
PATH = "/twilio/sms/inbound"
BASES = (
    "https://gateway.example",
    "https://gateway.example/",
    "https://gateway.example:443",
    "http://gateway.example:80",
    "https://gateway.example:8443/prefix/",
    "HTTPS://Gateway.Example",
    "http://10.0.0.1:1",
    "https://xn--mnchen-3ya.example",
)
QUERIES = ("", "a=b", "a=%20b&c", "x=1&x=1", "%E6%BC%A2=+", "?")

names = st.sampled_from(["Body", "From", "To", "MessageSid", "NumMedia", "a", "A", "ä"])
texts = st.text(st.characters(codec="utf-8"), max_size=40)
forms = st.lists(st.tuples(names, texts), max_size=12).map(tuple)


class Params:
    """What the library takes for a form with repeated fields."""

    def __init__(self, fields: Fields) -> None:
        self._fields = fields

    def __iter__(self):  # type: ignore[no-untyped-def]
        return iter(name for name, _ in self._fields)

    def __len__(self) -> int:
        return len(self._fields)

    def getall(self, name: str) -> list[str]:
        return [value for each, value in self._fields if each == name]


def url_of(base: str, query: str) -> str:
    return base.rstrip("/") + PATH + (f"?{query}" if query else "")


def signed_by_twilio(base: str, query: str, fields: Fields, token: str = TOKEN) -> str:
    signature: str = RequestValidator(token).compute_signature(url_of(base, query), Params(fields))
    return signature


@given(base=st.sampled_from(BASES), query=st.sampled_from(QUERIES), fields=forms)
@example(base=BASES[0], query="", fields=(("Body", ""), ("Body", "x"), ("Body", ""), ("From", "+1")))
@settings(max_examples=300, deadline=None)
def test_what_twilio_signs_passes_and_nothing_else_does(base: str, query: str, fields: Fields) -> None:
    posted = parse_form(urlencode(fields).encode())
    assert posted == fields
    check = SignatureCheck(TOKEN, base, PATH)
    good = signed_by_twilio(base.replace("HTTPS", "https"), query, fields)
    assert check.passes(posted, query, good)
    assert check.passes(posted, query, f" {good}\n")
    for wrong in (
        None,
        "",
        good[:-1],
        good.swapcase(),
        good + "=",
        "ü",
        signed_by_twilio(base, query, fields, "other"),
    ):
        assert not check.passes(posted, query, wrong)
    assert not check.passes((*posted, ("More", "x")), query, good)
    assert not check.passes(posted, query + "&more", good)


@given(base=st.sampled_from(BASES), fields=forms)
@settings(max_examples=100, deadline=None)
def test_we_and_the_library_take_the_same_ports(base: str, fields: Fields) -> None:
    library = RequestValidator(TOKEN)
    check = SignatureCheck(TOKEN, base, PATH)
    host = "https://gateway.example"
    for signed in (
        base,
        host,
        f"{host}:443",
        f"{host}:8443",
        f"{host}:8443/prefix",
        "http://gateway.example",
    ):
        signature = signed_by_twilio(signed, "", fields)
        theirs = library.validate(url_of(base, ""), Params(fields), signature)
        assert check.passes(fields, "", signature) == theirs, signed


def test_the_example_of_twilios_documentation() -> None:
    fields = (
        ("CallSid", "CA1234567890ABCDE"),
        ("Caller", "+12349013030"),
        ("Digits", "1234"),
        ("From", "+12349013030"),
        ("To", "+18005551212"),
    )
    url = "https://mycompany.com/myapp.php?foo=1&bar=2"
    assert signature_of("12345", url, fields) == RequestValidator("12345").compute_signature(
        url, dict(fields)
    )


@pytest.mark.parametrize("base", ["https://[2001:db8::1]", "https://[2001:db8::1]:8443"])
def test_an_address_in_brackets_keeps_its_colons(base: str) -> None:
    fields = (("From", "+1"),)
    signature = signature_of(TOKEN, base + PATH, fields)
    assert SignatureCheck(TOKEN, base, PATH).passes(fields, "", signature)
