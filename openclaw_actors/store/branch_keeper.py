"""Makes branches of conversations and goes back to them. Lives in the event loop; what blocks runs in one thread."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

from openclaw_actors.core.records import HistoryRestored
from openclaw_actors.messages.history import HistoryTurn
from openclaw_actors.messages.persistence import BranchSummary
from openclaw_actors.store.appends import AppendPath, Stored
from openclaw_actors.store.branches import Branch, Branches
from openclaw_actors.store.entry import Append, Entry, refuse, settle
from openclaw_actors.store.failures import StoreRefusal
from openclaw_actors.store.sessions import Sessions

__all__ = ["BranchKeeper"]


class BranchKeeper:
    """The branches of one store.

    Args:
        issue: the next token of a conversation.
        keep: runs what blocks in the thread that branches, notes and archives share.
    """

    def __init__(
        self,
        branches: Branches,
        sessions: Sessions,
        appends: AppendPath,
        *,
        issue: Callable[[Entry], int],
        keep: Callable[[Callable[[], Any]], Awaitable[Any]],
    ) -> None:
        self._branches = branches
        self._sessions = sessions
        self._appends = appends
        self._issue = issue
        self._keep = keep

    async def save(self, key: str, name: str) -> BranchSummary:
        """Keep a conversation's history as it stands.

        Raises:
            StoreRefusal: `unknown`, `bad_key`, `too_many`, `too_large`, `persistence_failed`, `corrupt`, `unavailable`.
        """

        def operation(entry: Entry, future: asyncio.Future[Any]) -> None:
            # What has ended is never changed again, so a thread may read it; the list itself is not shared.
            settle(future, (entry.state.number, list(entry.state.window)))

        number, window = await self._sessions.run(key, operation)
        if not number:
            raise StoreRefusal("unknown", f"no session {key}")
        saved: Branch = await self._keep(lambda: self._branches.save(key, name, number, window))
        return saved.summary()

    async def of(self, key: str) -> tuple[BranchSummary, ...]:
        """A conversation's branches, newest first."""
        return tuple(branch.summary() for branch in await self._keep(lambda: self._branches.of(key)))

    async def read(self, key: str, branch: str) -> tuple[HistoryTurn, ...]:
        """What stands in a branch; raises StoreRefusal `unknown`, `corrupt`."""
        found: Branch | None = await self._keep(lambda: self._branches.load(key, branch))
        if found is None:
            raise StoreRefusal("unknown", f"no branch {branch}")
        return tuple(found.window)

    async def restore(self, key: str, branch: str) -> Stored:
        """Go back to a branch: the model is given its history from now on. A live incarnation is fenced off by this.

        Raises:
            StoreRefusal: `unknown`; `busy` while a message waits for its answer; those of `append`.
        """
        found: Branch | None = await self._keep(lambda: self._branches.load(key, branch))
        if found is None:
            raise StoreRefusal("unknown", f"no branch {branch}")

        def operation(entry: Entry, future: asyncio.Future[Any]) -> None:
            if entry.state.unanswered:
                refuse(future, "busy", "a message waits for its answer; stop it first")
                return
            record = HistoryRestored(
                number=entry.state.number + 1, at=time.time(), branch=branch, window=tuple(found.window)
            )
            self._appends.take(entry, Append((record,), self._issue(entry), keep=False, future=future))

        stored: Stored = await self._sessions.run(key, operation)
        return stored

    async def delete(self, key: str, branch: str) -> bool:
        """Remove a branch for good; returns whether there was one."""
        existed: bool = await self._keep(lambda: self._branches.delete(key, branch))
        return existed
