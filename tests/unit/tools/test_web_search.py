"""What was found is told as a numbered list."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import pytest

from openclaw_actors.errors import AskRefused
from openclaw_actors.messages import SearchWeb, WebFound, WebHit
from openclaw_actors.tools.base import ToolFailed
from openclaw_actors.tools.web_search import WebSearchTool
from tests.unit.tools.place import Host


class Session(Host):
    def __init__(self, *hits: WebHit) -> None:
        super().__init__({"plugins": {"native": {"web_search": {"enabled": True, "max_results": 7}}}})
        self.hits = hits
        self.asked: list[SearchWeb] = []

    async def ask_service(self, name: str, message: Any) -> WebFound:
        assert name == "search"
        self.asked.append(message)
        if message.query == "refuse":
            raise AskRefused("failed", "brave gave no answer: it answers 500")
        return WebFound(hits=self.hits)


def call(session: Session, **arguments: object) -> str:
    tool = WebSearchTool(session)  # type: ignore[arg-type]
    return asyncio.run(tool.run(msgspec.convert(arguments, tool.arguments)))


def test_a_numbered_list() -> None:
    one = WebHit(title="One", url="https://1/", snippet="about one")
    two = WebHit(title="", url="https://2/", snippet="")
    said = call(Session(one, two), query="q")
    assert said == "[1] One\n    https://1/\n    about one\n[2] https://2/\n    https://2/"
    assert call(Session(), query="q") == "No results found."


@pytest.mark.parametrize(("asked", "most"), [(0, 7), (3, 3), (-2, 1), (500, 20)])
def test_as_many_as_asked_for(asked: int, most: int) -> None:
    session = Session()
    call(session, query="  q ", max_results=asked)
    assert session.asked == [SearchWeb(query="q", max_results=most)]


def test_a_refusal_is_told() -> None:
    with pytest.raises(ToolFailed, match=r"^\('Error: brave gave no answer: it answers 500.', 'error'\)$"):
        call(Session(), query="refuse")
    with pytest.raises(ToolFailed, match="must not be empty"):
        call(Session(), query=" ")
