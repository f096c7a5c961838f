"""What sub-agents need of the session that they work for: model calls, and decisions of people about their tools."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Sequence

from openclaw_actors.core.drafts import approval_asked, sub_agent_called
from openclaw_actors.core.effects import Effect
from openclaw_actors.core.runaway import over_budget
from openclaw_actors.core.session import SessionCore
from openclaw_actors.messages import (
    CallFailed,
    CancelCall,
    ChatMessage,
    Complete,
    Completed,
    ToolCall,
    ToolSpec,
)
from openclaw_actors.tools.base import ToolFailed

__all__ = ["SubAgentCalls"]

_LOST = "Sorry, I'm having trouble reaching my AI provider right now. Please try again shortly."
_OVER = "its turn has ended"


class SubAgentCalls:
    """The calls of one session's sub-agents.

    Args:
        core: the conversation.
        send_to_model: sends to the model's actor.
        carry_out: carries out what the core wants.
    """

    def __init__(
        self,
        core: SessionCore,
        *,
        send_to_model: Callable[[Complete | CancelCall], None],
        carry_out: Callable[[Iterable[Effect]], None],
    ) -> None:
        self._core = core
        self._send_to_model = send_to_model
        self._carry_out = carry_out
        self._calls: dict[str, asyncio.Future[Completed | CallFailed]] = {}
        self._asked: dict[str, asyncio.Future[str]] = {}

    async def complete(
        self, turn_id: str, call_id: str, messages: Sequence[ChatMessage], tools: Sequence[ToolSpec]
    ) -> Completed:
        """See `DelegateHost.complete`."""
        turn = self._core.turn
        if turn is None or turn.turn_id != turn_id:
            raise ToolFailed(_OVER)
        spent = over_budget(self._core.limits, turn=turn.usage, session=self._core.state.usage)
        if spent is not None:
            raise ToolFailed(spent)
        unique = f"{turn_id}/{turn.attempt}/{call_id}"
        answer: asyncio.Future[Completed | CallFailed] = asyncio.get_running_loop().create_future()
        self._calls[unique] = answer
        self._send_to_model(
            Complete(
                call_id=unique,
                session=self._core.state.key,
                correlation_id=turn.correlation_id,
                messages=tuple(messages),
                tools=tuple(tools),
                model=self._core.state.settings.get("model"),
            )
        )
        try:
            said = await answer
        except asyncio.CancelledError:
            self._send_to_model(CancelCall(call_id=unique))
            raise
        finally:
            del self._calls[unique]
        if said.usage.total:
            draft = sub_agent_called(turn_id, call_id, said.usage)
            self._carry_out(self._core.noted(turn_id, [draft], time.time()))
        if isinstance(said, CallFailed):
            raise ToolFailed(said.text)
        return said

    async def decision(self, turn_id: str, call: ToolCall) -> str:
        """Have a person asked; what was decided, as `Approval.decision` says it."""
        answer: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._asked[call.call_id] = answer
        until = time.time() + self._core.limits.approval_timeout_s
        self._carry_out(self._core.noted(turn_id, [approval_asked(turn_id, call, until)], time.time()))
        try:
            return await answer
        finally:
            del self._asked[call.call_id]

    def model_said(self, message: Completed | CallFailed) -> bool:
        """The model answers; whether it was asked by a sub-agent."""
        answer = self._calls.get(message.call_id)
        if answer is not None and not answer.done():
            answer.set_result(message)
        return answer is not None

    def model_lost(self) -> None:
        """The model's actor was replaced: what was asked of it is never answered."""
        for answer in self._calls.values():
            if not answer.done():
                answer.set_exception(ToolFailed(_LOST))

    def approvals_changed(self) -> None:
        """Something was decided."""
        if not self._asked:
            return
        for approval in self._core.state.approvals.values():
            answer = self._asked.get(approval.call_id)
            if answer is not None and approval.decision and not answer.done():
                answer.set_result(approval.decision)
