"""Pages come from where they may come from, in bounds, and from nowhere else on the way."""

from __future__ import annotations

import asyncio
import gzip
import zlib
from typing import Any

import pytest
from aiohttp import web

from openclaw_actors.tools.fetching import Fetched, FetchFailed, fetch
from tests.unit.tools.web import Names, Web, allowed, play


async def get(url: str, **options: Any) -> Fetched:
    settings: dict[str, Any] = {"user_agent": "Test/1", "max_bytes": 10_000, "allowed": allowed, **options}
    return await fetch(url, **settings)


async def failure(url: str, **options: Any) -> FetchFailed:
    with pytest.raises(FetchFailed) as caught:
        await get(url, **options)
    return caught.value


@pytest.mark.parametrize(
    "url",
    [
        "",
        "ftp://host/x",
        "file:///etc/passwd",
        "//host/x",
        "http://",
        "http:///etc/passwd",
        "javascript:alert(1)",
        "gopher://host",
        "http://host:99999/",
        "http://ho st/",
        "http://host/\r\nX: y",
        "http://[::1",
        "http://" + "x" * 9_000,
        "http://user@host/",
        "http://user:password@host/",
    ],
)
def test_only_plain_urls_of_the_web_are_taken(url: str) -> None:
    async def scene() -> None:
        assert (await failure(url)).text.startswith("Invalid URL. ")

    play(scene)


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "127.1",
        "2130706433",
        "0x7f000001",
        "0177.0.0.1",
        "localhost",
        "LOCALHOST.",
        "0",
        "0.0.0.0",
        "[::1]",
        "[::]",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "[::127.0.0.1]",
        "[64:ff9b::7f00:1]",
        "[2002:7f00:1::]",
        "169.254.169.254",
        "[::ffff:169.254.169.254]",
        "[fd00:ec2::254]",
        "[fe80::1%25lo]",
        "10.0.0.1",
        "100.64.0.1",
    ],
)
def test_private_addresses_are_refused_however_they_are_written(host: str) -> None:
    async def scene() -> None:
        async with Web() as server:
            server.page("/", "the secret")
            refused = await failure(f"http://{host}:{server.port}/")
            assert "not on the public Internet" in refused.text or "There is no host" in refused.text
            assert server.requests == []

    play(scene)


