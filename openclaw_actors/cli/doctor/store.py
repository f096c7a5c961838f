"""Looks at the store: through its owner where a gateway runs, else by reading, without a lock and without a write."""

from __future__ import annotations

__all__ = ["look"]

import os
from collections.abc import Generator, Iterator, Sequence
from functools import partial
from pathlib import Path

from openclaw_actors.actors.rundir import StateLock
from openclaw_actors.cli.doctor import proc
from openclaw_actors.cli.doctor.context import Context
from openclaw_actors.cli.doctor.finding import Finding, counted, error, info, ok, warning
from openclaw_actors.cli.doctor.gateway import Gateway, reason_of
from openclaw_actors.cli.doctor.runner import blocking
from openclaw_actors.cli.tables import size
from openclaw_actors.errors import OpenClawError, StateDirError
from openclaw_actors.store.contacts import IN_DOUBT
from openclaw_actors.store.listing import quarantined_files
from openclaw_actors.store.migrations import FORMAT
from openclaw_actors.store.ownership import DIRECTORIES
from openclaw_actors.store.turns import read_names

_NAMED = 5
_MAX_ENTRIES = 200_000
_NO_FSYNC = "a power cut loses what was confirmed a moment before"

_SET_ASIDE = {
    "sessions": "a conversation that was set aside began anew",
    "contacts": "a number whose contact was set aside is not texted until it says START",
    "notes": "a note that was set aside is not there for the agent",
    "branches": "a branch that was set aside cannot be gone back to",
}


async def look(context: Context) -> list[Finding]:
    """See the module's text."""
    found = []
    if not context.config.memory.fsync:
        found.append(warning("memory.fsync is false", why=_NO_FSYNC, remedy="memory.fsync: true"))
    found += await blocking(_of_contacts)(context)
    if context.gateway is not None:
        return [*found, *await _by_asking(context.gateway, context)]
    return [*found, *await blocking(_by_reading)(context)]


def _of_contacts(context: Context) -> list[Finding]:
    mark = context.paths.memory / IN_DOUBT
    if not os.path.lexists(mark):
        return []
    return [
        warning(
            f"damage to contacts.json leaves it open who said STOP ({mark})",
            why="whoever the gateway did not know before counts as one who did: no turn, no answer by SMS",
            remedy=f"find out who said STOP (Twilio does not deliver to them anyway); then rm {mark}, and start again",
        )
    ]


async def _by_asking(gateway: Gateway, context: Context) -> list[Finding]:
    try:
        health = await gateway.store()
    except OpenClawError as failed:
        return [
            error(
                f"the store's owner does not say how it is: {reason_of(failed)}",
                why="nothing can be accepted while it does not work",
                remedy="openclaw-actors status; if `persistence` stays so, openclaw-actors actors restart persistence",
            )
        ]
    found = []
    if health.writable:
        found.append(ok("the store was just written to"))
    else:
        found.append(
            error(
                f"the store cannot be written: {health.problem}",
                why="new messages are refused, and answers wait in memory",
                remedy=f"make room for, or mend, {context.paths.memory}; it goes on by itself",
            )
        )
    if health.dirty_sessions:
        found.append(
            error(
                f"{counted(health.dirty_sessions, 'conversation')}: there are records that only memory holds",
                why="they are lost if the process of the store ends now",
                remedy="mend the disk first; do not stop the gateway before this is 0",
            )
        )
    if health.exhausted_total:
        found.append(
            warning(
                f"{health.exhausted_total} writes failed at every attempt since the store was opened",
                why="the disk was full or failed for a while",
                remedy=f"look at the disk of {context.paths.memory}, and at the log",
            )
        )
    if health.quarantined_total:
        found.append(_quarantined(health.quarantined, health.quarantined_total, context.paths.memory))
    return found


def _quarantined(names: Sequence[str], total: int, root: Path) -> Finding:
    kinds = {name.partition("/")[0] if "/" in name else "contacts" for name in names}
    shown = ", ".join(names[:_NAMED]) + (f" and {total - _NAMED} more" if total > _NAMED else "")
    return warning(
        f"{counted(total, 'damaged file')}, set aside: {shown}",
        why="; ".join(text for kind, text in _SET_ASIDE.items() if kind in kinds)
        or "a person should look at them",
        remedy=f"look at them in {root}, check the disk, then move them away",
    )


