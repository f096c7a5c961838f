"""Decides how declared operations are served: who may, what of the request is valid, and what an error becomes."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any, TypeAlias

import msgspec
from aiohttp import web

from openclaw_actors.actors.http_context import HttpContext, HttpError, json_answer
from openclaw_actors.channels.auth import is_owner
from openclaw_actors.channels.http.browsers import BrowserRule
from openclaw_actors.channels.http.declaring import JSON, Operation
from openclaw_actors.channels.http.parameters import BadInput, read_body, read_path, read_query
from openclaw_actors.channels.http.views import ErrorBody, ErrorView
from openclaw_actors.channels.sessions import key_prefix
from openclaw_actors.core.rate import RateWindows
from openclaw_actors.errors import AskRefused

__all__ = ["Call", "Handler", "OperationRoutes", "refusal_status"]

_MAX_FAILED_TOKENS = 30
"""Of one address in a minute; more, and its tokens are not even looked at."""
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
    address: str
    """The client's."""
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
        return "" if self.is_owner else key_prefix(self.principal)


Handler: TypeAlias = Callable[[Call], Awaitable[Any]]
"""What it returns is the answer: a value of the declared type, or an aiohttp response of its own."""


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
        self._operations = operations
        self._handlers = handlers
        config = context.config
        self._browsers = BrowserRule(
            context.origins,
            bind_address=config.bind_address,
            allowed_origins=config.security.allowed_origins,
            token_required=context.principals.token_required,
        )
        self._query_token = config.security.allow_query_string_token
        self._rate = RateWindows(config.http.requests_per_minute_per_client)
        self._failed_tokens = RateWindows(_MAX_FAILED_TOKENS)

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
                answer.headers.update(self._cors(request))
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
        if isinstance(answer, web.StreamResponse):
            return answer
        return json_answer(answer, status=operation.status)

    # Pages of other origins that are allowed

    def _preflight(self, methods: str) -> Callable[[web.Request], Awaitable[web.Response]]:
        async def answer(request: web.Request) -> web.Response:
            headers = self._cors(request)
            if headers:
                headers |= {
                    "Access-Control-Allow-Methods": methods,
                    "Access-Control-Allow-Headers": "Authorization, Content-Type",
                    "Access-Control-Max-Age": "600",
                }
            return web.Response(status=204, headers=headers)

        return answer

    def _cors(self, request: web.Request) -> dict[str, str]:
        """What tells a browser that the page may read the answer; nothing where it may not."""
        origin, host = request.headers.get("Origin"), request.headers.get("Host")
        if origin is None or not self._browsers.host_passes(host):
            return {}
        if not self._browsers.origin_passes(origin, host, None):
            return {}
        return {"Access-Control-Allow-Origin": origin, "Vary": "Origin"}

    # What is checked, in this order

    async def _checked(self, operation: Operation, request: web.Request) -> Call:
        self._check_browser(operation, request)
        address = self._context.address_of(request)
        principal = "" if operation.access == "anyone" else self._principal(request, address)
        path = None
        if operation.parameters is not None:
            path = read_path(request.match_info, operation.parameters)
        self._check_access(operation, principal, path)
        pairs = [(name, value) for name, value in request.query.items() if not self._is_token(name)]
        query = read_query(pairs, operation.query)
        body = None if operation.body is None else await self._body(operation, request)
        return Call(principal=principal, address=address, path=path, query=query, body=body)

    def _is_token(self, name: str) -> bool:
        return name == "token" and self._query_token

    def _check_browser(self, operation: Operation, request: web.Request) -> None:
        headers = request.headers
        host = headers.get("Host")
        if not self._browsers.host_passes(host):
            raise HttpError(
                403,
                "host_not_allowed",
                "Host must be an address of the loopback, localhost, `bind_address`, or the host of an origin in "
                "`security.allowed_origins`, where no token is asked for.",
            )
        site = headers.get("Sec-Fetch-Site") if operation.changes else None
        if not self._browsers.origin_passes(headers.get("Origin"), host, site):
            raise HttpError(
                403,
                "origin_not_allowed",
                "Pages of this origin may not do that; list it in `security.allowed_origins`.",
            )

    def _principal(self, request: web.Request, address: str) -> str:
        now = time.monotonic()
        if self._failed_tokens.is_full(address, now):
            raise self._too_many("There were too many wrong tokens from this address.")
        try:
            principal = self._context.principal_of(request)
        except HttpError:
            self._failed_tokens.hit(address, now)
            raise
        if not self._rate.hit(f"{principal} {address}", now):
            raise self._too_many("There were too many requests within a minute.")
        return principal

    def _too_many(self, text: str) -> HttpError:
        self._context.counters['rate_limit_hits_total{channel="http"}'] += 1
        return HttpError(429, "rate_limited", text, _RETRY_AFTER)

    def _check_access(self, operation: Operation, principal: str, path: Any) -> None:
        if is_owner(principal) or operation.access in ("anyone", "principal"):
            return
        if operation.access == "owner":
            raise HttpError(403, "forbidden", "Only the owner of the gateway may do that.")
        if not path.key.startswith(key_prefix(principal)):
            raise AskRefused("unknown", f"there is no session {path.key}")

    async def _body(self, operation: Operation, request: web.Request) -> Any:
        assert operation.body is not None
        if request.body_exists and request.content_type != JSON:
            raise HttpError(
                415,
                "unsupported_media_type",
                f"Content-Type must be {JSON} (got {request.content_type[:80]}).",
            )
        return read_body(await self._context.body_of(request), operation.body)


def _sentence(refusal: AskRefused) -> str:
    text = refusal.text or refusal.code
    return text[:1].upper() + text[1:] + ("" if text.endswith((".", "!", "?")) else ".")


def _error(
    status: int, code: str, text: str, *, field: str | None = None, headers: Mapping[str, str] | None = None
) -> web.Response:
    return json_answer(
        ErrorView(error=ErrorBody(code=code, text=text, field=field)), status=status, headers=headers
    )
