"""Has the router's sessions deleted, restored and ended for operators, and answers them when it is done."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Callable, Iterable
from typing import Any, TypeAlias

from openclaw_actors.actors.directory import ServiceDirectory
from openclaw_actors.actorsystem import AsyncActor
from openclaw_actors.core.archives import archive_name
from openclaw_actors.core.moves import Moves
from openclaw_actors.core.router import RouterCore
from openclaw_actors.core.routing import HAS_PROCESS, Phase, RouterEffect
from openclaw_actors.errors import AskRefused
from openclaw_actors.messages import (
    ArchiveRestored,
    ArchiveSession,
    Done,
    RestoreArchive,
    RestoreSession,
    RetireSession,
    SessionArchived,
    SessionDeleted,
    SessionRestored,
    SessionRetired,
)

__all__ = ["RouterMoves"]

_STORE_TIMEOUT_S = 60.0
_DELETED = "The conversation was deleted by the operator; the next message begins a new one."
_RESTORED = "The operator has put an earlier conversation in the place of this one."

_Ask: TypeAlias = ArchiveSession | RestoreArchive


class RouterMoves:
    """The moves of one router, each with its asker.

    Args:
        router: in whose name the store is asked.
        carry_out: carries the core's effects out.
    """

    def __init__(
        self,
        router: AsyncActor,
        core: RouterCore,
        directory: ServiceDirectory,
        carry_out: Callable[[Iterable[RouterEffect]], None],
    ) -> None:
        self._router = router
        self._core = core
        self._moves = Moves(core)
        self._directory = directory
        self._carry_out = carry_out
        self._asked: dict[str, tuple[_Ask, asyncio.Future[Any]]] = {}
        self._leaving: dict[str, asyncio.Future[Done]] = {}

    async def delete(self, key: str) -> SessionDeleted:
        """Archives a conversation. Raises AskRefused."""
        done: SessionArchived = await self._move(ArchiveSession(session=key, archive=_new_name()))
        return SessionDeleted(session=key, archives=done.archives)

    async def retire(self, message: RetireSession) -> SessionRetired:
        """Archives a conversation that nobody has used since. Raises AskRefused."""
        key = message.session
        if key in self._core.entries:
            raise AskRefused("in_use", f"{key} is in use: it has a process, or somebody follows it")
        wanted = ArchiveSession(session=key, archive=_new_name(), idle_since=message.idle_since)
        await self._move(wanted)
        return SessionRetired(session=key, archive=wanted.archive)

    async def restore(self, message: RestoreSession) -> SessionRestored:
        """Gives a key its archived conversation back. Raises AskRefused."""
        key = message.session
        replaced_as = _new_name() if message.replace else ""
        ask = RestoreArchive(session=key, archive=message.name, replaced_as=replaced_as)
        if message.replace:
            done: ArchiveRestored = await self._move(ask)
        else:  # what runs under the key is left alone until the store says that there is room for it
            self.refuse_if_moving(key)
            done = await self._ask_store(ask)
            self._carry_out(self._core.restart_by_hand(key, time.monotonic()) or ())
        return SessionRestored(session=key, archive=message.name, replaced=done.replaced)

    async def _move(self, ask: _Ask) -> Any:
        key = ask.session
        self.refuse_if_moving(key)
        if self._core.draining:
            raise AskRefused("draining", "the gateway is ending; nothing is moved any more")
        answer = self._router.loop.create_future()
        self._asked[key] = (ask, answer)
        effects = self._moves.begin(key, time.monotonic())
        assert effects is not None
        self._carry_out(effects)
        return await answer

    def refuse_if_moving(self, key: str) -> None:
        """Raises AskRefused: `busy`, while the session's conversation moves."""
        entry = self._core.entries.get(key)
        if entry is not None and entry.moving:
            raise AskRefused("busy", f"{key} is being deleted or restored already")

    async def carry_out(self, key: str) -> None:
        """The session has no process: the store moves its conversation, and whoever asked for it is answered."""
        ask, answer = self._asked.pop(key)
        try:
            done: SessionArchived | ArchiveRestored = await self._ask_store(ask)
        except AskRefused as refusal:
            self._carry_out(self._moves.not_moved(key, time.monotonic()))
            if not answer.done():
                answer.set_exception(refusal)
            return
        text = _DELETED if isinstance(done, SessionArchived) else _RESTORED
        self._carry_out(self._moves.moved(key, done.incarnation, done.ended, text, time.monotonic()))
        if not answer.done():
            answer.set_result(done)

    async def _ask_store(self, ask: _Ask) -> Any:
        return await self._directory.ask(self._router, "persistence", ask, timeout_s=_STORE_TIMEOUT_S)

    async def end(self, key: str) -> Done:
        """Has a session leave memory if nothing runs in it. Raises AskRefused: `unknown`, `busy`."""
        entry = self._core.entries.get(key)
        if entry is None or entry.phase is Phase.ASLEEP:
            raise AskRefused("unknown", f"no live session {key}")
        if key not in self._leaving:
            effects = self._moves.leave(key)
            if effects is None:
                raise _busy(key)
            self._leaving[key] = self._router.loop.create_future()
            self._carry_out(effects)
        return await asyncio.shield(self._leaving[key])

    def leaves_or_stays(self, key: str) -> None:
        """The session said whether it can leave."""
        entry = self._core.entries.get(key)
        if key in self._leaving and entry is not None and entry.phase is not Phase.PASSIVATING:
            self._settle(key, _busy(key))

    def gone(self, key: str) -> None:
        """The session's process is gone."""
        entry = self._core.entries.get(key)
        comes_back = entry is not None and (entry.phase in HAS_PROCESS or entry.unsettled)
        text = f"{key} has left memory" + ("" if comes_back else "; its next message starts it again")
        self._settle(key, Done(text=text, code="stopped"))

    def _settle(self, key: str, outcome: Done | AskRefused) -> None:
        asked = self._leaving.pop(key, None)
        if asked is None or asked.done():
            return
        if isinstance(outcome, Done):
            asked.set_result(outcome)
        else:
            asked.set_exception(outcome)


def _new_name() -> str:
    return archive_name(time.time(), secrets.token_hex(4))


def _busy(key: str) -> AskRefused:
    return AskRefused(
        "busy",
        f"{key} has something to finish; 'sessions stop' ends its turn, 'sessions restart' its process",
    )
