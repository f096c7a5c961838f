"""Decides how what is being typed into `chat` can go on: names of commands, and of conversations behind `/switch`."""

from __future__ import annotations

__all__ = ["ChatCompleter"]

from collections.abc import Callable, Iterable, Sequence

from prompt_toolkit.completion import CompleteEvent, Completer, Completion
from prompt_toolkit.document import Document

from openclaw_actors.cli.plain import one_line

_TAKE_A_NAME = ("/switch ", "/session ")
MOST_SHOWN = 50


class ChatCompleter(Completer):
    """Completes on Tab, never by itself.

    Args:
        commands: with their slashes.
        sessions: the names of conversations as they are known now.
    """

    def __init__(self, commands: Iterable[str], sessions: Callable[[], Sequence[str]]) -> None:
        self._commands = sorted(commands)
        self._sessions = sessions

    def get_completions(self, document: Document, complete_event: CompleteEvent) -> Iterable[Completion]:
        """See `prompt_toolkit.completion.Completer`."""
        text = document.text_before_cursor
        if text.startswith(_TAKE_A_NAME):
            yield from self._names(text.partition(" ")[2].lstrip())
        elif text.startswith("/") and not any(map(str.isspace, text)):
            yield from (
                Completion(f"{name} ", start_position=-len(text), display=name)
                for name in self._commands
                if name.startswith(text)
            )

    def _names(self, typed: str) -> Iterable[Completion]:
        """Names that begin so, then those that hold it."""
        known = self._sessions()
        begin = [name for name in known if name.startswith(typed)]
        hold = [name for name in known if typed.lower() in name.lower() and name not in begin]
        for name in [*begin, *hold][:MOST_SHOWN]:
            yield Completion(name, start_position=-len(typed), display=one_line(name))
