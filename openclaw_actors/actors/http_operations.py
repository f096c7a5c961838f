"""Decides how declared operations are served: who may, what of the request is valid, and what an error becomes."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import aclosing
from typing import Any, TypeAlias

import msgspec
from aiohttp import web

from openclaw_actors.actors.http_context import HttpContext, HttpError, json_answer
from openclaw_actors.actors.http_door import Door
from openclaw_actors.channels.auth import is_owner
from openclaw_actors.channels.http.declaring import JSON, Input, Operation
from openclaw_actors.channels.http.parameters import BadInput, read_body, read_path, read_query
from openclaw_actors.channels.http.views import ErrorBody, ErrorView
from openclaw_actors.channels.sessions import key_prefix
from openclaw_actors.errors import AskRefused

__all__ = ["Call", "Handler", "OperationRoutes", "Streamed", "refusal_status"]

logger = logging.getLogger(__name__)

_TOO_FAST = "There were too many requests within a minute."
_RETRY_AFTER = {"Retry-After": "5"}
_ALWAYS = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
_STATUSES: Mapping[str, int] = {
    "unknown": 404,
    "bad_key": 400,
    "bad_field": 400,
    "unavailable": 503,
    "persistence_failed": 503,
    "draining": 503,
}
"""What a refusal's code is over HTTP; any other means that it cannot be done as things stand: 409."""


class Call(msgspec.Struct, frozen=True, kw_only=True):
    """One request for an operation, checked: what its declaration says is what it holds."""

    principal: str
    """Empty: nobody was asked for a token."""
    path: Any
    query: Any
    body: Any

    @property
    def is_owner(self) -> bool:
        """Whether the caller may see everything."""
        return is_owner(self.principal)

    @property
    def prefix(self) -> str:
        """How the keys begin of the sessions that the caller may see."""
        return "" if self.is_owner else self.own_prefix

    @property
    def own_prefix(self) -> str:
        """How the keys of the caller's own sessions begin."""
        return key_prefix(self.principal)


class Streamed(msgspec.Struct, frozen=True, kw_only=True):
    """An answer that is sent as it is made."""

    pieces: AsyncGenerator[bytes]
    media_type: str


Handler: TypeAlias = Callable[[Call], Awaitable[Any]]
"""What it returns is the answer: a value of the declared type, or `Streamed`."""


def refusal_status(code: str) -> int:
    """The status of the answer to a request that an actor refused with this code."""
    return _STATUSES.get(code, 409)


