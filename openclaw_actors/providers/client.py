"""Owns the HTTP connections to a provider, whatever format it speaks: one attempt at an answer, read as it arrives."""

from __future__ import annotations

__all__ = ["HttpProvider"]

import asyncio
import io
import logging
import re
import time
from urllib.parse import urlsplit

import aiohttp

from openclaw_actors import __version__
from openclaw_actors.core.retry import parse_retry_after
from openclaw_actors.messages.model import Complete, ProviderProbed
from openclaw_actors.providers import failures
from openclaw_actors.providers.base import Answer, CallError, OnDelta
from openclaw_actors.providers.endpoints import Target
from openclaw_actors.providers.formats import ErrorBody, Garbage, RequestFormat, TooManyCalls
from openclaw_actors.providers.probe import probe_target
from openclaw_actors.providers.reader import AnswerReader, Cut, TooLarge

logger = logging.getLogger(__name__)

_MOST_LESSONS = 4
"""How often one call may be sent anew because the provider refused a field of the request."""

_MOST_FORMATS = 64
"""Of how many models it is known what they refuse; beyond it, the lesson that is oldest is learned again."""
_ERROR_BODY_BYTES = 65_536
_ERROR_BODY_S = 5.0
_TAIL_S = 0.02
_EXCERPT = 200
_AFTER_END_S = 2.0
_KEYS = re.compile(r"(?i)\b(?:(?:sk|pk|gsk|key)[-_]|bearer\s)[\w*.\-]{6,}")

_BAD_ADDRESS = "The address of my AI provider is not valid. Please check llm.endpoint."
_BAD_PROXY = "The proxy refuses to connect me to my AI provider. Please check HTTPS_PROXY and NO_PROXY."
_NOT_TRUSTED = "The certificate of my AI provider is not trusted. Please check llm.endpoint."
_NO_TLS = "My AI provider does not speak TLS at this address. Please check llm.endpoint: is it http instead of https?"


