"""What channels and operators ask the router for about tools that wait for a person: the session decides."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable
from typing import Protocol

from openclaw_actors.actorsystem import handles
from openclaw_actors.core.drafts import approval_mark
from openclaw_actors.core.router import RouterCore
from openclaw_actors.core.routing import RouterEffect
from openclaw_actors.errors import AskRefused
from openclaw_actors.messages import (
    Address,
    ApprovalList,
    ApprovalOutcome,
    ApprovalsWaiting,
    DecideApproval,
    GetApprovals,
)

__all__ = ["ApprovalRequests"]

_ANSWER_S = 4.0
_UNKNOWN = "there is no approval {id}; `approvals list` shows what waits"
_SEVERAL = "{id} may belong to several sessions; say which with --session"
_NO_ANSWER = "its session does not answer; the decision may still be taken"


class _Router(Protocol):
    _core: RouterCore
    _approvals: dict[str, ApprovalsWaiting]
    _approval_askers: dict[tuple[str, str], list[asyncio.Future[ApprovalOutcome]]]
    loop: asyncio.AbstractEventLoop

    def _carry_out(self, effects: Iterable[RouterEffect]) -> None: ...

    def _know_channel(self, channel: str, address: Address) -> None: ...

    def _session_of_approval(self, approval_id: str) -> str: ...


class ApprovalRequests:
    """Handlers of the router."""

    @handles(DecideApproval)
    async def decide_approval(
        self: _Router, message: DecideApproval, sender: Address
    ) -> ApprovalOutcome | None:
        """Somebody has decided; an operator gets the outcome as the answer."""
        if message.channel is not None:
            self._know_channel(message.channel, sender)
            self._carry_out(self._core.decide(message, time.monotonic()))
            return None
        session = message.session or self._session_of_approval(message.approval_id)
        if session not in self._core.entries:
            raise AskRefused("unknown", _UNKNOWN.format(id=message.approval_id))
        answer: asyncio.Future[ApprovalOutcome] = self.loop.create_future()
        askers = self._approval_askers.setdefault((session, message.approval_id), [])
        askers.append(answer)
        decision = DecideApproval(
            session=session, approval_id=message.approval_id, approved=message.approved, by="operator"
        )
        self._carry_out(self._core.decide(decision, time.monotonic()))
        try:
            async with asyncio.timeout(_ANSWER_S):
                return await answer
        except TimeoutError:
            raise AskRefused("unavailable", _NO_ANSWER) from None
        finally:
            if answer in askers:
                askers.remove(answer)
            if not askers:
                self._approval_askers.pop((session, message.approval_id), None)

    @handles(ApprovalOutcome)
    def approval_decided(self: _Router, message: ApprovalOutcome, sender: Address) -> None:
        """A session says what became of an operator's decision."""
        for answer in self._approval_askers.pop((message.session, message.approval_id), ()):
            if not answer.done():
                answer.set_result(message)

    @handles(ApprovalsWaiting)
    def approvals_waiting(self: _Router, message: ApprovalsWaiting, sender: Address) -> None:
        """Other tools of a session wait than before."""
        if message.waiting:
            self._approvals[message.session] = message
        else:
            self._approvals.pop(message.session, None)

    @handles(GetApprovals)
    def list_approvals(self: _Router, message: GetApprovals, sender: Address) -> ApprovalList:
        """All that wait, the longest first."""
        waiting = [each for told in self._approvals.values() for each in told.waiting]
        return ApprovalList(waiting=tuple(sorted(waiting, key=lambda each: each.asked_at)))

    def _session_of_approval(self: _Router, approval_id: str) -> str:
        for told in self._approvals.values():
            if any(each.approval_id == approval_id for each in told.waiting):
                return told.session
        mark = approval_id.partition("-")[0]
        found = [key for key in self._core.entries if approval_mark(key) == mark]
        if len(found) > 1:
            raise AskRefused("ambiguous", _SEVERAL.format(id=approval_id))
        return found[0] if found else ""
