"""Owns the HTTP client that speaks to Twilio, and decides of each failure whether the request had left."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping

import aiohttp

from openclaw_actors import __version__
from openclaw_actors.channels.twilio import lookup
from openclaw_actors.channels.twilio.outbound import (
    Outcome,
    Sender,
    classify,
    message_form,
    messages_path,
    number_of,
)
from openclaw_actors.config.features import TwilioConfig
from openclaw_actors.core.outbox_lane import Absent, Found, Look, NotTaken, Post, Unclear, Unfound, Unknown

__all__ = ["Carrier"]

_MAX_ANSWER_BYTES = 1_048_576
_FINAL_STATUSES = frozenset({400, 401, 403, 404, 405})


class _TooLarge(Exception):
    """Raised when an answer is longer than any that Twilio gives."""


class Carrier:
    """Hands messages to Twilio, and looks for them in its list.

    Args:
        config: `channels.sms.twilio`.
        auth_token: its secret.
    """

    def __init__(self, config: TwilioConfig, auth_token: str) -> None:
        self._config = config
        self._sender = Sender(
            messaging_service_sid=config.messaging_service_sid, from_number=config.from_number
        )
        self._base_url = config.api_base_url.rstrip("/")
        self._url = self._base_url + messages_path(config.account_sid or "")
        self._auth = aiohttp.BasicAuth(config.account_sid or "", auth_token, encoding="utf-8")
        self._session: aiohttp.ClientSession | None = None

    @property
    def missing(self) -> str:
        """What has to be configured before anything can be sent; empty: nothing."""
        if not self._config.account_sid:
            return "channels.sms.twilio.account_sid is not set"
        if not (self._config.messaging_service_sid or self._config.from_number):
            return "channels.sms.twilio.messaging_service_sid and from_number are not set"
        return ""

    async def post(self, post: Post) -> Outcome:
        """Hand one part over."""
        if self.missing:
            return NotTaken(self.missing)
        form = message_form(self._sender, number_of(post.session), post.body)
        left = asyncio.Event()
        try:
            async with self._client().post(
                self._url, data=form, trace_request_ctx=left, allow_redirects=False
            ) as response:
                body = await _read(response)
                return classify(response.status, response.headers, body, wall_now_s=time.time())
        except (aiohttp.ClientError, TimeoutError, OSError, _TooLarge) as error:
            reason = _reason(error)
            return Unknown(reason) if left.is_set() else NotTaken(reason)

    async def look(self, look: Look) -> Found | Absent | Unclear | Unfound:
        """Look for one part in the list."""
        if self.missing:
            return Unfound(self.missing)
        to = number_of(look.session)
        found: list[lookup.Listed] = []
        url, query = self._url, lookup.list_query(self._sender, to)
        for _ in range(lookup.MAX_PAGES):
            page = await self._page(url, query)
            if isinstance(page, Unfound):
                return page
            found += page.messages
            if not lookup.goes_on(page, look.since):
                return lookup.search(
                    found,
                    self._sender,
                    to=to,
                    bodies=look.bodies,
                    since=look.since,
                    known_sids=look.known_sids,
                )
            url, query = f"{self._base_url}{page.next_page_uri}", {}
        result = lookup.search(
            found, self._sender, to=to, bodies=look.bodies, since=look.since, known_sids=look.known_sids
        )
        return result if isinstance(result, Found) else Unclear()

    async def _page(self, url: str, query: Mapping[str, str]) -> lookup.ListPage | Unfound:
        try:
            async with self._client().get(url, params=query, allow_redirects=False) as response:
                body = await _read(response)
                if response.status == 200:
                    return lookup.read_page(body)
                return Unfound(
                    f"Twilio's list answered HTTP {response.status}", response.status in _FINAL_STATUSES
                )
        except lookup.Unreadable:
            return Unfound("Twilio's list cannot be read", final=True)
        except (aiohttp.ClientError, TimeoutError, OSError, _TooLarge) as error:
            return Unfound(f"Twilio's list cannot be had ({_reason(error)})")

    async def close(self) -> None:
        """Close all connections."""
        if self._session is not None:
            await self._session.close()

    def _client(self) -> aiohttp.ClientSession:
        if self._session is None:
            timeout_s = self._config.request_timeout_seconds
            trace = aiohttp.TraceConfig()
            trace.on_connection_create_end.append(_connected)
            self._session = aiohttp.ClientSession(
                # A connection is used once: a request on one that Twilio is just closing would have an unknown fate.
                connector=aiohttp.TCPConnector(force_close=True, limit=0, ttl_dns_cache=60),
                cookie_jar=aiohttp.DummyCookieJar(),
                timeout=aiohttp.ClientTimeout(total=timeout_s, sock_connect=timeout_s),
                auth=self._auth,
                trust_env=True,
                headers={"User-Agent": f"openclaw-actors/{__version__}"},
                trace_configs=[trace],
            )
        return self._session


async def _connected(
    _session: aiohttp.ClientSession,
    context: object,
    _params: aiohttp.TraceConnectionCreateEndParams,
) -> None:
    left = getattr(context, "trace_request_ctx", None)
    if isinstance(left, asyncio.Event):
        left.set()


async def _read(response: aiohttp.ClientResponse) -> bytes:
    data = bytearray()
    async for chunk in response.content.iter_any():
        data += chunk
        if len(data) > _MAX_ANSWER_BYTES:
            raise _TooLarge
    return bytes(data)


def _reason(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return "no answer from Twilio in time"
    if isinstance(error, aiohttp.ClientConnectorError):
        return f"no connection to Twilio ({error.os_error.strerror or type(error).__name__})"
    return f"the connection to Twilio failed ({type(error).__name__})"
