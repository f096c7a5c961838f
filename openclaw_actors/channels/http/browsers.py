"""Decides which web pages may use the interface: a page of somebody else's must neither read nor change anything."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable

from openclaw_actors.channels.origin import OriginRule, host_and_port

__all__ = ["BrowserRule"]


class BrowserRule:
    """Looks at what a browser says of where a request comes from and where it was meant to go.

    Where no token is asked for, every page that a person opens could reach the gateway on this machine. So a request
    from a foreign origin is refused, and one whose `Host` is a name that somebody else may have pointed at this
    machine (DNS rebinding): it must be the loopback, the bind address, or the host of an allowed origin.

    Args:
        origins: which origins may connect.
        bind_address: where the channel listens.
        allowed_origins: origins that pass, for their hosts.
        token_required: whether a caller must show a token.
    """

    def __init__(
        self,
        origins: OriginRule,
        *,
        bind_address: str,
        allowed_origins: Iterable[str],
        token_required: bool,
    ) -> None:
        self._origins = origins
        hosts = (host_and_port(origin.partition("://")[2], 80) for origin in allowed_origins)
        self._hosts = frozenset({bind_address.lower(), *(each[0] for each in hosts if each is not None)})
        self._token_required = token_required

    def host_passes(self, host: str | None) -> bool:
        """Whether a request with this `Host` may be answered."""
        if self._token_required:
            return True
        found = host_and_port(host or "", 80)
        return found is not None and (found[0] in self._hosts or _is_loopback(found[0]))

    def origin_passes(self, origin: str | None, host: str | None, fetch_site: str | None) -> bool:
        """Whether the page that makes the request, if one does, may.

        Args:
            fetch_site: the header `Sec-Fetch-Site`, which browsers send also where they leave `Origin` out.
        """
        if origin is None:
            return fetch_site in (None, "same-origin", "none")
        return self._origins.passes(origin, host)


def _is_loopback(host: str) -> bool:
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
