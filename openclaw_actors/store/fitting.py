"""Decides what of a store that is set aside must hold in the restored one, and which of its replies are doubted."""

from __future__ import annotations

import logging
import os
import time
from pathlib import Path
from typing import TypeVar

import msgspec

from openclaw_actors.core.records import NumbersSkipped, encode_record
from openclaw_actors.core.routing import outbox_of
from openclaw_actors.store.boxes import Box, Boxes, Kept
from openclaw_actors.store.contacts import IN_DOUBT, StoredContact
from openclaw_actors.store.failures import StoreRefusal
from openclaw_actors.store.files import Files
from openclaw_actors.store.framing import seal, unseal
from openclaw_actors.store.journal import Damaged, Loaded, OtherKey, frame, key_inside, load
from openclaw_actors.store.numbers import Numbers, NumbersBook
from openclaw_actors.store.outbox_file import OutboxFile, read_boxes
from openclaw_actors.store.ownership import OPENINGS_WIDTH, openings_of
from openclaw_actors.store.turns import read_names

__all__ = ["fit"]

logger = logging.getLogger(__name__)

_T = TypeVar("_T", bound=msgspec.Struct)
_HELD_BACK = ("stop", "lost", "unknown")


def fit(restored: Path, before: Path, files: Files) -> int:
    """Fit a store from a backup to what has happened since.

    Args:
        restored: its directory; nobody uses it yet.
        before: that of the store in whose place it comes; need not be there.

    Returns:
        How many conversations have replies that may have been sent since.

    Raises:
        OSError: it cannot be read or written.
    """
    openings = max(openings_of(restored), openings_of(before))
    (restored / "store.lock").write_bytes(b"%0*d\n" % (OPENINGS_WIDTH, openings))
    (restored / "store.lock").chmod(0o600)
    _go_on_counting(restored, before, files)
    _keep_stops(restored, before, files)
    return _doubt(restored, files)


# Replies


def _doubt(restored: Path, files: Files) -> int:
    path = restored / "outbox.jsonl"
    boxes, length, damaged = read_boxes(path)
    if damaged:
        files.replace(path.with_name(f"{path.name}.damaged-{time.time():.0f}"), path.read_bytes())
    boxes.doubt()
    names, complete = read_names(restored / "open-turns.jsonl")
    if not complete or any(outbox_of(key) for key in names):
        for journal in restored.glob("sessions/*.jsonl"):
            key = _key_of(journal)
            if key is None or outbox_of(key) is None or (complete and key not in names):
                continue
            loaded = _load(journal, key)
            if loaded is not None and loaded.state.unanswered:
                _doubt_next(boxes, key, loaded)
    if length or len(boxes):
        OutboxFile(path, files, boxes, length).rewrite()
    return sum(box.doubtful for _, box in boxes.items())


def _doubt_next(boxes: Boxes, key: str, loaded: Loaded) -> None:
    """The reply to what is open in the backup may have been sent since."""
    box = boxes.get(key)
    if box is None:
        box = Box(cursor=loaded.state.seq)
        boxes.apply(Kept(session=key, box=box))
    box.doubtful = True
    if not box.undelivered:
        box.at = time.time()


# Numbers


def _go_on_counting(restored: Path, before: Path, files: Files) -> None:
    """What clients may have seen of the store before is not given a number of its again."""
    book = NumbersBook(restored, files)
    for path in before.glob("sessions/*.jsonl"):
        known = restored / "sessions" / path.name
        if known.exists() and known.stat().st_size >= path.stat().st_size:
            continue
        key = _key_of(path)
        seen = _load(path, key) if key is not None else None
        if key is None or seen is None:
            continue
        loaded = _load(known, key) if known.exists() else None
        if loaded is None:
            book.raise_to(key, seq=seen.state.seq, token=seen.token)
        elif loaded.state.seq < seen.state.seq:
            _skip(known, loaded, seen, files)
    for path in before.glob("archive/*/numbers.json"):
        _raise_numbers(path, restored / "archive" / path.parent.name / path.name, files)


def _skip(journal: Path, loaded: Loaded, seen: Loaded, files: Files) -> None:
    record = NumbersSkipped(number=loaded.state.number + 1, at=time.time(), to_seq=seen.state.seq)
    line = frame([encode_record(record)], [max(loaded.token, seen.token)])[0]
    descriptor = files.open(journal)
    try:
        files.cut(descriptor, loaded.end)
        files.write_at(descriptor, line, loaded.end)
    finally:
        os.close(descriptor)


def _raise_numbers(source: Path, target: Path, files: Files) -> None:
    theirs, ours = _document(source, Numbers), _document(target, Numbers)
    if theirs is None or (ours is not None and ours.seq >= theirs.seq and ours.token >= theirs.token):
        return
    merged = (
        theirs
        if ours is None
        else msgspec.structs.replace(ours, seq=max(ours.seq, theirs.seq), token=max(ours.token, theirs.token))
    )
    target.parent.mkdir(mode=0o700, exist_ok=True)
    files.replace(target, seal(msgspec.json.encode(merged)[1:]))


def _key_of(journal: Path) -> str | None:
    try:
        return key_inside(journal)
    except OSError:
        return None  # it was there a moment ago; the store before is nobody's to repair


def _load(journal: Path, key: str) -> Loaded | None:
    try:
        return load(journal, journal.with_suffix(".json"), key, window_turns=1)
    except (Damaged, OtherKey, StoreRefusal, OSError) as error:
        logger.warning("%s cannot be read: %s", journal, error)
        return None


# Contacts


def _keep_stops(restored: Path, before: Path, files: Files) -> None:
    for path in before.glob("contacts/*.json"):
        theirs = _document(path, StoredContact)
        if theirs is None or theirs.word not in _HELD_BACK:
            continue
        target = restored / "contacts" / path.name
        ours = _document(target, StoredContact)
        if ours is None or (ours.word not in _HELD_BACK and ours.said_at <= theirs.said_at):
            files.replace(target, path.read_bytes())
    if (before / IN_DOUBT).exists() and not (restored / IN_DOUBT).exists():
        files.replace(restored / IN_DOUBT, (before / IN_DOUBT).read_bytes())


def _document(path: Path, type_: type[_T]) -> _T | None:
    try:
        data = path.read_bytes()
        return msgspec.json.decode(data, type=type_) if unseal(data[:-1]) else None
    except (FileNotFoundError, msgspec.DecodeError, ValueError):
        return None
