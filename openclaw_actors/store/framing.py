"""Decides how a line of a file looks: JSON that begins with the CRC-32 of everything behind it.

    {"crc":"1c291ca3","token":4000001,"record":{"kind":"user",...}}

The CRC stands at a fixed place, so checking a line needs no parsing; `jq` and `less` read it as it is.
It covers the bytes from the quote after it to the closing brace.
"""

from __future__ import annotations

from zlib import crc32

__all__ = ["PREFIX_LENGTH", "START", "crc_of", "seal", "unseal"]

START = b'{"crc":"'
_COMMA = b'",'
PREFIX_LENGTH = len(START) + 8 + len(_COMMA)


def seal(members: bytes) -> bytes:
    """The line for an object's members (JSON without its opening brace), with the line's end."""
    return b'{"crc":"%08x",%s\n' % (crc32(members), members)


def unseal(line: bytes) -> bool:
    """Is this line, without its end, whole?"""
    return (
        line[:8] == START
        and line[16:PREFIX_LENGTH] == _COMMA
        and line[8:16] == b"%08x" % crc32(memoryview(line)[PREFIX_LENGTH:])
    )


def crc_of(line: bytes) -> str:
    """The CRC that a sealed line carries."""
    return line[8:16].decode("ascii", "replace")
