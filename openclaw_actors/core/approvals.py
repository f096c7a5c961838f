"""Decides about tools that wait for a person: which do, what a decision changes, and what a late one is told.

Each has exactly one outcome: approved, denied, expired, or ended with its turn. It is recorded together with what
follows from it, so no crash can run a tool that was not approved, or ask about one again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Literal, TypeAlias

from openclaw_actors.core.conversation import Approval, Conversation
from openclaw_actors.core.drafts import approval_decided, tool_finished
from openclaw_actors.core.effects import Effect, TellChannel, TellRouter
from openclaw_actors.core.records import ApprovalDecided, Record, TurnEnded, turn_id_of
from openclaw_actors.messages.approvals import (
    ApprovalOutcome,
    ApprovalStatus,
    DecideApproval,
    WaitingApproval,
)
from openclaw_actors.messages.model import ToolCall

__all__ = [
    "ApprovalDesk",
    "asking_text",
    "only_waits",
    "refusal_text",
    "step_is_complete",
    "waiting",
    "waiting_calls",
]

Decision: TypeAlias = Literal["approved", "denied", "expired"]

_DENIED = "Tool execution denied by user."
_EXPIRED = "Tool execution denied: nobody decided within {seconds:g} seconds."
_NOTHING = "Nothing waits for a decision."
_WHICH = "Several wait; say which: {ids}."
_UNKNOWN = "There is no approval {id}; nothing was changed."
_ALREADY = {
    "approved": "{name} was approved already.",
    "denied": "{name} was denied already.",
    "expired": "{name} is no longer asked for: its time is over, and it was denied.",
    "ended": "{name} is no longer asked for: its turn has ended.",
}
_TOLD = {"approved": "{name} was approved and runs.", "denied": "{name} was denied."}
_MAX_SHOWN_CHARS = 500
_MAX_QUEUED = 256


def asking_text(approval_id: str, name: str, arguments: str) -> str:
    """What a person is told where only text can be shown."""
    if len(arguments) > _MAX_SHOWN_CHARS:
        arguments = f"{arguments[:_MAX_SHOWN_CHARS]}…"
    return f"The tool {name} asks for your approval: {arguments}\nAnswer /approve {approval_id} or /deny {approval_id}"


def refusal_text(decision: str, timeout_s: float) -> str:
    """What the model is told of a tool that was not approved."""
    return _EXPIRED.format(seconds=timeout_s) if decision == "expired" else _DENIED


def waiting(state: Conversation) -> dict[str, Approval]:
    """What waits, by id, the longest first."""
    return {name: approval for name, approval in state.approvals.items() if not approval.decision}


def waiting_calls(state: Conversation) -> tuple[WaitingApproval, ...]:
    """What waits, with what each tool is to do."""
    return tuple(
        WaitingApproval(
            session=state.key,
            approval_id=approval_id,
            name=approval.name,
            arguments=approval.arguments,
            asked_at=approval.asked_at,
            expires_at=approval.expires_at,
        )
        for approval_id, approval in waiting(state).items()
    )


def step_is_complete(state: Conversation) -> bool:
    """Whether the running turn has the results of all tools that the model asked for last."""
    steps = state.open[0].steps if state.open else []
    return not steps or len(steps[-1].outcomes) == len(steps[-1].calls)


def only_waits(state: Conversation) -> bool:
    """Whether nothing of the first turn goes on but that people are asked."""
    if not state.open or not state.open[0].steps:
        return False
    turn_id = turn_id_of(state.open[0].message_id)
    asked = {each.call_id for each in waiting(state).values() if each.turn_id == turn_id}
    step = state.open[0].steps[-1]
    left = {call.call_id for call in step.calls} - step.outcomes.keys()
    return bool(left) and left <= asked


class ApprovalDesk:
    """Takes the decisions of one session.

    Args:
        state: the conversation; it changes only as records are applied to it.
        timeout_s: how long a person is waited for.
    """

    def __init__(self, state: Conversation, timeout_s: float) -> None:
        self.needed_for: Callable[[str], bool] = lambda name: False
        """Whether the tool of this name waits for a person."""
        self.timeout_s = timeout_s
        self._state = state
        self._queue: list[DecideApproval] = []

    def __len__(self) -> int:
        """How many decisions are not yet on their way to the journal."""
        return len(self._queue)

    def ask(self, request: DecideApproval) -> None:
        """Somebody has decided."""
        if len(self._queue) < _MAX_QUEUED:
            self._queue.append(request)

    def expire(self, approval_id: str) -> None:
        """Its time is over."""
        self.ask(DecideApproval(approval_id=approval_id, approved=False, by="clock"))

    def settle(self, facts: list[Record], now: float) -> tuple[list[Effect], list[Effect]]:
        """Take every decision that waits.

        Args:
            facts: drafts of what is written next; what follows from the decisions is added to them.

        Returns:
            What is told at once, and what is told once the facts are recorded.
        """
        queue, self._queue = self._queue, []
        at_once: list[Effect] = []
        later: list[Effect] = []
        for request in queue:
            drafts, status, text = self.decide(
                request.approval_id, facts, now, approved=request.approved, by=request.by
            )
            facts += drafts
            if request.by == "clock":
                continue
            outcome = ApprovalOutcome(
                session=self._state.key,
                approval_id=request.approval_id,
                status=status,
                text=text,
                channel=request.channel,
                connection=request.connection,
            )
            told = TellRouter(outcome) if request.channel is None else TellChannel(request.channel, outcome)
            (later if facts else at_once).append(told)
        return at_once, later

    def decide(
        self, name: str, facts: Sequence[Record], now: float, *, approved: bool, by: str
    ) -> tuple[list[Record], ApprovalStatus, str]:
        """One decision, after those that `facts` hold: what is recorded, and what the person is told.

        Args:
            name: the approval's id, its last part, or nothing where only one waits.
            by: `clock`: nobody has decided in time.
        """
        found = self._find(name, facts)
        if isinstance(found, str):
            return [], "unknown", found
        approval_id, approval = found
        decided = approval.decision or _decision_in(facts, approval_id, approval)
        if decided:
            return [], "already", _ALREADY[decided].format(name=approval.name)
        decision: Decision = "approved" if approved else "denied"
        if by == "clock" or now >= approval.expires_at:
            decision = "expired"
        drafts: list[Record] = [approval_decided(approval_id, approval, decision, by)]
        call = _call_of(self._state, approval)
        if call is not None and decision != "approved":
            text = refusal_text(decision, self.timeout_s)
            drafts.append(tool_finished(approval.turn_id, call, "denied", text))
        if decision == "expired":
            return drafts, "already", _ALREADY["expired"].format(name=approval.name)
        return drafts, "decided", _TOLD[decision].format(name=approval.name)

    def _find(self, name: str, facts: Sequence[Record]) -> tuple[str, Approval] | str:
        if name:
            for approval_id, approval in self._state.approvals.items():
                if name in (approval_id, approval_id.rpartition("-")[2]):
                    return approval_id, approval
            return _UNKNOWN.format(id=name[:40])
        left = [
            (approval_id, approval)
            for approval_id, approval in waiting(self._state).items()
            if not _decision_in(facts, approval_id, approval)
        ]
        if len(left) == 1:
            return left[0]
        return _WHICH.format(ids=", ".join(each for each, _ in left)) if left else _NOTHING


def _decision_in(facts: Iterable[Record], approval_id: str, approval: Approval) -> str:
    """What drafts say of it that are not part of the state yet."""
    for fact in facts:
        if isinstance(fact, ApprovalDecided) and fact.approval_id == approval_id:
            return fact.decision
        if isinstance(fact, TurnEnded) and fact.turn_id == approval.turn_id:
            return "ended"
    return ""


def _call_of(state: Conversation, approval: Approval) -> ToolCall | None:
    for message in state.open:
        if turn_id_of(message.message_id) == approval.turn_id and message.steps:
            for call in message.steps[-1].calls:
                if call.call_id == approval.call_id:
                    return call
    return None
