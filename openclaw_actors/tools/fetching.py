"""Fetches a page from the public Internet, and from nowhere else, within bounds of size and of redirects.

A name is looked up once for each step of the way, all that it stands for is checked, and the connection goes to what
was checked: a name that means something else a moment later leads nowhere else.
"""

from __future__ import annotations

__all__ = ["FetchFailed", "Fetched", "fetch", "phrase"]

import asyncio
import ipaddress
import socket
import zlib
from collections.abc import Callable, Collection
from dataclasses import dataclass
from http import HTTPStatus

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from openclaw_actors.tools.addresses import Address, is_ours, is_public

_MOST_REDIRECTS = 5
_MOST_URL_CHARS = 8_192
_BLOCK_BYTES = 65_536
_REDIRECTS = frozenset((301, 302, 303, 307, 308))
_ACCEPT = "text/html,application/xhtml+xml,text/plain;q=0.9,application/json;q=0.9,*/*;q=0.5"
_GZIP_OR_ZLIB = zlib.MAX_WBITS | 32


class FetchFailed(Exception):
    """Raised when a page cannot be had.

    Args:
        text: why, for the model.
        denied: the address is not one that may be asked.
    """

    def __init__(self, text: str, *, denied: bool = False) -> None:
        super().__init__(text)
        self.text = text
        self.denied = denied


@dataclass(frozen=True, slots=True)
class Fetched:
    """What a server sent."""

    url: str
    """Where it came from, after redirects."""
    status: int
    content_type: str
    charset: str | None
    data: bytes
    cut: bool
    """There was more."""


class _Pinned(AbstractResolver):
    """Knows the addresses that were checked, and no others."""

    def __init__(self) -> None:
        self.known: dict[str, list[Address]] = {}

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        if host not in self.known:
            raise OSError(f"{host} was not checked")
        return [
            ResolveResult(
                hostname=host,
                host=str(address),
                port=port,
                family=socket.AF_INET if address.version == 4 else socket.AF_INET6,
                proto=socket.IPPROTO_TCP,
                flags=socket.AI_NUMERICHOST,
            )
            for address in self.known[host]
        ]

    async def close(self) -> None:
        """Nothing is open."""


async def fetch(
    url: str,
    *,
    user_agent: str,
    max_bytes: int,
    private_hosts: Collection[str] = (),
    allowed: Callable[[Address], bool] = lambda address: is_public(address) and not is_ours(address),
) -> Fetched:
    """Get a page.

    Args:
        url: http or https.
        user_agent: what we call ourselves.
        max_bytes: kept of it, unpacked.
        private_hosts: names and addresses that may be asked wherever they are.
        allowed: whether an address may be asked.

    Raises:
        FetchFailed: it cannot be had.
    """
    resolver = _Pinned()
    connector = aiohttp.TCPConnector(resolver=resolver, use_dns_cache=False, force_close=True, limit=1)
    headers = {"User-Agent": user_agent, "Accept": _ACCEPT, "Accept-Encoding": "gzip, deflate"}
    async with aiohttp.ClientSession(
        connector=connector,
        headers=headers,
        cookie_jar=aiohttp.DummyCookieJar(),
        auto_decompress=False,
        timeout=aiohttp.ClientTimeout(total=None),
        trust_env=False,
    ) as session:
        where = _parsed(url)
        for _ in range(_MOST_REDIRECTS + 1):
            assert where.raw_host is not None
            resolver.known[where.raw_host] = await _checked(where, private_hosts, allowed)
            try:
                async with session.get(where, allow_redirects=False) as response:
                    if response.status not in _REDIRECTS or "Location" not in response.headers:
                        return await _received(response, max_bytes)
                    where = _next(where, response.headers["Location"])
            except (aiohttp.ClientError, OSError, ValueError) as error:
                raise FetchFailed(f"{where.raw_host} cannot be asked: {_reason(error)}.") from None
    raise FetchFailed(f"{url} leads on more than {_MOST_REDIRECTS} times.")


