"""What the HTTP channel's groups of routes share: who asks, whom they may ask, how bodies are read and errors told."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Iterable, Mapping
from typing import Any, Protocol

import msgspec
from aiohttp import web

from openclaw_actors.actors.directory import ServiceDirectory
from openclaw_actors.actors.health import HealthWatch
from openclaw_actors.actors.http_calls import ModelCalls
from openclaw_actors.actors.http_deliveries import Deliveries
from openclaw_actors.actors.http_live import LiveFeed
from openclaw_actors.actors.http_turns import Turns
from openclaw_actors.actorsystem import AsyncActor
from openclaw_actors.channels.address import ClientAddresses
from openclaw_actors.channels.auth import Principals, shown_token
from openclaw_actors.channels.http.declaring import Operation
from openclaw_actors.channels.openai.repeats import Repeats
from openclaw_actors.channels.origin import OriginRule
from openclaw_actors.config import GatewayConfig
from openclaw_actors.core.rate import RateWindows
from openclaw_actors.errors import ActorError, AskRefused
from openclaw_actors.messages import Address, Message

__all__ = ["HttpContext", "HttpError", "RouteGroup", "error_answer", "json_answer"]

logger = logging.getLogger(__name__)

_JSON = "application/json"
_MAX_FAILED_TOKENS = 60
"""Of one address in a minute. A right one passes all the same: a stranger may share an address with many people."""
_RETRY_AFTER = {"Retry-After": "10"}


class HttpError(Exception):
    """Raised by a handler to answer a request with an error.

    Args:
        status: of the answer.
        code: for programs, such as `bad_field`.
        text: for people: what is wrong, and what is allowed.
    """

    def __init__(self, status: int, code: str, text: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(status, code, text)
        self.status = status
        self.code = code
        self.text = text
        self.headers = dict(headers or {})


class RouteGroup(Protocol):
    """Some of the HTTP channel's routes. Made with the context, once for each configuration."""

    def routes(self) -> Iterable[web.RouteDef]:
        """The routes; none where what they are for is not configured."""


