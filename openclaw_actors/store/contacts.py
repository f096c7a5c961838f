"""Owns the contacts: one small file for each telephone number that wrote, replaced as a whole when something changes.

    contacts/<base64 of the number>.json
    {"crc":"…","format":1,"phone":"+15551234567","word":"stop","created_at":…,"last_seen_at":…,…}

The file's name tells the number, so damage leaves open only what the people of the damaged files said, and nobody may
be texted against their word: such a number counts as one that said STOP until it says START. What was found is kept
beside it as `<name>.quarantined-<time>`.

Everything here blocks and runs in one thread. The contacts used last are kept in memory, too.
"""

from __future__ import annotations

import logging
import os
import time
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Literal, NamedTuple, TypeAlias

import msgspec

from openclaw_actors.messages.contacts import Contact
from openclaw_actors.store.failures import StoreRefusal
from openclaw_actors.store.files import Files
from openclaw_actors.store.framing import seal, unseal
from openclaw_actors.store.legacy_contacts import OldContacts, read_old_contacts
from openclaw_actors.store.names import name_limit, plain_name

__all__ = ["IN_DOUBT", "MAX_PHONE_CHARS", "Change", "Contacts", "StoredContact"]

logger = logging.getLogger(__name__)

IN_DOUBT = "contacts-in-doubt.json"
"""The file in the store's directory that says so, for as long as it is there."""

MAX_PHONE_CHARS = 64
FORMAT = 1
_MAX_FILE_BYTES = 65_536
_REMEMBERED_IDS = 8
_MAX_ID_CHARS = 128
_MAX_KNOWN = 1_024
_SEEN_EVERY_S = 60.0
_HINT = "See docs/sms.md: Damaged contacts."

Word: TypeAlias = Literal["none", "start", "stop", "lost", "unknown"]
"""What the person said last about being texted; `none`: nothing yet. `lost`: damage leaves it open. `unknown`: this
person was first seen while damage left it open what anybody had said."""


class StoredContact(msgspec.Struct, frozen=True, omit_defaults=True):
    """What the file holds."""

    format: int
    phone: str
    word: Word
    created_at: float
    """Unix time, like the others."""
    last_seen_at: float
    said_at: float = 0.0
    message_ids: tuple[str, ...] = ()
    """The newest messages that changed `word`: a repetition of one changes nothing."""
    display_name: str = ""


class Change(NamedTuple):
    """A number wrote, and perhaps said whether it may be texted."""

    phone: str
    at: float
    word: Literal["start", "stop"] | None = None
    message_id: str = ""


_decoder = msgspec.json.Decoder(StoredContact)


