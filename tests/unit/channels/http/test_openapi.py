"""The document: made of the declarations, whole, and true in its bounds."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Annotated, Any

import msgspec
import pytest
from msgspec import Meta

from openclaw_actors.channels.http.declaring import Input, Operation
from openclaw_actors.channels.http.openapi import openapi_document
from openclaw_actors.channels.http.operations import HEALTH_OPERATIONS, OPERATIONS
from openclaw_actors.messages.base import Value


class Thing(Value):
    """A thing."""

    size: int
    """In bytes."""


class Other(Value):
    more: bool


class Problem(Value):
    message: str


class ThingPath(Input):
    key: Annotated[str, Meta(min_length=1, description="Which.")]


class ThingQuery(Input):
    limit: Annotated[int, Meta(ge=1, le=9, description="How many.")] = 3


class ThingBody(Input):
    name: str


def operation(**fields: Any) -> Operation:
    return Operation(
        **{
            "name": "get_thing",
            "method": "GET",
            "path": "/api/things/{key}",
            "summary": "A thing.",
            "tag": "things",
            "parameters": ThingPath,
            "answer": Thing,
            **fields,
        }
    )


def described(**fields: Any) -> Any:
    declared = operation(**fields)
    document = openapi_document([declared], version="1", token_required=True)
    return document["paths"][declared.path][declared.method.lower()], document


def references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for key, inner in value.items():
            if key == "$ref":
                yield inner
            else:
                yield from references(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from references(inner)


def test_parameters_have_their_bounds_defaults_and_texts() -> None:
    found, _ = described(query=ThingQuery)
    assert found["parameters"] == [
        {
            "name": "key",
            "in": "path",
            "required": True,
            "schema": {"type": "string", "minLength": 1},
            "description": "Which.",
        },
        {
            "name": "limit",
            "in": "query",
            "required": False,
            "schema": {"type": "integer", "minimum": 1, "maximum": 9, "default": 3},
            "description": "How many.",
        },
    ]


def test_what_stands_below_a_field_in_the_source_describes_it() -> None:
    _, document = described()
    thing = document["components"]["schemas"]["Thing"]
    assert thing["description"] == "A thing."
    assert thing["properties"]["size"] == {"type": "integer", "description": "In bytes."}


def test_a_body_is_required_where_a_field_of_it_is() -> None:
    found, document = described(method="POST", body=ThingBody)
    assert found["requestBody"]["required"] is True
    assert document["components"]["schemas"]["ThingBody"]["additionalProperties"] is False
    assert {"408", "413", "415"} <= set(found["responses"])


def test_who_may_decides_which_errors_there_are() -> None:
    anyone, _ = described(access="anyone")
    assert anyone["security"] == []
    assert not {"401", "429"} & set(anyone["responses"])
    owner, _ = described(access="owner")
    assert {"401", "403", "404", "429"} <= set(owner["responses"])


def test_where_no_token_is_asked_for_the_document_asks_for_none() -> None:
    for required in (True, False):
        document = openapi_document([operation()], version="1", token_required=required)
        assert bool(document["security"]) is required


def test_an_answer_may_be_no_json() -> None:
    found, _ = described(answer=None, media_types=("text/plain",))
    assert found["responses"]["200"]["content"] == {"text/plain": {}}
    found, _ = described(answer=None, status=204)
    assert "content" not in found["responses"]["204"]


def test_other_answers_and_errors_have_their_own_types() -> None:
    found, document = described(also={206: Other}, error=Problem, refusals=(418,), checked=False)
    assert set(found["responses"]) == {"200", "206", "418"}
    for status, name in (("206", "Other"), ("418", "Problem")):
        content = found["responses"][status]["content"]
        assert content == {"application/json": {"schema": {"$ref": f"#/components/schemas/{name}"}}}
        assert name in document["components"]["schemas"]


def test_the_variables_of_a_path_are_the_fields_of_its_type() -> None:
    with pytest.raises(ValueError, match="key"):
        operation(path="/api/things/{other}")
    with pytest.raises(ValueError, match="key"):
        operation(parameters=None)


def test_nothing_is_declared_twice() -> None:
    with pytest.raises(ValueError, match="get_thing"):
        openapi_document([operation(), operation(path="/x/{key}")], version="1", token_required=True)
    with pytest.raises(ValueError, match="/api/things"):
        openapi_document([operation(), operation(name="other")], version="1", token_required=True)


def test_the_whole_document_is_json_and_every_reference_leads_somewhere() -> None:
    document = json.loads(
        msgspec.json.encode(
            openapi_document([*OPERATIONS, *HEALTH_OPERATIONS], version="1.2.3", token_required=True)
        )
    )
    assert document["info"]["version"] == "1.2.3"
    found = set(references(document))
    assert found
    for reference in found:
        place = document
        for part in reference.removeprefix("#/").split("/"):
            place = place[part]


def test_every_operation_is_documented_once_and_nothing_else() -> None:
    document = openapi_document(OPERATIONS, version="1", token_required=True)
    found = {
        (method.upper(), path, each["operationId"])
        for path, methods in document["paths"].items()
        for method, each in methods.items()
    }
    assert found == {(each.method, each.path, each.name) for each in OPERATIONS}


def test_every_operation_says_what_it_is_for() -> None:
    for each in OPERATIONS:
        assert each.summary.endswith(".")
        for kind in (each.parameters, each.query, each.body):
            for name, field in _properties(kind).items():
                assert field.get("description"), f"{each.name}: {name} has no text"


def _properties(kind: type[Input] | None) -> dict[str, Any]:
    if kind is None:
        return {}
    properties: dict[str, Any] = msgspec.json.schema(kind)["$defs"][kind.__name__]["properties"]
    return properties
