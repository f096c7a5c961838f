"""Owns the connection of a conversation: makes it, makes it again when it is lost, carries frames and events."""

from __future__ import annotations

__all__ = ["Link", "LinkRefused", "Target", "token_of", "trust_of", "websocket_target"]

import asyncio
import json
import os
import ssl
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus
from websockets.typing import Subprotocol

from openclaw_actors.actors.answering import reachable
from openclaw_actors.actors.rundir import read_record
from openclaw_actors.cli.common import paths_of
from openclaw_actors.cli.conversation import Conversation
from openclaw_actors.cli.effects import Effect, Frame
from openclaw_actors.core.backoff import Backoff
from openclaw_actors.errors import NotRunning, OpenClawError

if TYPE_CHECKING:
    from openclaw_actors.config import GatewayConfig, Loaded

OPEN_TIMEOUT_S = 5.0
CLOSE_TIMEOUT_S = 1.0
RETRY_FIRST_S = 0.1
RETRY_LONGEST_S = 2.0
STRANGE_FOR_S = 5.0
"""For so long the gateway may show another certificate than that in its file: it takes a moment to use a new one."""

MAX_FRAME_BYTES = 64 * 1024 * 1024
MAX_WAITING_FRAMES = 10_000
_TOO_BIG = 1009


class LinkRefused(OpenClawError):
    """Raised when the gateway refuses the connection and trying again would not help."""


@dataclass(frozen=True, kw_only=True)
class Target:
    """Where to connect now."""

    url: str
    """Empty while the gateway starts and has not said where it is."""
    certificate: str
    """The file of the certificate that must be shown; empty where plain HTTP is spoken."""
    running: bool
    """Whether a gateway of this state directory lives; else the address is a guess from the configuration."""


def websocket_target(loaded: Loaded) -> Target:
    """Where the WebSocket channel is: what the running gateway says, else what the configuration says.

    Raises:
        NotRunning: none runs on the state directory that the command line names. Another one might be at the
            configured address, and it is not the one that is meant.
    """
    config, paths = loaded.config, paths_of(loaded)
    record = read_record(paths.run)
    if record is None and loaded.sources.get("state_dir") == "command line":
        raise NotRunning(str(paths.state))
    if record is not None and not record.ws:
        return Target(url="", certificate=record.certificate, running=True)
    address = record.ws if record is not None else f"{config.bind_address}:{config.port}"
    host, port = reachable(address)
    certificate = record.certificate if record is not None else config.tls.certificate or ""
    scheme = "wss" if certificate else "ws"
    url = f"{scheme}://{f'[{host}]' if ':' in host else host}:{port}/ws"
    return Target(url=url, certificate=certificate, running=record is not None)


def trust_of(certificate: str) -> ssl.SSLContext | None:
    """Trust this one certificate and no other, whatever name it is for: the gateway is known by its address here.

    Args:
        certificate: its file, or "" where plain HTTP is spoken.

    Raises:
        LinkRefused: there is no certificate in the file.
    """
    if not certificate:
        return None
    from openclaw_actors.config.tls import TlsUnusable, leaf_pem

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.check_hostname = False
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    try:
        context.load_verify_locations(cadata=leaf_pem(certificate))
    except TlsUnusable as error:
        raise LinkRefused(str(error)) from None
    return context


def token_of(config: GatewayConfig) -> str | None:
    """The token that the gateway wants, if the configuration has one. Raises OpenClawError."""
    from openclaw_actors.config.secrets import SecretUnresolved, resolve

    if config.auth_token is None:
        return None
    try:
        return resolve(config.auth_token, os.environ)
    except SecretUnresolved as error:
        raise OpenClawError(f"auth_token: {error}") from None


