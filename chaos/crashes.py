"""Takes the power away at every moment of a workload, in many ways, and looks at what the store makes of the rest.

The workload's system calls are recorded once. Then, after each of them, the disk is what a crash may leave (`disk`),
the real store opens it, and everything that it says is compared with what had been confirmed by then: nothing of that
may be missing, and nothing may be there that was never asked for.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import itertools
import logging
import os
import random
import shutil
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from chaos.disk import Disk, Tree, read_tree, without_ledger, write_tree
from chaos.expected import Expected, Talk, state_of
from chaos.storework import CONTACTS, KEYS, NOTES, SENDS, Work, beginning, message, open_store
from chaos.trace import Operation, Trace, recording
from openclaw_actors.core.conversation import decode_state
from openclaw_actors.core.records import NumbersSkipped, Record
from openclaw_actors.messages.archive import ListArchives, ReadRecords
from openclaw_actors.messages.outbox import Delivery
from openclaw_actors.store import FileStore, StoreRefusal
from openclaw_actors.store.files import Files

__all__ = ["Crashes", "run_crashes"]

_DEADLINE_S = 30.0
_MOST_PROBLEMS = 20
_MOST_SHOWN = 200
_LIVES = 3
_ROUNDS = 7


@dataclass
class Crashes:
    """What came of it."""

    workloads: int = 0
    operations: int = 0
    points: int = 0
    """Moments at which the power was taken away."""
    states: int = 0
    """Different things that were left, each of which the store opened."""
    again: int = 0
    """Of these, such as are left by a second crash, while the store recovered from a first."""
    problems: list[str] = field(default_factory=list)


def run_crashes(
    seed: int,
    *,
    seconds: float,
    at_random: int = 2,
    files: Callable[[], Files] = Files,
    most_problems: int = _MOST_PROBLEMS,
) -> Crashes:
    """Runs workload after workload until the time is over; the first one in any case, though perhaps not to its end.

    Args:
        seed: of all dice.
        seconds: after these no further crash is tried.
        at_random: so many crashes at each moment, beside the extreme ones.
        files: makes the store's file layer for the workload; a test passes one that forgets to sync.
        most_problems: after so many it ends.
    """
    found = Crashes()
    end = time.monotonic() + seconds
    for number in itertools.count(seed):
        if found.workloads and (time.monotonic() >= end or len(found.problems) >= most_problems):
            return found
        found.workloads += 1
        root = Path(tempfile.mkdtemp(prefix="oca-crash-", dir=_memory()))
        try:
            with _quiet():
                _Campaign(root, number, at_random, found, end, most_problems).run(files())
        finally:
            shutil.rmtree(root)
    raise AssertionError


class _Campaign:
    """One workload, and the crashes in it."""

    def __init__(
        self, root: Path, seed: int, at_random: int, found: Crashes, end: float, most_problems: int
    ) -> None:
        self._root = root
        self._seed = seed
        self._dice = random.Random(seed)
        self._at_random = at_random
        self._found = found
        self._end = end
        self._most_problems = most_problems
        self._numbers = itertools.count(1)
        self._seen: set[bytes] = set()

    def run(self, files: Files) -> None:
        tree, expected = beginning()
        path = self._root / "workload"
        write_tree(path, tree)
        with recording(path) as trace:
            work = Work(path, random.Random(self._seed), trace, expected, files)
            asyncio.run(asyncio.wait_for(work.run(lives=_LIVES, rounds=_ROUNDS), _DEADLINE_S))
        disk = Disk(tree)
        point = 0
        for entry in trace:
            if not isinstance(entry, Operation):
                entry()
                self._seen.clear()  # the same files may be right before, and wrong after
                continue
            disk.apply(entry)
            point += 1
            if self._over():
                continue
            self._found.points += 1
            for left in (*disk.extremes(), *(disk.at_random(self._dice) for _ in range(self._at_random))):
                self._try(left, expected, f"seed {self._seed}, after operation {point} ({_words(entry)})")
        self._found.operations += point
        told, left_behind = without_ledger(disk.now()), without_ledger(read_tree(path))
        if told != left_behind:
            differ = sorted(
                name for name in {*told, *left_behind} if told.get(name, 0) != left_behind.get(name, 0)
            )
            raise AssertionError(f"the trace does not lead to what the workload has left: {differ}")

    def _over(self) -> bool:
        return time.monotonic() >= self._end or len(self._found.problems) >= self._most_problems

    def _try(self, left: Tree, expected: Expected, where: str, *, again: bool = False) -> None:
        mark = hashlib.sha256(repr(sorted(left.items())).encode()).digest()
        if mark in self._seen or self._over():
            return
        self._seen.add(mark)
        self._found.states += 1
        self._found.again += again
        path = self._root / str(next(self._numbers))
        write_tree(path, left)
        trace = Trace()
        try:
            problems, trace = asyncio.run(
                asyncio.wait_for(_look(path, expected, further=not again), _DEADLINE_S)
            )
        except Exception as error:
            problems = [f"{type(error).__name__}: {error}"]
        finally:
            shutil.rmtree(path)
        self._found.problems += [f"{where}{', again' if again else ''}: {each}" for each in problems]
        if not again and trace and self._dice.random() < 0.15:
            self._crash_again(left, trace, expected, where)

    def _crash_again(self, left: Tree, trace: Trace, expected: Expected, where: str) -> None:
        """While the store recovers."""
        operations = [each for each in trace if isinstance(each, Operation)]
        disk = Disk(left)
        chosen = self._dice.randrange(len(operations))
        for operation in operations[: chosen + 1]:
            disk.apply(operation)
        self._try(disk.at_random(self._dice), expected, where, again=True)


async def _look(path: Path, expected: Expected, *, further: bool) -> tuple[list[str], Trace]:
    """What is wrong with what the store finds; and what it did to the disk until it had found all."""
    problems: list[str] = []
    with recording(path) as trace:
        store = open_store(path)
        try:
            problems += _leftovers(path)
            tokens = [await _talk(store, key, expected, problems) for key in KEYS]
            for phone in CONTACTS:
                contact = await store.contacts.get(phone)
                word = "" if contact.created_at is None else "stop" if contact.do_not_text else "go"
                possible = [
                    each if each in ("", "stop") else "go" for each in expected.possible(("contact", phone))
                ]
                _same(problems, f"contact {phone}", word, possible)
                if not contact.certain:
                    problems.append(f"contact {phone} is in doubt")
            for name in NOTES:
                _same(
                    problems, f"note {name}", await store.load_note(name), expected.possible(("note", name))
                )
            problems += [f"{each} was set aside" for each in await store.quarantined()]
            length = len(trace)
            await _replies(store, problems)
            if further:
                await _go_on(store, tokens[0], problems)
        finally:
            store.close()
    return problems, Trace(trace[:length])


def _memory() -> str | None:
    """Thousands of small directories need no disk."""
    return "/dev/shm" if os.access("/dev/shm", os.W_OK | os.X_OK) else None


def _leftovers(path: Path) -> list[str]:
    return [f"{each.relative_to(path)} is left" for each in path.rglob(".*.tmp")]


async def _talk(store: FileStore, key: str, expected: Expected, problems: list[str]) -> int:
    talks: list[Talk] = expected.possible(("talk", key))
    opened = await store.open_session(key)
    state = msgspec.to_builtins(decode_state(opened.state))
    if opened.token <= expected.tokens.get(key, 0):
        problems.append(f"{key[:20]} has token {opened.token} although {expected.tokens[key]} was given")
    archives = await store.archives.page(ListArchives(name=key))
    there = sorted(each.archive for each in archives.archives)
    branches = sorted(each.name for each in await store.branches.of(key))
    fitting = [talk for talk in talks if state_of(key, talk) == state]
    fitting = [talk for talk in fitting if sorted(name for name, _ in talk.archives) == there]
    fitting = [talk for talk in fitting if sorted(talk.branches) == branches]
    if not fitting:
        what = f"{state['number']} records to seq {state['seq']}, archives {there}, branches {branches}"
        problems.append(f"{key[:20]} has {what}; expected {[_described(talk) for talk in talks]}")
        return opened.token
    talk = fitting[-1]
    for name, archived in talk.archives:
        page = await store.archives.read_records(ReadRecords(name=name, max_bytes=1 << 24))
        _same(problems, f"archive {name}", _plain(page.records), [_plain(archived.records)])
    if key == SENDS:
        waiting = SENDS in store.outbox.undelivered(100).sessions
        first = [each.to_send[:1] for each in fitting]
        reply = await store.outbox.next(SENDS)
        _same(problems, "the next reply", [reply.seq] if reply.seq else [], first)
        if not waiting and [] not in first:
            problems.append("a reply is not listed")
        if reply.delivery is not None and reply.delivery.doubtful:
            problems.append("a reply is in doubt")
    named = {turn.session for turn in await store.open_turns()}
    if bool(state["open"]) != (key in named):
        problems.append(
            f"{key[:20]} has {len(state['open'])} open messages; open are {[each[:20] for each in named]}"
        )
    return opened.token


async def _replies(store: FileStore, problems: list[str]) -> None:
    """Each reply is given once, in order."""
    last = 0
    while (reply := await store.outbox.next(SENDS)).seq:
        if reply.seq <= last:
            problems.append(f"reply {reply.seq} comes after {last}")
            return
        last = reply.seq
        done = Delivery(session=SENDS, seq=last, state="sent", at=1.0, since=1.0, done=True)
        await store.outbox.record(done)


async def _go_on(store: FileStore, token: int, problems: list[str]) -> None:
    """The conversation takes what comes next."""
    state = decode_state((await store.open_session(KEYS[0])).state)
    token = max(token, (await store.open_session(KEYS[0])).token)
    said = message(state.number + 1, state.seq + 1, "next")
    try:
        stored = await store.append(KEYS[0], token, (said,), keep=False)
    except StoreRefusal as refusal:
        problems.append(f"the next message is refused: {refusal}")
        return
    if not stored.durable:
        problems.append("the next message is not durable")


def _same(problems: list[str], what: str, found: Any, possible: list[Any]) -> None:
    if found not in possible:
        words = " or ".join(repr(each)[:_MOST_SHOWN] for each in possible)
        problems.append(f"{what}: {found!r:.{_MOST_SHOWN}}, expected {words}")


def _plain(records: Iterable[Record]) -> list[Record]:
    """Without what a restoration that was interrupted may have added."""
    return [record for record in records if not isinstance(record, NumbersSkipped)]


def _described(talk: Talk) -> str:
    archives = [name for name, _ in talk.archives]
    return (
        f"{len(talk.records)} records to seq {talk.seq}, archives {archives}, branches {list(talk.branches)}"
    )


def _words(operation: Operation) -> str:
    return " ".join(filter(None, (operation.kind, operation.path[-60:], operation.target[-60:])))


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Recovery says much in the log, thousands of times."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        yield
    finally:
        logging.disable(before)
