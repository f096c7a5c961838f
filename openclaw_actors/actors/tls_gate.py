"""Owns the TLS of a channel: the handshake before each connection, and the certificate that is shown.

A connection keeps the certificate that it began with. A new pair of files is tried apart from the one in use, so that
one that cannot be used changes nothing but what health says.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import logging
import os
from collections.abc import Callable
from typing import cast

from openclaw_actors.config.sections import TlsConfig
from openclaw_actors.config.tls import TlsUnusable, load_identity
from openclaw_actors.core.series import series

__all__ = ["LOOK_EVERY_S", "TlsGate"]

logger = logging.getLogger(__name__)

LOOK_EVERY_S = 1.0
"""A change of the files holds after two looks at the most: one that is seen while they are being written waits."""

_MAX_HANDSHAKES = 512
_SHUTDOWN_S = 5.0
_EARLY_BYTES = 1_048_576
"""What a client may say between the end of its handshake and the next tick of the loop."""

_Files = tuple[tuple[int, int, int, int] | None, ...]


class TlsGate:
    """Lets the clients of one channel in.

    Args:
        tls: the configuration's section, with both files set.
        handshake_s: how long a client may take, in seconds.

    Raises:
        TlsUnusable: the certificate or the key cannot be used.
    """

    def __init__(self, tls: TlsConfig, *, handshake_s: float) -> None:
        self._tls = tls
        self._handshake_s = handshake_s
        self._arrivals: dict[_Arrival, None] = {}
        self._seen = self._judged = _look(tls)
        self._identity = load_identity(tls)
        self._broken = ""
        if warnings := self.warnings:
            logger.error("%s", "; ".join(warnings))

    @classmethod
    def of(cls, tls: TlsConfig, *, handshake_s: float) -> TlsGate | None:
        """The gate of a channel; None where it speaks plain HTTP. Raises TlsUnusable."""
        return cls(tls, handshake_s=handshake_s) if tls.on else None

    @property
    def warnings(self) -> tuple[str, ...]:
        """What is wrong with the certificate, while clients are still let in."""
        expires = self._identity.not_after
        expired = f"the certificate expired on {expires:%Y-%m-%d %H:%M} UTC"
        found = [expired] if dt.datetime.now(dt.UTC) >= expires else []
        if self._broken:
            found.append(f"the new certificate is not used, the one before it is: {self._broken}")
        return tuple(found)

    def gauges(self, channel: str) -> dict[str, float]:
        """What the metrics say of the certificate."""
        return {
            series(
                "tls_certificate_not_after_seconds", channel=channel
            ): self._identity.not_after.timestamp(),
            series("tls_certificate_rejected", channel=channel): float(bool(self._broken)),
        }

    @property
    def handshakes(self) -> int:
        """How many clients are in the middle of one."""
        return len(self._arrivals)

    def guard(self, make: Callable[[], asyncio.Protocol]) -> Callable[[], asyncio.Protocol]:
        """Put the handshake before a protocol: what is returned is for `create_server`."""
        return lambda: _Arrival(self, make)

    async def keep_fresh(self) -> None:
        """Look at the files, again and again."""
        while True:
            await asyncio.sleep(LOOK_EVERY_S)
            await asyncio.to_thread(self.look)

    def look(self) -> None:
        """Use what stands in the files, if that has changed and is not being written just now."""
        found, settled = _look(self._tls), self._seen
        self._seen = found
        if found == self._judged or found != settled:
            return
        self._judged = found
        try:
            identity = load_identity(self._tls)
        except TlsUnusable as error:
            self._broken = str(error)
            logger.error("the new certificate is not used, the one before it is: %s", error)
            return
        now = dt.datetime.now(dt.UTC)
        if not identity.not_before <= now < identity.not_after:
            window = f"it is valid from {identity.not_before:%Y-%m-%d %H:%M} to {identity.not_after:%Y-%m-%d %H:%M} UTC"
            self._broken = f"{self._tls.certificate}: {window}, not now"
            logger.error("the new certificate is not used, the one before it is: %s", self._broken)
            return
        self._identity, self._broken = identity, ""
        logger.info("a new certificate is used, valid until %s", identity.not_after)

    async def shake_hands(self, arrival: _Arrival, transport: asyncio.Transport) -> asyncio.Transport | None:
        """Make a connection an encrypted one; None where the client does not, or takes too long."""
        self._arrivals[arrival] = None
        if len(self._arrivals) > _MAX_HANDSHAKES:  # those that connect and say nothing make way for who does
            oldest = next(iter(self._arrivals))
            del self._arrivals[oldest]
            oldest.give_up()
        try:
            return await asyncio.get_running_loop().start_tls(
                transport,
                arrival,
                self._identity.context,
                server_side=True,
                ssl_handshake_timeout=self._handshake_s,
                ssl_shutdown_timeout=_SHUTDOWN_S,
            )
        except (OSError, asyncio.CancelledError) as error:
            logger.debug("no handshake: %s", error)
            transport.abort()
            return None
        finally:
            self._arrivals.pop(arrival, None)


class _Arrival(asyncio.Protocol):
    """A client until its handshake is done; then the protocol behind the gate takes over."""

    def __init__(self, gate: TlsGate, make: Callable[[], asyncio.Protocol]) -> None:
        self._gate = gate
        self._make = make
        self._task: asyncio.Task[None]
        self._early: list[bytes] = []
        self._next: asyncio.Protocol | None = None
        self._ended = False
        self._lost: tuple[Exception | None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        plain = cast(asyncio.Transport, transport)
        plain.pause_reading()  # what comes now is for TLS
        self._task = asyncio.get_running_loop().create_task(self._enter(plain))
        self._task.add_done_callback(_raise_again)

    def give_up(self) -> None:
        self._task.cancel()

    async def _enter(self, plain: asyncio.Transport) -> None:
        secured = await self._gate.shake_hands(self, plain)
        if secured is None or self._lost is not None:
            return
        protocol = self._next = self._make()
        secured.set_protocol(protocol)
        protocol.connection_made(secured)
        for data in self._early:
            protocol.data_received(data)
        self._early.clear()
        if self._ended:
            protocol.eof_received()

    def data_received(self, data: bytes) -> None:
        if self._next is not None:
            self._next.data_received(data)
        elif sum(map(len, self._early)) < _EARLY_BYTES:
            self._early.append(data)
        else:
            self.give_up()

    def eof_received(self) -> None:
        self._ended = True
        if self._next is not None:
            self._next.eof_received()

    def connection_lost(self, exc: Exception | None) -> None:
        self._lost = (exc,)
        if self._next is not None:
            self._next.connection_lost(exc)


def _raise_again(task: asyncio.Task[None]) -> None:
    """An error of the protocol's is no less one because it happened in a task."""
    if not task.cancelled():
        task.result()


def _look(tls: TlsConfig) -> _Files:
    """What tells the files of now from those of another time."""
    return tuple(map(_mark, (tls.certificate, tls.key)))


def _mark(path: str | None) -> tuple[int, int, int, int] | None:
    try:
        found = os.stat(path or "")
    except OSError:
        return None
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns
