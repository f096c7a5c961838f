"""Decides how far away a provider is: asks it for its models, which costs nothing."""

from __future__ import annotations

__all__ = ["models_url", "probe_target"]

import asyncio
import contextlib
import os
import ssl
import time
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from types import SimpleNamespace
from typing import Any
from urllib.parse import quote, urlsplit, urlunsplit

import aiohttp
import msgspec

from openclaw_actors import __version__
from openclaw_actors.messages.model import ProbeResult, ProviderProbed
from openclaw_actors.providers.endpoints import Target

_BODY_BYTES = 4 << 20
"""Of a list of models; those of the largest providers have a tenth of it."""

_CERTIFICATE_S = 2.0
_DETAIL_CHARS = 160


class _Model(msgspec.Struct):
    id: str


class _Models(msgspec.Struct):
    data: list[_Model]


@dataclass
class _Answer:
    status: int
    date: str | None
    body: bytes
    at: float
    """Unix time here at which it came."""


def models_url(target: Target, provider: str) -> str:
    """The address that is asked for: the list of models, or the model itself where the list does not name aliases."""
    parts = urlsplit(target.url)
    if provider == "anthropic":
        path = parts.path.removesuffix("/messages") + f"/models/{quote(target.format.model, safe='')}"
    else:
        # Azure lists models for the account, not for a deployment.
        head, found, _ = parts.path.removesuffix("/chat/completions").partition("/deployments/")
        path = (head if found else parts.path.removesuffix("/chat/completions")) + "/models"
    return urlunsplit((parts.scheme, parts.netloc, path, parts.query, ""))


async def probe_target(target: Target, *, provider: str, timeout_s: float) -> ProviderProbed:
    """Ask for the models, with the key.

    Args:
        target: where, and with which headers.
        provider: `llm.provider`, for the result.
        timeout_s: for all of it.
    """
    began = time.monotonic()
    stage = ["the name was looked up"]
    base = ProviderProbed(
        result="timeout",
        provider=provider,
        model=target.format.model,
        where=target.proxy_name or urlsplit(target.url).netloc,
    )
    replace = msgspec.structs.replace
    try:
        async with asyncio.timeout(timeout_s):
            answer = await _get(target, models_url(target, provider), stage)
    except TimeoutError:
        found = replace(base, detail=f"nothing within {timeout_s:g} s while {stage[0]}")
    except (aiohttp.ClientError, OSError, UnicodeError, ValueError) as error:
        result, detail = _classify(error)
        found = replace(base, result=result, detail=detail)
    else:
        found = replace(
            base,
            result=_judge(answer, target, provider),
            status=answer.status,
            detail=_reason(answer),
            clock_ahead_s=_clock_ahead(answer),
            certificate_ends=await _certificate_ends(target),
        )
    return replace(found, seconds=time.monotonic() - began)


async def _get(target: Target, url: str, stage: list[str]) -> _Answer:
    headers = {name: value for name, value in target.headers.items() if name != "Content-Type"}
    headers |= {"Accept": "application/json", "User-Agent": f"openclaw-actors/{__version__}"}
    async with aiohttp.ClientSession(
        cookie_jar=aiohttp.DummyCookieJar(),
        timeout=aiohttp.ClientTimeout(total=None),
        trace_configs=[_tracing(stage)],
    ) as session:
        request = session.get(url, headers=headers, proxy=target.proxy, allow_redirects=False)
        async with request as response:
            at = time.time()
            body = b""
            with contextlib.suppress(aiohttp.ClientPayloadError):  # the status is known
                body = await _read(response)
            return _Answer(response.status, response.headers.get("Date"), body, at)


async def _read(response: aiohttp.ClientResponse) -> bytes:
    body = bytearray()
    async for piece in response.content.iter_any():
        body += piece
        if len(body) > _BODY_BYTES:
            break
    return bytes(body)


def _tracing(stage: list[str]) -> aiohttp.TraceConfig:
    """Have `stage` say what is under way, for a probe that runs out of time."""

    def when(text: str) -> Any:
        async def note(_session: aiohttp.ClientSession, _context: SimpleNamespace, _params: Any) -> None:
            stage[0] = text

        return note

    trace = aiohttp.TraceConfig()
    trace.on_dns_resolvehost_end.append(when("the connection was made"))
    trace.on_connection_create_start.append(when("the connection was made"))
    trace.on_dns_resolvehost_start.append(when("the name was looked up"))
    trace.on_connection_create_end.append(when("the answer was waited for"))
    return trace


def _classify(error: Exception) -> tuple[ProbeResult, str]:
    """What stopped a probe; the text comes from the operating system, from TLS or from us, never from the provider."""
    match error:
        case aiohttp.ClientConnectorCertificateError() as failed:
            reason = failed.certificate_error
            return "tls", _short(getattr(reason, "verify_message", "") or str(reason))
        case aiohttp.ClientConnectorSSLError() | ssl.SSLError():
            return "tls", "it does not speak TLS at this port"
        case aiohttp.ClientHttpProxyError() as failed:
            return "proxy", f"it answers with the status {failed.status}"
        case aiohttp.ClientProxyConnectionError() as failed:
            return "proxy", _short(failed.strerror or "no connection")
        case aiohttp.ClientConnectorDNSError() as failed:
            return "dns", _short(failed.strerror or "the name is not known")
        case aiohttp.InvalidURL() | UnicodeError():
            return "address", "this is no address"
        case OSError() as failed:
            return "tcp", os.strerror(failed.errno) if failed.errno else _short(str(failed))
    return "http", f"what answers does not speak HTTP as it should ({type(error).__name__})"


def _judge(answer: _Answer, target: Target, provider: str) -> ProbeResult:
    status = answer.status
    error = target.format.read_error(answer.body)
    if error.reason == "insufficient_quota" or status == 402:
        return "credit"
    if status == 200:
        return _look_for_model(answer.body, target.format.model, provider)
    if provider == "anthropic" and status == 404 and error.reason == "not_found_error":
        return "unlisted"
    if status in (404, 405, 501):
        return "unchecked"
    known: dict[int, ProbeResult] = {401: "key", 403: "forbidden", 429: "busy"}
    if status in known:
        return known[status]
    if status >= 500:
        return "failing"
    return "moved" if 300 <= status < 400 else "foreign"


def _look_for_model(body: bytes, model: str, provider: str) -> ProbeResult:
    try:
        if provider == "anthropic":
            msgspec.json.decode(body, type=_Model)  # the one that was asked for, be it by an alias
            return "ok"
        models = msgspec.json.decode(body, type=_Models).data
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return "foreign"
    listed = provider == "azure-openai" or any(_same(each.id, model) for each in models)
    return "ok" if listed else "unlisted"


def _same(listed: str, model: str) -> bool:
    """Ollama lists `llama3:latest` for what may be called `llama3`."""
    return listed in (model, f"{model}:latest")


def _reason(answer: _Answer) -> str:
    return "" if answer.status == 200 else f"HTTP status {answer.status}"


def _clock_ahead(answer: _Answer) -> float | None:
    try:
        there = parsedate_to_datetime(answer.date or "").timestamp()
    except ValueError:
        return None
    return answer.at - there


async def _certificate_ends(target: Target) -> float | None:
    """When the provider's certificate ends, where it is asked without a proxy; None also where it cannot be told."""
    parts = urlsplit(target.url)
    if parts.scheme != "https" or target.proxy or not parts.hostname:
        return None
    try:
        async with asyncio.timeout(_CERTIFICATE_S):
            _, writer = await asyncio.open_connection(
                parts.hostname, parts.port or 443, ssl=ssl.create_default_context()
            )
    except (OSError, TimeoutError):
        return None
    certificate = writer.get_extra_info("peercert") or {}
    writer.close()
    with contextlib.suppress(KeyError, ValueError):
        return float(ssl.cert_time_to_seconds(certificate["notAfter"]))
    return None


def _short(text: str) -> str:
    line = " ".join(text.split())
    return "".join(char for char in line if char.isprintable())[:_DETAIL_CHARS]
