"""Each search engine is asked as it wants to be, and what it says is cut to what a model can use."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from aiohttp import web

from openclaw_actors.config.features import WebSearchConfig
from openclaw_actors.messages import WebHit
from openclaw_actors.tools.searching import Searcher, SearchFailed
from tests.unit.tools.web import Web, play


async def search(server: Web, provider: str, query: str = "what & why?", most: int = 5) -> tuple[WebHit, ...]:
    settings = {"provider": provider, "endpoint": f"http://127.0.0.1:{server.port}/"}
    searcher = Searcher(msgspec.convert(settings, WebSearchConfig), "the-key")
    try:
        return await searcher.search(query, most)
    finally:
        await searcher.close()


HITS = [
    {"title": "One", "url": "https://one.example/", "content": "first", "description": "first", "score": 1},
    {"title": None, "url": "http://two.example/", "content": None, "description": None},
    {"title": "Bad", "url": "javascript:alert(1)", "content": "x", "description": "x"},
    {
        "title": "T<b>hr</b>ee &amp;\nmore",
        "url": "https://3.example",
        "content": "a < b",
        "description": "a < b",
    },
]
FOUND = (
    WebHit(title="One", url="https://one.example/", snippet="first"),
    WebHit(title="", url="http://two.example/", snippet=""),
    WebHit(title="Three & more", url="https://3.example", snippet="a < b"),
)


def test_tavily() -> None:
    async def answer(request: web.Request) -> web.Response:
        assert request.method == "POST"
        assert request.headers["Authorization"] == "Bearer the-key"
        assert await request.json() == {"query": "what & why?", "max_results": 5}
        return web.json_response({"query": "what", "results": HITS, "response_time": 1.0})

    async def scene() -> None:
        async with Web() as server:
            server.pages["/search"] = answer
            assert await search(server, "tavily") == FOUND

    play(scene)


def test_brave() -> None:
    async def answer(request: web.Request) -> web.Response:
        assert request.headers["X-Subscription-Token"] == "the-key"
        assert dict(request.query) == {"q": "what & why?", "count": "5"}
        return web.json_response({"type": "search", "web": {"type": "search", "results": HITS}})

    async def scene() -> None:
        async with Web() as server:
            server.pages["/res/v1/web/search"] = answer
            assert await search(server, "brave") == FOUND
            server.page("/res/v1/web/search", '{"type": "search"}')
            assert await search(server, "brave") == ()

    play(scene)


def test_searxng() -> None:
    async def answer(request: web.Request) -> web.Response:
        assert dict(request.query) == {"q": "what & why?", "format": "json"}
        return web.json_response({"results": HITS, "number_of_results": 0})

    async def scene() -> None:
        async with Web() as server:
            server.pages["/search"] = answer
            assert await search(server, "searxng") == FOUND
            assert await search(server, "searxng", most=1) == FOUND[:1]

    play(scene)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (
            {"status": 401, "body": b"the key the-key is wrong"},
            "tavily gave no answer: it does not take the key",
        ),
        ({"status": 429}, "too many searches"),
        ({"status": 500, "body": b"<html>"}, "it answers 500"),
        ({"status": 302, "headers": {"Location": "http://elsewhere.example/"}}, "it answers 302"),
        ({"body": b"<html>"}, "not valid"),
        ({"body": b'{"results": "x"}'}, "not valid"),
        ({"body": b'{"results": [' + b'{"url":"x"},' * 400_000 + b"]}"}, "over 4194304 bytes"),
    ],
)
def test_an_engine_that_gives_no_answer_is_told(options: dict[str, Any], text: str) -> None:
    async def scene() -> None:
        async with Web() as server:
            server.page("/search", **options)
            with pytest.raises(SearchFailed) as caught:
                await search(server, "tavily")
            assert text in caught.value.text
            assert "the-key" not in caught.value.text

    play(scene)


def test_an_engine_that_is_not_there_is_told() -> None:
    async def scene() -> None:
        async with Web() as server:
            pass
        with pytest.raises(SearchFailed, match="cannot be reached"):
            await search(server, "tavily")

    play(scene)


def test_long_texts_are_cut() -> None:
    async def scene() -> None:
        async with Web() as server:
            hit = {"title": "t" * 5_000, "url": "https://x/" + "u" * 5_000, "content": "c" * 50_000}
            server.page("/search", json.dumps({"results": [hit]}))
            (found,) = await search(server, "tavily")
            assert (len(found.title), len(found.url), len(found.snippet)) == (300, 2_000, 1_000)

    play(scene)
