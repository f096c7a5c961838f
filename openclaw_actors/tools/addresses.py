"""Decides which addresses of the network a page may be fetched from: those of the public Internet, and no others."""

from __future__ import annotations

__all__ = ["Address", "is_ours", "is_public"]

import ipaddress
import socket
from typing import TypeAlias

Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address

# By the registries of special addresses of IANA, written out because Python's `is_global` changed with its versions.
_V4_CLOSED = tuple(
    map(
        ipaddress.IPv4Network,
        (
            "0.0.0.0/8",  # this network
            "10.0.0.0/8",  # private
            "100.64.0.0/10",  # carriers' NAT, and metadata of some clouds
            "127.0.0.0/8",  # this machine
            "168.63.129.16/32",  # the host of a machine in Azure
            "169.254.0.0/16",  # link-local, and metadata of most clouds
            "172.16.0.0/12",  # private
            "192.0.0.0/24",  # protocols
            "192.0.2.0/24",  # documentation
            "192.88.99.0/24",  # 6to4 relays
            "192.168.0.0/16",  # private
            "198.18.0.0/15",  # benchmarks
            "198.51.100.0/24",  # documentation
            "203.0.113.0/24",  # documentation
            "224.0.0.0/4",  # multicast
            "240.0.0.0/4",  # reserved, and broadcast
        ),
    )
)
_V6_OPEN = ipaddress.IPv6Network("2000::/3")
_V6_CLOSED = tuple(
    map(
        ipaddress.IPv6Network,
        (
            "2001::/23",  # protocols, Teredo among them, which holds an IPv4 address
            "2001:db8::/32",  # documentation
            "2002::/16",  # 6to4, which holds an IPv4 address
            "3fff::/20",  # documentation
        ),
    )
)
_V6_MAPPED = ipaddress.IPv6Network("::ffff:0:0/96")
_V6_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
_NOBODYS = "192.0.2.1"


def is_public(address: Address) -> bool:
    """Whether an address belongs to the public Internet; one that holds an IPv4 address counts as that one."""
    if isinstance(address, ipaddress.IPv4Address):
        return not any(address in network for network in _V4_CLOSED)
    if address.scope_id is not None:
        return False
    if address in _V6_MAPPED or address in _V6_NAT64:
        return is_public(ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF))
    return address in _V6_OPEN and not any(address in network for network in _V6_CLOSED)


def is_ours(address: Address) -> bool:
    """Whether this machine has the address itself: behind its firewall, a public one leads to what is not public."""
    # Where every address can be bound, binding tells nothing.
    return _binds(str(address)) and not _binds(_NOBODYS)


def _binds(address: str) -> bool:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.bind((address, 0))
    except OSError:
        return False
    return True
