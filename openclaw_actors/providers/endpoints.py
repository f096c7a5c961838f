"""Decides where and how each kind of provider is reached: address, headers, form of the request."""

from __future__ import annotations

__all__ = ["Target", "Unusable", "target_for"]

from dataclasses import dataclass
from urllib.parse import parse_qsl, quote, urlencode, urlsplit, urlunsplit
from urllib.request import getproxies, proxy_bypass

from openclaw_actors.config.sections import LlmConfig
from openclaw_actors.errors import ProviderError
from openclaw_actors.providers.anthropic import MessagesFormat
from openclaw_actors.providers.formats import RequestFormat
from openclaw_actors.providers.wire import RequestShape

_ENDPOINTS = {
    "openai": "https://api.openai.com/v1",
    "ollama": "http://localhost:11434/v1",
    "anthropic": "https://api.anthropic.com",
}
_HEADERS = {
    "Content-Type": "application/json",
    "Accept": "text/event-stream, application/json",
    # Who compresses a stream holds its words back until there are enough of them.
    "Accept-Encoding": "identity",
}
_NO_SAMPLING_SINCE = "2026-10-21"
"""From this version of Anthropic's API on there is neither a temperature nor its like."""
_NO_KEY_NEEDED = frozenset({"ollama", "openai-compatible"})
_LOOPBACK = ("localhost", "127.", "::1")


class Unusable(ProviderError):
    """Raised when the settings name no provider that could be called; its text says what to set."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Target:
    """Where requests go."""

    url: str
    headers: dict[str, str]
    """Hold the key: never to be logged."""
    format: RequestFormat
    proxy: str | None = None
    """May hold a password."""

    @property
    def proxy_name(self) -> str:
        """The proxy as it may be shown."""
        return _without_password(self.proxy or "")

    def __repr__(self) -> str:
        return f"Target({self.url})"


def target_for(llm: LlmConfig, api_key: str | None) -> Target:
    """Work out the target that the settings mean.

    Args:
        llm: the section `llm` of the configuration.
        api_key: the resolved key.

    Raises:
        Unusable: something is missing.
    """
    # Somebody else's server that speaks Anthropic's API need not ask for a key.
    optional = llm.provider in _NO_KEY_NEEDED or (llm.provider == "anthropic" and llm.endpoint is not None)
    if not api_key and not optional:
        raise Unusable(
            f"llm.provider is {llm.provider}, which needs a key: set llm.api_key or OPENCLAW_API_KEY."
        )
    if api_key and not (api_key.isascii() and api_key.isprintable()):
        raise Unusable("llm.api_key holds characters that no key has: check the place that it refers to.")
    endpoint = llm.endpoint or _ENDPOINTS.get(llm.provider)
    if endpoint is None:
        raise Unusable(f"llm.provider is {llm.provider}, which needs an address: set llm.endpoint.")
    if llm.provider == "anthropic":
        return _anthropic(endpoint, llm, api_key)
    azure = llm.provider == "azure-openai"
    url = _azure_url(endpoint, llm.model, llm.api_version) if azure else _chat_url(endpoint)
    headers = dict(_HEADERS)
    if azure:
        headers["api-key"] = api_key or ""
    elif api_key or llm.provider == "ollama":
        headers["Authorization"] = f"Bearer {api_key or 'ollama'}"
    form = RequestShape(
        model=llm.model,
        max_tokens=llm.max_tokens,
        temperature=llm.temperature,
        # The newer name is OpenAI's own; whoever else stands behind an endpoint may not know it, and say nothing.
        length_key="max_completion_tokens" if llm.provider == "openai" and not llm.endpoint else "max_tokens",
    )
    return Target(url=url, headers=headers, format=form, proxy=_proxy_for(url))


def _anthropic(endpoint: str, llm: LlmConfig, api_key: str | None) -> Target:
    url = _messages_url(endpoint)
    headers = {**_HEADERS, "anthropic-version": llm.api_version}
    if api_key:
        headers["x-api-key"] = api_key
    samples = llm.api_version < _NO_SAMPLING_SINCE  # versions are dates
    form = MessagesFormat(
        model=llm.model,
        max_tokens=llm.max_tokens,
        temperature=llm.temperature if samples else None,
        sends_top_p=samples,
    )
    return Target(url=url, headers=headers, format=form, proxy=_proxy_for(url))


def _messages_url(endpoint: str) -> str:
    parts = urlsplit(endpoint)
    path = parts.path.rstrip("/")
    # The official clients' base URL has no `/v1` at its end; people write it both ways.
    if not path.endswith("/messages"):
        path += "/messages" if path.endswith("/v1") else "/v1/messages"
    return urlunsplit((parts.scheme, parts.netloc, path, parts.query, ""))


def _chat_url(endpoint: str) -> str:
    parts = urlsplit(endpoint)
    # A host alone means the usual place below it; who answers elsewhere is named with the whole path.
    path = parts.path.rstrip("/") or "/v1"
    if not path.endswith("/chat/completions"):
        path += "/chat/completions"
    return urlunsplit((parts.scheme, parts.netloc, path, parts.query, ""))


def _azure_url(endpoint: str, deployment: str, api_version: str) -> str:
    parts = urlsplit(endpoint)
    path = parts.path.rstrip("/")
    query = dict(parse_qsl(parts.query))
    # The newer address, `…/openai/v1`, is that of any other server and takes no version.
    if path.endswith("/openai/v1"):
        return _chat_url(endpoint)
    if "/deployments/" not in path:
        path = f"{path.removesuffix('/openai')}/openai/deployments/{quote(deployment, safe='')}"
    query.setdefault("api-version", api_version)
    return _chat_url(urlunsplit((parts.scheme, parts.netloc, path, urlencode(query), "")))


def _proxy_for(url: str) -> str | None:
    """The proxy that the environment names for this address; never one for this machine itself.

    Only for https, where the proxy passes on what it cannot read. Over plain http it would read the key and every
    conversation, and an address in the own network seldom means to go through it.
    """
    parts = urlsplit(url)
    host = parts.hostname or ""
    if parts.scheme != "https" or host.startswith(_LOOPBACK) or proxy_bypass(host):
        return None
    proxy = getproxies().get("https")
    if proxy and not proxy.startswith(("http://", "https://")):
        raise Unusable(
            f"HTTPS_PROXY names a proxy that cannot be used, {_without_password(proxy)}: it must begin with http:// or "
            f"https://. To do without it for {host}, name that in NO_PROXY."
        )
    return proxy or None


def _without_password(proxy: str) -> str:
    return proxy.rpartition("@")[2]
