"""Decides what the bytes of an answer's body are: a stream of events, one JSON document, or garbage.

The content type is not asked: proxies and servers get it wrong, and the first byte of the body cannot lie.
"""

from __future__ import annotations

__all__ = ["AnswerReader", "Cut", "TooLarge"]

from collections.abc import Iterator

from openclaw_actors.messages.model import Complete
from openclaw_actors.providers.base import Answer
from openclaw_actors.providers.formats import AnswerParts, ErrorBody, Garbage
from openclaw_actors.providers.sse import EventParser, EventTooLarge

_DONE = b"[DONE]"
_EVENT_STARTS = b"deir:\xef"
"""First bytes of `data`, `event`, `id`, `retry`, a comment, and the byte order mark."""


class Cut(ValueError):
    """Raised when the body ended in the middle of the answer."""


class TooLarge(ValueError):
    """Raised when there is more of the answer than is taken."""


class AnswerReader:
    """Reads one answer's body.

    Args:
        parts: adds them up, in the provider's format.
        max_bytes: the largest body that is taken.
    """

    def __init__(self, parts: AnswerParts, *, max_bytes: int = 16 << 20) -> None:
        self.done = False
        """Nothing more is to come."""
        self._max_bytes = max_bytes
        self._bytes = 0
        self._parts = parts
        self._events: EventParser | None = None
        self._document: bytearray | None = None
        self._chunks = 0

    @property
    def started(self) -> bool:
        """Something has arrived."""
        return self._bytes > 0

    @property
    def begun(self) -> bool:
        """A part of an answer has arrived: who sends it is a provider."""
        return self._parts.begun

    @property
    def complete(self) -> bool:
        """The model has said that its answer is at its end; at most the count of tokens is missing."""
        return self.done or bool(self._parts.finish_reason)

    @property
    def finish_reason(self) -> str:
        """Why the model ended its answer: `stop`, `length`, `content_filter`, …; empty where it does not say."""
        return self._parts.finish_reason

    @property
    def error(self) -> ErrorBody | None:
        """What the provider reported instead of the rest of its answer."""
        return self._parts.error

    def feed(self, data: bytes) -> Iterator[str]:
        """Take what arrived, and give out the pieces of text in it; those before a piece of garbage, too.

        Raises:
            Garbage: it is no answer.
            TooLarge: there is too much of it.
        """
        self._bytes += len(data)
        if self._bytes > self._max_bytes:
            raise TooLarge(f"an answer of over {self._max_bytes} bytes")
        if self._events is None and self._document is None:
            data = data.lstrip()
            if not data:
                return
            self._sniff(data[0])
        if self._document is not None:
            self._document += data
        else:
            yield from self._feed_events(data)

    def end(self) -> list[str]:
        """Take the end of the body and return the text that it completes.

        Raises:
            Garbage: all of it together is no answer.
            Cut: a part of the answer is missing.
        """
        if self._document is not None:
            text = self._parts.add(bytes(self._document))
            self._finish()
            return [text] if text else []
        if not self._chunks:
            raise Garbage(f"{self._bytes} bytes without an event") if self._bytes else Cut("an empty body")
        if not self.complete and self.error is None:
            raise Cut(f"the stream ended after {self._chunks} chunks without an end")
        self._finish()
        return []

    def answer(self, request: Complete) -> Answer:
        """The whole answer. Raises `Garbage` where its parts make none."""
        return self._parts.answer(request)

    def _finish(self) -> None:
        if not self._parts.begun and self.error is None:
            raise Garbage(f"{self._bytes} bytes without a part of an answer")
        self.done = True

    def _sniff(self, first: int) -> None:
        if first in b"{[":
            self._document = bytearray()
        elif first in _EVENT_STARTS:
            self._events = EventParser()
        else:
            raise Garbage("neither events nor JSON")

    def _feed_events(self, data: bytes) -> Iterator[str]:
        assert self._events is not None
        try:
            events = self._events.feed(data)
        except EventTooLarge as error:
            raise TooLarge(str(error)) from None
        for event in events:
            if event.strip() == _DONE:
                self._finish()
                return
            if not event.strip():
                continue
            self._chunks += 1
            text = self._parts.add(event)
            if text:
                yield text
            if self._parts.ended:
                self._finish()
                return
            if self.error is not None:
                return
