"""Decides what a session may be called, and under which key it lives."""

from __future__ import annotations

__all__ = ["MAX_SESSION_ID_CHARS", "SESSION_ID_RULE", "is_session_id", "key_prefix", "session_key"]

MAX_SESSION_ID_CHARS = 128
SESSION_ID_RULE = f"must be 1 to {MAX_SESSION_ID_CHARS} printable characters"


def is_session_id(value: str) -> bool:
    """Whether a client may name a session so. Characters are Unicode code points."""
    return 0 < len(value) <= MAX_SESSION_ID_CHARS and value.isprintable()


def session_key(principal: str, session_id: str) -> str:
    """The key under which the session lives; a principal's name has no colon, so no key is another principal's."""
    return key_prefix(principal) + session_id


def key_prefix(principal: str) -> str:
    """How the keys of all of a principal's sessions begin, and those of nobody else."""
    return f"websocket:{principal}:"
