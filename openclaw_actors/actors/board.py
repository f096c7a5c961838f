"""Owns the numbers that services count: in memory that all processes share, so that no death takes a count with it.

The memory is an anonymous mapping that `start` makes before its first fork; every process below inherits it, none can
lose or leak it. Each service has a region of its own and is the only one to write in it; its next incarnation goes on
where the one before was killed. The supervisor reads them all without asking anybody.

A region is append-only: 8 bytes with the length of what follows, then a record for each series: its value, the length
of its key, the key, padded to 8 bytes. Values are aligned, so the one written last is what a reader sees.
"""

from __future__ import annotations

import logging
import mmap
import struct
from collections.abc import Iterator, MutableMapping

from openclaw_actors.core.series import Tally

__all__ = ["FOLLOWERS", "Board", "Region", "counters_of", "install", "installed", "tree_is_followed"]

logger = logging.getLogger(__name__)

REGION_BYTES = 131_072
"""Room for about 1 500 series of one service. Memory that is not written costs none."""

FOLLOWERS = "tree_followers"
"""The series in the HTTP channel's region that says how many follow the tree: every process can see it for nothing."""

_NAMES = ("supervisor", "persistence", "model", "router", "websocket", "http", "sms")
_LENGTH = struct.Struct("<Q")
_KEY_LENGTH = struct.Struct("<H")
_WORD = 8


class Region(MutableMapping[str, float]):
    """The numbers of one service, by series; one that was never written is 0. Nothing is ever removed.

    Args:
        memory: the region's part of the mapping.
        name: of the service, for the log.
    """

    def __init__(self, memory: memoryview, name: str) -> None:
        self._memory = memory
        self._numbers = memory.cast("d")
        self._name = name
        self._places: dict[str, int] = {}
        """Series -> index of its value in `_numbers`."""
        self._read = 0
        self._full = False
        self.refresh()

    def refresh(self) -> None:
        """Find the series that another process has begun to count since."""
        (end,) = _LENGTH.unpack_from(self._memory)
        while self._read < end:
            at = _WORD + self._read
            (length,) = _KEY_LENGTH.unpack_from(self._memory, at + _WORD)
            key_at = at + _WORD + _KEY_LENGTH.size
            key = bytes(self._memory[key_at : key_at + length]).decode()
            self._places[key] = at // _WORD
            self._read += _size(length)

    def __contains__(self, key: object) -> bool:
        """Whether the series was found, or begun, by this process; all others are 0."""
        return key in self._places

    def __getitem__(self, key: str) -> float:
        place = self._places.get(key)
        return 0.0 if place is None else self._numbers[place]

    def __setitem__(self, key: str, value: float) -> None:
        place = self._places.get(key)
        if place is None:
            place = self._append(key)
            if place is None:
                return
        self._numbers[place] = value

    def _append(self, key: str) -> int | None:
        data = key.encode()
        size = _size(len(data))
        at = _WORD + self._read
        if at + size > len(self._memory):
            if not self._full:
                self._full = True
                logger.error(
                    "%s counts too many different things; %s and others are not counted", self._name, key
                )
            return None
        self._numbers[at // _WORD] = 0.0
        _KEY_LENGTH.pack_into(self._memory, at + _WORD, len(data))
        key_at = at + _WORD + _KEY_LENGTH.size
        self._memory[key_at : key_at + len(data)] = data
        self._places[key] = at // _WORD
        self._read += size
        # Last: a process that is killed before has not appended anything.
        _LENGTH.pack_into(self._memory, 0, self._read)
        return at // _WORD

    def __delitem__(self, key: str) -> None:
        raise TypeError("what was counted stays counted")

    def __iter__(self) -> Iterator[str]:
        return iter(self._places)

    def __len__(self) -> int:
        return len(self._places)


def _size(key_length: int) -> int:
    size = _WORD + _KEY_LENGTH.size + key_length
    return size + -size % _WORD


class Board:
    """All regions. Make it before the processes that shall share it are forked."""

    def __init__(self) -> None:
        self._memory = mmap.mmap(-1, REGION_BYTES * len(_NAMES))
        self._regions: dict[str, Region] = {}

    def region(self, name: str) -> Region:
        """The numbers of a service, to be written by that service alone; raises KeyError for an unknown one."""
        region = self._regions.get(name)
        if region is None:
            if name not in _NAMES:
                raise KeyError(name)
            first = _NAMES.index(name) * REGION_BYTES
            region = Region(memoryview(self._memory)[first : first + REGION_BYTES], name)
            self._regions[name] = region
        region.refresh()
        return region

    def values(self) -> dict[str, float]:
        """All numbers of all services as they are now."""
        return {key: value for name in _NAMES for key, value in self.region(name).items()}

    def follows(self) -> bool:
        """Whether anybody follows the tree: every session asks it all the time, so it looks for it once only."""
        region = self._regions.get("http")
        if region is None or FOLLOWERS not in region:
            region = self.region("http")
        return region[FOLLOWERS] > 0


_installed: Board | None = None


def install() -> Board:
    """Make a new board, for all processes that are forked from here from now on."""
    global _installed
    _installed = Board()
    return _installed


def installed() -> Board:
    """The board of this process; a new one if it has inherited none."""
    return _installed if _installed is not None else install()


def counters_of(name: str) -> MutableMapping[str, float]:
    """Where a service counts; numbers of its own if nobody has made a board, or it has no place there."""
    if _installed is None or name not in _NAMES:
        return Tally()
    return _installed.region(name)


def tree_is_followed() -> bool:
    """Whether anybody follows the tree of actors, so that what changes in it is worth telling."""
    return _installed is not None and _installed.follows()
