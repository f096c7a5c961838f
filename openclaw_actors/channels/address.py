"""Decides which address a client has, also behind reverse proxies."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable

__all__ = ["ClientAddresses"]

_Address = ipaddress.IPv4Address | ipaddress.IPv6Address
_LOOPBACK = (ipaddress.ip_network("127.0.0.0/8"), ipaddress.ip_network("::1/128"))


class ClientAddresses:
    """Reads `X-Forwarded-For` where it may be believed.

    Args:
        trust_forwarded: whether to look at the header at all.
        known_proxies: addresses or networks of our proxies; loopback always counts as one.
    """

    def __init__(self, *, trust_forwarded: bool, known_proxies: Iterable[str] = ()) -> None:
        self._trust = trust_forwarded
        networks = [ipaddress.ip_network(proxy, strict=False) for proxy in known_proxies]
        self._proxies = (*_LOOPBACK, *networks)

    def of(self, peer: str, forwarded_for: Iterable[str]) -> str:
        """The client's address: the peer, or the nearest hop that is none of our proxies.

        Args:
            peer: address of the other end of the socket.
            forwarded_for: the header's values, as they came.
        """
        address = _parse(peer)
        if address is None:
            return peer or "unknown"
        if not self._trust:
            return str(address)
        hops = [hop.strip() for value in forwarded_for for hop in value.split(",")]
        while hops and self._is_proxy(address):
            hop = _parse(hops.pop())
            if hop is None:  # what stands before it cannot be believed
                break
            address = hop
        return str(address)

    def is_proxy(self, peer: str) -> bool:
        """Whether a peer is one of our proxies, and so speaks for more than one client."""
        address = _parse(peer)
        return address is not None and self._is_proxy(address)

    def _is_proxy(self, address: _Address) -> bool:
        return any(address.version == net.version and address in net for net in self._proxies)


def _parse(text: str) -> _Address | None:
    try:
        address = ipaddress.ip_address(text.partition("%")[0].strip("[]"))
    except ValueError:
        return None
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address
