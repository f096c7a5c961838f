"""Carries out the commands that need the store: a new conversation, branches, and the way back."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

from openclaw_actors.core.answering import usage_text
from openclaw_actors.core.commands import Command
from openclaw_actors.core.effects import RunCommand
from openclaw_actors.core.principals import principal_of
from openclaw_actors.core.records import HistoryRestored, Record
from openclaw_actors.core.session import SessionCore
from openclaw_actors.errors import AskRefused
from openclaw_actors.messages import (
    BranchHistory,
    BranchList,
    BranchSession,
    BranchSummary,
    DayUsage,
    DeleteBranch,
    GetDayUsage,
    ListBranches,
    Message,
    ReadBranch,
)
from openclaw_actors.messages.history import HistoryTurn

__all__ = ["SessionCommands"]

_SET_ASIDE = "before /new"
_BEFORE_UNDO = "before /undo"
_BEFORE_RESTORE = "before /branch restore"
_UNDONE = frozenset((_SET_ASIDE, _BEFORE_UNDO))
_OURS = frozenset((*_UNDONE, _BEFORE_RESTORE))
_NEW = "A new conversation begins. /undo brings the old one back."
_ALREADY_NEW = "This conversation is new already."
_NOTHING_TO_UNDO = "There is nothing to undo: no conversation was set aside by /new."
_NO_SKILLS = "Skills are switched off (skills.enabled)."
_RUNNING = "An answer is being given; wait for its end, or /stop it, and try again."
_NOT_DONE = "That could not be done: {reason}."
_USAGE = "Say /branch NAME, /branch list, /branch restore NAME or /branch delete NAME."
_MOST_SHOWN = 30

Result = tuple[str, Sequence[Record]]


class SessionCommands:
    """What commands do that need more than the conversation itself.

    Args:
        core: the conversation.
        ask_store: asks the PersistenceActor, through its restarts.
        done: told of each command's end: message id, text and records.
        skills: tells which there are; None: they are off.
    """

    def __init__(
        self,
        core: SessionCore,
        ask_store: Callable[[Message], Any],
        done: Callable[[str, str, Sequence[Record]], None],
        skills: Callable[[], str] | None = None,
    ) -> None:
        self._skills = skills
        self._core = core
        self._session = core.state.key
        self._ask_store = ask_store
        self._done = done

    def use(self, skills: Callable[[], str] | None) -> None:
        """Another configuration holds: other skills."""
        self._skills = skills

    async def run(self, effect: RunCommand) -> None:
        """Carry a command out, and tell what came of it."""
        try:
            text, records = await self._result(effect.command)
        except AskRefused as refusal:
            text, records = _NOT_DONE.format(reason=refusal.text.rstrip(".")), ()
        self._done(effect.message_id, text, records)

    async def _result(self, command: Command) -> Result:
        if command.name == "skills":
            return (self._skills() if self._skills is not None else _NO_SKILLS), ()
        if command.name == "usage":
            return await self._usage()
        if command.name in ("new", "reset"):
            return await self._new()
        if self._core.turn is not None and not (
            command.name == "branch" and command.argument in ("", "list")
        ):
            return _RUNNING, ()
        if command.name == "undo":
            return await self._undo()
        return await self._branch(command.argument)

    async def _usage(self) -> Result:
        principal = principal_of(self._session)
        found: DayUsage = await self._ask_store(GetDayUsage(principal=principal))
        running = self._core.turn.usage.total if self._core.turn is not None else 0
        today = found.principals.get(principal, 0) + running
        return usage_text(self._core.state, self._core.limits, today), ()

    async def _new(self) -> Result:
        if not self._core.state.window:
            return _ALREADY_NEW, ()
        await self._keep(_SET_ASIDE)
        return _NEW, (_restored("", ()),)

    async def _undo(self) -> Result:
        found = next((branch for branch in await self._branches() if branch.name in _UNDONE), None)
        if found is None:
            return _NOTHING_TO_UNDO, ()
        window = await self._window(found)
        if self._core.state.window:
            await self._keep(_BEFORE_UNDO)
        return f"The conversation of {_shown(found)} is back.", (_restored(found.branch, window),)

    async def _branch(self, argument: str) -> Result:
        action, _, name = argument.partition(" ")
        name = name.strip()
        if argument in ("", "list"):
            return _listed(await self._branches()), ()
        if action not in ("restore", "delete"):
            kept = await self._keep(argument)
            return f"Kept as {kept.name}. /branch restore {kept.name} goes back to it.", ()
        if not name:
            return _USAGE, ()
        found = next((branch for branch in await self._branches() if branch.name == name), None)
        if found is None:
            return f"There is no branch {name}. /branch list shows what there is.", ()
        if action == "delete":
            await self._delete(found)
            return f"Deleted the branch {name}.", ()
        window = await self._window(found)
        if self._core.state.window:
            await self._keep(_BEFORE_RESTORE)
        return f"Back at {_shown(found)}.", (_restored(found.branch, window),)

    async def _branches(self) -> tuple[BranchSummary, ...]:
        found: BranchList = await self._ask_store(ListBranches(session=self._session))
        return found.branches

    async def _keep(self, name: str) -> BranchSummary:
        branch = BranchSession(session=self._session, name=name)
        try:
            kept: BranchSummary = await self._ask_store(branch)
        except AskRefused as refusal:
            ours = [each for each in await self._branches() if each.name in _OURS]
            if refusal.code != "too_many" or not ours:
                raise
            await self._delete(ours[-1])  # the oldest that nobody has named
            kept = await self._ask_store(branch)
        return kept

    async def _window(self, branch: BranchSummary) -> tuple[HistoryTurn, ...]:
        history: BranchHistory = await self._ask_store(
            ReadBranch(session=self._session, branch=branch.branch)
        )
        return history.window

    async def _delete(self, branch: BranchSummary) -> None:
        await self._ask_store(DeleteBranch(session=self._session, branch=branch.branch))


def _restored(branch: str, window: tuple[HistoryTurn, ...]) -> HistoryRestored:
    return HistoryRestored(number=0, at=0.0, branch=branch, window=window)


def _listed(branches: Sequence[BranchSummary]) -> str:
    if not branches:
        return f"There are no branches. {_USAGE}"
    lines = [f"- {_shown(branch)}, {branch.turns} turns" for branch in branches[:_MOST_SHOWN]]
    more = [f"(and {len(branches) - _MOST_SHOWN} more)"] if len(branches) > _MOST_SHOWN else []
    return "\n".join(["Branches, newest first:", *lines, *more])


def _shown(branch: BranchSummary) -> str:
    at = time.strftime("%Y-%m-%d %H:%M", time.localtime(branch.created_at))
    return f"{branch.name} ({at})"