class HttpContext:
    """Everything that a group of routes may use.

    Args:
        actor: the channel; its end ends every asking.
        secrets: dotted key -> value, of the channel's own secrets.
    """

    def __init__(
        self,
        *,
        actor: AsyncActor,
        supervisor: Address,
        directory: ServiceDirectory,
        config: GatewayConfig,
        secrets: Mapping[str, str],
        principals: Principals,
        deliveries: Deliveries,
        turns: Turns,
        calls: ModelCalls,
        repeats: Repeats,
        port: int,
    ) -> None:
        security = config.security
        self.config = config
        self.secrets = secrets
        self.counters = actor.counters
        """Where this process counts, by the series of `core.metrics`."""
        self.deliveries = deliveries
        self.turns = turns
        self.calls = calls
        self.repeats = repeats
        self.operations: list[Operation] = []
        """What all groups serve, for the document; each adds its own when it is made."""
        self.health = HealthWatch(actor, supervisor)
        self.live = LiveFeed(actor, supervisor, directory, config.http)
        """Who follows the gateway."""
        self.draining = False
        self.port = port
        """Where this channel listens."""
        self.principals = principals
        self.origins = OriginRule(
            allowed=security.allowed_origins, http_port=port, token_required=principals.token_required
        )
        self._actor = actor
        self._supervisor = supervisor
        self._directory = directory
        self.query_token = security.allow_query_string_token
        """Whether a token may stand in the URL."""
        self._failed_tokens = RateWindows(_MAX_FAILED_TOKENS)
        self.addresses = ClientAddresses(
            trust_forwarded=security.trust_forwarded_headers, known_proxies=security.known_proxies
        )
        """Who is a proxy of ours, and who stands behind one."""

    # Who asks

    def principal_of(self, request: web.Request) -> str:
        """Whose token the request shows: `default` of `auth_token`, `local` where none is asked for.

        Raises:
            HttpError: 401, it shows none or an unknown one; 400, it shows several; 429, too many wrong ones came from
                there, whatever they were tried on.
        """
        try:
            token = shown_token(
                authorization=_only(request.headers.getall("Authorization", []), "Authorization header"),
                subprotocols=(),
                query=_only(request.query.getall("token", []), "token parameter"),
                query_allowed=self.query_token,
            )
        except ValueError as problem:
            raise HttpError(400, "bad_request", f"{problem}.") from None
        principal = self.principals.identify(token)
        if principal is None:
            if token is not None and not self._failed_tokens.hit(self.address_of(request), time.monotonic()):
                raise self.too_many("There were too many wrong tokens from this address.")
            raise HttpError(401, "unauthorized", "A valid token is needed.", {"WWW-Authenticate": "Bearer"})
        return principal

    def too_many(self, text: str) -> HttpError:
        """What a caller is answered that comes too often; counted."""
        self.counters['rate_limit_hits_total{channel="http"}'] += 1
        return HttpError(429, "rate_limited", text, _RETRY_AFTER)

    def address_of(self, request: web.Request) -> str:
        """The client's address, also behind the proxies that may be believed."""
        return self.addresses.of(request.remote or "", request.headers.getall("X-Forwarded-For", []))

    # Whom to ask

    def port_of(self, service: str) -> int | None:
        """Where a channel listens; None while that is not known."""
        return self._directory.port(service)

    async def ask_supervisor(self, message: Message, *, timeout_s: float | None = None) -> Any:
        """Ask the supervisor, once.

        Raises:
            AskRefused: it refused; code `unavailable`: it did not answer in time.
        """
        try:
            return await self._actor.ask(
                self._supervisor, message, timeout_s=timeout_s or self.config.actors.ask_timeout_seconds
            )
        except AskRefused:
            raise
        except ActorError as error:
            raise AskRefused(
                "unavailable", f"the supervisor does not answer ({type(error).__name__})"
            ) from None

    def ask_supervisor_soon(self, message: Message, *, after_s: float) -> None:
        """Ask when the answer to the present request has left: for what ends this process; nobody hears the answer."""
        self._actor.call_later(after_s, self._spawn_unheard, message)

    def _spawn_unheard(self, message: Message) -> None:
        self._actor.spawn(self._ask_unheard(message), name=f"ask for {message}")

    async def _ask_unheard(self, message: Message) -> None:
        try:
            await self.ask_supervisor(message)
        except AskRefused as refusal:
            logger.warning("the supervisor refuses %s: %s", message, refusal)

    async def ask_service(self, name: str, message: Message, *, timeout_s: float) -> Any:
        """Ask a service, its next incarnations included, within a time. Only what it may be asked twice.

        Raises:
            AskRefused: it refused; code `unavailable`: it did not answer in time.
        """
        try:
            async with asyncio.timeout(timeout_s):
                return await self._directory.ask(self._actor, name, message, timeout_s=timeout_s)
        except TimeoutError:
            raise AskRefused("unavailable", f"{name} does not answer") from None

    # Bodies

    async def body_of(self, request: web.Request, *, max_bytes: int | None = None) -> bytes:
        """The request's body. What is read is what counts, whatever the request says of its length.

        Args:
            max_bytes: its limit; `http.max_body_bytes` by default.

        Raises:
            HttpError: 413, it is larger; 408, it did not come within `http.body_timeout_seconds`; 400, it is not
                encoded as it says, or its client went away before its end.
        """
        limit = self.config.http.max_body_bytes if max_bytes is None else max_bytes
        seconds = self.config.http.body_timeout_seconds
        body = bytearray()
        try:
            async with asyncio.timeout(seconds):
                async for piece in request.content.iter_any():
                    body += piece
                    if len(body) > limit:
                        raise HttpError(
                            413,
                            "body_too_large",
                            f"The body is larger than {limit} bytes.",
                            {"Connection": "close"},
                        )
        except TimeoutError:
            raise HttpError(
                408,
                "body_timeout",
                f"The body did not come within {seconds:g} seconds.",
                {"Connection": "close"},
            ) from None
        except web.RequestPayloadError:
            raise HttpError(
                400,
                "bad_request",
                "The body is not encoded as Content-Encoding and Transfer-Encoding say.",
                {"Connection": "close"},
            ) from None
        except ConnectionError:  # nobody reads the answer, and it is no error of ours
            raise HttpError(
                400, "bad_request", "The connection was lost before the end of the body."
            ) from None
        return bytes(body)


def json_answer(value: Any, *, status: int = 200, headers: Mapping[str, str] | None = None) -> web.Response:
    """An answer with a JSON document."""
    return web.Response(
        status=status, body=msgspec.json.encode(value) + b"\n", content_type=_JSON, headers=headers
    )


def error_answer(status: int, code: str, text: str, headers: Mapping[str, str] | None = None) -> web.Response:
    """An answer that says what is wrong, as all groups without a format of their own say it."""
    return json_answer({"error": {"code": code, "text": text}}, status=status, headers=headers)


def _only(values: list[str], name: str) -> str | None:
    if len(values) > 1:
        raise ValueError(f"Several {name}s were sent; one is allowed")
    return values[0] if values else None