class OperationRoutes:
    """Serves operations.

    Args:
        operations: their declarations.
        handlers: an operation's name -> who carries it out.

    Raises:
        ValueError: a declaration has no handler, or a handler no declaration.
    """

    def __init__(
        self, context: HttpContext, operations: Sequence[Operation], handlers: Mapping[str, Handler]
    ) -> None:
        declared = {operation.name for operation in operations}
        if declared != set(handlers):
            raise ValueError(f"declared or served alone: {sorted(declared ^ set(handlers))}")
        self._context = context
        context.operations.extend(operations)
        self._operations = operations
        self._handlers = handlers
        http = context.config.http
        self._door = Door(context, per_minute=http.requests_per_minute_per_client, too_fast=_TOO_FAST)

    def routes(self) -> Iterable[web.RouteDef]:
        """A route for each operation, and one for each path on which a browser asks before it sends."""
        methods: dict[str, list[str]] = {}
        for operation in self._operations:
            methods.setdefault(operation.path, []).append(operation.method)
            served = self._served(operation, self._handlers[operation.name])
            yield web.route(operation.method, operation.path, served)  # GET brings HEAD
        for path, allowed in methods.items():
            yield web.options(path, self._preflight(", ".join(allowed)))

    def _served(
        self, operation: Operation, handler: Handler
    ) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        async def serve(request: web.Request) -> web.StreamResponse:
            answer = await self._answer(operation, handler, request)
            if not answer.prepared:
                answer.headers.update(_ALWAYS)
                answer.headers.update(self._door.cors(request))
            return answer

        return serve

    async def _answer(
        self, operation: Operation, handler: Handler, request: web.Request
    ) -> web.StreamResponse:
        try:
            answer = await handler(await self._checked(operation, request))
        except HttpError as error:
            return _error(error.status, error.code, error.text, headers=error.headers)
        except BadInput as problem:
            return _error(400, problem.code, problem.text, field=problem.field)
        except AskRefused as refusal:
            status = refusal_status(refusal.code)
            headers = _RETRY_AFTER if status == 503 else None
            return _error(status, refusal.code, _sentence(refusal), headers=headers)
        if isinstance(answer, Streamed):
            return await self._stream(request, answer)
        return json_answer(answer, status=operation.status)

    async def _stream(self, request: web.Request, streamed: Streamed) -> web.StreamResponse:
        """Sends piece by piece; a client that takes nothing, and what goes wrong on the way, breaks the answer off."""
        response = web.StreamResponse(headers={"Content-Type": streamed.media_type, **_ALWAYS})
        response.headers.update(self._door.cors(request))
        timeout_s = self._context.config.http.send_timeout_seconds
        try:
            async with aclosing(streamed.pieces) as pieces:
                await response.prepare(request)
                if request.method == "HEAD":
                    return response
                async for piece in pieces:
                    async with asyncio.timeout(timeout_s):
                        await response.write(piece)
        except (AskRefused, TimeoutError) as problem:
            logger.warning(
                "an answer to %s is broken off: %s", request.path[:200], str(problem) or "nobody takes it"
            )
            if request.transport is not None:
                request.transport.abort()
        except ConnectionError:
            pass  # nobody is there any more
        return response

    def _preflight(self, methods: str) -> Callable[[web.Request], Awaitable[web.Response]]:
        async def answer(request: web.Request) -> web.Response:
            return self._door.preflight(request, methods)

        return answer

    # What is checked, in this order

    async def _checked(self, operation: Operation, request: web.Request) -> Call:
        self._door.check_page(request)
        principal = "" if operation.access == "anyone" else self._context.principal_of(request)
        if principal:
            self._door.count(request, principal)
        path = None
        if operation.parameters is not None:
            path = read_path(request.match_info, operation.parameters)
        self._check_access(operation, principal, path)
        pairs = [(name, value) for name, value in request.query.items() if not self._is_token(name)]
        query = read_query(pairs, operation.query)
        body = await self._body(operation, request)
        return Call(principal=principal, path=path, query=query, body=body)

    def _is_token(self, name: str) -> bool:
        return name == "token" and self._context.query_token

    def _check_access(self, operation: Operation, principal: str, path: Any) -> None:
        if is_owner(principal) or operation.access in ("anyone", "principal"):
            return
        if operation.access == "owner":
            raise HttpError(403, "forbidden", "Only the owner of the gateway may do that.")
        if not path.key.startswith(key_prefix(principal)):
            raise AskRefused("unknown", f"there is no session {path.key}")

    async def _body(self, operation: Operation, request: web.Request) -> Any:
        if operation.body is None:
            if operation.method == "POST":  # who sends something means something by it
                read_body(await self._context.body_of(request), Input)
            return None
        if request.body_exists and request.content_type != JSON:
            raise HttpError(
                415,
                "unsupported_media_type",
                f"Content-Type must be {JSON} (got {request.content_type[:80]}).",
            )
        return read_body(await self._context.body_of(request), operation.body)


def _sentence(refusal: AskRefused) -> str:
    text = refusal.text or refusal.code
    if text.partition(" ")[0].isalpha():  # else it begins with a key
        text = text[:1].upper() + text[1:]
    return text if text.endswith((".", "!", "?")) else f"{text}."


def _error(
    status: int, code: str, text: str, *, field: str | None = None, headers: Mapping[str, str] | None = None
) -> web.Response:
    return json_answer(
        ErrorView(error=ErrorBody(code=code, text=text, field=field)), status=status, headers=headers
    )