class HttpProvider:
    """A provider that is reached over HTTP.

    Args:
        target: where requests go, and in which format.
        name: `llm.provider`.
        connect_timeout_s: for a connection, name look-up and TLS included.
        stall_timeout_s: for each next piece of an answer that has begun.
        max_response_bytes: the largest answer.
    """

    def __init__(
        self,
        target: Target,
        *,
        name: str = "openai-compatible",
        connect_timeout_s: float = 10.0,
        stall_timeout_s: float = 60.0,
        max_response_bytes: int = 16 << 20,
    ) -> None:
        self._target = target
        self._name = name
        self._formats: dict[str, RequestFormat] = {}
        """Model -> its format, as the provider's refusals have taught us by now."""
        self._timeout = aiohttp.ClientTimeout(total=None, connect=connect_timeout_s)
        self._stall_timeout_s = stall_timeout_s
        self._max_response_bytes = max_response_bytes
        self._session: aiohttp.ClientSession | None = None
        self._secrets = [word for value in target.headers.values() for word in value.split() if len(word) > 5]
        if login := urlsplit(target.proxy or "").netloc.rpartition("@")[0]:
            self._secrets.append(login)

    async def complete(self, request: Complete, on_delta: OnDelta) -> Answer:
        """See `Provider.complete`."""
        for _ in range(_MOST_LESSONS):
            try:
                answer = await self._attempt(request, on_delta)
            except (aiohttp.ClientError, OSError, TimeoutError, UnicodeError) as error:
                detail = f"no answer: {type(error).__name__} {self._clean(str(error))}".rstrip()
                raise _classify_connection(error, detail) from None
            if answer is not None:
                return answer
        raise failures.garbage("the provider refuses one field of the request after the other")

    async def probe(self, *, timeout_s: float) -> ProviderProbed:
        """See `Provider.probe`."""
        return await probe_target(self._target, provider=self._name, timeout_s=timeout_s)

    async def close(self) -> None:
        """Close idle connections."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def _attempt(self, request: Complete, on_delta: OnDelta) -> Answer | None:
        """One request; None: the provider refused a field of it that the next one will not have."""
        model = self._model(request)
        form = self._formats.get(model, self._target.format)
        response = await self._open().post(
            self._target.url,
            # A file, because aiohttp sends a large one piece by piece, but holds the loop for large bytes.
            data=io.BytesIO(_encode(form, request)),
            headers=self._target.headers,
            proxy=self._target.proxy,
            allow_redirects=False,  # the key goes where the configuration says and nowhere else
        )
        try:
            if response.status == 200:
                return await self._read(response, form, request, on_delta)
            error = form.read_error(await _read_error_body(response))
            if response.status in (400, 422):
                better = self._formats.get(model, self._target.format).without_refused(error, form)
                if better is not None:
                    self._learn(model, better)
                    return None
            raise self._refusal(response, request, error)
        finally:
            # A connection whose body was read to its end is kept for the next call, any other one is closed.
            response.release()

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=20.0, ttl_dns_cache=60),
                cookie_jar=aiohttp.DummyCookieJar(),
                timeout=self._timeout,
                headers={"User-Agent": f"openclaw-actors/{__version__}"},
            )
        return self._session

    def _learn(self, model: str, better: RequestFormat) -> None:
        self._formats.pop(model, None)
        self._formats[model] = better
        while len(self._formats) > _MOST_FORMATS:
            del self._formats[next(iter(self._formats))]

    async def _read(
        self, response: aiohttp.ClientResponse, form: RequestFormat, request: Complete, on_delta: OnDelta
    ) -> Answer:
        reader = AnswerReader(form.begin_answer(), max_bytes=self._max_response_bytes)
        try:
            while not reader.done and reader.error is None:
                data = await self._next_bytes(response, reader)
                for text in reader.feed(data) if data else reader.end():
                    on_delta(text)
            if reader.error is None:
                await _read_tail(response)
        except TooLarge as error:
            raise failures.too_large(str(error)) from None
        except TooManyCalls as error:
            raise failures.too_many_calls(str(error)) from None
        except Garbage as error:
            raise failures.garbage(str(error), retryable=reader.begun) from None
        except TimeoutError:
            if not reader.complete:
                detail = f"stalled for {self._stall_timeout_s:g} s"
                raise failures.timed_out(detail, retryable=True) from None
        except (Cut, aiohttp.ClientError, OSError) as error:
            if not reader.complete:
                raise failures.connection_failed(
                    f"{type(error).__name__}: {self._clean(str(error))}"
                ) from None
        if reader.error is not None:
            raise failures.reported(
                reader.error.reason,
                model=self._model(request),
                detail=f"error in the stream: {self._describe(reader.error)}",
            )
        return self._answer(reader, request)

    @staticmethod
    def _answer(reader: AnswerReader, request: Complete) -> Answer:
        try:
            answer = reader.answer(request)
        except Garbage as error:
            raise failures.garbage(str(error)) from None
        if not answer.text and not answer.tool_calls:
            if (failure := failures.empty(reader.finish_reason)) is not None:
                raise failure
        elif reader.finish_reason in ("length", "content_filter"):
            logger.info("call %s: the answer was cut short: %s", request.call_id, reader.finish_reason)
        return answer

    async def _next_bytes(self, response: aiohttp.ClientResponse, reader: AnswerReader) -> bytes:
        # How long a model thinks before its first word is bounded by the deadline of the call alone. After the last
        # word the count of tokens follows, or nothing at all: not every server closes what it has ended.
        limit_s = min(_AFTER_END_S, self._stall_timeout_s) if reader.complete else self._stall_timeout_s
        async with asyncio.timeout(limit_s if reader.started else None):
            return await response.content.readany()

    def _model(self, request: Complete) -> str:
        return request.model or self._target.format.model

    def _refusal(self, response: aiohttp.ClientResponse, request: Complete, error: ErrorBody) -> CallError:
        return failures.refused(
            response.status,
            model=self._model(request),
            reason=error.reason,
            detail=f"HTTP {response.status} {self._describe(error)}".rstrip(),
            retry_after_s=parse_retry_after(response.headers.get("Retry-After"), wall_now_s=time.time()),
        )

    def _describe(self, error: ErrorBody) -> str:
        return self._clean(f"{error.reason} {error.message}".strip())

    def _clean(self, text: str) -> str:
        """What may stand in the log: one short line without a key."""
        for secret in self._secrets:
            text = text.replace(secret, "***")
        text = _KEYS.sub("***", text)
        return "".join(c if c.isprintable() else " " for c in text[:_EXCERPT])


def _encode(form: RequestFormat, request: Complete) -> bytes:
    try:
        return form.encode(request)
    except (ValueError, RecursionError) as error:
        raise failures.unsendable(f"the request cannot be encoded: {type(error).__name__}") from None


def _classify_connection(error: Exception, detail: str) -> CallError:
    if isinstance(error, aiohttp.InvalidURL | UnicodeError):
        return failures.misconfigured(_BAD_ADDRESS, detail)
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        return failures.misconfigured(_NOT_TRUSTED, detail)
    if isinstance(error, aiohttp.ClientConnectorSSLError):
        return failures.misconfigured(_NO_TLS, detail)
    if isinstance(error, TimeoutError):
        return failures.timed_out(detail, retryable=True)
    if isinstance(error, aiohttp.ClientHttpProxyError):
        if error.status < 500:
            return failures.misconfigured(_BAD_PROXY, detail)
        return failures.connection_failed(detail)
    if isinstance(error, aiohttp.ClientResponseError):
        # What answered does not speak HTTP.
        return failures.garbage(detail)
    return failures.connection_failed(detail)


async def _read_error_body(response: aiohttp.ClientResponse) -> bytes:
    body = bytearray()
    try:
        async with asyncio.timeout(_ERROR_BODY_S):
            while len(body) < _ERROR_BODY_BYTES:
                data = await response.content.read(_ERROR_BODY_BYTES - len(body))
                if not data:
                    break
                body += data
    except (aiohttp.ClientError, OSError, TimeoutError):
        pass  # the status is known; of the body, what came will do
    return bytes(body)


async def _read_tail(response: aiohttp.ClientResponse) -> None:
    """Read the end of the body, which is nearly always there already, so that the connection can be used again."""
    try:
        async with asyncio.timeout(_TAIL_S):
            await response.content.readany()
    except (aiohttp.ClientError, OSError, TimeoutError):
        pass  # the answer is whole; only the connection is not worth keeping
