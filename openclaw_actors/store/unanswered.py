"""Decides which conversations wait for an answer: asks those that the list of open turns names, or all of them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any

from openclaw_actors.messages.persistence import OpenTurn
from openclaw_actors.store.appends import AppendPath
from openclaw_actors.store.entry import Entry, settle
from openclaw_actors.store.failures import StoreRefusal
from openclaw_actors.store.sessions import Sessions

__all__ = ["Unanswered"]

logger = logging.getLogger(__name__)


class Unanswered:
    """The conversations with open turns of one store. Lives in the event loop.

    Args:
        named: names in the list of open turns.
        complete: whether it names all.
        keys: the keys of all conversations.
    """

    def __init__(
        self,
        sessions: Sessions,
        appends: AppendPath,
        named: dict[str, None],
        *,
        complete: bool,
        keys: Callable[[], Awaitable[list[str]]],
    ) -> None:
        self._sessions = sessions
        self._appends = appends
        self._named = named
        self._complete = complete
        self._keys = keys

    async def find(self) -> tuple[OpenTurn, ...]:
        """Those with accepted messages that have no answer, oldest first."""
        names = tuple(self._named)
        asking_all = not self._complete
        if asking_all:
            names = tuple(dict.fromkeys((*names, *await self._keys())))
        found: list[OpenTurn] = []
        unknown = False
        for key in names:
            try:
                since = await self._sessions.run(key, self._oldest)
            except StoreRefusal as refusal:
                logger.error("the open turns of %s cannot be read: %s", key, refusal)
                unknown = True
                continue
            if since is not None:
                found.append(OpenTurn(session=key, since=since))
        if asking_all and not unknown:
            self._complete = True
            self._appends.complete_turns([turn.session for turn in found])
        return tuple(sorted(found, key=lambda turn: turn.since))

    def _oldest(self, entry: Entry, future: asyncio.Future[Any]) -> None:
        if entry.state.unanswered:
            settle(future, min(message.at for message in (*entry.state.open[:1], *entry.state.commands[:1])))
        else:
            if entry.key in self._named and not (entry.live or entry.pinned):
                self._appends.close_turns(entry.key)
            settle(future, None)
