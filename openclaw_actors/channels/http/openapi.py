"""Decides how the interface describes itself: OpenAPI 3.1, made of the declarations that serve it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from http import HTTPStatus
from typing import Any, TypeVar

import msgspec

from openclaw_actors.channels.http.declaring import JSON, Input, Operation
from openclaw_actors.channels.http.schemas import Schemas, properties
from openclaw_actors.channels.http.views import ErrorView

__all__ = ["openapi_document"]

T = TypeVar("T")

_BEARER = "token"
_INTRO = """\
What the command line does over the sockets of the run directory, over HTTP.

Show a token as `Authorization: Bearer TOKEN`; where none is configured, everybody on this machine is the owner. Who
shows `auth_token` is the owner, too. A token of `auth.tokens` sees and acts on the conversations of its own name:
those of others do not exist for it (404), and what concerns the gateway is refused (403).

A session's key stands in a path percent-encoded: `websocket%3Alocal%3Amain`. Times are Unix times in seconds.
Every error is `{"error": {"code", "text", "field"}}`; `code` is for programs, `text` is one sentence for a person.
"""


def openapi_document(
    operations: Sequence[Operation], *, version: str, token_required: bool
) -> dict[str, Any]:
    """The document of these operations.

    Args:
        version: the package's.
        token_required: whether this gateway asks for a token.

    Raises:
        ValueError: two operations have the same name, or the same method and path.
    """
    _check(operations)
    schemas = Schemas([ErrorView, *_types(operations)])
    paths: dict[str, dict[str, Any]] = {}
    for operation in operations:
        paths.setdefault(operation.path, {})[operation.method.lower()] = _described(operation, schemas)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "openclaw-actors",
            "version": version,
            "summary": "A gateway between people and an AI agent, in which every conversation is a process.",
            "description": _INTRO,
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "servers": [{"url": "/"}],
        "tags": [{"name": tag} for tag in dict.fromkeys(operation.tag for operation in operations)],
        "security": [{_BEARER: []}] if token_required else [],
        "paths": paths,
        "components": {
            "securitySchemes": {_BEARER: {"type": "http", "scheme": "bearer"}},
            "responses": {
                _response_name(status): _refusal(status, schemas)
                for status in sorted(
                    {status for each in operations if each.error is ErrorView for status in each.statuses}
                )
            },
            "schemas": schemas.components,
        },
    }


def _described(operation: Operation, schemas: Schemas) -> dict[str, Any]:
    described: dict[str, Any] = {
        "operationId": operation.name,
        "summary": operation.summary,
        "tags": [operation.tag],
    }
    if detail := _detail(operation):
        described["description"] = detail
    parameters = [
        *_parameters(operation.parameters, "path"),
        *_parameters(operation.query, "query"),
    ]
    if parameters:
        described["parameters"] = parameters
    if operation.body is not None:
        described["requestBody"] = {
            "required": operation.body_required,
            "content": {JSON: {"schema": schemas.of(operation.body)}},
        }
    if operation.access == "anyone":
        described["security"] = []
    described["responses"] = _responses(operation, schemas)
    return described


def _detail(operation: Operation) -> str:
    who = "For the owner alone." if operation.access == "owner" else ""
    return " ".join(text for text in (operation.detail, who) if text)


def _parameters(kind: type[Input] | None, place: str) -> list[dict[str, Any]]:
    if kind is None:
        return []
    described = []
    for field in msgspec.structs.fields(kind):
        schema = dict(properties(kind)[field.encode_name])
        text = schema.pop("description", "")
        parameter = {"name": field.encode_name, "in": place, "required": field.required, "schema": schema}
        described.append({**parameter, "description": text} if text else parameter)
    return described


def _responses(operation: Operation, schemas: Schemas) -> dict[str, Any]:
    answers: dict[str, Any] = {}
    for status, kind in {operation.status: operation.answer, **operation.also}.items():
        answer = answers[str(status)] = {"description": f"{HTTPStatus(status).phrase}."}
        if status != HTTPStatus.NO_CONTENT:
            content = {} if kind is None else {"schema": schemas.of(kind)}
            answer["content"] = dict.fromkeys(operation.media_types, content)
    for status in operation.statuses:
        if operation.error is ErrorView:
            answers[str(status)] = {"$ref": f"#/components/responses/{_response_name(status)}"}
        else:
            answers[str(status)] = _refusal(status, schemas, operation.error)
    return answers


def _response_name(status: int) -> str:
    return HTTPStatus(status).phrase.title().replace(" ", "")


def _refusal(status: int, schemas: Schemas, kind: Any = ErrorView) -> dict[str, Any]:
    refusal: dict[str, Any] = {
        "description": f"{HTTPStatus(status).phrase}.",
        "content": {JSON: {"schema": schemas.of(kind)}},
    }
    if status in (HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE):
        seconds = {"type": "integer", "minimum": 0}
        refusal["headers"] = {"Retry-After": {"description": "In seconds.", "schema": seconds}}
    return refusal


def _types(operations: Iterable[Operation]) -> Iterable[Any]:
    for operation in operations:
        kinds = (operation.answer, operation.body, operation.error, *operation.also.values())
        yield from (kind for kind in kinds if kind is not None)


def _check(operations: Sequence[Operation]) -> None:
    names = [operation.name for operation in operations]
    places = [(operation.method, operation.path) for operation in operations]
    for twice in (_twice(names), _twice(places)):
        if twice:
            raise ValueError(f"declared more than once: {twice[0]}")


def _twice(what: Sequence[T]) -> list[T]:
    return [each for each in what if what.count(each) > 1]
