"""Decides the life of one conversation: what is written, said, asked and answered, and in which order.

The rules that it keeps: one write at a time, and nothing is told before its record is written; one turn at a time;
a stop is read between the events of a running turn; the end of a turn stands in the journal before anybody hears
of it. It knows no clock, no socket and no Thespian: the actor feeds it and carries out its effects.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from openclaw_actors.core.admission import SessionLimits
from openclaw_actors.core.approvals import ApprovalDesk, only_waits
from openclaw_actors.core.busy import history_changes, next_turn, steered
from openclaw_actors.core.commanding import Commanding
from openclaw_actors.core.commands import stops
from openclaw_actors.core.compaction import Compactor
from openclaw_actors.core.conversation import Conversation, apply
from openclaw_actors.core.drafts import asked_for_tools, tool_finished, turn_began, turn_ended
from openclaw_actors.core.early_call import EarlyCall, EarlyCalls
from openclaw_actors.core.effects import CallModel, CancelModel, Effect, Publish, TryAgainLater
from openclaw_actors.core.intake import Intake
from openclaw_actors.core.recent import RecentEvents
from openclaw_actors.core.records import Record, TurnEnded, UserSaid
from openclaw_actors.core.resuming import taken_up
from openclaw_actors.core.runaway import LOOP, looping, over_budget
from openclaw_actors.core.running import Running
from openclaw_actors.core.stopping import settle_stop
from openclaw_actors.core.tool_order import due_starts, first_starts
from openclaw_actors.core.turn import Turn
from openclaw_actors.core.writing import Writing
from openclaw_actors.messages.approvals import DecideApproval
from openclaw_actors.messages.conversation import Deliver, StopTurn
from openclaw_actors.messages.events import Notice, Usage
from openclaw_actors.messages.model import CallFailed, Completed, ToolCall

__all__ = ["SessionCore"]

_TOO_MANY_CALLS = "I've reached the maximum number of tool iterations. Please try a simpler request."
_TURN_TIMEOUT = "The turn took too long and was ended."
_MODEL_LOST = "Sorry, I'm having trouble reaching my AI provider right now. Please try again shortly."
_TOO_LONG = "The answer became too long and was ended."
_DEGRADED = "The store cannot write at the moment; this answer is held in memory until it can."


class SessionCore:
    """One session's decisions.

    Args:
        state: the conversation as the store handed it over.
        incarnation: the fencing token that it was handed over with.
        steady: monotonic seconds; `now` is Unix time everywhere else.
    """

    def __init__(
        self, state: Conversation, incarnation: int, limits: SessionLimits, steady: Callable[[], float]
    ) -> None:
        self.state = state
        self.limits = limits
        self.intake = Intake(limits, incarnation, steady)
        self.recent = RecentEvents(limits.recent_events, limits.recent_bytes, state.seq)
        self.compaction = Compactor(state, limits.compaction, limits.token_budget, incarnation)
        self.early = EarlyCalls()
        self.approvals = ApprovalDesk(state, limits.approval_timeout_s)
        self.runs_beside: Callable[[str], bool] = lambda name: True
        """Whether the tool of this name runs beside others that do."""
        self.draining = False
        self._stops: list[StopTurn] = []
        self._admits_first = False
        """A stop that ends what waits does so once what came before it is recorded, and ends that, too."""
        self._writing = Writing(state)
        self._running = Running(state, self._writing)
        self._commands = Commanding(
            state,
            limits,
            self._writing,
            self.compaction,
            self.approvals,
            end_turn=self._end_for_command,
            turn_runs=lambda: self.turn is not None,
        )

    @property
    def turn(self) -> Turn | None:
        """The one that runs."""
        return self._running.turn

    @property
    def degraded(self) -> bool:
        """Whether the store has some of the records in memory only, or none of them."""
        return self._writing.degraded

    def use(self, limits: SessionLimits) -> None:
        """Other limits hold, from the next turn on."""
        self.limits = limits
        self.intake.use(limits)
        self.compaction.limits, self.compaction.token_budget = limits.compaction, limits.token_budget
        self.approvals.timeout_s = limits.approval_timeout_s
        self._commands.use(limits)

    @property
    def idle(self) -> bool:
        """Nothing runs, waits or is being written; while draining, what waits may do so until the next start."""
        if self._running.turn is not None and not self.draining:
            return False
        if self._busy or (self._running.turn is not None and not only_waits(self.state)):
            return False
        return self.draining or not self.state.open

    @property
    def rests(self) -> bool:
        """Its process may end: it is idle, or waits for nothing but decisions of people, as its journal says."""
        if self._running.turn is None or self._running.turn.ending:
            return self.idle
        return not self._busy and only_waits(self.state)

    @property
    def _busy(self) -> bool:
        """Something is being written, or will be at once."""
        if not self._writing.idle or self._stops or self.state.commands:
            return True
        return bool(len(self.approvals) or len(self.intake) or self.compaction.runs)

    @property
    def mailbox_depth(self) -> int:
        """How many messages wait for their turn, or for their receipt."""
        running = 1 if self._running.turn is not None else 0
        return max(0, len(self.state.open) - running) + len(self.intake)

    @property
    def resumes(self) -> bool:
        """Before `resume`: whether a turn had begun, which a death of the incarnation before counts against."""
        return bool(self.state.open and self.state.open[0].attempt)

    def waits_for(self, call_id: str) -> bool:
        """Whether the answer to this model call still counts."""
        by_turn = self._running.of_call(call_id) is not None or self.early.waits_for(call_id)
        return by_turn or self.compaction.waits_for(call_id)

    # What happens

    def resume(self, *, deaths: int, live_channels: frozenset[str], now: float) -> list[Effect]:
        """Continues at the last record.

        Args:
            deaths: how often the session died by its own doing just before.
            live_channels: the instances of the channels that run now.
        """
        effects: list[Effect] = []
        self._writing.facts += taken_up(self.state, deaths=deaths, live_channels=live_channels)
        for message in list(self.state.commands):
            effects += self._commands.run(message, now)
        return effects + self._pump(now)

    def delivered(self, deliver: Deliver, now: float) -> list[Effect]:
        """A person's message arrived."""
        self.intake.add(deliver)
        return self._pump(now)

    def stop(self, request: StopTurn, now: float) -> list[Effect]:
        """Somebody wants the running turn ended."""
        self._stops.append(request)
        ends_what_waits = request.queue or (self._running.turn is None and not self.state.open)
        self._admits_first |= ends_what_waits and len(self.intake) > 0
        return self._running.silence(now) + self.compaction.stop(now) + self._pump(now)

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
        if self._running.of(turn_id) is None:
            return []
        self._writing.facts += drafts
        return self._pump(now)

    def written(self, now: float, *, durable: bool) -> list[Effect]:
        """The records under way are stored; or, not `durable`, held by the store until it can write."""
        stored, before = self._writing.stored(durable=durable), self._running.turn
        if stored is None:
            return []
        if not stored.added:
            return [stored.next] if stored.next is not None else self._pump(now)
        early = self.early.take()
        records = stored.batch.records
        receipts = self.intake.recorded()
        for record in records:
            apply(self.state, record, window_turns=self.limits.window_turns)
        events = self.recent.recorded(records)
        if not durable:
            events.append(Notice(code="persistence_degraded", text=_DEGRADED))
        released, self._writing.after = self._writing.after, []
        effects: list[Effect] = [*receipts, Publish(tuple(events)), *released]
        for record in records:
            effects += self._running.advance(record, now)
        effects += self._heed(records, now)
        effects += self._pump(now)
        effects += self._call_model_if_due(now, early)
        if before is not None and self._running.turn is not before:
            effects += self.compaction.turn_ended(before.correlation_id, now)
        return effects

    def write_failed(self, now: float) -> list[Effect]:
        """The records under way were refused and none of them stands.

        The senders of messages are told. What must be written is written again, later: without it a turn would
        have no end.
        """
        effects = [*self.intake.not_recorded(), *self.early.drop()]
        batch, waits = self._writing.refused()
        if batch is not None and any(
            isinstance(each, UserSaid) and stops(each.text) for each in batch.records
        ):
            # A turn that should end does so, also when nobody can be told.
            effects += self._end_for_command(now)
        if not waits:
            return effects + self._pump(now)
        if self._writing.put_back(batch):
            effects.append(Publish((Notice(code="persistence_degraded", text=_DEGRADED),)))
        return [*effects, TryAgainLater()]

    def store_replaced(self, now: float) -> list[Effect]:
        """The store has a new incarnation: it gets what the last one may have had in memory only."""
        self._writing.store_replaced()
        return self._pump(now)

    def store_misses(self, now: float) -> list[Effect] | None:
        """The records under way were refused because others are missing before them.

        Returns:
            None if this session does not have those either.
        """
        return self._pump(now) if self._writing.store_misses() else None

    def try_again(self, now: float) -> list[Effect]:
        """What the store refused may be written again."""
        self._writing.try_again()
        return self._pump(now)

    def model_said(self, call_id: str, text: str, now: float) -> list[Effect]:
        """A piece of the model's answer arrived."""
        turn = self._running.of_call(call_id)
        if turn is None:
            return []
        if len(turn) + len(text) > self.limits.max_answer_chars:
            return self._give_up(_TOO_LONG, "too_long", now)
        chunk = turn.say(text)
        return [Publish((chunk,))] if chunk is not None else []

    def model_done(self, answer: Completed, now: float) -> list[Effect]:
        """The model's answer is complete."""
        if self.compaction.waits_for(answer.call_id):
            self._writing.facts += self.compaction.done(answer, self._writing.not_yet_part(), now)
            return self._pump(now)
        turn = self._running.of_call(answer.call_id)
        if turn is None:
            return []
        missing = turn.missing_of(answer.text)
        asked = sum(len(call.arguments) for call in answer.tool_calls)
        if len(turn) + len(missing) + asked > self.limits.max_answer_chars:
            return self._give_up(_TOO_LONG, "too_long", now)
        rest = turn.say(missing)
        effects: list[Effect] = [Publish((rest,))] if rest is not None else []
        turn.call_ends(answer, now, was_chosen="model" in self.state.settings)
        if not answer.tool_calls:
            self._running.end("completed", turn.text)
        elif turn.calls >= self.limits.max_model_calls:
            self._running.end("failed", _TOO_MANY_CALLS, code="tool_iterations")
        else:
            self._ask_for_tools(turn, answer, now)
        return effects + self._pump(now)

    def _ask_for_tools(self, turn: Turn, answer: Completed, now: float) -> None:
        repeats = looping(self._running.message.steps, answer.tool_calls, self.limits.max_equal_calls)
        if repeats.ends:
            self._running.end("failed", LOOP, code="loop")
            return
        asked = asked_for_tools(
            turn.turn_id,
            answer,
            refused=repeats.refused,
            needs_approval=self.approvals.needed_for,
            expires_at=now + self.limits.approval_timeout_s,
        )
        self._writing.facts += [*asked, *first_starts(turn.turn_id, answer, asked, self.runs_beside)]

    def model_failed(self, failure: CallFailed, now: float) -> list[Effect]:
        """There will be no answer to the model call."""
        if self.compaction.waits_for(failure.call_id):
            self._writing.facts += self.compaction.failed(failure, now)
            return self._pump(now)
        turn = self._running.of_call(failure.call_id)
        if turn is None:
            return []
        turn.call_ends(failure, now, was_chosen="model" in self.state.settings)
        if failure.code == "stream_broken":
            self._running.begin_again(failure.text, most=self.limits.max_restarts_of_turn)
        else:
            self._running.end("failed", failure.text, code=failure.code)
        return self._pump(now)

    def model_lost(self, now: float) -> list[Effect]:
        """The model's actor was replaced: the call under way will never be answered."""
        self.early.take()
        self._writing.facts += self.compaction.lost(now)
        turn = self._running.turn
        if turn is None or turn.call_id is None or turn.ending:
            return self._pump(now)
        turn.call_id = None
        turn.comes_back(now)
        self._running.model_lost(_MODEL_LOST, most=self.limits.max_losses_of_turn)
        return self._pump(now)

    def tool_done(self, turn_id: str, call: ToolCall, status: str, text: str, now: float) -> list[Effect]:
        """A tool ended."""
        if (turn := self._running.of(turn_id)) is None:
            return []
        turn.lap(now)
        self._writing.facts.append(tool_finished(turn_id, call, status, text))
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
        if message is None or self._writing.has_end(message_id):
            return []
        self._writing.facts += [*drafts, turn_ended(message, "completed", text)]
        return self._pump(now)

    def turn_timed_out(self, turn_id: str, now: float) -> list[Effect]:
        """The turn's deadline passed."""
        if self._running.of(turn_id) is None:
            return []
        return self._give_up(_TURN_TIMEOUT, "timeout", now)

    def _give_up(self, text: str, code: str, now: float) -> list[Effect]:
        effects = self._running.silence(now)
        self._running.end("failed", text, code=code)
        return effects + self._pump(now)

    def drain(self, now: float) -> list[Effect]:
        """Takes no more messages and begins no more turns; the running one goes on."""
        self.draining = True
        self.intake.admission.draining = True
        return self.compaction.stop(now, automatic_only=True)

    # One write at a time

    def _pump(self, now: float) -> list[Effect]:
        writing = self._writing
        if not writing.ready:
            return []
        if (lost := writing.give_back()) is not None:
            return [lost]
        effects: list[Effect] = []
        if self._admits_first and not writing.facts:
            self._admits_first = False
            said, effects = self.intake.admit(self.state, turn_runs=self._running.turn is not None)
            if said:
                return [*effects, writing.write(said, "drop", now)]
        if not self._admits_first:
            effects += self._answer_people(now)
        if writing.facts:
            if self._running.turn is not None:
                writing.facts += due_starts(self.state, writing.facts, self.runs_beside)
            drafts, writing.facts = writing.facts, []
            if any(isinstance(draft, TurnEnded) for draft in drafts):
                drafts += self._next_turn(after=drafts)
            return [*effects, writing.write(drafts, "keep", now)]
        said, told = self.intake.admit(self.state, turn_runs=self._running.turn is not None)
        effects += told
        if said:
            begins = self._running.turn is None and not self.state.open and not history_changes(self.state)
            messages = [each for each in said if not each.command]
            if not begins or not messages:
                return [*effects, writing.write(said, "drop", now)]
            first = messages[0]
            write = writing.write([*said, turn_began(first.message_id, attempt=1)], "drop", now)
            return [*effects, write, *(self._call_early(first, now) if len(messages) == len(said) else ())]
        if self._running.turn is None and (began := self._next_turn(after=())):
            return [*effects, writing.write(began, "keep", now)]
        return effects

    def _answer_people(self, now: float) -> list[Effect]:
        effects = self._answer_stops() if self._stops else []
        return effects + self._answer_decisions(now) if self.approvals else effects

    def _next_turn(self, *, after: Sequence[Record]) -> list[Record]:
        running = self._running.turn.message_id if self._running.turn is not None else None
        return [] if self.draining else next_turn(self.state, self.limits, running, after)

    # The turn

    def _call_model_if_due(self, now: float, early: EarlyCall | None) -> list[Effect]:
        """The turn's next model call.

        Args:
            early: went out beside the records that have just been stored.
        """
        effects = self._due_call(now, early)
        if early is not None and not self.waits_for(early.effect.call_id):
            effects.append(CancelModel(early.effect.call_id))
        return effects

    def _due_call(self, now: float, early: EarlyCall | None) -> list[Effect]:
        turn = self._running.turn
        if turn is None or turn.ending or not turn.due or self._stops:
            return []
        if self._writing.takes_in(turn.message_id):
            return []
        if taken := steered(self.state, self.limits):
            self._writing.facts += taken
            return self._pump(now)
        if (spent := over_budget(self.limits, turn=turn.usage, session=self.state.usage)) is not None:
            self._running.end("failed", spent, code="budget")
            return self._pump(now)
        call_id = turn.calls_model(now)
        if early is not None and early.effect.call_id == call_id:
            return early.taken_up(turn)
        return [CallModel(call_id, turn.correlation_id, turn.turn_id)]

    def _call_early(self, said: UserSaid, now: float) -> list[Effect]:
        """The model may think about what is not stored yet; nobody hears of it until it is."""
        if over_budget(self.limits, turn=Usage(), session=self.state.usage) is not None:
            return []  # the turn ends without a call
        return [self.early.begin(said, now)]

    # Commands, and messages that come while a turn runs

    def _heed(self, records: Sequence[Record], now: float) -> list[Effect]:
        """What was just recorded may be for the gateway, or may change the turn that runs."""
        effects: list[Effect] = []
        for record in records:
            if not isinstance(record, UserSaid):
                continue
            if record.command:
                said = [each for each in self.state.commands if each.message_id == record.message_id]
                for message in said if not self._writing.has_end(record.message_id) else []:
                    effects += self._commands.run(message, now)
            elif record.busy == "interrupt" and self._running.turn is not None:
                effects += self._running.silence(now)
                self._running.end("stopped", self._running.turn.text, code="interrupted")
        return effects

    def _end_for_command(self, now: float) -> list[Effect]:
        effects = self._running.silence(now) + self.compaction.stop(now)
        self._writing.facts += self.compaction.take_ends()
        running = self.state.open[0] if self.state.open else None
        if self._running.turn is not None:
            self._running.end("stopped", self._running.turn.text)
        elif running is not None and running.attempt and not self._writing.has_end(running.message_id):
            self._writing.facts.append(turn_ended(running, "stopped", ""))
        return effects

    # Stop

    def _answer_stops(self) -> list[Effect]:
        stops, self._stops = self._stops, []
        effects: list[Effect] = []
        for request in stops:
            before = self._writing.ends()
            self._writing.facts += self.compaction.take_ends()
            runs = self._running.turn is not None
            if self._running.turn is not None:
                self._running.end("stopped", self._running.turn.text)
            effects += settle_stop(self.state, self._writing, request, turn_runs=runs, before=before)
        return effects

    def _answer_decisions(self, now: float) -> list[Effect]:
        at_once, later = self.approvals.settle(self._writing.facts, now)
        self._writing.after += later
        return at_once
