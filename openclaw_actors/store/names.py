"""Decides under which file name a key is kept. A path is never built from a key as it came."""

from __future__ import annotations

import base64
import hashlib
import os
from pathlib import Path

__all__ = ["LONGEST_SUFFIX", "hashed_name", "key_of_name", "name_limit", "plain_name"]

LONGEST_SUFFIX = 48
"""Room for what stands around a name: `.`, `.jsonl`, `.quarantined-<time>`, the counter of a temporary file."""
_LONGEST_KEY = 200


def name_limit(directory: Path) -> int:
    """How long a name may be in this directory, in bytes."""
    return os.pathconf(directory, "PC_NAME_MAX") - LONGEST_SUFFIX


def plain_name(key: str, *, limit: int) -> str:
    """URL-safe base64 of the key, unpadded; the hash where that would be too long."""
    if len(key) > _LONGEST_KEY:
        return hashed_name(key)
    name = base64.urlsafe_b64encode(_bytes(key)).rstrip(b"=").decode()
    return name if 0 < len(name) <= limit else hashed_name(key)


def hashed_name(key: str) -> str:
    """SHA-256 of the key, in hexadecimal: for long keys, and where the plain name is another key's."""
    return hashlib.sha256(_bytes(key)).hexdigest()


def key_of_name(name: str) -> str | None:
    """The key that a plain name stands for; None for a hash and for names that are not ours."""
    try:
        key = base64.b64decode(name + "=" * (-len(name) % 4), altchars=b"-_", validate=True).decode()
    except ValueError:
        return None
    return key if key and plain_name(key, limit=1 << 16) == name else None


def _bytes(key: str) -> bytes:
    return key.encode("utf-8", "surrogatepass")
