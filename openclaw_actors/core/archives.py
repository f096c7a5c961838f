"""Decides how archives are named: by when they were made, and so that no two are the same."""

from __future__ import annotations

import re
import time

__all__ = ["archive_name", "is_archive_name", "made_with"]

_NAME = re.compile(r"\d{8}T\d{6}Z-[0-9a-f]{8}(-\d{1,6})?")


def archive_name(at: float, nonce: str) -> str:
    """A name for an archive.

    Args:
        at: Unix time, seconds.
        nonce: eight hexadecimal digits that tell it from others.
    """
    return f"{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime(at))}-{nonce}"


def is_archive_name(name: str) -> bool:
    """Could this name an archive? A session's key cannot: it has a colon."""
    return _NAME.fullmatch(name) is not None


def made_with(archive: str) -> str:
    """The name of the archiving that made it: what is archived beside a conversation adds a number to its name."""
    return "-".join(archive.split("-")[:2])
