"""Decides what of an answer may still be streamed to a client that has heard a part of an earlier attempt at it.

A stream cannot take anything back. So a further attempt is heard in silence until it has said all that the client has:
if that is the same, word for word, it goes on from there; else the client has to be told.
"""

from __future__ import annotations

import hashlib

__all__ = ["Diverged", "Speech"]


class Diverged(Exception):
    """Raised when what the client has heard is not how the answer begins."""


class Speech:
    """What one client has heard of one answer. Lengths are in code points."""

    def __init__(self) -> None:
        self.heard = 0
        """What the client has."""
        self._heard_digest = hashlib.blake2b()
        self._said = 0
        """What the running attempt has said."""
        self._said_digest = hashlib.blake2b()
        self._lost = False
        """A piece of the running attempt is missing; its whole text will tell."""

    def begin_again(self) -> None:
        """The next attempt begins."""
        self._said = 0
        self._said_digest = hashlib.blake2b()
        self._lost = False

    def say(self, text: str, offset: int | None = None) -> str:
        """The attempt says more; returns what the client is to hear of it.

        Args:
            offset: where in the attempt the text stands; None: it follows on.

        Raises:
            Diverged: the client has heard something else.
        """
        place = self._said if offset is None else offset
        if place > self._said:
            self._lost = True
        if self._lost:
            return ""
        return self._hear(text[self._said - place :])

    def finish(self, text: str) -> str:
        """This is the whole answer; returns what the client has not heard of it.

        Raises:
            Diverged: the client has heard something else.
        """
        self.begin_again()
        if len(text) < self.heard:
            raise Diverged
        return self._hear(text)

    def _hear(self, text: str) -> str:
        if self._said < self.heard:
            known = text[: self.heard - self._said]
            text = text[len(known) :]
            self._said += len(known)
            self._said_digest.update(_bytes(known))
            if self._said < self.heard:
                return ""
            if self._said_digest.digest() != self._heard_digest.digest():
                raise Diverged
        self._said += len(text)
        self._said_digest.update(_bytes(text))
        self.heard = self._said
        self._heard_digest = self._said_digest
        return text


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")
