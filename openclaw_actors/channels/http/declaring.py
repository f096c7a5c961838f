"""Owns what an operation of the HTTP interface is: one declaration that is served, validated and documented."""

from __future__ import annotations

import string
from collections.abc import Mapping
from http import HTTPStatus
from types import MappingProxyType
from typing import Any, Literal, TypeAlias, get_args

import msgspec

from openclaw_actors.channels.http.views import ErrorView
from openclaw_actors.messages.base import Value

__all__ = ["JSON", "Access", "Input", "Method", "Operation"]

JSON = "application/json"

Method: TypeAlias = Literal["GET", "POST", "PUT", "PATCH", "DELETE"]
Access: TypeAlias = Literal["anyone", "principal", "session", "owner"]
"""Who may: everybody; who shows a valid token; the session's own principal and the owner; the owner alone."""

_CHANGES: frozenset[str] = frozenset(get_args(Method)) - {"GET"}


class Input(Value, forbid_unknown_fields=True):
    """The base of what a request says: the variables of its path, its query, its body.

    Types and bounds of the fields are what is checked and what is documented; `Meta(description=…)` is their text.
    Query and path have fields of numbers, truth values, texts and choices only, and none that may be null.
    """


class Operation(Value, kw_only=True):
    """One method of one path: what it takes, what it answers, and who may.

    Raises:
        ValueError: the path's variables are not the fields of `parameters`.
    """

    name: str
    """Unique; what its handler is called, and `operationId` in the document."""
    method: Method
    path: str
    """With `{variables}`, percent-encoded in a request."""
    summary: str
    """One line."""
    detail: str = ""
    tag: str
    """Under which heading the document shows it."""
    access: Access = "owner"
    parameters: type[Input] | None = None
    """The path's variables."""
    query: type[Input] | None = None
    body: Any = None
    """A JSON object, an `Input` where this declaration checks it; may be left out where no field of it is required."""
    answer: Any = None
    """A type that `msgspec` can encode; None: text or nothing."""
    status: int = 200
    media_types: tuple[str, ...] = (JSON,)
    refusals: tuple[int, ...] = ()
    """Statuses of errors beyond those that follow from the rest of the declaration."""
    also: Mapping[int, Any] = MappingProxyType({})
    """Other answers that are no errors of ours: a status and its type."""
    error: Any = ErrorView
    """The type of its errors."""
    checked: bool = True
    """Its requests are checked by this declaration; else `refusals` are all its errors."""

    def __post_init__(self) -> None:
        variables = {name for _, name, _, _ in string.Formatter().parse(self.path) if name}
        fields = set(self.parameters.__struct_fields__) if self.parameters is not None else set()
        if variables != fields:
            raise ValueError(
                f"{self.name}: {self.path} has {sorted(variables)}, `parameters` {sorted(fields)}"
            )

    @property
    def changes(self) -> bool:
        """Whether it changes something, so that a foreign web page must not cause it."""
        return self.method in _CHANGES

    @property
    def body_required(self) -> bool:
        """Whether a request without a body is refused."""
        return self.body is not None and any(field.required for field in msgspec.structs.fields(self.body))

    @property
    def statuses(self) -> tuple[int, ...]:
        """Every status of an error that it can answer, in order."""
        if not self.checked:
            return tuple(sorted(self.refusals))
        found = {HTTPStatus.BAD_REQUEST, HTTPStatus.SERVICE_UNAVAILABLE, *self.refusals}
        if self.body is not None:
            found |= {
                HTTPStatus.REQUEST_TIMEOUT,
                HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
                HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
            }
        if self.access != "anyone":
            found |= {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN, HTTPStatus.TOO_MANY_REQUESTS}
        if self.parameters is not None:
            found.add(HTTPStatus.NOT_FOUND)
        return tuple(sorted(int(status) for status in found))
