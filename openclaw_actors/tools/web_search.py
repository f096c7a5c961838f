"""The tool `web_search`."""

from __future__ import annotations

__all__ = ["WebSearchTool"]

from typing import Annotated

from msgspec import Meta

from openclaw_actors.errors import AskRefused
from openclaw_actors.messages import SearchWeb, WebFound
from openclaw_actors.tools.base import Arguments, Effect, Tool, ToolFailed

_MOST = 20


class WebSearchArguments(Arguments, frozen=True):
    """What `web_search` is called with."""

    query: Annotated[str, Meta(min_length=1, max_length=2_000, description="What to search for.")]
    max_results: Annotated[int, Meta(description="How many results at most, 1 to 20; 0: as configured.")] = 0


class WebSearchTool(Tool[WebSearchArguments]):
    """Asks the SearchActor, which holds the engine's key: the session has none."""

    name = "web_search"
    description = (
        "Search the web. Answers a numbered list of title, URL and an excerpt; web_fetch reads a page of it."
    )
    effect = Effect.READS
    arguments = WebSearchArguments

    async def run(self, arguments: WebSearchArguments) -> str:
        query = arguments.query.strip()
        if not query:
            raise ToolFailed("Error: 'query' must not be empty.")
        most = arguments.max_results or self.host.config.plugins.native.web_search.max_results
        try:
            found: WebFound = await self.host.ask_service(
                "search", SearchWeb(query=query, max_results=min(max(most, 1), _MOST))
            )
        except AskRefused as refusal:
            status = "timeout" if refusal.code == "timeout" else "error"
            raise ToolFailed(f"Error: {refusal.text}.", status=status) from None
        if not found.hits:
            return "No results found."
        lines: list[str] = []
        for number, hit in enumerate(found.hits, 1):
            lines += (f"[{number}] {hit.title or hit.url}", f"    {hit.url}")
            if hit.snippet:
                lines.append(f"    {hit.snippet}")
        return "\n".join(lines)
