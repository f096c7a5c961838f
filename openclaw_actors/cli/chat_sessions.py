"""Owns what a person at a terminal knows of their other conversations: a list with numbers, and names to complete."""

from __future__ import annotations

__all__ = ["OwnSessions"]

from collections.abc import Sequence
from typing import TYPE_CHECKING

from openclaw_actors.channels.auth import DEFAULT_PRINCIPAL, LOCAL_PRINCIPAL
from openclaw_actors.channels.sessions import key_prefix
from openclaw_actors.cli.common import paths_of
from openclaw_actors.cli.plain import number_in, one_line

if TYPE_CHECKING:
    from openclaw_actors.config import Loaded
    from openclaw_actors.messages import SessionSummary

MOST_SHOWN = 20
MOST_KNOWN = 500
"""The newest so many can be completed."""

_SHOWN_STATES = {"stored": "asleep"}


class OwnSessions:
    """The conversations that a chat can go to, as the gateway on this machine last told them.

    Args:
        loaded: the configuration: where the gateway is, and whose the conversations are.
    """

    def __init__(self, loaded: Loaded) -> None:
        self._run = paths_of(loaded).run
        # As the gateway names who comes with `auth_token`, which is the token that `chat` has.
        principal = LOCAL_PRINCIPAL if loaded.config.auth_token is None else DEFAULT_PRINCIPAL
        self._prefix = key_prefix(principal)
        self._listed: list[str] = []
        self.names: list[str] = []
        """For completion, the last active first."""

    async def refresh(self) -> None:
        """Learn the names."""
        found, _ = await self._ask("", MOST_KNOWN)
        self.names = [self._name(each) for each in found]

    async def show(self, word: str, current: str) -> str:
        """A list to choose from by number.

        Args:
            word: only those whose name contains it; empty: all.
            current: the one that is open.

        Raises:
            OpenClawError: the gateway cannot be asked.
        """
        found, total = await self._ask(word, MOST_SHOWN)
        self._listed = [self._name(each) for each in found]
        if not found:
            return (
                f"(no conversation is called so: {one_line(word)})"
                if word
                else "(there is no conversation yet)"
            )
        lines = [self._line(number, each, current) for number, each in enumerate(found, start=1)]
        if total > len(found):
            lines.append(f"     and {total - len(found)} more; /sessions WORD finds them by name")
        return "\n".join([*lines, "/switch N goes to one of them, /switch NAME to any, also to a new one"])

    def named(self, text: str) -> str:
        """The conversation that is meant by a number of the last list, or by its name."""
        chosen = number_in(text)
        return text if chosen is None or not 1 <= chosen <= len(self._listed) else self._listed[chosen - 1]

    def _line(self, number: int, each: SessionSummary, current: str) -> str:
        from openclaw_actors.cli.tables import when

        name = self._name(each)
        mark = "*" if name == current else " "
        turns = "1 turn" if each.turns == 1 else f"{each.turns} turns"
        last = when(each.last_active_at) if each.last_active_at else "-"
        return f"{mark}{number:>3}  {last}  {one_line(name)}  ({_SHOWN_STATES.get(each.state, each.state)}, {turns})"

    def _name(self, each: SessionSummary) -> str:
        return each.session.removeprefix(self._prefix)

    async def _ask(self, word: str, limit: int) -> tuple[Sequence[SessionSummary], int]:
        from openclaw_actors.cli.running import ask_for
        from openclaw_actors.messages.admin import GetSessions, SessionList

        message = GetSessions(limit=limit, prefix=self._prefix, contains=word)
        answer = await ask_for(self._run, message, SessionList)
        return answer.sessions, answer.total
