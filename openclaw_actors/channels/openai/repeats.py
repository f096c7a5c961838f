"""Recognises requests that OpenAI's own clients make again by themselves, without an idempotency key.

They count their retries in a header, but do not say of which request. The same body for the same session, shortly
before, is that request. This is kept in memory only: a key is what outlives the channel.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict

__all__ = ["RETRY_HEADER", "Repeats"]

RETRY_HEADER = "x-stainless-retry-count"


class Repeats:
    """Remembers which message a request without a key became.

    Args:
        max_requests: how many are remembered, the most recent ones.
        seconds: for how long.
    """

    def __init__(self, *, max_requests: int = 4_096, seconds: float = 900.0) -> None:
        self._max_requests = max_requests
        self._seconds = seconds
        self._known: OrderedDict[bytes, tuple[str, float]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._known)

    def message_id(self, session: str, body: bytes, retry: str | None, fresh: str, now: float) -> str:
        """The id of the message that a request is.

        Args:
            session: the session's key.
            body: of the request.
            retry: what the client says in `RETRY_HEADER`.
            fresh: the id where it is no repetition.
            now: monotonic seconds.
        """
        digest = hashlib.blake2b(session.encode("utf-8", "surrogatepass") + b"\0" + body).digest()
        known = self._known.get(digest)
        repeats = retry is not None and retry.isdecimal() and int(retry[:9]) > 0
        if repeats and known is not None and now - known[1] <= self._seconds:
            return known[0]
        self._known[digest] = (fresh, now)
        self._known.move_to_end(digest)
        while len(self._known) > self._max_requests:
            self._known.popitem(last=False)
        return fresh
