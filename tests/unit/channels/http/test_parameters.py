"""Reading paths, queries and bodies: what is good becomes a value, what is not is named."""

from __future__ import annotations

import contextlib
from typing import Annotated, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Meta

from openclaw_actors.channels.http.declaring import Input
from openclaw_actors.channels.http.parameters import BadInput, read_body, read_path, read_query


class Query(Input):
    limit: Annotated[int, Meta(ge=1, le=500)] = 100
    ratio: Annotated[float, Meta(ge=0, le=1)] = 0.5
    deep: bool = False
    text: Annotated[str, Meta(max_length=5)] = ""
    state: Literal["any", "live"] = "any"


class Path(Input):
    key: Annotated[str, Meta(min_length=1, max_length=10)]


class Item(Input):
    name: str


class Body(Input):
    grace: Annotated[float, Meta(ge=0, le=60)] | None = None
    queue: bool = False
    items: tuple[Item, ...] = ()


class Required(Input):
    name: Annotated[str, Meta(min_length=1, max_length=5)]


def refusal(read: object, *arguments: object) -> BadInput:
    with pytest.raises(BadInput) as caught:
        read(*arguments)  # type: ignore[operator]
    return caught.value


def test_a_query_becomes_values_of_its_types() -> None:
    pairs = [("limit", "7"), ("ratio", "1"), ("deep", "true"), ("text", "12"), ("state", "live")]
    assert read_query(pairs, Query) == Query(limit=7, ratio=1.0, deep=True, text="12", state="live")
    assert read_query([], Query) == Query()
    assert read_query([], None) is None


@pytest.mark.parametrize(
    ("name", "text", "allowed"),
    [
        ("limit", "0", "a whole number from 1 to 500"),
        ("limit", "501", "a whole number from 1 to 500"),
        ("limit", "abc", "a whole number from 1 to 500"),
        ("limit", "", "a whole number from 1 to 500"),
        ("limit", "1.5", "a whole number from 1 to 500"),
        ("limit", "null", "a whole number from 1 to 500"),
        ("limit", "9" * 400, "a whole number from 1 to 500"),
        ("ratio", "NaN", "a number from 0 to 1"),
        ("ratio", "1e999", "a number from 0 to 1"),
        ("deep", "yes", "true or false"),
        ("deep", "1", "true or false"),
        ("text", "123456", "a text of at most 5 characters"),
        ("state", "dead", "one of any, live"),
    ],
)
def test_a_bad_parameter_is_named_with_its_value_and_what_is_allowed(
    name: str, text: str, allowed: str
) -> None:
    problem = refusal(read_query, [(name, text)], Query)
    assert (problem.code, problem.field) == ("bad_field", name)
    assert problem.text.startswith(f"{name} must be {allowed} (got ")
    assert text[:20] in problem.text
    assert len(problem.text) < 200


def test_an_unknown_parameter_names_the_nearest() -> None:
    problem = refusal(read_query, [("limt", "1")], Query)
    assert problem.text == "limt is not a parameter; the nearest is limit."
    assert "deep, limit, ratio, state, text" in refusal(read_query, [("zzzzzz", "1")], Query).text
    assert refusal(read_query, [("limit", "1")], None).field == "limit"


def test_a_parameter_may_stand_there_once() -> None:
    assert "more than once" in refusal(read_query, [("limit", "1"), ("limit", "1")], Query).text


def test_a_hostile_name_is_shortened_and_shown_printable() -> None:
    problem = refusal(read_query, [("x\n" * 500, "1")], Query)
    assert len(problem.text) < 200
    assert "\n" not in problem.text


def test_a_path_is_checked_as_text() -> None:
    assert read_path({"key": "12"}, Path) == Path(key="12")
    assert refusal(read_path, {"key": "x" * 11}, Path).text.startswith(
        "key must be a text of 1 to 10 characters"
    )


def test_a_body_becomes_values() -> None:
    assert read_body(b'{"grace": 5, "items": [{"name": "a"}]}', Body) == Body(
        grace=5.0, items=(Item(name="a"),)
    )
    assert read_body(b"", Body) == Body()
    assert read_body(b" \n", Body) == Body()
    assert read_body(b'{"grace": null}', Body) == Body()


@pytest.mark.parametrize(
    ("body", "field", "text"),
    [
        (b'{"queue": 1}', "queue", "queue must be true or false (got 1)."),
        (b'{"grace": -1}', "grace", "grace must be a number from 0 to 60 (got -1)."),
        (b'{"grace": "x"}', "grace", 'grace must be a number from 0 to 60 (got "x").'),
        (b'{"qeue": true}', "qeue", "qeue is not a field; the nearest is queue."),
        (b'{"items": [{}]}', "[0].name", None),
        (b'{"items": [{"name": 1}]}', "[0].name", None),
        (b'{"items": [{"name": "a", "more": 1}]}', "more", None),
    ],
)
def test_a_bad_field_is_named(body: bytes, field: str, text: str | None) -> None:
    problem = refusal(read_body, body, Body)
    assert problem.code == "bad_field"
    assert problem.field is not None
    assert problem.field.endswith(field)
    if text is not None:
        assert problem.text == text


def test_a_missing_field_is_named() -> None:
    assert refusal(read_body, b"", Required).field == "name"


@pytest.mark.parametrize(
    "body", [b"{", b"[]", b"1", b'"x"', b"null", b"\xff", b'{"a": "\\ud800"}', b"[" * 100_000, b'{"a":1}}']
)
def test_what_is_no_json_object_is_refused_as_a_whole(body: bytes) -> None:
    problem = refusal(read_body, body, Body)
    assert (problem.code, problem.field) == ("bad_json", None)
    assert len(problem.text) < 200


@given(st.binary(max_size=200))
def test_any_body_is_read_or_refused(body: bytes) -> None:
    with contextlib.suppress(BadInput):
        read_body(body, Body)


@given(st.sampled_from(sorted(Query.__struct_fields__)), st.text(max_size=50))
def test_any_query_is_read_or_refused(name: str, text: str) -> None:
    with contextlib.suppress(BadInput):
        read_query([(name, text)], Query)