# While nothing runs


def _by_reading(context: Context) -> Iterator[Finding]:
    root = context.paths.memory
    if not root.is_dir():
        if root.exists():
            yield error(f"{root} is not a directory", why="start fails", remedy="set memory.storage_path")
        else:
            yield info(f"there is no store in {root} yet; the first start makes it")
        return
    held = yield from _holders(root, context)
    yield from _format(root)
    try:
        yield from _content(root, may_tidy=not held, context=context)
    except OSError as failed:
        yield error(
            f"the store in {root} cannot be read: {failed.strerror}",
            why="start fails, or a conversation cannot be opened",
            remedy=f"see who owns {failed.filename or root}",
        )


def _holders(root: Path, context: Context) -> Generator[Finding, None, bool]:
    pids = proc.lock_holders(root / "store.lock", context.proc)
    if pids:
        names = ", ".join(
            f"{proc.name_of(pid, context.proc)} (pid {pid})" if pid else "a process of another container"
            for pid in pids
        )
        yield error(
            f"the store in {root} is in use by {names}, and no gateway runs on {context.paths.state}",
            why="a start waits for it and then fails",
            remedy="stop the other gateway, or give this one its own memory.storage_path",
        )
    return bool(pids)


def _format(root: Path) -> Iterator[Finding]:
    try:
        text = (root / "format").read_text().strip()
    except FileNotFoundError:
        return
    except OSError as failed:
        yield error(f"{root}/format: {failed.strerror}", why="start fails", remedy=f"chmod 600 {root}/format")
        return
    if not text.isdigit():
        yield error(
            f"{root}/format says no format number",
            why="start refuses the store",
            remedy=f"echo {FORMAT} > {root}/format, if this is a store of this version",
        )
    elif int(text) > FORMAT:
        yield error(
            f"the store was written by a newer version (format {text}, this one knows {FORMAT})",
            why="start refuses it rather than harm it",
            remedy="install the newer version again",
        )


def _content(root: Path, *, may_tidy: bool, context: Context) -> Iterator[Finding]:
    conversations = total = foreign = 0
    leftovers: list[Path] = []
    for name in DIRECTORIES:
        for entry in _entries(root / name):
            try:
                status = entry.stat(follow_symlinks=False)
            except FileNotFoundError:
                continue
            total += status.st_size
            foreign += status.st_uid != os.geteuid()
            conversations += name == "sessions" and entry.name.endswith(".jsonl")
            if entry.name.startswith(".") and entry.name.endswith(".tmp"):
                leftovers.append(Path(entry.path))
    yield ok(f"{counted(conversations, 'conversation')}, {size(total)} in {root}")
    if foreign:
        yield error(
            f"{foreign} files in {root} belong to another user",
            why="their conversations cannot be opened or continued",
            remedy=f"sudo chown -R {os.geteuid()} {root}",
        )
    names, complete = read_names(root / "open-turns.jsonl")
    if names and complete:
        yield info(
            f"{counted(len(names), 'conversation')} may have unanswered messages; the next start goes on with them"
        )
    if leftovers:
        yield info(
            f"a crash left {counted(len(leftovers), 'temporary file')} in {root}; the next start removes them",
            repair=partial(_remove, leftovers, context) if may_tidy else None,
        )
    if damaged := quarantined_files(root):
        yield _quarantined(damaged, len(damaged), root)


def _entries(directory: Path) -> Iterator[os.DirEntry[str]]:
    try:
        with os.scandir(directory) as entries:
            for entry, _ in zip(entries, range(_MAX_ENTRIES), strict=False):
                yield entry
    except FileNotFoundError:
        return


def _remove(paths: Sequence[Path], context: Context) -> str:
    """Remove temporary files, while no gateway can start."""
    lock = StateLock(context.paths.run)
    if context.paths.run.is_dir():
        lock.acquire()
    try:
        if proc.lock_holders(context.paths.memory / "store.lock", context.proc):
            raise StateDirError("the store is in use by now")
        for path in paths:
            path.unlink(missing_ok=True)
    finally:
        lock.release()
    return f"removed {counted(len(paths), 'temporary file')}"