def test_a_page_comes_with_its_type_and_the_name_is_told_to_the_server(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def scene() -> None:
        async with Web() as server:
            server.page("/a", "hello", content_type="text/plain", charset="iso-8859-1")
            page = await get(f"http://site.example:{server.port}/a#part")
            assert (page.data, page.content_type, page.charset) == (b"hello", "text/plain", "iso-8859-1")
            assert (page.status, page.cut) == (200, False)
            (request,) = server.requests
            assert request.headers["Host"] == f"site.example:{server.port}"
            assert request.headers["User-Agent"] == "Test/1"
            assert "Cookie" not in request.headers
            assert "Authorization" not in request.headers

    Names(monkeypatch, site_example=[["127.0.0.2"]])
    play(scene)


def test_a_name_that_means_something_else_the_second_time_leads_nowhere_else(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def scene() -> None:
        async with Web() as server:
            server.page("/", "hello")
            assert (await get(f"http://rebinds.example:{server.port}/")).data == b"hello"
            assert server.asked_at == ["127.0.0.2"]
            assert names.looked_up == ["rebinds.example"]
            refused = await failure(f"http://rebinds.example:{server.port}/")
            assert refused.denied
            assert len(server.requests) == 1

    names = Names(monkeypatch, rebinds_example=[["127.0.0.2"], ["127.0.0.1"]])
    play(scene)


def test_one_private_address_among_public_ones_is_enough_to_refuse(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scene() -> None:
        async with Web() as server:
            assert (await failure(f"http://mixed.example:{server.port}/")).denied
            assert server.requests == []

    Names(monkeypatch, mixed_example=[["127.0.0.2", "127.0.0.1"]])
    play(scene)


def test_a_name_that_is_allowed_may_be_private(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scene() -> None:
        async with Web() as server:
            server.page("/", "of the house")
            server.redirect("/away", "http://other.example/")
            options = {"private_hosts": {"wiki.house"}}
            assert (await get(f"http://WIKI.house:{server.port}/", **options)).data == b"of the house"
            assert (await failure(f"http://wiki.house:{server.port}/away", **options)).denied
            assert (await failure(f"http://127.0.0.1:{server.port}/", **options)).denied

    Names(monkeypatch, wiki_house=[["127.0.0.1"]], other_example=[["127.0.0.1"]])
    play(scene)


@pytest.mark.parametrize(
    "target",
    [
        "http://169.254.169.254/latest/meta-data/",
        "http://[::ffff:127.0.0.1]:{port}/secret",
        "http://127.0.0.1:{port}/secret",
        "//localhost:{port}/secret",
        "http://inside.example:{port}/secret",
    ],
)
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_leads_to_no_private_address(
    target: str, status: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scene() -> None:
        async with Web() as server:
            server.page("/secret", "the secret")
            server.redirect("/", target.format(port=server.port), status)
            refused = await failure(f"http://site.example:{server.port}/")
            assert refused.denied
            assert [request.path for request in server.requests] == ["/"]

    Names(monkeypatch, site_example=[["127.0.0.2"]], inside_example=[["10.1.2.3"]], localhost=[["127.0.0.1"]])
    play(scene)


@pytest.mark.parametrize(
    "target", ["file:///etc/passwd", "ftp://site.example/", "http://u:p@site.example/", "http://["]
)
def test_a_redirect_leads_to_pages_only(target: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async def scene() -> None:
        async with Web() as server:
            server.redirect("/", target)
            assert "Invalid URL" in (await failure(f"http://site.example:{server.port}/")).text

    Names(monkeypatch, site_example=[["127.0.0.2"]])
    play(scene)


def test_redirects_are_followed_five_times(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scene() -> None:
        async with Web() as server:
            server.page("/0", "here")
            for number in range(1, 7):
                server.redirect(f"/{number}", f"{number - 1}")
            page = await get(f"http://site.example:{server.port}/5")
            assert (page.data, page.url) == (b"here", f"http://site.example:{server.port}/0")
            assert "more than 5 times" in (await failure(f"http://site.example:{server.port}/6")).text

    Names(monkeypatch, site_example=[["127.0.0.2"]])
    play(scene)


def packed_raw(data: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return packer.compress(data) + packer.flush()


def test_what_is_packed_is_unpacked_within_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scene() -> None:
        async with Web() as server:
            url = f"http://site.example:{server.port}"
            bomb = gzip.compress(b"\0" * 50_000_000)
            for path, body, coding in (
                ("/gzip", gzip.compress(b"hello"), "gzip"),
                ("/deflate", zlib.compress(b"hello"), "deflate"),
                ("/bomb", bomb, "gzip"),
                ("/broken", b"nonsense", "gzip"),
                ("/half", gzip.compress(b"hello" * 100)[:-20], "gzip"),
                ("/other", b"hello", "br"),
            ):
                server.page(path, body, headers={"Content-Encoding": coding})
            for path in ("/gzip", "/deflate"):
                assert (await get(url + path)).data == b"hello"
            page = await get(f"{url}/bomb")
            assert (len(page.data), page.cut) == (10_000, True)
            assert "cannot be unpacked" in (await failure(f"{url}/broken")).text
            assert "before it was complete" in (await failure(f"{url}/half")).text
            assert "packed by 'br'" in (await failure(f"{url}/other")).text

    Names(monkeypatch, site_example=[["127.0.0.2"]])
    play(scene)


def test_an_answer_without_end_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    async def endless(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        while True:
            await response.write(b"x" * 4_096)

    async def scene() -> None:
        async with Web() as server:
            server.pages["/"] = endless
            page = await get(f"http://site.example:{server.port}/")
            assert (page.data, page.cut) == (b"x" * 10_000, True)

    Names(monkeypatch, site_example=[["127.0.0.2"]])
    play(scene)


def test_a_server_that_breaks_off_or_speaks_nonsense_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    async def nonsense(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 2OO what\r\n<script>\r\n\r\n")
        writer.close()

    async def scene() -> None:
        server = await asyncio.start_server(nonsense, "127.0.0.2", 0)
        port = server.sockets[0].getsockname()[1]
        text = (await failure(f"http://site.example:{port}/")).text
        assert text.startswith("site.example cannot be asked: its answer is not valid")
        assert "script" not in text
        server.close()
        await server.wait_closed()
        text = (await failure(f"http://site.example:{port}/")).text
        assert "cannot be asked" in text
        assert (await failure("http://nowhere.example/")).text == "There is no host nowhere.example."

    Names(monkeypatch, site_example=[["127.0.0.2"]])
    play(scene)