class Link:
    """Keeps one conversation connected.

    Args:
        conversation: decides what is sent and shown.
        target: says where to connect, at each attempt anew.
        token: for the `Authorization` header.
        show: is given every effect that is not a frame.
        changed: is told whether a connection stands now, with a reason when it does not.
    """

    def __init__(
        self,
        conversation: Conversation,
        target: Callable[[], Target],
        *,
        token: str | None,
        show: Callable[[Effect], None],
        changed: Callable[[bool, str], None],
    ) -> None:
        self.conversation = conversation
        self._target = target
        self._known: Target | None = None
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._show = show
        self._changed = changed
        self._frames: asyncio.Queue[str] = asyncio.Queue(MAX_WAITING_FRAMES)
        self._connected_once = False
        self._strange_since = 0.0
        self._backoff = Backoff(RETRY_FIRST_S, RETRY_LONGEST_S)

    def perform(self, effects: Iterable[Effect]) -> None:
        """Send the frames among the effects, and show the rest."""
        for effect in effects:
            if isinstance(effect, Frame):
                self._frames.put_nowait(json.dumps(effect.body, ensure_ascii=False))
            else:
                self._show(effect)

    def say(self, text: str) -> str:
        """Send a message, now or as soon as a connection stands; returns its id."""
        message_id, effects = self.conversation.say(text)
        self.perform(effects)
        return message_id

    async def run(self) -> None:
        """Connect, again and again, until cancelled.

        Raises:
            NotRunning: the first connection cannot be made, and no gateway lives that could be just starting.
            LinkRefused: the gateway will not have us.
        """
        while True:
            target = self._current_target()
            try:
                connection = await self._connect(target) if target.url else None
            except InvalidStatus as error:
                reason = self._status_reason(error.response.status_code)
            except ssl.SSLCertVerificationError as error:
                reason = self._strange_certificate(target, error)
            except (OSError, TimeoutError, InvalidHandshake):
                if not self._connected_once and not target.running:
                    raise NotRunning(target.url) from None
                reason = f"no connection to {target.url}"
            else:
                reason = "the gateway is starting"
                if connection is not None:
                    self._known = target
                    async with connection:
                        reason = await self._serve(connection)
            self._changed(False, reason)
            await asyncio.sleep(self._backoff.next_delay_s())

    def _strange_certificate(self, target: Target, error: ssl.SSLCertVerificationError) -> str:
        """Another certificate than that in the file is shown, as for a moment when the file is replaced."""
        now = time.monotonic()
        self._strange_since = self._strange_since or now
        reason = f"the gateway does not show the certificate in {target.certificate}: {error.verify_message}"
        if now - self._strange_since > STRANGE_FOR_S:
            raise LinkRefused(f"{reason}; openclaw-actors health says whether it could use a new one")
        return reason

    def _current_target(self) -> Target:
        """Where to connect. While the gateway that we know is away, no other one will do."""
        if self._known is None:
            return self._target()
        try:
            target = self._target()
        except NotRunning:
            return self._known
        return target if target.running and target.url else self._known

    @staticmethod
    def _status_reason(status: int) -> str:
        match status:
            case 401:
                raise LinkRefused("the gateway wants a token; set OPENCLAW_AUTH_TOKEN or auth_token")
            case 400 | 403 | 404:
                raise LinkRefused(
                    f"the gateway refuses the connection (HTTP {status}); is it an openclaw gateway?"
                )
        return "the gateway is draining" if status == 503 else f"the gateway answers HTTP {status}"

    async def _connect(self, target: Target) -> ClientConnection:
        return await connect(
            target.url,
            ssl=trust_of(target.certificate),
            subprotocols=[Subprotocol("openclaw.v2")],
            additional_headers=self._headers,
            open_timeout=OPEN_TIMEOUT_S,
            close_timeout=CLOSE_TIMEOUT_S,
            max_size=MAX_FRAME_BYTES,
            proxy=None,
        )

    async def _serve(self, connection: ClientConnection) -> str:
        """Serve one connection to its end; returns why it ended."""
        if connection.subprotocol != "openclaw.v2":
            raise LinkRefused("what answers there does not speak openclaw.v2; is it an openclaw gateway?")
        self._connected_once = True
        self._strange_since = 0.0
        self._frames = asyncio.Queue(
            MAX_WAITING_FRAMES
        )  # what was lost with the last connection is made anew
        self._changed(True, "")
        self.perform(self.conversation.connected())
        writer = asyncio.create_task(self._write(connection))
        try:
            return await self._read(connection)
        finally:
            self.conversation.disconnected()
            writer.cancel()

    async def _write(self, connection: ClientConnection) -> None:
        while True:
            frame = await self._frames.get()
            try:
                await connection.send(frame)
            except ConnectionClosed:
                return  # the reader sees it too, and ends this

    async def _read(self, connection: ClientConnection) -> str:
        try:
            while True:
                effects = self._understood(await connection.recv())
                self._backoff.reset()
                self.perform(effects)
        except ConnectionClosed as closed:
            frame = closed.rcvd
            if frame is not None and frame.code == _TOO_BIG:
                self.perform(self.conversation.abandon("too_big", "The message is too big."))
            return (frame.reason if frame is not None else "") or "the connection was lost"

    def _understood(self, frame: str | bytes) -> list[Effect]:
        try:
            return self.conversation.received(_parse(frame))
        except (KeyError, TypeError, ValueError) as error:
            raise LinkRefused(f"the gateway sent what this version does not understand: {error!r}") from error


def _parse(frame: str | bytes) -> dict[str, Any]:
    event = json.loads(frame)
    if not isinstance(event, dict):
        raise TypeError("an event is a JSON object")
    return event
