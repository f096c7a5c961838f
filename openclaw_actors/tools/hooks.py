"""What may look at a tool's call before it runs, and at its result; the first of them that says no denies it."""

from __future__ import annotations

import asyncio
import importlib
import logging
from collections.abc import Callable, Coroutine, Iterable, Sequence
from contextvars import ContextVar
from typing import Any, Protocol

import msgspec

from openclaw_actors.messages import ToolCall

__all__ = ["HookedCall", "HookedResult", "Hooks", "NotLoaded", "ToolHook", "current_call", "load_hooks"]

logger = logging.getLogger(__name__)

HOOK_TIMEOUT_S = 5.0
"""One that takes longer to decide has denied; one that takes longer afterwards is given up."""
_DENIED = "Tool execution denied by hook: {name}"


class HookedCall(msgspec.Struct, frozen=True):
    """A call as hooks see it."""

    session: str
    principal: str
    turn_id: str
    call: ToolCall


current_call: ContextVar[HookedCall] = ContextVar("current_call")
"""The call that the running code carries out."""


class HookedResult(msgspec.Struct, frozen=True):
    """How it ended."""

    status: str
    """`ok`, `error`, `denied`, `timeout`, `interrupted` or `stopped`."""
    text: str
    seconds: float
    """That the tool ran."""


class ToolHook(Protocol):
    """Looks at every tool's call. It is made once a session, without arguments, and its methods run on the session's
    loop: they must not block it."""

    name: str

    async def before(self, call: HookedCall) -> bool:
        """Whether the tool may run. To raise, or to take longer than a few seconds, is to say no."""

    async def after(self, call: HookedCall, result: HookedResult) -> None:
        """It ended, or did not run. The turn waits for nothing here, and nothing that is raised matters to it."""


class NotLoaded:
    """Stands for a configured hook that could not be made: who wanted calls looked at gets none that are not."""

    def __init__(self, path: str) -> None:
        self.name = path

    async def before(self, call: HookedCall) -> bool:
        return False

    async def after(self, call: HookedCall, result: HookedResult) -> None:
        """Nothing to do."""


def load_hooks(paths: Iterable[str]) -> list[ToolHook]:
    """The configured hooks, each `MODULE:NAME` of something that makes one."""
    return [_load(path) for path in paths]


def _load(path: str) -> ToolHook:
    module, _, name = path.partition(":")
    try:
        hook: ToolHook = getattr(importlib.import_module(module), name)()
        if not (isinstance(hook.name, str) and callable(hook.before) and callable(hook.after)):
            raise TypeError("it has no name, before and after")
    except Exception:
        logger.exception("the hook %s cannot be used; every tool is denied", path)
        return NotLoaded(path)
    return hook


class Hooks:
    """The hooks of one session, in order.

    Args:
        spawn: starts a task of the session's actor.
        noted: told of every call's end, at once; must not block.
    """

    def __init__(
        self,
        hooks: Sequence[ToolHook],
        *,
        spawn: Callable[[Coroutine[Any, Any, None]], object],
        noted: Callable[[HookedCall, HookedResult], None],
    ) -> None:
        self._hooks = hooks
        self._spawn = spawn
        self._noted = noted

    async def denial(self, call: HookedCall) -> str | None:
        """What the model is told if a hook says no; None: none does."""
        for hook in self._hooks:
            try:
                async with asyncio.timeout(HOOK_TIMEOUT_S):
                    allowed = await hook.before(call)
            except Exception:
                logger.exception("the hook %s failed and so denies %s", hook.name, call.call.name)
                allowed = False
            if allowed is not True:
                return _DENIED.format(name=hook.name)
        return None

    def ended(self, call: HookedCall, result: HookedResult) -> None:
        """A call ended, or did not run."""
        self._noted(call, result)
        if self._hooks:
            self._spawn(self._tell(call, result))

    async def _tell(self, call: HookedCall, result: HookedResult) -> None:
        for hook in self._hooks:
            try:
                async with asyncio.timeout(HOOK_TIMEOUT_S):
                    await hook.after(call, result)
            except Exception:
                logger.exception("the hook %s failed after %s", hook.name, call.call.name)
