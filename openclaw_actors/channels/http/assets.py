"""Owns the files of the web pages, and decides under which headers a browser gets them.

Which files there are is a fixed list: no part of an address is ever made into a path.
"""

from __future__ import annotations

import gzip
import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from importlib import resources
from types import MappingProxyType

from openclaw_actors.channels.origin import host_and_port

__all__ = ["PAGES", "STATIC", "Asset", "Assets", "content_security_policy", "negotiate"]

_TYPES: Mapping[str, str] = MappingProxyType(
    {
        "html": "text/html; charset=utf-8",
        "css": "text/css; charset=utf-8",
        "js": "text/javascript; charset=utf-8",
        "svg": "image/svg+xml",
        "md": "text/plain; charset=utf-8",
    }
)
PAGES: Mapping[str, str] = MappingProxyType({"/": "chat.html", "/dashboard": "dashboard.html"})
"""Address of a page -> its file."""
STATIC: tuple[str, ...] = (
    "acting.js",
    "actors.js",
    "chat.css",
    "chat.js",
    "common.css",
    "common.js",
    "composer.js",
    "conversation.js",
    "dashboard.css",
    "dashboard.js",
    "detail.js",
    "dialogs.js",
    "icon.svg",
    "link.js",
    "live.js",
    "logview.js",
    "markdown.js",
    "plots.js",
    "rooms.js",
    "rows.js",
    "sidebar.js",
    "theme.js",
    "tools.js",
    "transcript.js",
    "worries.js",
    "vendor/LICENSES.md",
    "vendor/marked.esm.js",
    "vendor/purify.min.js",
)
"""What is served under `/static/`."""
_HOST = re.compile(r"[a-z0-9._-]+|[0-9a-f:.]+", re.ASCII)
_SMALLEST_GZIP_BYTES = 1_024


@dataclass(frozen=True, slots=True)
class Asset:
    """One file, as it is sent."""

    media_type: str
    body: bytes
    etag: str = field(init=False)
    """Quoted, of the body as it stands."""
    gzip: bytes | None = field(init=False)
    """None where it would save nothing."""

    def __post_init__(self) -> None:
        packed = gzip.compress(self.body, 9, mtime=0) if len(self.body) >= _SMALLEST_GZIP_BYTES else None
        object.__setattr__(self, "etag", f'"{hashlib.sha256(self.body).hexdigest()[:24]}"')
        object.__setattr__(self, "gzip", packed)


class Assets:
    """The files by name, each read when it is first asked for."""

    def __init__(self) -> None:
        self._read: dict[str, Asset] = {}
        self._names = frozenset((*PAGES.values(), *STATIC))

    def find(self, name: str) -> Asset:
        """One of the files.

        Raises:
            KeyError: it is none of them.
        """
        if name not in self._names:
            raise KeyError(name)
        asset = self._read.get(name)
        if asset is None:
            where = resources.files("openclaw_actors").joinpath("web", *name.split("/"))
            asset = Asset(_TYPES[name.rpartition(".")[2]], where.read_bytes())
            self._read[name] = asset
        return asset


def negotiate(asset: Asset, *, accept_encoding: str, if_none_match: str) -> tuple[int, bytes, dict[str, str]]:
    """Status, body and headers of the answer to a request for it."""
    packed = asset.gzip if _takes_gzip(accept_encoding) else None
    etag = asset.etag if packed is None else f'{asset.etag[:-1]}-gzip"'
    headers = {"ETag": etag, "Vary": "Accept-Encoding", "Cache-Control": "no-cache"}
    if etag in _tags(if_none_match) or if_none_match.strip() == "*":
        return 304, b"", headers
    headers["Content-Type"] = asset.media_type
    if packed is None:
        return 200, asset.body, headers
    return 200, packed, {**headers, "Content-Encoding": "gzip"}


def _takes_gzip(accept_encoding: str) -> bool:
    for item in accept_encoding.lower().split(","):
        coding, _, parameter = item.partition(";")
        if coding.strip() == "gzip":
            return parameter.replace(" ", "") not in ("q=0", "q=0.0", "q=0.00", "q=0.000")
    return False


def _tags(if_none_match: str) -> Iterable[str]:
    return (each.strip().removeprefix("W/") for each in if_none_match.split(","))


def content_security_policy(*, host: str | None, ws_port: int | None, tls: bool) -> str:
    """What a page of ours may load and reach: its own files, its own origin, and the WebSocket port beside it.

    Args:
        host: the request's `Host`: the web socket is at the same name.
        ws_port: where the WebSocket channel listens; None where that is not known.
        tls: whether it speaks TLS.
    """
    connect = ["'self'"]
    here = host_and_port(host or "", 80)
    if here is not None and ws_port is not None and _HOST.fullmatch(here[0]):
        name = f"[{here[0]}]" if ":" in here[0] else here[0]
        connect.append(f"{'wss' if tls else 'ws'}://{name}:{ws_port}")
    return "; ".join(
        (
            "default-src 'none'",
            "script-src 'self'",
            "style-src 'self'",
            "img-src 'self'",
            f"connect-src {' '.join(connect)}",
            "base-uri 'none'",
            "form-action 'none'",
            "frame-ancestors 'none'",
            "require-trusted-types-for 'script'",
            "trusted-types dompurify",
        )
    )
