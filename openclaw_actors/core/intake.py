"""Takes in what people sent to one session: batches it, sees to it that each message gets exactly one receipt."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from openclaw_actors.core.admission import Admission, Known, SessionLimits, Taken
from openclaw_actors.core.answering import busy_mode
from openclaw_actors.core.commands import parse_command
from openclaw_actors.core.conversation import Conversation
from openclaw_actors.core.drafts import user_said
from openclaw_actors.core.effects import Effect, FindOutcome, TellChannel, TellRouter
from openclaw_actors.core.records import UserSaid
from openclaw_actors.core.refusals import refusal_of
from openclaw_actors.messages.conversation import Accepted, Deliver, Settled

__all__ = ["Intake"]

_NOT_WRITTEN = "The message could not be stored and was not taken. Please retry."


class Intake:
    """The messages between their arrival and their record.

    Args:
        steady: monotonic seconds, on the clock by which channels say when a message came.
    """

    def __init__(self, limits: SessionLimits, incarnation: int, steady: Callable[[], float]) -> None:
        self._steady = steady
        self.admission = Admission(limits)
        self._max_batch_chars = limits.max_batch_chars
        self._incarnation = incarnation
        self._inbox: deque[Deliver] = deque()
        self._taken: list[Deliver] = []

    def use(self, limits: SessionLimits) -> None:
        """Other limits hold."""
        self.admission.limits = limits
        self._max_batch_chars = limits.max_batch_chars

    def __len__(self) -> int:
        return len(self._inbox)

    def add(self, deliver: Deliver) -> None:
        """A message arrived."""
        self._inbox.append(deliver)

    def admit(self, state: Conversation, *, turn_runs: bool) -> tuple[list[UserSaid], list[Effect]]:
        """Decides about what arrived: drafts of the records to write, and what the others are told.

        What does not fit into one batch waits for the next one.
        """
        drafts: list[UserSaid] = []
        effects: list[Effect] = []
        repeated: deque[Deliver] = deque()
        room = self._max_batch_chars
        while self._inbox:
            room -= len(self._inbox[0].text)
            if room < 0 and drafts:
                break
            deliver = self._inbox.popleft()
            if any(draft.message_id == deliver.message_id for draft in drafts):
                repeated.append(deliver)
                continue
            command = parse_command(deliver.text) is not None
            verdict = self.admission.decide(
                deliver,
                state,
                taken_before=sum(not draft.command for draft in drafts),
                turn_runs=turn_runs,
                now=self._steady(),
                command=command,
            )
            match verdict:
                case Taken(queued):
                    mode = busy_mode(state, self.admission.limits) if turn_runs else "queue"
                    busy = "" if command or mode == "queue" else mode
                    drafts.append(user_said(deliver, queued, command=command, busy=busy))
                    self._taken.append(deliver)
                case Known():
                    effects += [self._settled(deliver, recorded=False), _outcome(deliver, verdict)]
                case refused:
                    effects += [
                        self._settled(deliver, recorded=False),
                        TellChannel(deliver.channel, refused),
                    ]
        repeated.extend(self._inbox)
        self._inbox = repeated
        return drafts, effects

    def recorded(self) -> list[Effect]:
        """The drafts stand in the journal: the receipts are due."""
        taken, self._taken = self._taken, []
        return [
            effect
            for deliver in taken
            for effect in (
                TellChannel(
                    deliver.channel,
                    Accepted(
                        session=deliver.session,
                        delivery_id=deliver.delivery_id,
                        message_id=deliver.message_id,
                    ),
                ),
                self._settled(deliver, recorded=True),
            )
        ]

    def not_recorded(self) -> list[Effect]:
        """The drafts could not be written: their senders are told that the messages were not taken."""
        taken, self._taken = self._taken, []
        return [
            effect
            for deliver in taken
            for effect in (
                self._settled(deliver, recorded=False),
                TellChannel(deliver.channel, refusal_of(deliver, "persistence_failed", _NOT_WRITTEN)),
            )
        ]

    def _settled(self, deliver: Deliver, *, recorded: bool) -> TellRouter:
        return TellRouter(
            Settled(
                session=deliver.session,
                incarnation=self._incarnation,
                delivery_ids=(deliver.delivery_id,),
                recorded=recorded,
            )
        )


def _outcome(deliver: Deliver, known: Known) -> Effect:
    receipt = known.accepted.duplicate
    if receipt is not None and known.ended_seq:
        return FindOutcome(deliver, receipt, known.ended_seq)
    return TellChannel(deliver.channel, known.accepted)
