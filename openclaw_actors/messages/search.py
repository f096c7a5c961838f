"""To the SearchActor: questions for a search engine."""

from __future__ import annotations

from openclaw_actors.messages.base import Plain, Value

__all__ = ["SearchWeb", "WebFound", "WebHit"]


class SearchWeb(Plain):
    """Search the web (an ask). Answered by `WebFound`; refused as `busy`, `failed` or `timeout`."""

    query: str
    max_results: int


class WebHit(Value):
    """One page that was found."""

    title: str
    url: str
    snippet: str


class WebFound(Plain):
    """What was found, the best first."""

    hits: tuple[WebHit, ...]
