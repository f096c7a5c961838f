"""Decides about a message that reaches its session: taken, known already, or refused, and why."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field

from openclaw_actors.core.commands import BusyMode
from openclaw_actors.core.compaction import CompactionLimits
from openclaw_actors.core.conversation import Conversation, RememberedId, text_digest
from openclaw_actors.core.refusals import refusal_of
from openclaw_actors.messages.conversation import Accepted, Deliver, Refused
from openclaw_actors.messages.events import MessageAccepted

__all__ = ["MAX_PATIENT", "Admission", "Known", "SessionLimits", "Taken"]

MAX_PATIENT = 1_000
"""Messages of senders who cannot try again that may wait in one session, where `max_pending` is less."""
_CONFLICT = "This message id was used before with another text."
_EXPIRED = "The message could not be taken in time. Please send it again."


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionLimits:
    """The limits of one session, from the configuration."""

    max_pending: int = 32
    window_turns: int = 50
    token_budget: int = 0
    """0: unlimited."""
    rate_limit_per_minute: int = 0
    """0: unlimited."""
    accept_timeout_s: float = 10.0
    max_model_calls: int = 10
    """Model calls in one turn."""
    max_equal_calls: int = 5
    """With so many calls of one tool with the same arguments in one turn the model is told; 0: never."""
    turn_token_budget: int = 1_000_000
    """Of one turn; 0: unlimited."""
    tokens_per_day: int = 0
    """Of one principal, as the model's actor counts them; 0: unlimited."""
    model: str = ""
    """The configured one, for people; empty: not told."""
    models: tuple[str, ...] = ()
    """The only ones that a conversation can choose, the configured one first; empty: it can try any."""
    approval_timeout_s: float = 300.0
    """How long a tool waits for a person."""
    max_restarts_of_turn: int = 2
    """How often a turn starts again after its stream broke."""
    max_losses_of_turn: int = 8
    """How often it does so after the model's actor died."""
    max_answer_chars: int = 4_000_000
    """Of all that one attempt says, and of what it asks of tools; a longer turn is ended as failed."""
    max_batch_chars: int = 4_000_000
    """Text of the messages that are written together; one that is longer is written alone."""
    busy_mode: BusyMode = "queue"
    """What becomes of a message that comes while a turn runs."""
    busy_modes: Mapping[str, BusyMode] = field(default_factory=dict)
    """Of single channels: by what session keys begin with."""
    compaction: CompactionLimits = field(default_factory=CompactionLimits)
    recent_events: int = 256
    recent_bytes: int = 262_144


@dataclass(frozen=True, slots=True)
class Taken:
    """The message will be answered; it may be recorded."""

    queued: int


@dataclass(frozen=True, slots=True)
class Known:
    """The message was taken before."""

    accepted: Accepted
    ended_seq: int
    """The number of its turn's end; 0: the turn still runs or waits."""


@dataclass(slots=True)
class Admission:
    """Admits messages to one session."""

    limits: SessionLimits
    draining: bool = False
    _taken_at: deque[float] = field(default_factory=deque)

    def decide(
        self,
        deliver: Deliver,
        state: Conversation,
        *,
        taken_before: int,
        turn_runs: bool,
        now: float,
        command: bool = False,
    ) -> Taken | Known | Refused:
        """What becomes of this message. Commands wait for nothing, and no budget or rate is in their way.

        Args:
            taken_before: messages of the same batch, taken but not yet recorded.
            turn_runs: a turn is running.
            now: monotonic seconds.
        """
        known = state.remembered.get(deliver.message_id)
        if known is not None:
            return self._known(deliver, known)
        if command:
            refusal = self._untimely(deliver, now)
            if refusal is None and len(state.commands) >= self.limits.max_pending:
                refusal = "busy", ""
            return Taken(queued=0) if refusal is None else refusal_of(deliver, *refusal)
        ahead = len(state.open) + taken_before
        refusal = self._refusal(deliver, state, waiting=ahead - turn_runs, now=now)
        if refusal is not None:
            return refusal_of(deliver, *refusal)
        if self.limits.rate_limit_per_minute:
            self._taken_at.append(now)
        return Taken(queued=ahead)

    def _known(self, deliver: Deliver, known: RememberedId) -> Known | Refused:
        if known.digest != text_digest(deliver.text):
            return refusal_of(deliver, "message_id_conflict", _CONFLICT)
        receipt = MessageAccepted(
            seq=known.seq,
            message_id=deliver.message_id,
            text=deliver.text,
            queued=known.queued,
            duplicate=True,
        )
        accepted = Accepted(
            session=deliver.session,
            delivery_id=deliver.delivery_id,
            message_id=deliver.message_id,
            duplicate=receipt,
        )
        return Known(accepted, known.ended_seq)

    def _refusal(
        self, deliver: Deliver, state: Conversation, *, waiting: int, now: float
    ) -> tuple[str, str] | None:
        limits = self.limits
        untimely = self._untimely(deliver, now)
        if untimely is not None:
            return untimely
        if waiting >= (max(limits.max_pending, MAX_PATIENT) if deliver.patient else limits.max_pending):
            return "busy", ""
        if limits.token_budget and state.usage.total >= limits.token_budget:
            return "budget", (
                f"This session has reached its token budget ({state.usage.total:,}/{limits.token_budget:,} tokens). "
                "Please start a new conversation."
            )
        if limits.rate_limit_per_minute and self._over_rate(now):
            return "rate_limited", ""
        return None

    def _untimely(self, deliver: Deliver, now: float) -> tuple[str, str] | None:
        if self.draining:
            return "draining", ""
        if now - deliver.received_at > self.limits.accept_timeout_s:
            return "not_accepted", _EXPIRED
        return None

    def _over_rate(self, now: float) -> bool:
        while self._taken_at and now - self._taken_at[0] >= 60.0:
            self._taken_at.popleft()
        return len(self._taken_at) >= self.limits.rate_limit_per_minute