class Contacts:
    """The contacts of one store.

    Args:
        root: the store's directory; its `contacts` exists.
    """

    def __init__(self, root: Path, files: Files) -> None:
        self._root = root
        self._directory = root / "contacts"
        self._files = files
        self._limit = name_limit(self._directory)
        self._old = root / "contacts.json"
        self._mark = root / IN_DOUBT
        self.all_in_doubt = os.path.lexists(self._mark)
        """Damage leaves it open who said STOP, so whoever is not known counts as one who did."""
        self._known: OrderedDict[str, StoredContact] = OrderedDict()
        """As the disk has them, the last used last. Nobody else writes these files while we own the store."""
        if self.all_in_doubt:
            logger.error("damage leaves it open who said STOP: unknown numbers are not texted. %s", _HINT)

    # Reading

    def load(self, phone: str) -> Contact:
        """What is known of a number. Raises StoreRefusal `bad_key`, OSError."""
        self._check(phone)
        self._take_over()
        return self._seen(phone, self._read(phone))

    def _seen(self, phone: str, stored: StoredContact | None) -> Contact:
        if stored is None:
            doubt = self.all_in_doubt
            return Contact(phone=phone, do_not_text=doubt, certain=not doubt)
        doubt = stored.word == "lost" or (stored.word == "unknown" and self.all_in_doubt)
        return Contact(
            phone=phone,
            do_not_text=doubt or stored.word == "stop",
            created_at=stored.created_at,
            last_seen_at=stored.last_seen_at,
            certain=not doubt,
        )

    def _read(self, phone: str) -> StoredContact | None:
        """Raises OSError."""
        known = self._known.get(phone)
        if known is not None:
            self._known.move_to_end(phone)
            return known
        stored = self._read_file(phone)
        if stored is not None:
            self._remember(stored)
        return stored

    def _remember(self, stored: StoredContact) -> None:
        self._known[stored.phone] = stored
        self._known.move_to_end(stored.phone)
        while len(self._known) > _MAX_KNOWN:
            self._known.popitem(last=False)

    def _read_file(self, phone: str) -> StoredContact | None:
        path = self._path(phone)
        try:
            with path.open("rb") as file:
                data = file.read(_MAX_FILE_BYTES + 1)
        except FileNotFoundError:
            return None
        try:
            if not (data.endswith(b"\n") and unseal(data[:-1])):
                raise ValueError("its checksum is wrong")
            stored = _decoder.decode(data)
            if stored.phone != phone:
                raise ValueError("it is another number's")
        except (msgspec.DecodeError, ValueError) as error:
            return self._damaged(path, phone, str(error))
        return stored

    def _damaged(self, path: Path, phone: str, problem: str) -> StoredContact:
        """Keeps what was found, and notes for good that the person may have said STOP."""
        now = time.time()
        lost = StoredContact(format=FORMAT, phone=phone, word="lost", created_at=now, last_seen_at=now)
        kept = path.with_name(f"{path.name}.quarantined-{time.time_ns() // 1_000_000}")
        try:
            # First a second name for what is there, then the replacement: at no moment is there no file at all, since
            # that would mean that the person never wrote.
            self._files.link(path, kept)
            self._files.replace(path, _encode(lost))
        except OSError as error:
            logger.error("a contact is damaged (%s) and could not be set aside: %s", problem, error)
        else:
            logger.error(
                "a contact is damaged (%s) and was set aside as %s; the number is not texted until it says START",
                problem,
                kept.name,
            )
        return lost

    # Writing

    def write(self, changes: Sequence[Change]) -> list[Contact | StoreRefusal | OSError]:
        """Make changes durable, all of them together; each ends in what is known then, or in why it could not be done.

        Changes of one number are done in their order: none that follows one that failed. A STOP of somebody who said
        so before writes nothing.
        """
        outcomes: list[Contact | StoreRefusal | OSError] = []
        failed: dict[str, OSError] = {}
        written = False
        for change in changes:
            if change.phone in failed:
                outcomes.append(failed[change.phone])
                continue
            try:
                self._check(change.phone)
                self._take_over()
                before = self._read(change.phone)
                after = self._changed(before, change)
                if after != before:
                    self._known.pop(change.phone, None)  # until the disk has it
                    self._files.replace(self._path(change.phone), _encode(after), flush_directory=False)
                    written = True
                outcomes.append(self._seen(change.phone, after))
            except StoreRefusal as refusal:
                outcomes.append(refusal)
            except OSError as error:
                failed[change.phone] = error
                outcomes.append(error)
        if written:
            try:
                self._files.flush_directory(self._directory)
            except OSError as error:
                return [error if isinstance(outcome, Contact) else outcome for outcome in outcomes]
        return outcomes

    def _changed(self, before: StoredContact | None, change: Change) -> StoredContact:
        if before is None:
            before = StoredContact(
                format=FORMAT,
                phone=change.phone,
                word="unknown" if self.all_in_doubt else "none",
                created_at=change.at,
                last_seen_at=change.at,
            )
        elif change.word == "stop" == before.word:
            return before
        repeated = bool(change.message_id) and change.message_id in before.message_ids
        if change.word is None or repeated:
            if change.at - before.last_seen_at < _SEEN_EVERY_S:
                return before  # to the minute is good enough, and saves the disk most of the work
            return msgspec.structs.replace(before, last_seen_at=max(before.last_seen_at, change.at))
        said = (change.message_id,) if 0 < len(change.message_id) <= _MAX_ID_CHARS else ()
        return msgspec.structs.replace(
            before,
            word=change.word,
            last_seen_at=max(before.last_seen_at, change.at),
            said_at=change.at,
            message_ids=(*before.message_ids, *said)[-_REMEMBERED_IDS:],
        )

    def _path(self, phone: str) -> Path:
        return self._directory / f"{plain_name(phone, limit=self._limit)}.json"

    def _check(self, phone: str) -> None:
        if not 0 < len(phone) <= MAX_PHONE_CHARS or not phone.isprintable():
            raise StoreRefusal(
                "bad_key", f"a telephone number has 1 to {MAX_PHONE_CHARS} printable characters"
            )

    # The older gateway's

    def _take_over(self) -> None:
        """Takes over `contacts.json`, if there is one. Raises OSError; nothing may be answered before it is done."""
        if not os.path.lexists(self._old):
            return
        old = read_old_contacts(self._old)
        if old.problem:
            self._doubt_all(old.problem)
        self._adopt(old)
        if old.problem:
            kept = self._old.with_name(f"{self._old.name}.quarantined-{time.time_ns() // 1_000_000}")
            kept = self._files.move(self._old, kept)
            logger.error(
                "contacts.json is damaged (%s) and was set aside as %s; %d of its contacts could be read. %s",
                old.problem,
                kept.name,
                len(old.contacts),
                _HINT,
            )
        else:
            self._files.move(self._old, self._root / "legacy" / self._old.name)
            logger.info("%d contacts were taken over", len(old.contacts) + len(old.lost))

    def _doubt_all(self, problem: str) -> None:
        said = {"since": time.time(), "reason": f"contacts.json was damaged: {problem}", "hint": _HINT}
        self._files.replace(self._mark, msgspec.json.encode(said) + b"\n")
        self.all_in_doubt = True

    def _adopt(self, old: OldContacts) -> None:
        """Writes all of it, syncs once, and only then gives the files their names."""
        now = time.time()
        found: dict[str, StoredContact] = {}
        for each in old.contacts:
            known = found.get(each.phone)
            if self._fits(each.phone) and (known is None or known.word != "stop"):
                found[each.phone] = StoredContact(
                    format=FORMAT,
                    phone=each.phone,
                    word="stop" if each.do_not_text else "none",
                    created_at=each.created_at,
                    last_seen_at=each.last_seen_at,
                    display_name=each.display_name,
                )
        for phone in old.lost:
            if self._fits(phone):
                found[phone] = StoredContact(
                    format=FORMAT, phone=phone, word="lost", created_at=now, last_seen_at=now
                )
        self._write_all(each for each in found.values() if self._is_news(each))

    def _fits(self, phone: str) -> bool:
        return 0 < len(phone) <= MAX_PHONE_CHARS and phone.isprintable()

    def _is_news(self, old: StoredContact) -> bool:
        """Is what the old file says to be written, beside what we know ourselves? In doubt, STOP wins."""
        ours = self._read(old.phone)
        if ours is None:
            return True
        if old.word == "none" or ours.word in ("stop", "lost"):
            return False
        return not (ours.word == "start" and ours.said_at > old.last_seen_at)

    def _write_all(self, contacts: Iterable[StoredContact]) -> None:
        staged: list[tuple[Path, Path]] = []
        try:
            for each in contacts:
                self._known.pop(each.phone, None)
                path = self._path(each.phone)
                temporary = self._files.temporary(path)
                staged.append((temporary, path))
                self._files.write_new(temporary, _encode(each))
            if staged:
                self._files.flush_all()
            for temporary, path in staged:
                self._files.rename(temporary, path)
        except OSError:
            for temporary, _ in staged:
                temporary.unlink(missing_ok=True)
            raise
        self._files.flush_directory(self._directory)


def _encode(contact: StoredContact) -> bytes:
    return seal(msgspec.json.encode(contact)[1:])
