"""What the tests of the store share: records, a file layer that fails on demand, and a store in a loop."""

from __future__ import annotations

import asyncio
import errno
import os
import shutil
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from openclaw_actors.core.conversation import Conversation, decode_state
from openclaw_actors.core.records import Record, TurnBegan, TurnEnded, UserSaid, turn_id_of
from openclaw_actors.messages.events import TurnStatus, Usage
from openclaw_actors.store import FileStore, StoreOptions, StoreRefusal
from openclaw_actors.store.files import Files
from openclaw_actors.store.names import plain_name
from openclaw_actors.store.turns import read_names

KEY = "websocket:local:main"
DEADLINE_S = 30.0

_T = TypeVar("_T")


def user(number: int, seq: int, message_id: str, text: str = "", *, at: float = 1_000.0) -> UserSaid:
    return UserSaid(
        number=number,
        at=at,
        seq=seq,
        message_id=message_id,
        text=text or f"text of {message_id}",
        queued=0,
        delivery_id=f"delivery of {message_id}",
        channel="websocket",
        correlation_id="c",
    )


def began(number: int, seq: int, message_id: str, *, attempt: int = 1, deaths: int = 0) -> TurnBegan:
    return TurnBegan(
        number=number,
        at=1_000.0,
        seq=seq,
        turn_id=turn_id_of(message_id),
        message_id=message_id,
        attempt=attempt,
        deaths=deaths,
    )


def ended(
    number: int,
    seq: int,
    message_id: str,
    text: str = "",
    *,
    status: TurnStatus = "completed",
    at: float = 1_000.0,
) -> TurnEnded:
    return TurnEnded(
        number=number,
        at=at,
        seq=seq,
        turn_id=turn_id_of(message_id),
        message_id=message_id,
        status=status,
        text=text or f"answer to {message_id}",
        usage=Usage(input_tokens=1, output_tokens=2),
    )


def turn(index: int, *, at: float = 1_000.0, text: str = "") -> tuple[Record, ...]:
    """The three records of the n-th turn of a conversation that has only whole turns; the first is number 0."""
    first, message_id = 3 * index + 1, f"m{index}"
    return (
        user(first, first, message_id, text, at=at),
        began(first + 1, first + 1, message_id),
        ended(first + 2, first + 2, message_id, at=at),
    )


class Faults(Files):
    """Real files; any step can be made to fail, and every step is written down."""

    def __init__(self, *, sync: bool = True) -> None:
        super().__init__(sync=sync)
        self.steps: list[tuple[str, str]] = []
        self._rules: list[tuple[str, str, int, int]] = []
        self._paths: dict[int, Path] = {}

    def fail(self, step: str, code: int, *, path: str = "", times: int = 1 << 30) -> None:
        """Has this step fail, on files whose path holds `path`, so many times."""
        self._rules.append((step, path, code, times))

    def heal(self) -> None:
        self._rules.clear()

    def names(self, *steps: str) -> list[tuple[str, str]]:
        return [each for each in self.steps if each[0] in steps]

    def _step(self, step: str, path: Path) -> None:
        self.steps.append((step, path.name))
        for index, (name, part, code, times) in enumerate(self._rules):
            if name == step and part in str(path) and times > 0:
                self._rules[index] = (name, part, code, times - 1)
                raise OSError(code, os.strerror(code))

    def open(self, path: Path, *, create: bool = False) -> int:
        self._step("open", path)
        descriptor = super().open(path, create=create)
        self._paths[descriptor] = path
        return descriptor

    def write_at(self, descriptor: int, data: bytes, offset: int) -> None:
        path = self._paths[descriptor]
        try:
            self._step("write", path)
        except OSError:
            super().write_at(descriptor, data[: len(data) // 2], offset)  # a full disk takes what fits
            raise
        super().write_at(descriptor, data, offset)

    def flush(self, descriptor: int) -> None:
        self._step("flush", self._paths[descriptor])
        super().flush(descriptor)

    def cut(self, descriptor: int, length: int) -> None:
        self._step("cut", self._paths[descriptor])
        super().cut(descriptor, length)

    def flush_directory(self, directory: Path) -> None:
        self._step("flush directory", directory)
        super().flush_directory(directory)

    def link(self, source: Path, target: Path) -> None:
        self._step("link", target)
        super().link(source, target)

    def flush_all(self) -> None:
        self._step("flush all", Path())
        super().flush_all()

    def rename(self, source: Path, target: Path) -> None:
        self._step("rename", target)
        super().rename(source, target)


def options(path: Path, **changes: Any) -> StoreOptions:
    return StoreOptions(
        **{"path": path / "memory", "write_backoff_s": 0.01, "patient_backoff_s": 0.05, **changes}
    )


def journal_of(path: Path, key: str = KEY) -> Path:
    return path / "memory" / "sessions" / f"{plain_name(key, limit=207)}.jsonl"


def snapshot_of(path: Path, key: str = KEY) -> Path:
    return journal_of(path, key).with_suffix(".json")


def run(main: Coroutine[Any, Any, _T]) -> _T:
    """Runs a coroutine under a deadline."""

    async def limited() -> _T:
        async with asyncio.timeout(DEADLINE_S):
            return await main

    return asyncio.run(limited())


async def until(condition: Callable[[], bool]) -> None:
    """Returns when it holds; the deadline is that of `run`."""
    while not condition():  # noqa: ASYNC110 - what is waited for happens in threads
        await asyncio.sleep(0.005)


@contextmanager
def opened(path: Path, files: Files | None = None, **changes: Any) -> Iterator[FileStore]:
    """A store that is closed at the end as a drained gateway closes it, snapshots not written."""
    store = FileStore.open(options(path, **changes), files=files)
    try:
        yield store
    finally:
        store.close()


async def reopen(path: Path, key: str = KEY, **changes: Any) -> Conversation:
    """What a new process finds under a key."""
    with opened(path, **changes) as store:
        return decode_state((await store.open_session(key)).state)


async def refused(waiting: Awaitable[object]) -> StoreRefusal:
    """The refusal that the call must end with."""
    try:
        answer = await waiting
    except StoreRefusal as refusal:
        return refusal
    raise AssertionError(f"not refused: {answer}")


def as_json(state: Conversation) -> Any:
    """Something that compares equal for equal states."""
    return msgspec.to_builtins(state)


ERRORS = (errno.EIO, errno.ENOSPC, errno.EMFILE, errno.EACCES)


async def reopen_copy(path: Path) -> Conversation:
    """What a crash at this moment would leave, read by another process: a copy of the files."""
    copy = path / "copy"
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(path / "memory", copy / "memory")
    return await reopen(copy)


def listed(path: Path) -> list[str]:
    """Whom the list of open turns names, as it stands on the disk."""
    return list(read_names(path / "memory" / "open-turns.jsonl")[0])
