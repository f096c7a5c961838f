"""Decides the life of one conversation: what is written, said, asked and answered, and in which order.

The rules that it keeps: one write at a time, and nothing is told before its record is written; one turn at a time;
a stop is read between the events of a running turn; the end of a turn stands in the journal before anybody hears
of it. It knows no clock, no socket and no Thespian: the actor feeds it and carries out its effects.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from openclaw_actors.core.admission import SessionLimits
from openclaw_actors.core.advancing import advanced
from openclaw_actors.core.answering import answer
from openclaw_actors.core.approvals import ApprovalDesk, only_waits
from openclaw_actors.core.busy import history_changes, next_turn, steered, was_just_stopped, without_next_turn
from openclaw_actors.core.commands import parse_command, stops
from openclaw_actors.core.compaction import Compactor
from openclaw_actors.core.conversation import Conversation, OpenMessage, apply
from openclaw_actors.core.drafts import (
    asked_for_tools,
    numbered,
    tool_finished,
    turn_began,
    turn_ended,
)
from openclaw_actors.core.effects import (
    CallModel,
    CancelModel,
    CancelTools,
    Effect,
    Publish,
    RunCommand,
    TryAgainLater,
    WriteRecords,
)
from openclaw_actors.core.intake import Intake
from openclaw_actors.core.recent import RecentEvents
from openclaw_actors.core.records import (
    MessagesAbsorbed,
    Record,
    TurnBegan,
    TurnEnded,
    UserSaid,
    event_of,
)
from openclaw_actors.core.resuming import taken_up
from openclaw_actors.core.runaway import LOOP, looping, over_budget
from openclaw_actors.core.stopping import ended_by_stop, told_of_stop
from openclaw_actors.core.turn import Turn
from openclaw_actors.core.unstored import Unstored
from openclaw_actors.messages.approvals import DecideApproval
from openclaw_actors.messages.conversation import Deliver, StopTurn
from openclaw_actors.messages.events import ErrorEvent, Event, Notice, TurnStatus
from openclaw_actors.messages.model import CallFailed, Completed, ToolCall

__all__ = ["SessionCore"]

_TOO_MANY_CALLS = "I've reached the maximum number of tool iterations. Please try a simpler request."
_TURN_TIMEOUT = "The turn took too long and was ended."
_MODEL_LOST = "Sorry, I'm having trouble reaching my AI provider right now. Please try again shortly."
_TOO_LONG = "The answer became too long and was ended."
_STOPPED = "Stopped."
_NOTHING_TO_STOP = "There is nothing to stop."
_NO_SUCH_COMMAND = "This version does not know that command."
_DEGRADED = "The store cannot write at the moment; this answer is held in memory until it can."


class SessionCore:
    """One session's decisions.

    Args:
        state: the conversation as the store handed it over.
        incarnation: the fencing token that it was handed over with.
    """

    def __init__(self, state: Conversation, incarnation: int, limits: SessionLimits) -> None:
        self.state = state
        self.limits = limits
        self.intake = Intake(limits, incarnation)
        self.recent = RecentEvents(limits.recent_events, limits.recent_bytes, state.seq)
        self.compaction = Compactor(state, limits.compaction, limits.token_budget, incarnation)
        self.approvals = ApprovalDesk(state, limits.approval_timeout_s)
        self.turn: Turn | None = None
        self.draining = False
        self.degraded = False
        self._stops: list[StopTurn] = []
        self._admits_first = False
        """A stop of the queue waits until what came before it is recorded, and ends that, too."""
        self._facts: list[Record] = []
        self._writing: WriteRecords | None = None
        self._waits_for_store = False
        self._unstored = Unstored()
        self._interrupted: WriteRecords | None = None
        """Goes out again when the store has back what comes before it."""
        self._after_write: list[Effect] = []

    @property
    def idle(self) -> bool:
        """Nothing runs, waits or is being written; while draining, what waits may do so until the next start."""
        if self._facts or self._stops or self._writing is not None or self.state.commands:
            return False
        if len(self.approvals) or len(self.intake) or self._unstored.due or self.compaction.runs:
            return False
        if self.turn is not None and not (self.draining and only_waits(self.state)):
            return False
        return self.draining or not self.state.open

    @property
    def mailbox_depth(self) -> int:
        """How many messages wait for their turn, or for their receipt."""
        running = 1 if self.turn is not None else 0
        return max(0, len(self.state.open) - running) + len(self.intake)

    @property
    def resumes(self) -> bool:
        """Before `resume`: whether a turn had begun, which a death of the incarnation before counts against."""
        return bool(self.state.open and self.state.open[0].attempt)

    def waits_for(self, call_id: str) -> bool:
        """Whether the answer to this model call still counts."""
        return self._turn_of_call(call_id) is not None or self.compaction.waits_for(call_id)

    # What happens

    def resume(self, *, deaths: int, live_channels: frozenset[str], now: float) -> list[Effect]:
        """Continues at the last record.

        Args:
            deaths: how often the session died by its own doing just before.
            live_channels: the instances of the channels that run now.
        """
        effects: list[Effect] = []
        self._facts += taken_up(self.state, deaths=deaths, live_channels=live_channels)
        for message in list(self.state.commands):
            effects += self._run_command(message, now)
        return effects + self._pump(now)

    def delivered(self, deliver: Deliver, now: float) -> list[Effect]:
        """A person's message arrived."""
        self.intake.add(deliver)
        return self._pump(now)

    def stop(self, request: StopTurn, now: float) -> list[Effect]:
        """Somebody wants the running turn ended."""
        self._stops.append(request)
        self._admits_first |= request.queue and len(self.intake) > 0
        return self._silence(now) + self.compaction.stop(now) + self._pump(now)

    def decided(self, request: DecideApproval, now: float) -> list[Effect]:
        """Somebody lets a tool run that waits, or does not."""
        self.approvals.ask(request)
        return self._pump(now)

    def approval_expired(self, approval_id: str, now: float) -> list[Effect]:
        """Nobody has decided in time."""
        self.approvals.expire(approval_id)
        return self._pump(now)

    def noted(self, turn_id: str, drafts: Sequence[Record], now: float) -> list[Effect]:
        """Something went on within a tool of the running turn."""
        if self.turn is None or self.turn.turn_id != turn_id or self.turn.ending:
            return []
        self._facts += drafts
        return self._pump(now)

    def written(self, now: float, *, durable: bool) -> list[Effect]:
        """The records under way are stored; or, not `durable`, held by the store until it can write."""
        batch = self._writing
        if batch is None:
            return []
        self._writing, before = None, self.turn
        if self._unstored.holds(batch):
            return self._given_back(batch, durable=durable) + self._pump(now)
        receipts = self.intake.recorded()
        events: list[Event] = []
        for record in batch.records:
            apply(self.state, record, window_turns=self.limits.window_turns)
            if isinstance(record, TurnEnded) and record.code == "quarantined":
                events.append(ErrorEvent(code="quarantined", text=record.text, message_id=record.message_id))
            event = event_of(record)
            if event is not None:
                self.recent.add(event)
                events.append(event)
        self.degraded = not durable
        if not self.degraded:
            self._unstored.clear()
        else:
            self._unstored.add(batch.records)
            events.append(Notice(code="persistence_degraded", text=_DEGRADED))
        released, self._after_write = self._after_write, []
        effects: list[Effect] = [*receipts, Publish(tuple(events)), *released]
        for record in batch.records:
            effects += self._advance(record, now)
        effects += self._heed(batch.records, now)
        effects += self._pump(now)
        effects += self._call_model_if_due(now)
        if before is not None and self.turn is not before:
            effects += self.compaction.turn_ended(before.correlation_id, now)
        return effects

    def write_failed(self, now: float) -> list[Effect]:
        """The records under way were refused and none of them stands.

        The senders of messages are told. What must be written is written again, later: without it a turn would
        have no end.
        """
        batch, self._writing = self._writing, None
        effects = self.intake.not_recorded()
        gives_back = batch is not None and self._unstored.holds(batch)
        if gives_back:
            batch, self._interrupted = self._interrupted, None
        if batch is not None and any(
            isinstance(each, UserSaid) and stops(each.text) for each in batch.records
        ):
            # A turn that should end does so, also when nobody can be told.
            effects += self._end_for_command(now)
        if gives_back:
            if batch is not None and batch.when_exhausted == "keep":
                self._facts = [*without_next_turn(batch.records), *self._facts]
            self._waits_for_store = True
            return [*effects, TryAgainLater()]
        if batch is None or batch.when_exhausted == "drop":
            return effects + self._pump(now)
        self._facts = [*without_next_turn(batch.records), *self._facts]
        self._waits_for_store = True
        if not self.degraded:
            self.degraded = True
            effects.append(Publish((Notice(code="persistence_degraded", text=_DEGRADED),)))
        return [*effects, TryAgainLater()]

    def store_replaced(self, now: float) -> list[Effect]:
        """The store has a new incarnation: it gets what the last one may have had in memory only."""
        self._unstored.give_back()
        return self._pump(now)

    def store_misses(self, now: float) -> list[Effect] | None:
        """The records under way were refused because others are missing before them.

        Returns:
            None if this session does not have those either.
        """
        batch = self._writing
        if batch is None or not self._unstored or self._unstored.begins_with(batch):
            return None
        if not self._unstored.holds(batch):
            self._interrupted = batch
        self._writing = None
        self._unstored.give_back()
        return self._pump(now)

    def _given_back(self, batch: WriteRecords, *, durable: bool) -> list[Effect]:
        self._unstored.given_back(batch, durable=durable)
        self.degraded = bool(self._unstored)
        if not self._unstored.due and self._interrupted is not None:
            self._writing, self._interrupted = self._interrupted, None
            return [self._writing]
        return []

    def try_again(self, now: float) -> list[Effect]:
        """What the store refused may be written again."""
        self._waits_for_store = False
        return self._pump(now)

    def model_said(self, call_id: str, text: str, now: float) -> list[Effect]:
        """A piece of the model's answer arrived."""
        turn = self._turn_of_call(call_id)
        if turn is None:
            return []
        if len(turn) + len(text) > self.limits.max_answer_chars:
            return self._give_up(_TOO_LONG, "too_long", now)
        chunk = turn.say(text)
        return [Publish((chunk,))] if chunk is not None else []

    def model_done(self, answer: Completed, now: float) -> list[Effect]:
        """The model's answer is complete."""
        if self.compaction.waits_for(answer.call_id):
            self._facts += self.compaction.done(answer, self._not_yet_part(), now)
            return self._pump(now)
        turn = self._turn_of_call(answer.call_id)
        if turn is None:
            return []
        missing = turn.missing_of(answer.text)
        asked = sum(len(call.arguments) for call in answer.tool_calls)
        if len(turn) + len(missing) + asked > self.limits.max_answer_chars:
            return self._give_up(_TOO_LONG, "too_long", now)
        rest = turn.say(missing)
        effects: list[Effect] = [Publish((rest,))] if rest is not None else []
        turn.call_id = None
        turn.comes_back(now, answer.model_seconds)
        turn.usage = turn.usage + answer.usage
        if not answer.tool_calls:
            self._end("completed", turn.text)
        elif turn.calls >= self.limits.max_model_calls:
            self._end("failed", _TOO_MANY_CALLS, code="tool_iterations")
        else:
            self._ask_for_tools(turn, answer, now)
        return effects + self._pump(now)

    def _ask_for_tools(self, turn: Turn, answer: Completed, now: float) -> None:
        repeats = looping(self._running_message().steps, answer.tool_calls, self.limits.max_equal_calls)
        if repeats.ends:
            self._end("failed", LOOP, code="loop")
            return
        self._facts += asked_for_tools(
            turn.turn_id,
            answer,
            refused=repeats.refused,
            needs_approval=self.approvals.needed_for,
            expires_at=now + self.limits.approval_timeout_s,
        )

    def model_failed(self, failure: CallFailed, now: float) -> list[Effect]:
        """There will be no answer to the model call."""
        if self.compaction.waits_for(failure.call_id):
            self._facts += self.compaction.failed(failure, now)
            return self._pump(now)
        turn = self._turn_of_call(failure.call_id)
        if turn is None:
            return []
        turn.call_id = None
        turn.comes_back(now, failure.model_seconds)
        turn.usage = turn.usage + failure.usage
        if failure.code == "stream_broken":
            self._begin_again(turn, failure.text)
        else:
            self._end("failed", failure.text, code=failure.code)
        return self._pump(now)

    def model_lost(self, now: float) -> list[Effect]:
        """The model's actor was replaced: the call under way will never be answered."""
        self._facts += self.compaction.lost(now)
        turn = self.turn
        if turn is None or turn.call_id is None or turn.ending:
            return self._pump(now)
        turn.call_id = None
        turn.comes_back(now)
        self._begin_again(turn, _MODEL_LOST)
        return self._pump(now)

    def tool_done(self, turn_id: str, call: ToolCall, status: str, text: str, now: float) -> list[Effect]:
        """A tool ended."""
        if self.turn is None or self.turn.turn_id != turn_id or self.turn.ending:
            return []
        self.turn.lap(now)
        self._facts.append(tool_finished(turn_id, call, status, text))
        return self._pump(now)

    def command_done(
        self, message_id: str, text: str, now: float, *, drafts: Sequence[Record] = ()
    ) -> list[Effect]:
        """A command was carried out.

        Args:
            text: what it answers.
            drafts: records of what it changes.
        """
        message = next((each for each in self.state.commands if each.message_id == message_id), None)
        if message is None or self._has_end(message_id):
            return []
        self._facts += [*drafts, turn_ended(message, "completed", text)]
        return self._pump(now)

    def turn_timed_out(self, turn_id: str, now: float) -> list[Effect]:
        """The turn's deadline passed."""
        if self.turn is None or self.turn.turn_id != turn_id or self.turn.ending:
            return []
        return self._give_up(_TURN_TIMEOUT, "timeout", now)

    def _give_up(self, text: str, code: str, now: float) -> list[Effect]:
        effects = self._silence(now)
        self._end("failed", text, code=code)
        return effects + self._pump(now)

    def drain(self, now: float) -> list[Effect]:
        """Takes no more messages and begins no more turns; the running one goes on."""
        self.draining = True
        self.intake.admission.draining = True
        return self.compaction.stop(now, automatic_only=True)

    # One write at a time

    def _pump(self, now: float) -> list[Effect]:
        if self._writing is not None or self._waits_for_store:
            return []
        if self._unstored.due:
            self._writing = self._unstored.batch()
            return [self._writing]
        effects: list[Effect] = []
        if self._admits_first and not self._facts:
            self._admits_first = False
            said, effects = self.intake.admit(self.state, now, turn_runs=self.turn is not None)
            if said:
                return [*effects, self._write(said, "drop", now)]
        if not self._admits_first:
            effects += self._answer_stops()
            effects += self._answer_decisions(now)
        if self._facts:
            drafts, self._facts = self._facts, []
            if any(isinstance(draft, TurnEnded) for draft in drafts):
                drafts += self._next_turn(after=drafts)
            return [*effects, self._write(drafts, "keep", now)]
        said, told = self.intake.admit(self.state, now, turn_runs=self.turn is not None)
        effects += told
        if said:
            begins = self.turn is None and not self.state.open and not history_changes(self.state)
            messages = [each for each in said if not each.command]
            first = [turn_began(messages[0].message_id, attempt=1)] if begins and messages else []
            return [*effects, self._write([*said, *first], "drop", now)]
        if self.turn is None and (began := self._next_turn(after=())):
            return [*effects, self._write(began, "keep", now)]
        return effects

    def _write(
        self, drafts: Sequence[Record], when_exhausted: Literal["drop", "keep"], now: float
    ) -> WriteRecords:
        self._writing = WriteRecords(numbered(drafts, self.state, now), when_exhausted)
        return self._writing

    def _next_turn(self, *, after: Sequence[Record]) -> list[Record]:
        ended = {record.message_id for record in after if isinstance(record, TurnEnded)}
        begun = [self.turn.message_id] if self.turn is not None else []
        begun += [record.message_id for record in after if isinstance(record, TurnBegan)]
        if self.draining or any(message_id not in ended for message_id in begun):
            return []
        return next_turn(self.state, self.limits, ended)

    # The turn

    def _advance(self, record: Record, now: float) -> list[Effect]:
        has_end = isinstance(record, TurnBegan) and self._has_end(record.message_id)
        self.turn, effects = advanced(self.state, self.turn, record, now, has_end=has_end)
        return effects

    def _call_model_if_due(self, now: float) -> list[Effect]:
        turn = self.turn
        if turn is None or turn.ending or not turn.due or self._stops:
            return []
        if self._takes_in(turn):
            return []
        if taken := steered(self.state, self.limits):
            self._facts += taken
            return self._pump(now)
        if (spent := over_budget(self.limits, turn=turn.usage, session=self.state.usage)) is not None:
            self._end("failed", spent, code="budget")
            return self._pump(now)
        turn.due = False
        turn.calls += 1
        turn.begin_step()
        turn.goes_out(now)
        turn.call_id = f"{turn.turn_id}/{turn.attempt}/{turn.calls}"
        return [CallModel(turn.call_id, turn.correlation_id)]

    def _running_message(self) -> OpenMessage:
        return self.state.open[0]

    def _turn_of_call(self, call_id: str) -> Turn | None:
        turn = self.turn
        return turn if turn is not None and turn.call_id == call_id and not turn.ending else None

    def _end(self, status: TurnStatus, text: str, *, code: str | None = None) -> None:
        turn = self.turn
        if turn is None or turn.ending:
            return
        turn.ending = True
        turn.call_id = None
        self._facts.append(
            turn_ended(
                self._running_message(), status, text, code=code, usage=turn.usage, waited_s=turn.waited_s
            )
        )

    def _begin_again(self, turn: Turn, text: str) -> None:
        if turn.restarts >= self.limits.max_restarts_of_turn:
            self._end("failed", text, code="provider")
            return
        turn.restarts += 1
        message = self._running_message()
        self._facts.append(turn_began(message.message_id, attempt=turn.attempt + 1, deaths=message.deaths))

    # Commands, and messages that come while a turn runs

    def _heed(self, records: Sequence[Record], now: float) -> list[Effect]:
        """What was just recorded may be for the gateway, or may change the turn that runs."""
        effects: list[Effect] = []
        for record in records:
            if not isinstance(record, UserSaid):
                continue
            if record.command:
                for message in self.state.commands:
                    if message.message_id == record.message_id and not self._has_end(record.message_id):
                        effects += self._run_command(message, now)
            elif record.busy == "interrupt" and self.turn is not None:
                effects += self._silence(now)
                self._end("stopped", self.turn.text, code="interrupted")
        return effects

    def _run_command(self, message: OpenMessage, now: float) -> list[Effect]:
        command = parse_command(message.text)
        if command is None:  # recorded by a version of the gateway that knows more of them
            self._facts.append(turn_ended(message, "failed", _NO_SUCH_COMMAND, code="unknown_command"))
            return []
        effects: list[Effect] = []
        before = len(self._facts)
        if command.ends_turn:
            effects += self._end_for_command(now)
        if command.name == "stop":
            stopped = len(self._facts) > before or bool(effects) or was_just_stopped(self.state, now)
            self._facts.append(turn_ended(message, "completed", _STOPPED if stopped else _NOTHING_TO_STOP))
            return effects
        if command.name == "compact":
            drafts, begun = self.compaction.asked(message)
            self._facts += drafts
            return begun
        if command.name in ("approve", "deny"):
            approved = command.name == "approve"
            drafts, _, text = self.approvals.decide(
                command.argument, self._facts, now, approved=approved, by=message.channel
            )
            self._facts += [*drafts, turn_ended(message, "completed", text)]
            return effects
        told = answer(command, self.state, self.limits, turn_runs=self.turn is not None)
        if told is not None:
            self._facts += [*told.drafts, turn_ended(message, "completed", told.text)]
            return effects
        run = RunCommand(message.message_id, command)
        if len(self._facts) > before:
            self._after_write.append(run)
            return effects
        return [*effects, run]

    def _end_for_command(self, now: float) -> list[Effect]:
        effects = self._silence(now) + self.compaction.stop(now)
        self._facts += self.compaction.take_ends()
        running = self.state.open[0] if self.state.open else None
        if self.turn is not None:
            self._end("stopped", self.turn.text)
        elif running is not None and running.attempt and not self._has_end(running.message_id):
            self._facts.append(turn_ended(running, "stopped", ""))
        return effects

    def _takes_in(self, turn: Turn) -> bool:
        """Whether the running turn is about to take in what was said meanwhile."""
        return any(
            isinstance(each, MessagesAbsorbed) and each.into == turn.message_id
            for each in self._not_yet_part()
        )

    def _not_yet_part(self) -> Sequence[Record]:
        """What is recorded or will be, and is not yet part of the state."""
        return (*(self._writing.records if self._writing is not None else ()), *self._facts)

    def _has_end(self, message_id: str) -> bool:
        return any(isinstance(fact, TurnEnded) and fact.message_id == message_id for fact in self._facts)

    # Stop

    def _silence(self, now: float) -> list[Effect]:
        turn = self.turn
        if turn is None or turn.ending:
            return []
        turn.comes_back(now)
        effects: list[Effect] = [CancelTools(turn.turn_id)]
        if turn.call_id is not None:
            effects.append(CancelModel(turn.call_id))
            turn.call_id = None
        return effects

    def _answer_stops(self) -> list[Effect]:
        stops, self._stops = self._stops, []
        effects: list[Effect] = []
        for request in stops:
            before = sum(isinstance(fact, TurnEnded) for fact in self._facts)
            self._facts += self.compaction.take_ends()
            runs = self.turn is not None
            if self.turn is not None:
                self._end("stopped", self.turn.text)
            self._facts += ended_by_stop(self.state, self._facts, queue=request.queue, turn_runs=runs)
            stopped = sum(isinstance(fact, TurnEnded) for fact in self._facts) - before
            told = told_of_stop(self.state.key, request, stopped)
            if stopped:
                self._after_write += told
            else:
                effects += told
        return effects

    def _answer_decisions(self, now: float) -> list[Effect]:
        at_once, later = self.approvals.settle(self._facts, now)
        self._after_write += later
        return at_once
