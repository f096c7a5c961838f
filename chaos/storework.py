"""A workload that uses all of the store, chosen by dice, and tells what it asked for and what was confirmed."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Awaitable, Hashable
from dataclasses import replace
from pathlib import Path
from typing import Any

from chaos.disk import Tree
from chaos.expected import WINDOW_TURNS, Change, Expected, Talk
from chaos.trace import Trace
from openclaw_actors.core.conversation import Conversation, apply
from openclaw_actors.core.records import Record, TurnBegan, TurnEnded, UserSaid, turn_id_of
from openclaw_actors.messages.archive import PurgeArchives
from openclaw_actors.messages.events import Usage
from openclaw_actors.messages.outbox import Delivery
from openclaw_actors.store import FileStore, StoreOptions
from openclaw_actors.store.files import Files

__all__ = ["CONTACTS", "KEYS", "NOTES", "SENDS", "Work", "beginning", "message", "open_store"]

SENDS = "sms:+15551230009"
KEYS = ("websocket:local:main", "websocket:local:" + "x" * 210, SENDS)
CONTACTS = ("+15551230001", "+15551230002", "+15551230003")
NOTES = ("project:style", "project:plan")
_OLD_STOP = "+15551230001"
_COMPACT_BYTES = 700


def beginning() -> tuple[Tree, Expected]:
    """What stands in the directory before: an older gateway's contacts, one of whom said STOP."""
    entry = {
        "phoneE164": _OLD_STOP,
        "doNotText": True,
        "createdAt": "2026-02-20T10:00:00+00:00",
        "lastSeenAt": "2026-02-21T11:00:00+00:00",
    }
    old = json.dumps({"contactsByPhone": {_OLD_STOP: entry}}).encode()
    sure: dict[Hashable, Any] = {("talk", key): Talk() for key in KEYS}
    sure |= {("contact", phone): "stop" if phone == _OLD_STOP else "" for phone in CONTACTS}
    sure |= {("note", name): None for name in NOTES}
    return {"contacts.json": old}, Expected(sure=sure)


def open_store(path: Path, files: Files | None = None, *, sync: bool = True) -> FileStore:
    """The store with small limits, so that a short workload meets all of them."""
    options = StoreOptions(
        path=path,
        window_turns=WINDOW_TURNS,
        cached_sessions=1,
        fsync=sync,
        write_backoff_s=0.001,
        snapshot_every_records=5,
        lock_timeout_s=1.0,
    )
    store = FileStore.open(options, files=files)
    store._turns._compact_bytes = _COMPACT_BYTES
    outbox = store._writer._outbox
    outbox._compact_bytes = outbox._compact_at = _COMPACT_BYTES
    return store


