"""What a person can tell the gateway itself, in any channel, by a message that begins with a slash."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

__all__ = ["BUSY_MODES", "BusyMode", "Command", "command_names", "help_text", "parse_command", "stops"]

BusyMode: TypeAlias = Literal["queue", "collect", "interrupt", "steer"]
BUSY_MODES: tuple[BusyMode, ...] = get_args(BusyMode)

_HELP = {
    "help": ("", "what you can say"),
    "status": ("", "what this conversation is doing"),
    "stop": ("", "end the answer that is being given"),
    "new": ("", "begin a new conversation here; the old one is kept"),
    "reset": ("", "the same as /new"),
    "undo": ("", "bring back the conversation that /new has set aside"),
    "branch": (
        "[NAME | list | restore NAME | delete NAME]",
        "keep this conversation as it stands, or go back",
    ),
    "compact": ("", "let a summary stand for the older part of this conversation"),
    "approve": ("[ID]", "let the tool run that asks"),
    "deny": ("[ID]", "do not let it run"),
    "model": ("[NAME | default]", "which model answers here"),
    "queue": (f"[{' | '.join(BUSY_MODES)}]", "what becomes of a message while an answer is being given"),
    "skills": ("", "which skills there are; a message that begins with /skill NAME asks for one"),
    "usage": ("", "how many tokens this conversation has used"),
}
_LONGEST_NAME = max(map(len, _HELP)) + 1
_CHANGES_HISTORY = frozenset(("new", "reset", "undo", "branch"))
_ENDS_TURN = frozenset(("stop", "new", "reset"))


@dataclass(frozen=True, slots=True)
class Command:
    """One command."""

    name: str
    argument: str
    """What stands behind the name, trimmed; may be empty."""

    @property
    def ends_turn(self) -> bool:
        """Whether the running turn ends by it."""
        return self.name in _ENDS_TURN

    @property
    def changes_history(self) -> bool:
        """Whether the model may be given another history after it: no turn begins meanwhile."""
        return self.name in _CHANGES_HISTORY


def parse_command(text: str) -> Command | None:
    """The command that a message is; None for what the model is to answer, unknown commands included."""
    text = text.strip()
    if not text.startswith("/"):
        return None
    head, _, argument = text[1:].partition(" ")
    if len(head) > _LONGEST_NAME or "\n" in head:
        return None
    name = head.lower()
    return Command(name, argument.strip()) if name in _HELP else None


def stops(text: str) -> bool:
    """Whether a message asks for the running turn to be ended at once."""
    command = parse_command(text) if len(text) < 100 else None
    return command is not None and command.ends_turn


def command_names() -> tuple[str, ...]:
    """Without their slashes."""
    return tuple(_HELP)


def help_text() -> str:
    """One line for each command."""
    return "\n".join(
        f"/{name}{' ' + arguments if arguments else ''}: {text}" for name, (arguments, text) in _HELP.items()
    )
