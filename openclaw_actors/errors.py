"""Owns the tree of our exceptions.

OpenClawError
├─ ConfigError            the configuration cannot be used; carries every problem
├─ StateDirError          the state or run directory cannot be used
├─ AlreadyRunning         another gateway owns the state directory
├─ NotRunning             no gateway runs on the state directory
├─ ActorError             something between actors
│  ├─ AskTimeout          no answer came before the deadline
│  ├─ ActorGone           the actor that was asked is dead or died before it answered
│  ├─ AskRefused          the actor that was asked says no; raised in the asker
│  ├─ FrameTooLarge       a message exceeds the frame limit and was not sent
│  └─ QueueFull           too much waits for the actor already, so an ask was not sent
├─ StoreError             the file store
└─ ProviderError          a call of a model provider

Each carries fields, not prose: the words are made where they are shown.
"""

from __future__ import annotations

__all__ = [
    "ActorError",
    "ActorGone",
    "AlreadyRunning",
    "AskRefused",
    "AskTimeout",
    "ConfigError",
    "FrameTooLarge",
    "NotRunning",
    "OpenClawError",
    "ProviderError",
    "QueueFull",
    "StateDirError",
    "StoreError",
]

from collections.abc import Sequence


class OpenClawError(Exception):
    """The root of everything that this package raises on purpose."""


class ConfigError(OpenClawError):
    """Raised when the configuration cannot be used.

    Args:
        problems: every problem found (`openclaw_actors.config.Problem`); their text is what `str()` gives, one a line.
    """

    def __init__(self, problems: Sequence[object]) -> None:
        super().__init__(tuple(problems))
        self.problems = tuple(problems)

    def __str__(self) -> str:
        return "\n".join(str(problem) for problem in self.problems)


class StateDirError(OpenClawError):
    """Raised when the state directory or the run directory is not ours, not writable or not a directory."""


class AlreadyRunning(OpenClawError):
    """Raised by a second `start` on one state directory."""


class NotRunning(OpenClawError):
    """Raised when a command needs a running gateway and none runs on the state directory."""


class ActorError(OpenClawError):
    """The root of what goes wrong between actors."""


class AskTimeout(ActorError):
    """Raised in the asker when no answer came before the deadline."""


class ActorGone(ActorError):
    """Raised in the asker when the actor that was asked is dead, or died before it answered."""


class AskRefused(ActorError):
    """Raised by a handler to refuse an ask; it travels back and is raised in the asker.

    Args:
        code: for programs, such as `fenced` or `unknown`.
        text: one line for a person.
    """

    def __init__(self, code: str, text: str = "") -> None:
        super().__init__(code, text)
        self.code = code
        self.text = text

    def __str__(self) -> str:
        return f"{self.code}: {self.text}" if self.text else self.code


class FrameTooLarge(ActorError):
    """Raised by `send` and `ask` when the pickled message exceeds the frame limit; nothing was sent.

    Args:
        size: of the pickled message, in bytes.
        limit: in bytes.
    """

    def __init__(self, size: int, limit: int) -> None:
        super().__init__(size, limit)
        self.size = size
        self.limit = limit


class QueueFull(ActorError):
    """Raised by `ask` when the queue of messages that wait for the peer is at its limit; nothing was sent."""


class StoreError(OpenClawError):
    """The root of what the file store raises."""


class ProviderError(OpenClawError):
    """The root of what a call of a model provider raises."""
