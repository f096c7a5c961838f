"""Decides what `websockets`' own protocol, which knows no socket, says in our words: closes, bad requests."""

from __future__ import annotations

import logging
from collections.abc import Iterable

from websockets.frames import CloseCode
from websockets.http11 import Response
from websockets.protocol import CONNECTING
from websockets.server import ServerProtocol
from websockets.typing import Subprotocol

from openclaw_actors.channels.auth import TOKEN_SUBPROTOCOL
from openclaw_actors.channels.websocket.handshake import V2_SUBPROTOCOL

__all__ = ["LinkProtocol"]

logger = logging.getLogger(__name__)

_BAD_REQUEST = "Bad request.\n"
_REASONS = {CloseCode.MESSAGE_TOO_BIG: "message too big", CloseCode.INVALID_DATA: "invalid UTF-8"}


class LinkProtocol(ServerProtocol):
    """The server's side of one connection.

    Args:
        max_message_bytes: of a message, however it is cut into frames.
    """

    answered = False
    """Whether the request has got its response."""

    def __init__(self, max_message_bytes: int) -> None:
        super().__init__(select_subprotocol=_choose, max_size=max_message_bytes, logger=logger)
        self.debug = False  # it would log tokens and what people say

    def fail(self, code: CloseCode | int, reason: str = "") -> None:
        super().fail(code, _REASONS.get(CloseCode(code), reason))

    def send_response(self, response: Response) -> None:
        self.answered = True
        super().send_response(response)

    def send_eof(self) -> None:
        if self.state is CONNECTING and not self.answered:
            self.answered = True
            self.writes.append(self.reject(400, _BAD_REQUEST).serialize())
        super().send_eof()


def _choose(protocol: ServerProtocol, offered: Iterable[Subprotocol]) -> Subprotocol | None:
    """`openclaw.v2` where it is offered; else the token, as browsers that offer something want something chosen."""
    known = [name for name in offered if name == V2_SUBPROTOCOL or name.startswith(TOKEN_SUBPROTOCOL)]
    return Subprotocol(V2_SUBPROTOCOL) if V2_SUBPROTOCOL in known else next(iter(known), None)
