"""The files of the web pages: all there, sent as browsers need them, under a policy that is strict."""

from __future__ import annotations

import gzip
import re
from importlib import resources

import pytest

from openclaw_actors.channels.http.assets import (
    PAGES,
    STATIC,
    Asset,
    Assets,
    content_security_policy,
    negotiate,
)

WEB = resources.files("openclaw_actors").joinpath("web")
LONG = Asset("text/css; charset=utf-8", b"body { color: red }\n" * 200)


def test_every_file_of_the_package_is_served_and_nothing_else() -> None:
    there = {each.name for each in WEB.iterdir() if each.is_file()}
    there |= {f"vendor/{each.name}" for each in WEB.joinpath("vendor").iterdir()}
    assert there == {*PAGES.values(), *STATIC}
    assets = Assets()
    for name in there:
        assert assets.find(name).body


@pytest.mark.parametrize(
    "name", ["", "../messages/base.py", "vendor", "/etc/passwd", "chat.js/", "vendor/../chat.js"]
)
def test_only_names_of_the_list_are_found(name: str) -> None:
    with pytest.raises(KeyError):
        Assets().find(name)


def test_pages_hold_no_script_and_no_style_of_their_own() -> None:
    for page in PAGES.values():
        text = WEB.joinpath(page).read_text()
        assert not re.search(r"<style|\sstyle=|\son\w+=|<script(?![^>]*\ssrc=)", text)
        assert set(re.findall(r'(?:src|href)="/static/([^"]+)"', text)) <= set(STATIC)
        assert not re.findall(r'(?:src|href)="(?!/static/|#|/[a-z]*")[^"]*"', text)


def test_scripts_import_only_what_is_served() -> None:
    for name in STATIC:
        if name.endswith(".js") and "vendor/" not in name:
            imports = re.findall(r'(?:from|import) "\./([^"]+)"', WEB.joinpath(name).read_text())
            assert set(imports) <= set(STATIC), name


def test_vendored_libraries_are_listed_with_version_and_licence() -> None:
    listed = WEB.joinpath("vendor", "LICENSES.md").read_text()
    for each in WEB.joinpath("vendor").iterdir():
        if each.name.endswith(".js"):
            (row,) = [line for line in listed.splitlines() if line.startswith(f"| `{each.name}`")]
            (version,) = re.findall(r"\| (\d+\.\d+\.\d+) \|", row)
            assert version in each.read_text()[:500]


def test_long_file_is_compressed_where_that_is_understood() -> None:
    status, body, headers = negotiate(LONG, accept_encoding="br, gzip;q=0.8", if_none_match="")
    assert (status, gzip.decompress(body), headers["Content-Encoding"]) == (200, LONG.body, "gzip")
    assert headers["Vary"] == "Accept-Encoding"
    for refuses in ("", "br", "gzip;q=0", "x-gzip"):
        status, body, headers = negotiate(LONG, accept_encoding=refuses, if_none_match="")
        assert (status, body) == (200, LONG.body)
        assert "Content-Encoding" not in headers
    assert Asset("text/css", b"short").gzip is None


def test_what_a_browser_has_is_not_sent_again() -> None:
    for encoding in ("", "gzip"):
        etag = negotiate(LONG, accept_encoding=encoding, if_none_match="")[2]["ETag"]
        for known in (etag, f'"other", W/{etag}', "*"):
            status, body, headers = negotiate(LONG, accept_encoding=encoding, if_none_match=known)
            assert (status, body, headers["ETag"]) == (304, b"", etag)
        assert negotiate(LONG, accept_encoding=encoding, if_none_match='"other"')[0] == 200
    plain, packed = (
        negotiate(LONG, accept_encoding=each, if_none_match="")[2]["ETag"] for each in ("", "gzip")
    )
    assert plain != packed


@pytest.mark.parametrize(
    ("host", "reached"),
    [
        ("127.0.0.1:18790", "connect-src 'self' ws://127.0.0.1:18789;"),
        ("[::1]:18790", "connect-src 'self' ws://[::1]:18789;"),
        ("gateway.example", "connect-src 'self' ws://gateway.example:18789;"),
        (None, "connect-src 'self';"),
        ("a;script-src *", "connect-src 'self';"),
        ("a b", "connect-src 'self';"),
        ("*", "connect-src 'self';"),
        ("*.example:80", "connect-src 'self';"),
        ("user@host", "connect-src 'self';"),
    ],
)
def test_page_reaches_only_its_origin_and_the_web_socket(host: str | None, reached: str) -> None:
    policy = content_security_policy(host=host, ws_port=18789, tls=False)
    assert f"{reached} " in policy
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert policy.count("script-src") == 1


def test_web_socket_that_is_not_known_is_not_reached() -> None:
    assert "connect-src 'self';" in content_security_policy(host="127.0.0.1", ws_port=None, tls=False)


def test_web_socket_speaks_tls_where_the_page_does() -> None:
    policy = content_security_policy(host="gateway.example:18790", ws_port=18789, tls=True)
    assert "connect-src 'self' wss://gateway.example:18789;" in policy