def _parsed(text: str) -> URL:
    """The URL, by the parser that the connection is made with."""
    try:
        if len(text) > _MOST_URL_CHARS or any(char <= " " or char == "\x7f" for char in text):
            raise ValueError
        url = URL(text).with_fragment(None)
        valid = url.scheme in ("http", "https") and bool(url.raw_host) and url.port is not None
    except ValueError:
        valid = False
    if not valid:
        raise FetchFailed("Invalid URL. Only http:// and https:// URLs with a host are fetched.")
    if url.user is not None or url.password is not None:
        raise FetchFailed("Invalid URL. No user name and no password may stand in it.")
    return url


def _next(where: URL, location: str) -> URL:
    try:
        joined = str(where.join(URL(location)))
    except ValueError:
        joined = ""
    try:
        return _parsed(joined)
    except FetchFailed as failure:
        raise FetchFailed(f"{where} leads on to {location[:200]!r}: {failure.text}") from None


async def _checked(
    url: URL, private_hosts: Collection[str], allowed: Callable[[Address], bool]
) -> list[Address]:
    """The addresses of a URL's host, all of them allowed."""
    host = url.raw_host or ""
    addresses = await _look_up(host, url.port or 0)
    if host.rstrip(".").lower() in private_hosts:
        return addresses
    if not all(map(allowed, addresses)):
        raise FetchFailed(
            f"{host} is not on the public Internet: private, local and reserved addresses are not fetched.",
            denied=True,
        )
    return addresses


async def _look_up(host: str, port: int) -> list[Address]:
    try:
        return [ipaddress.ip_address(host)]
    except ValueError:
        pass  # a name
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
        addresses = [ipaddress.ip_address(str(each[4][0])) for each in found]
    except (OSError, UnicodeError, ValueError):
        addresses = []
    if not addresses:
        raise FetchFailed(f"There is no host {host}.")
    return addresses


async def _received(response: aiohttp.ClientResponse, max_bytes: int) -> Fetched:
    data, cut = await _body(response, max_bytes)
    return Fetched(
        url=str(response.url),
        status=response.status,
        content_type=response.content_type.lower() if "Content-Type" in response.headers else "",
        charset=response.charset,
        data=data,
        cut=cut,
    )


async def _body(response: aiohttp.ClientResponse, max_bytes: int) -> tuple[bytes, bool]:
    """What was sent, unpacked up to a limit, and whether there was more: a small answer may unpack to a huge one."""
    packing = response.headers.get("Content-Encoding", "identity").strip().lower()
    if packing not in ("identity", "", "gzip", "x-gzip", "deflate"):
        raise FetchFailed(f"{response.url} is packed by {packing[:40]!r}, which was not asked for.")
    unpack = None if packing in ("identity", "") else zlib.decompressobj(_GZIP_OR_ZLIB)
    data, taken = bytearray(), 0
    while block := await response.content.read(_BLOCK_BYTES):
        taken += len(block)
        if unpack is not None:
            try:
                block = unpack.decompress(block, max_bytes + 1 - len(data))
            except zlib.error:
                raise FetchFailed(f"{response.url} cannot be unpacked.") from None
        data += block
        if len(data) > max_bytes or taken > max_bytes:
            return bytes(data[:max_bytes]), True
    if unpack is not None and not unpack.eof:
        raise FetchFailed(f"{response.url} ended before it was complete.")
    return bytes(data), False


def _reason(error: Exception) -> str:
    """One line, without what the server could have put in."""
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        return "its certificate is not valid"
    if isinstance(error, aiohttp.ClientSSLError):
        return "no secure connection can be made"
    if isinstance(error, aiohttp.ClientConnectorError):
        return error.os_error.strerror or "no connection can be made"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return f"its answer is not valid ({type(error).__name__})"


def phrase(status: int) -> str:
    """A status as people know it, whatever the server calls it."""
    try:
        return f"{status} {HTTPStatus(status).phrase}"
    except ValueError:
        return str(status)
