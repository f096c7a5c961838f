"""Speaks with search engines: Tavily, Brave, and any instance of SearXNG."""

from __future__ import annotations

__all__ = ["SearchFailed", "Searcher"]

import asyncio
import html
import re
from typing import Any, cast

import aiohttp
import msgspec

from openclaw_actors.config.features import WebSearchConfig
from openclaw_actors.messages import WebHit

_ENDPOINTS = {"tavily": "https://api.tavily.com", "brave": "https://api.search.brave.com"}
_TIMEOUT_S = 20.0
_MOST_BYTES = 4 * 1024 * 1024
_BLOCK_BYTES = 65_536
_TITLE_CHARS, _URL_CHARS, _SNIPPET_CHARS = 300, 2_000, 1_000
_TAG = re.compile(r"</?[A-Za-z][^<>]{0,200}>")
_REASONS = {
    401: "it does not take the key",
    403: "it does not take the key",
    429: "too many searches; try again later",
}


class SearchFailed(Exception):
    """Raised when an engine gives no answer.

    Args:
        text: why, for the model; it holds nothing that the engine said.
        code: `failed` or `timeout`.
    """

    def __init__(self, text: str, code: str = "failed") -> None:
        super().__init__(text)
        self.text = text
        self.code = code


class _Hit(msgspec.Struct):
    url: str
    title: str | None = None
    content: str | None = None
    description: str | None = None


class _Brave(msgspec.Struct):
    results: list[_Hit] = []


class _Answer(msgspec.Struct):
    """Of Tavily and SearXNG, which have `results`, and of Brave, which has `web.results`."""

    results: list[_Hit] | None = None
    web: _Brave | None = None


class Searcher:
    """Asks one engine. To be made and closed in a running loop.

    Args:
        settings: which one, and where.
        key: its key; None where it needs none.
    """

    def __init__(self, settings: WebSearchConfig, key: str | None) -> None:
        self._provider = settings.provider
        self._base = (settings.endpoint or _ENDPOINTS.get(settings.provider, "")).rstrip("/")
        self._key = key
        self._client: aiohttp.ClientSession | None = None

    async def close(self) -> None:
        """Close its connections."""
        if self._client is not None:
            await self._client.close()

    async def search(self, query: str, most: int) -> tuple[WebHit, ...]:
        """What the engine finds, the best first.

        Raises:
            SearchFailed: it gives no answer.
        """
        try:
            async with asyncio.timeout(_TIMEOUT_S):
                data = await self._ask(query, most)
        except TimeoutError:
            raise SearchFailed(
                f"{self._provider} did not answer in {_TIMEOUT_S:g} seconds", "timeout"
            ) from None
        except (aiohttp.ClientError, OSError) as error:
            raise SearchFailed(f"{self._provider} cannot be reached ({type(error).__name__})") from None
        try:
            answer = msgspec.json.decode(data, type=_Answer)
        except msgspec.MsgspecError:
            raise SearchFailed(f"{self._provider} gave an answer that is not valid") from None
        found = answer.web.results if answer.web is not None else answer.results or []
        return tuple(_hit(each) for each in found if each.url.startswith(("http://", "https://")))[:most]

    async def _ask(self, query: str, most: int) -> bytes:
        if self._client is None:
            self._client = aiohttp.ClientSession(
                timeout=aiohttp.ClientTimeout(total=None), cookie_jar=aiohttp.DummyCookieJar()
            )
        method, url, options = self._request(query, most)
        # Not led elsewhere: the key is for this engine.
        async with self._client.request(method, url, allow_redirects=False, **options) as response:
            if response.status != 200:
                reason = _REASONS.get(response.status, f"it answers {response.status}")
                raise SearchFailed(f"{self._provider} gave no answer: {reason}")
            data = bytearray()
            async for block in response.content.iter_chunked(_BLOCK_BYTES):
                data += block
                if len(data) > _MOST_BYTES:
                    raise SearchFailed(f"{self._provider} gave an answer of over {_MOST_BYTES} bytes")
            return bytes(data)

    def _request(self, query: str, most: int) -> tuple[str, str, dict[str, Any]]:
        match self._provider:
            case "tavily":
                body = {"query": query, "max_results": most}
                return (
                    "POST",
                    f"{self._base}/search",
                    {"json": body, "headers": {"Authorization": f"Bearer {self._key}"}},
                )
            case "brave":
                headers = {"X-Subscription-Token": cast(str, self._key), "Accept": "application/json"}
                params = {"q": query, "count": str(most)}
                return "GET", f"{self._base}/res/v1/web/search", {"params": params, "headers": headers}
            case _:
                headers = {"Authorization": f"Bearer {self._key}"} if self._key else {}
                params = {"q": query, "format": "json"}
                return "GET", f"{self._base}/search", {"params": params, "headers": headers}


def _hit(found: _Hit) -> WebHit:
    return WebHit(
        title=_plain(found.title, _TITLE_CHARS),
        url="".join(found.url.split())[:_URL_CHARS],
        snippet=_plain(found.content or found.description, _SNIPPET_CHARS),
    )


def _plain(text: str | None, most: int) -> str:
    """One line without marks, within bounds."""
    line = " ".join(html.unescape(_TAG.sub("", (text or "")[: 4 * most])).split())
    return line if len(line) <= most else line[: most - 1] + "…"