class Work:
    """People talk, are archived and come back, replies leave, STOP is said.

    Args:
        trace: learns of each thing when it is asked for, and when it is confirmed.
        expected: as it will be when the trace has been read to its end.
    """

    def __init__(
        self, path: Path, dice: random.Random, trace: Trace, expected: Expected, files: Files
    ) -> None:
        self._path = path
        self._dice = dice
        self._trace = trace
        self._expected = expected
        self._now = expected.copy()
        self._files = files
        self._tokens: dict[str, int] = {}
        self._archives = 0
        self._at = 1_790_000_000.0

    async def run(self, *, lives: int, rounds: int) -> None:
        """Opens the store so many times, and does so many rounds of things at once in each."""
        for _ in range(lives):
            self._tokens.clear()
            self._store = open_store(self._path, self._files)
            for _ in range(rounds):
                await self._round()
            if self._dice.random() < 0.5:
                await self._store.flush(deadline_s=5)
            self._store.close()

    async def _round(self) -> None:
        things: list[Awaitable[None]] = [self._talk(key) for key in KEYS if self._dice.random() < 0.8]
        things += [self._contact(phone) for phone in CONTACTS if self._dice.random() < 0.3]
        things += [self._note(name) for name in NOTES if self._dice.random() < 0.2]
        await asyncio.gather(*things)

    async def _do(self, thing: Hashable, asking: Awaitable[Any], *changes: Change) -> None:
        """Asks for something, and has the trace say so before and after."""
        self._trace.append(lambda: self._expected.begin(thing, *changes))
        self._now.begin(thing, *changes)
        await asking
        self._now.end(thing)
        self._trace.append(lambda: self._expected.end(thing))

    async def _talk(self, key: str) -> None:
        talk: Talk = self._now.sure["talk", key]
        open_ = _open_message(key, talk)
        roll = self._dice.random()
        if open_ is not None or not talk.records or roll < 0.5:
            await self._speak(key, talk, open_)
        elif roll < 0.62 and key == SENDS and talk.to_send:
            await self._send(key, talk)
        elif roll < 0.7:
            await self._leave(key)
        elif roll < 0.78:
            await self._branch(key)
        elif key != SENDS:
            await self._archive(key, talk)

    async def _token(self, key: str) -> int:
        if key not in self._tokens:
            token = self._tokens[key] = (await self._store.open_session(key)).token
            self._trace.append(lambda: self._expected.tokens.update({key: token}))
        return self._tokens[key]

    async def _speak(self, key: str, talk: Talk, open_: UserSaid | None) -> None:
        token = await self._token(key)
        number = talk.records[-1].number if talk.records else 0
        records: tuple[Record, ...]
        if open_ is not None and self._dice.random() < 0.7:
            began = not isinstance(talk.records[-1], TurnBegan)
            records = self._answer(open_, number, talk.seq, began=began)
        else:
            records = (self._message(number + 1, talk.seq + 1),)
            if open_ is None and self._dice.random() < 0.5:
                records += (_began(records[0], number + 2, talk.seq + 2),)
        asking = self._store.append(key, token, records, keep=True)
        await self._do(("talk", key), asking, lambda talk: talk.said(records))

    def _message(self, number: int, seq: int) -> UserSaid:
        self._at += 1
        name = f"m{self._dice.randrange(1 << 30)}"
        text = f"{name} {'x' * self._dice.choice((1, 30, 900))}"
        return message(number, seq, name, text=text, at=self._at)

    def _answer(self, said: UserSaid, number: int, seq: int, *, began: bool) -> tuple[Record, ...]:
        records: tuple[Record, ...] = ()
        if began:
            records = (_began(said, number + 1, seq + 1),)
            number, seq = number + 1, seq + 1
        self._at += 1
        return (
            *records,
            TurnEnded(
                number=number + 1,
                at=self._at,
                seq=seq + 1,
                turn_id=turn_id_of(said.message_id),
                message_id=said.message_id,
                status="completed",
                text=f"answer to {said.message_id}",
                usage=Usage(input_tokens=1, output_tokens=2),
            ),
        )

    async def _leave(self, key: str) -> None:
        if key in self._tokens:
            await self._store.close_session(key, self._tokens.pop(key))

    async def _branch(self, key: str) -> None:
        name = f"b{self._dice.randrange(1 << 30)}"
        asking = self._store.branches.save(key, name)
        await self._do(("talk", key), asking, lambda talk: _with_branches(talk, (*talk.branches, name)))

    async def _archive(self, key: str, talk: Talk) -> None:
        self._tokens.pop(key, None)
        self._archives += 1
        name = f"20260101T000000Z-{self._archives:08x}"
        archives = [each for each, _ in talk.archives]
        roll = self._dice.random()
        if roll < 0.4 and archives:
            back = self._dice.choice(archives)
            asking: Awaitable[Any] = self._store.archiving.restore(key, back, replaced_as=name)
            changes = [lambda talk: talk.archived(name), lambda talk: talk.restored(back)]
        elif roll < 0.6 and archives:
            gone = self._dice.choice(archives)
            asking = self._store.archives.purge(PurgeArchives(names=(gone,)))
            changes = [lambda talk: talk.purged(gone)]
        else:
            asking = self._store.archiving.archive(key, name)
            changes = [lambda talk: talk.archived(name)]
        await self._do(("talk", key), asking, *changes)

    async def _send(self, key: str, talk: Talk) -> None:
        reply = await self._store.outbox.next(key)
        assert reply.seq == talk.to_send[0], f"{reply.seq} is next, not {talk.to_send}"
        done = Delivery(session=key, seq=reply.seq, state="sent", at=self._at, since=self._at, done=True)
        await self._do(("talk", key), self._store.outbox.record(done), lambda talk: _sent(talk, reply.seq))

    async def _contact(self, phone: str) -> None:
        self._at += 100
        word = self._dice.choice(("stop", "start", ""))
        if not word:
            await self._do(
                ("contact", phone),
                self._store.contacts.touch(phone, self._at),
                lambda before: before or "seen",
            )
            return
        said = self._store.contacts.set_do_not_text(
            phone, do_not_text=word == "stop", at=self._at, message_id=f"SM{self._at}"
        )
        await self._do(("contact", phone), said, lambda _: word)

    async def _note(self, name: str) -> None:
        if self._now.sure["note", name] is not None and self._dice.random() < 0.3:
            await self._do(("note", name), self._store.delete_note(name), lambda _: None)
            return
        text = f"note {self._dice.random()}"
        await self._do(("note", name), self._store.save_note(name, text), lambda _: text)


def message(number: int, seq: int, name: str, *, text: str = "", at: float = 1_800_000_000.0) -> UserSaid:
    """A record of something that a person said."""
    return UserSaid(
        number=number,
        at=at,
        seq=seq,
        message_id=name,
        text=text,
        queued=0,
        delivery_id=name,
        channel="websocket",
        correlation_id="c",
    )


def _began(said: UserSaid, number: int, seq: int) -> TurnBegan:
    return TurnBegan(
        number=number,
        at=said.at,
        seq=seq,
        turn_id=turn_id_of(said.message_id),
        message_id=said.message_id,
        attempt=1,
        deaths=0,
    )


def _open_message(key: str, talk: Talk) -> UserSaid | None:
    state = Conversation(key=key, seq=talk.before)
    for record in talk.records:
        apply(state, record, window_turns=WINDOW_TURNS)
    said = [each for each in talk.records if isinstance(each, UserSaid)]
    first = state.open[0].message_id if state.open else None
    return next((each for each in said if each.message_id == first), None)


def _with_branches(talk: Talk, branches: tuple[str, ...]) -> Talk:
    return replace(talk, branches=branches)


def _sent(talk: Talk, seq: int) -> Talk:
    return replace(talk, sent=(*talk.sent, seq))
