"""Decides who a caller is, from the token that the request shows."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable, Mapping

__all__ = [
    "DEFAULT_PRINCIPAL",
    "LOCAL_PRINCIPAL",
    "TOKEN_SUBPROTOCOL",
    "Principals",
    "is_owner",
    "shown_token",
]

DEFAULT_PRINCIPAL = "default"
"""Who shows `auth_token`."""
LOCAL_PRINCIPAL = "local"
"""Everybody, where no token is asked for."""
TOKEN_SUBPROTOCOL = "openclaw.token."


class Principals:
    """The principals and their tokens. Only digests are kept.

    Args:
        tokens: principal's name to token; empty: no token is asked for, and everybody is `local`.

    Raises:
        ValueError: a token is empty: it would let everybody in.
    """

    def __init__(self, tokens: Mapping[str, str]) -> None:
        if not all(tokens.values()):
            raise ValueError("a token is empty")
        self._digests = tuple((name, _digest(token)) for name, token in tokens.items())

    @property
    def token_required(self) -> bool:
        """Whether nobody comes in without one."""
        return bool(self._digests)

    def still_know(self, principal: str, before: Principals) -> bool:
        """Whether who came in as this principal could come in so again, with the token of before."""
        if not self._digests:
            return principal == LOCAL_PRINCIPAL
        known = dict(self._digests).get(principal)
        return known is not None and known == dict(before._digests).get(principal)

    def identify(self, token: str | None) -> str | None:
        """Whose token this is, or None. Takes the same time for every token of a length, known or not."""
        if not self._digests:
            return LOCAL_PRINCIPAL
        if not token:
            return None
        digest = _digest(token)
        found = None
        for name, known in self._digests:
            if hmac.compare_digest(known, digest):
                found = name
        return found


def is_owner(principal: str) -> bool:
    """Whether this principal may see and do everything.

    That is who shows `auth_token`, and everybody where no token is asked for. A token of `auth.tokens` with one of
    their names is the owner's, too.
    """
    return principal in (DEFAULT_PRINCIPAL, LOCAL_PRINCIPAL)


def shown_token(
    *, authorization: str | None, subprotocols: Iterable[str], query: str | None, query_allowed: bool
) -> str | None:
    """The token that a request shows: header before subprotocol before query, the last one only where allowed."""
    if authorization is not None:
        scheme, _, token = authorization.strip().partition(" ")
        return token.strip() if scheme.lower() == "bearer" else ""
    for subprotocol in subprotocols:
        if subprotocol.startswith(TOKEN_SUBPROTOCOL):
            return subprotocol.removeprefix(TOKEN_SUBPROTOCOL)
    return query if query_allowed else None


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).digest()
