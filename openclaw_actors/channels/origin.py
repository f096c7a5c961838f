"""Decides which web pages may connect: what a browser says in `Origin` against where it connected to."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from urllib.parse import urlsplit

__all__ = ["OriginRule", "host_and_port"]

_DEFAULT_PORTS = {"http": 80, "https": 443}


class OriginRule:
    """Same origin and the HTTP channel's own origin pass, others only if they are listed.

    Without a token, "same origin" is believed only of addresses and of `localhost`: a page whose own name was made to
    point at this machine (DNS rebinding) would else be of the same origin.

    Args:
        allowed: origins that pass, compared exactly.
        http_port: the HTTP channel's port.
        token_required: whether a caller must show a token.
    """

    def __init__(self, *, allowed: Iterable[str], http_port: int, token_required: bool) -> None:
        self._allowed = frozenset(origin.rstrip("/").lower() for origin in allowed)
        self.http_port = http_port
        self._token_required = token_required

    def passes(self, origin: str | None, host: str | None) -> bool:
        """Whether a request with these headers may connect. No browser, no `Origin`: it passes."""
        if origin is None:
            return True
        if origin.rstrip("/").lower() in self._allowed:
            return True
        scheme, _, rest = origin.partition("://")
        theirs = host_and_port(rest, _DEFAULT_PORTS.get(scheme.lower()))
        ours = host_and_port(host or "", _DEFAULT_PORTS.get(scheme.lower()))
        if theirs is None or ours is None or theirs[0] != ours[0]:
            return False
        if theirs[1] not in (ours[1], self.http_port):
            return False
        return self._token_required or _is_local_name(theirs[0])


def host_and_port(text: str, default_port: int | None) -> tuple[str, int] | None:
    """Host, in lower case, and port of `host[:port]`; None where it is not that."""
    try:
        parts = urlsplit("//" + text)
        port = parts.port or default_port
    except ValueError:
        return None
    if not parts.hostname or port is None or parts.netloc != text or "@" in text:
        return None
    return parts.hostname.lower(), port


def _is_local_name(host: str) -> bool:
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
