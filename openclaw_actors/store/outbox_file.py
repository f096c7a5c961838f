"""Owns the outbox's journal: one append-only file of sealed lines, written by one thread, compacted when it grows long.

    {"crc":"…","kind":"due","session":"sms:+15551234567","seq":12,"after":8,"at":1790000000.0}
    {"crc":"…","kind":"step","session":"sms:+15551234567","delivery":{"seq":12,"state":"prepared",…}}

That a reply is due is on the disk before the reply itself is acknowledged.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Iterable
from pathlib import Path

import msgspec

from openclaw_actors.store.boxes import Boxes, Change, decode_change, encode_change
from openclaw_actors.store.files import Files
from openclaw_actors.store.framing import seal, unseal

__all__ = ["OutboxFile", "open_outbox", "read_boxes"]

logger = logging.getLogger(__name__)


def read_boxes(path: Path) -> tuple[Boxes, int, bool]:
    """What the file says, how many of its bytes say it, and whether all of those could be read.

    What an unfinished write left at the end does not count, and is no damage.
    """
    boxes, length, damaged = Boxes(), 0, False
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return boxes, 0, False
    *lines, _torn = data.split(b"\n")
    end = 0
    unread = False
    for line in lines:
        end += len(line) + 1
        try:
            change = decode_change(line) if unseal(line) else None
        except (msgspec.DecodeError, ValueError):
            change = None
        if change is None:
            unread = True
            continue
        damaged = damaged or unread
        boxes.apply(change)
        length = end
    return boxes, length, damaged


class OutboxFile:
    """The file, for one writer. No method may be called by two threads at once.

    Args:
        boxes: what the file says; the file's own, from then on.
        length: how many of its bytes say it.
        compact_bytes: a longer file that mostly holds what is past is written anew.
    """

    def __init__(
        self, path: Path, files: Files, boxes: Boxes, length: int, *, compact_bytes: int = 1_000_000
    ) -> None:
        self._path = path
        self._files = files
        self._boxes = boxes
        self._end = length
        self._descriptor = -1
        self._compact_bytes = compact_bytes
        self._compact_at = compact_bytes

    def rewrite(self) -> None:
        """Puts a file that says the same, and nothing of the past, in its place. Raises OSError; the old one stands."""
        self.close()
        self._boxes.prune()
        content = b"".join(map(_line, self._boxes.kept()))
        self._files.replace(self._path, content)
        self._end = len(content)

    def write(self, changes: Iterable[Change]) -> None:
        """Adds changes, in this order; returns when they are on the disk. Raises OSError; none counts then."""
        changes = tuple(changes)
        data = b"".join(map(_line, changes))
        try:
            if self._descriptor < 0:
                self._open()
            self._files.write_at(self._descriptor, data, self._end)
            self._files.flush(self._descriptor)
        except OSError:
            self._give_up()
            raise
        self._end += len(data)
        for change in changes:
            self._boxes.apply(change)
        if self._end >= self._compact_at:
            self._compact()

    def close(self) -> None:
        """Closes the file; the next write opens it again and cuts off what was not acknowledged."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def _open(self) -> None:
        existed = self._path.exists()
        self._descriptor = self._files.open(self._path, create=True)
        self._files.cut(self._descriptor, self._end)
        if not existed:
            self._files.flush_directory(self._path.parent)

    def _give_up(self) -> None:
        """Cuts back at once: nobody must find, after a crash, what its sender was told is not stored."""
        if self._descriptor >= 0:
            try:
                self._files.cut(self._descriptor, self._end)
            except OSError as error:
                logger.info(
                    "the outbox's journal could not be cut back, and is before its next line: %s", error
                )
            self.close()

    def _compact(self) -> None:
        try:
            self.rewrite()
        except OSError as error:
            logger.info("the outbox's journal stays long: %s", error)
        self._compact_at = max(self._compact_bytes, 4 * self._end)


def open_outbox(path: Path, files: Files) -> tuple[Boxes, OutboxFile]:
    """What the outbox's journal says, and the journal; of a damaged one a copy is kept, and all that waits is doubted.

    Raises OSError if it cannot be read.
    """
    boxes, length, damaged = read_boxes(path)
    own, _, _ = read_boxes(path)
    if damaged:
        aside = path.with_name(f"{path.name}.damaged-{time.time():.0f}")
        files.replace(aside, path.read_bytes())
        logger.error("the outbox's journal is damaged; it is kept as %s", aside)
        boxes.doubt()
        own.doubt()
    file = OutboxFile(path, files, own, length)
    if length:
        try:
            file.rewrite()
        except OSError as error:  # a full disk can still be read, and may be emptied
            logger.warning("the outbox's journal could not be compacted: %s", error)
    return boxes, file


def _line(change: Change) -> bytes:
    return seal(encode_change(change)[1:])
