"""Decides when the tools that the model asked for run, how long, and what becomes of them when the turn ends."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine
from typing import Any, TypeAlias

import msgspec

from openclaw_actors.core.principals import principal_of
from openclaw_actors.core.turn_meter import UNKNOWN_TOOL
from openclaw_actors.messages import ToolCall
from openclaw_actors.tools.base import Effect, Tool, ToolFailed
from openclaw_actors.tools.hooks import HookedCall, HookedResult, Hooks, current_call
from openclaw_actors.tools.registry import Toolbox
from openclaw_actors.tools.wrong import what_is_wrong

__all__ = ["ToolRunner"]

logger = logging.getLogger(__name__)

_TIMEOUT = "Error: Tool execution timed out."
_FAILED = "Error: Tool execution failed ({name})."
_MAX_RESULT_CHARS = 1_000_000
_CUT = "\n[truncated: the result was {chars} characters long]"

Outcome: TypeAlias = tuple[str, str]
"""Status and text."""
Done: TypeAlias = Callable[[str, ToolCall, str, str], None]
"""Takes turn, call, status and text."""


class ToolRunner:
    """Runs the tools of one session's turns.

    Tools that only read run beside each other; one that changes something waits for all that were asked for before
    it, and those after it wait for it.

    Args:
        spawn: starts a task of the session's actor.
        done: told of each tool's end, once, unless it was cancelled.
        hooks: asked before each call, and told of its end.
        session: the key of the session that they belong to.
        parallel: whether any two may run at once.
    """

    def __init__(
        self,
        toolbox: Toolbox,
        *,
        spawn: Callable[[Coroutine[Any, Any, None]], asyncio.Task[None]],
        done: Done,
        hooks: Hooks | None = None,
        session: str = "",
        parallel: bool,
    ) -> None:
        self._hooks = hooks or Hooks((), spawn=spawn, noted=lambda call, result: None)
        self._session = session
        self._toolbox = toolbox
        self._spawn = spawn
        self._done = done
        self._parallel = parallel
        self._running: dict[str, list[tuple[asyncio.Task[None], bool]]] = {}
        """By turn, in the order in which they were asked for; and whether others may run beside it."""

    def __len__(self) -> int:
        """How many tools run or wait for their predecessors."""
        return sum(map(len, self._running.values()))

    def start(self, turn_id: str, call: ToolCall) -> None:
        """Run a tool when its turn has come."""
        beside = self.runs_beside(call.name)
        before = [
            task for task, others_beside in self._running.get(turn_id, []) if not (beside and others_beside)
        ]
        task = self._spawn(self._run(turn_id, call, before))
        running = self._running.setdefault(turn_id, [])
        running.append((task, beside))
        task.add_done_callback(lambda ended: self._forget(turn_id, ended))

    def runs_beside(self, name: str) -> bool:
        """Whether the tool of this name runs beside others that do."""
        tool = self._toolbox.find(name)
        return tool is None or (self._parallel and tool.effect is Effect.READS)

    def not_run(self, turn_id: str, call: ToolCall, status: str, text: str) -> None:
        """A call ended without having run here: the hooks are told."""
        self._hooks.ended(self._hooked(turn_id, call), HookedResult(status=status, text=text, seconds=0.0))

    def _hooked(self, turn_id: str, call: ToolCall) -> HookedCall:
        return HookedCall(
            session=self._session, principal=principal_of(self._session), turn_id=turn_id, call=call
        )

    def cancel(self, turn_id: str) -> None:
        """End a turn's tools; nothing of them is told any more."""
        for task, _ in self._running.pop(turn_id, []):
            task.cancel()

    def _forget(self, turn_id: str, ended: asyncio.Task[None]) -> None:
        left = [entry for entry in self._running.get(turn_id, []) if entry[0] is not ended]
        if left:
            self._running[turn_id] = left
        else:
            self._running.pop(turn_id, None)

    async def _run(self, turn_id: str, call: ToolCall, before: list[asyncio.Task[None]]) -> None:
        if before:
            await asyncio.wait(before)
        status, text = await self.outcome(turn_id, call)
        self._done(turn_id, call, status, text)

    async def outcome(self, turn_id: str, call: ToolCall) -> Outcome:
        """Run a tool at once; the hooks are asked before and told afterwards."""
        hooked = self._hooked(turn_id, call)
        tool = self._toolbox.find(call.name)
        began_at = time.monotonic()
        token = current_call.set(hooked)
        try:
            status, text = (
                ("error", UNKNOWN_TOOL) if tool is None else await self._hooked_outcome(hooked, tool)
            )
        except asyncio.CancelledError:
            stopped = HookedResult(status="stopped", text="", seconds=time.monotonic() - began_at)
            self._hooks.ended(hooked, stopped)
            raise
        finally:
            current_call.reset(token)
        if len(text) > _MAX_RESULT_CHARS:
            text = text[:_MAX_RESULT_CHARS] + _CUT.format(chars=len(text))
        result = HookedResult(status=status, text=text, seconds=time.monotonic() - began_at)
        self._hooks.ended(hooked, result)
        return status, text

    async def _hooked_outcome(self, hooked: HookedCall, tool: Tool[Any]) -> Outcome:
        denial = await self._hooks.denial(hooked)
        return ("denied", denial) if denial is not None else await self._outcome(hooked.call, tool)

    async def _outcome(self, call: ToolCall, tool: Tool[Any]) -> Outcome:
        try:
            arguments = msgspec.json.decode(call.arguments or "{}", type=tool.arguments)
        except (msgspec.MsgspecError, UnicodeError) as problem:
            wrong = what_is_wrong(problem, call.arguments, tool.arguments)
            return "error", f"Error: the arguments of {tool.name} are not valid: {wrong}."
        try:
            async with asyncio.timeout(tool.timeout_s or None):
                return "ok", await tool.run(arguments)
        except ToolFailed as failure:
            return failure.status, failure.text
        except TimeoutError:
            return "timeout", _TIMEOUT
        except Exception as error:
            logger.exception("the tool %s failed", tool.name)
            return "error", _FAILED.format(name=type(error).__name__)
