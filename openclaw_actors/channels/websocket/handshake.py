"""Decides what an HTTP request on the WebSocket port gets: a connection, a page, or a refusal."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import parse_qs

from openclaw_actors.channels.address import ClientAddresses
from openclaw_actors.channels.auth import Principals, shown_token
from openclaw_actors.channels.origin import OriginRule, host_and_port
from openclaw_actors.channels.sessions import SESSION_ID_RULE, is_session_id
from openclaw_actors.config.sections import SecurityConfig

__all__ = ["V2_SUBPROTOCOL", "Doorman", "Page", "Refusal", "RequestHead", "Welcome"]

V2_SUBPROTOCOL = "openclaw.v2"


class RequestHead:
    """Method, target and headers of a request.

    Args:
        method: as it stands in the request line.
        target: path and query, as they stand there.
        headers: pairs of name and value, in order; names in any case.
        peer: address of the other end of the socket.
    """

    def __init__(self, method: str, target: str, headers: Iterable[tuple[str, str]], peer: str) -> None:
        self.method = method
        self.path, _, self._query = target.partition("?")
        self.peer = peer
        self._headers: dict[str, list[str]] = {}
        for name, value in headers:
            self._headers.setdefault(name.lower(), []).append(value)

    def every(self, name: str) -> list[str]:
        """All values of a header."""
        return self._headers.get(name, [])

    def only(self, name: str) -> str | None:
        """The one value of a header, or None.

        Raises:
            ValueError: it stands there more than once.
        """
        values = self.every(name)
        if len(values) > 1:
            raise ValueError(f"several {name} headers")
        return values[0] if values else None

    def listed(self, name: str) -> list[str]:
        """The comma-separated items of a header."""
        return [item.strip() for value in self.every(name) for item in value.split(",") if item.strip()]

    def parameter(self, name: str) -> str | None:
        """The one value of a query parameter, or None.

        Raises:
            ValueError: it stands there more than once, or is no UTF-8.
        """
        values = parse_qs(self._query, keep_blank_values=True, errors="strict").get(name, [])
        if len(values) > 1:
            raise ValueError(f"several {name} parameters")
        return values[0] if values else None


@dataclass(frozen=True, slots=True)
class Welcome:
    """The request becomes a WebSocket connection."""

    principal: str
    address: str
    """The client's, for the limits."""
    v2: bool
    session_id: str | None
    """From `?session=`."""


@dataclass(frozen=True, slots=True)
class Page:
    """The request gets a page of ours."""

    name: Literal["health", "metrics"]


@dataclass(frozen=True, slots=True)
class Refusal:
    """The request gets this answer and nothing else."""

    status: int
    text: str
    headers: tuple[tuple[str, str], ...] = field(default=())


class Doorman:
    """Looks at each request, in this order: path, upgrade, drain, origin, token, session.

    Args:
        principals: who may come in.
        security: the configuration's section.
        http_port: the HTTP channel's port, where `/` leads to.
        scheme: of the HTTP channel.
    """

    def __init__(
        self,
        *,
        principals: Principals,
        security: SecurityConfig,
        http_port: int,
        scheme: Literal["http", "https"] = "http",
    ) -> None:
        self._principals = principals
        self._scheme = scheme
        self._query_token = security.allow_query_string_token
        self._origins = OriginRule(
            allowed=security.allowed_origins,
            http_port=http_port,
            token_required=principals.token_required,
        )
        self._addresses = ClientAddresses(
            trust_forwarded=security.trust_forwarded_headers, known_proxies=security.known_proxies
        )
        self.draining = False

    def successor(self, principals: Principals, security: SecurityConfig) -> Doorman:
        """Who takes over when another configuration holds."""
        port = self._origins.http_port
        other = Doorman(principals=principals, security=security, http_port=port, scheme=self._scheme)
        other.draining = self.draining
        return other

    def use_http_port(self, port: int) -> None:
        """The HTTP channel listens here; it may have been given any free port."""
        self._origins.http_port = port

    def decide(self, request: RequestHead) -> Welcome | Page | Refusal:
        """What this request gets. Its token appears in no text."""
        try:
            if request.path == "/ws":
                return self._connection(request)
            return self._page(request)
        except ValueError as problem:
            return Refusal(400, f"Bad request: {problem}.\n")

    def _page(self, request: RequestHead) -> Page | Refusal:
        if request.path not in ("/", "/health", "/metrics"):
            return Refusal(404, "Not found. The WebSocket is at /ws.\n")
        if request.method != "GET":
            return Refusal(405, "Only GET is allowed here.\n", (("Allow", "GET"),))
        if request.path == "/health":
            return Page("health")
        if request.path == "/metrics":
            return Page("metrics") if self._principal(request) is not None else _unauthorized()
        port = self._origins.http_port
        if not port:
            return Refusal(503, "The gateway is starting.\n", (("Retry-After", "1"),))
        here = host_and_port(request.only("host") or "", 80)
        host = here[0] if here else "127.0.0.1"
        location = f"{self._scheme}://{f'[{host}]' if ':' in host else host}:{port}/"
        return Refusal(307, f"See {location}\n", (("Location", location),))

    def _connection(self, request: RequestHead) -> Welcome | Refusal:
        if request.method != "GET":
            return Refusal(405, "Only GET is allowed here.\n", (("Allow", "GET"),))
        if "websocket" not in [name.lower() for name in request.listed("upgrade")]:
            return Refusal(400, "This is a WebSocket endpoint; the request is not an upgrade.\n")
        if self.draining:
            return Refusal(503, "The gateway is shutting down.\n", (("Retry-After", "5"),))
        if not self._origins.passes(request.only("origin"), request.only("host")):
            return Refusal(403, "This origin may not connect; list it in security.allowed_origins.\n")
        principal = self._principal(request)
        if principal is None:
            return _unauthorized()
        session_id = request.parameter("session")
        if session_id is not None and not is_session_id(session_id):
            return Refusal(400, f"Bad request: session {SESSION_ID_RULE}.\n")
        return Welcome(
            principal=principal,
            address=self._addresses.of(request.peer, request.every("x-forwarded-for")),
            v2=V2_SUBPROTOCOL in request.listed("sec-websocket-protocol"),
            session_id=session_id,
        )

    def _principal(self, request: RequestHead) -> str | None:
        token = shown_token(
            authorization=request.only("authorization"),
            subprotocols=request.listed("sec-websocket-protocol"),
            query=request.parameter("token") if self._query_token else None,
            query_allowed=self._query_token,
        )
        return self._principals.identify(token)


def _unauthorized() -> Refusal:
    return Refusal(401, "A valid token is needed.\n", (("WWW-Authenticate", "Bearer"),))
