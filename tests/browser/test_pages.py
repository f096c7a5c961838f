"""The web pages over HTTP: whole, cached, compressed, and nothing but what is meant to be seen."""

from __future__ import annotations

import gzip
import http.client
from urllib.parse import urlsplit

from tests.system.gateway import Gateway


def ask(
    gateway: Gateway, path: str, method: str = "GET", **headers: str
) -> tuple[int, dict[str, str], bytes]:
    """Ask for a path exactly as it stands."""
    connection = http.client.HTTPConnection(urlsplit(gateway.http_url).netloc, timeout=10)
    connection.request(
        method, path, headers={name.replace("_", "-"): value for name, value in headers.items()}
    )
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    return answer.status, {name.lower(): value for name, value in answer.getheaders()}, body


def test_pages_are_served_strictly_and_sparingly(gateway: Gateway) -> None:
    status, headers, body = ask(gateway, "/")
    assert (status, headers["content-type"]) == (200, "text/html; charset=utf-8")
    ws_port = urlsplit(gateway.ws_url).port
    policy = headers["content-security-policy"]
    assert f"connect-src 'self' ws://127.0.0.1:{ws_port};" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert (headers["x-content-type-options"], headers["referrer-policy"]) == ("nosniff", "no-referrer")
    status, told, nothing = ask(gateway, "/", "HEAD")
    assert (status, {**told, "date": headers["date"]}, nothing) == (200, headers, b"")
    packed = ask(gateway, "/", Accept_Encoding="gzip")
    assert (packed[1]["content-encoding"], gzip.decompress(packed[2])) == ("gzip", body)
    assert ask(gateway, "/", If_None_Match=headers["etag"])[0::2] == (304, b"")

    status, headers, body = ask(gateway, "/static/config.json")
    assert (status, headers["cache-control"]) == (200, "no-store")
    assert f'"ws_port":{ws_port},'.encode() in body or f'"ws_port":{ws_port}}}'.encode() in body
    for path in (
        "/static/../messages/base.py",
        "/static/%2e%2e/messages/base.py",
        "/static/..%2fmessages%2fbase.py",
        "/static//etc/passwd",
        "/static/",
        "/static/vendor",
        "/static/chat.html",
        "/static/chat.js/",
    ):
        assert ask(gateway, path)[0] == 404, path
    assert ask(gateway, "/static/chat.js", "POST")[0] == 405
    # Another page may lead here, but not look inside.
    assert ask(gateway, "/", Sec_Fetch_Site="cross-site", Origin="https://evil.example")[0] == 200
    assert "access-control-allow-origin" not in headers
