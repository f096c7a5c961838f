"""What operators ask the supervisor for about tools that wait for a person: the router knows."""

from __future__ import annotations

from typing import Protocol, cast

from openclaw_actors.actors.operations import Operations
from openclaw_actors.actorsystem import handles
from openclaw_actors.messages import Address, ApprovalList, ApprovalOutcome, DecideApproval, GetApprovals

__all__ = ["OperatorApprovals"]


class _Supervisor(Protocol):
    _operations: Operations


class OperatorApprovals:
    """Handlers of the supervisor."""

    @handles(GetApprovals)
    async def list_approvals(self: _Supervisor, message: GetApprovals, sender: Address) -> ApprovalList:
        """Lists what waits."""
        return cast(ApprovalList, await self._operations.ask("router", message))

    @handles(DecideApproval)
    async def decide_approval(self: _Supervisor, message: DecideApproval, sender: Address) -> ApprovalOutcome:
        """The owner of the gateway decides, whosever session asks."""
        return cast(ApprovalOutcome, await self._operations.ask("router", message))
