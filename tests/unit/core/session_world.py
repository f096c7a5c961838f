"""Owns a session without a process for tests: the core, a store that keeps its journal, a model and one channel."""

from __future__ import annotations

__all__ = ["Crash", "World", "delivery"]

from collections import deque
from collections.abc import Callable, Iterable

from openclaw_actors.core.admission import SessionLimits
from openclaw_actors.core.approvals import waiting
from openclaw_actors.core.conversation import Conversation, apply
from openclaw_actors.core.drafts import ends_of
from openclaw_actors.core.effects import (
    ApprovalsChanged,
    CallModel,
    CallTool,
    CancelModel,
    CancelTools,
    Effect,
    FindOutcome,
    NotRun,
    Publish,
    RunCommand,
    StartTurnClock,
    SummariseHistory,
    TakeUp,
    TellChannel,
    TellRouter,
    TryAgainLater,
    WriteRecords,
)
from openclaw_actors.core.records import (
    ApprovalDecided,
    Record,
    ToolFinished,
    ToolStarted,
    TurnEnded,
    UserSaid,
    event_of,
    turn_id_of,
)
from openclaw_actors.core.session import SessionCore
from openclaw_actors.messages import (
    Accepted,
    ApprovalOutcome,
    AssistantChunk,
    CallFailed,
    Completed,
    DecideApproval,
    Deliver,
    ModelDelta,
    Refused,
    Settled,
    StopOutcome,
    StopTurn,
    ToolCall,
    TurnDone,
    Usage,
)

KEY = "websocket:local:main"
INSTANCE = "channel-instance"


class Crash(BaseException):
    """Raised by a hook: the session's process is dead."""


def delivery(
    name: str, text: str | None = None, *, hand_over: int = 1, bound_to: str | None = None, at: float = 0.0
) -> Deliver:
    """A message `name` on its way, handed over for the `hand_over`-th time by its client."""
    return Deliver(
        session=KEY,
        delivery_id=f"{name}/{hand_over}",
        message_id=name,
        text=text if text is not None else f"text of {name}",
        channel="websocket",
        received_at=at,
        correlation_id=f"c-{name}",
        bound_to=bound_to,
    )


class World:
    """What surrounds a session. It fails as soon as the session says anything that is not in the journal."""

    def __init__(self, limits: SessionLimits | None = None) -> None:
        self.limits = limits or SessionLimits()
        self.journal: list[Record] = []
        self.now = 1.0
        self.token = 0
        self.unsettled: dict[str, Deliver] = {}
        self.accepted: list[str] = []
        self.refused: dict[str, Refused] = {}
        self.said: list[object] = []
        self.stops: list[StopTurn] = []
        self.outcomes: list[StopOutcome] = []
        self.asking: frozenset[str] = frozenset()
        """Tools that wait for a person."""
        self.alone: frozenset[str] = frozenset()
        """Tools that run beside no other."""
        self.undecided: dict[str, DecideApproval] = {}
        """Decisions whose outcome was not told; the channel repeats them to the next incarnation."""
        self.told: list[ApprovalOutcome] = []
        self.not_run: list[NotRun] = []
        self.found: list[FindOutcome] = []
        self.effects = 0
        self.before: Callable[[int, Effect], None] = lambda number, effect: None
        self.after: Callable[[int, Effect], None] = lambda number, effect: None
        self.open()

    # The process

    def open(self, *, deaths: int = 0, channels: frozenset[str] = frozenset({INSTANCE})) -> None:
        """The next incarnation starts; what has no receipt is delivered to it."""
        self.write: WriteRecords | None = None
        self.call: CallModel | None = None
        self.summary: SummariseHistory | None = None
        self.tools: deque[CallTool] = deque()
        self.commands: deque[RunCommand] = deque()
        self.retry = False
        self.token += 1
        self.core = SessionCore(self.stored(), self.token, self.limits, lambda: self.now)
        self.core.approvals.needed_for = lambda name: name in self.asking
        self.core.runs_beside = lambda name: name not in self.alone
        self.do(self.core.resume(deaths=deaths, live_channels=channels, now=self.now))
        for each in list(self.unsettled.values()):
            self.do(self.core.delivered(each, self.now))
        for decision in list(self.undecided.values()):
            self.do(self.core.decided(decision, self.now))

    def crash(self, *, deaths: int = 0) -> None:
        """The process is gone. A stop that it had not confirmed is recorded in its place, as the router does it."""
        if self.stops:
            queue = any(stop.queue for stop in self.stops)
            self.journal += ends_of(self.stored(), queue=queue, now=self.now)
            self.stops.clear()
            deaths = 0
        self.open(deaths=deaths)

    def stored(self) -> Conversation:
        """What the journal adds up to."""
        state = Conversation(key=KEY)
        for record in self.journal:
            apply(state, record, window_turns=self.limits.window_turns)
        return state

    # What happens to it

    def deliver(self, message: Deliver) -> None:
        self.unsettled[message.delivery_id] = message
        self.do(self.core.delivered(message, self.now))

    def stop(self, *, queue: bool = False) -> None:
        request = StopTurn(session=KEY, queue=queue, channel="websocket", connection="c")
        self.stops.append(request)
        self.do(self.core.stop(request, self.now))

    def store_writes(self, *, durable: bool = True, tells: bool = True) -> None:
        """The store takes what is being written; without `tells` the session dies before it hears of it."""
        assert self.write is not None
        write, self.write = self.write, None
        self.journal += write.records
        self.check_journal()
        if tells:
            self.do(self.core.written(self.now, durable=durable))

    def store_writes_all(self) -> None:
        """The store takes all that is to be written now."""
        while self.write is not None:
            self.store_writes()

    def store_forgets(self, count: int) -> None:
        """The store dies with the newest `count` records in its memory only; its next incarnation is told of."""
        del self.journal[len(self.journal) - count :]
        self.do(self.core.store_replaced(self.now))
        if self.write is not None and self.write.records[0].number > len(self.journal) + 1:
            self.write = None
            effects = self.core.store_misses(self.now)
            assert effects is not None, "the session gives up"
            self.do(effects)

    def store_refuses(self) -> None:
        assert self.write is not None
        self.write = None
        self.do(self.core.write_failed(self.now))

    def model_says(self, text: str) -> None:
        assert self.call is not None
        self.hears(ModelDelta(call_id=self.call.call_id, text=text))

    def hears(self, message: ModelDelta | Completed | CallFailed) -> None:
        """The session hears the model, in the way of its actor."""
        kept = self.core.early.hear(message, most_chars=self.limits.max_answer_chars)
        if kept is not None:
            self.do(kept)
        elif isinstance(message, ModelDelta):
            self.do(self.core.model_said(message.call_id, message.text, self.now))
        elif isinstance(message, Completed):
            self.do(self.core.model_done(message, self.now))
        else:
            self.do(self.core.model_failed(message, self.now))

    def model_answers(self, text: str, *tools: str, by: str = "") -> None:
        assert self.call is not None
        call, self.call = self.call, None
        calls = tuple(ToolCall(call_id=f"{call.call_id}-{name}", name=name, arguments="{}") for name in tools)
        usage = Usage(input_tokens=1, output_tokens=2)
        self.hears(Completed(call_id=call.call_id, text=text, usage=usage, tool_calls=calls, model=by))

    def summary_comes(self, text: str = "the summary") -> None:
        assert self.summary is not None
        summary, self.summary = self.summary, None
        usage = Usage(input_tokens=10, output_tokens=5)
        done = Completed(call_id=summary.call_id, text=text, usage=usage)
        self.do(self.core.model_done(done, self.now))

    def summary_fails(self, usage: Usage | None = None) -> None:
        assert self.summary is not None
        summary, self.summary = self.summary, None
        failed = CallFailed(
            call_id=summary.call_id,
            code="provider",
            text="no",
            streamed=False,
            usage=usage or Usage(),
            model_seconds=0.0,
        )
        self.do(self.core.model_failed(failed, self.now))

    def model_fails(self, code: str = "provider") -> None:
        assert self.call is not None
        call, self.call = self.call, None
        failed = CallFailed(
            call_id=call.call_id, code=code, text="no", streamed=True, usage=Usage(), model_seconds=0.0
        )
        self.hears(failed)

    def tool_ends(self) -> None:
        tool = self.tools.popleft()
        self.do(self.core.tool_done(tool.turn_id, tool.call, "ok", "result", self.now))

    @property
    def asked(self) -> list[str]:
        """The ids of what waits for a person, by the journal."""
        return list(waiting(self.stored()))

    def decides(self, approval_id: str, *, approved: bool) -> None:
        decision = DecideApproval(
            approval_id=approval_id, approved=approved, session=KEY, by="websocket", channel="websocket"
        )
        self.undecided[approval_id] = decision
        self.do(self.core.decided(decision, self.now))

    def command_ends(self, *drafts: Record) -> None:
        command = self.commands.popleft()
        text = f"did {command.command.name}"
        self.do(self.core.command_done(command.message_id, text, self.now, drafts=drafts))

    def settle(self) -> None:
        """Everybody does what is expected of them until nothing is left to do."""
        for _ in range(2_000):
            self.now += 0.001
            if self.write is not None:
                self.store_writes()
            elif self.retry:
                self.retry = False
                self.do(self.core.try_again(self.now))
            elif self.commands:
                self.command_ends()
            elif self.tools:
                self.tool_ends()
            elif self.asked:
                self.decides(self.asked[0], approved=True)
            elif self.call is not None:
                self.model_answers("the answer")
            elif self.summary is not None:
                self.summary_comes()
            else:
                break
        assert self.core.idle, "it waits, and nobody owes it anything"

    # What it does

    def do(self, effects: Iterable[Effect]) -> None:
        """Carries the effects out, one by one."""
        for effect in effects:
            self.effects += 1
            number = self.effects
            self.before(number, effect)
            self._carry_out(effect)
            self.after(number, effect)

    def _carry_out(self, effect: Effect) -> None:  # noqa: C901 - one case each
        match effect:
            case WriteRecords():
                assert self.write is None, "two writes at a time"
                self.write = effect
            case Publish():
                for event in effect.events:
                    self._heard(event)
            case TellChannel():
                self._told(effect.message)
            case TellRouter(Settled() as settled):
                for each in settled.delivery_ids:
                    self.unsettled.pop(each, None)
            case TellRouter():
                pass
            case CallModel():
                assert self.call is None, "two model calls at a time"
                if effect.question is None:
                    attempt = self.stored().open[0].attempt
                    assert f"{attempt}/" in effect.call_id, "asked before it was recorded"
                else:
                    assert self.write is not None, "asked beside no record"
                    said = [each for each in self.write.records if isinstance(each, UserSaid)]
                    assert said[0].text == effect.question
                    assert not self.stored().open, "another message comes first"
                self.call = effect
            case TakeUp():
                for message in effect.heard:
                    self.hears(message)
            case SummariseHistory():
                assert self.summary is None, "two summaries at a time"
                assert effect.turns == tuple(self.stored().window[: len(effect.turns)])
                self.summary = effect
            case CancelModel() if self.summary is not None and effect.call_id == self.summary.call_id:
                self.summary = None
            case CancelModel():
                self.call = None
            case CallTool():
                assert any(getattr(record, "call_id", "") == effect.call.call_id for record in self.journal)
                decisions = [
                    r.decision
                    for r in self.journal
                    if isinstance(r, ApprovalDecided) and r.call_id == effect.call.call_id
                ]
                assert decisions == (["approved"] if effect.call.name in self.asking else [])
                running = [tool.call.name for tool in self.tools]
                assert not running or not self.alone.intersection([*running, effect.call.name]), "runs alone"
                self.tools.append(effect)
            case CancelTools():
                self.tools.clear()
            case StartTurnClock() | ApprovalsChanged():
                pass
            case NotRun():
                self.not_run.append(effect)
            case TryAgainLater():
                self.retry = True
            case FindOutcome():
                self.found.append(effect)
            case RunCommand():
                assert effect.message_id in self.recorded(), "carried out before it was recorded"
                self.commands.append(effect)

    def _heard(self, event: object) -> None:
        if isinstance(event, AssistantChunk):
            running = self.stored().open[0]
            assert (turn_id_of(running.message_id), running.attempt) == (event.turn_id, event.attempt), (
                "nobody's"
            )
        if hasattr(event, "seq"):
            assert event in [event_of(record) for record in self.journal], "told before it was stored"
        self.said.append(event)

    def _told(self, message: object) -> None:
        match message:
            case Accepted():
                assert message.message_id in self.recorded(), "a receipt without a record"
                if message.duplicate is None:
                    self.accepted.append(message.message_id)
            case Refused():
                self.refused[message.delivery_id] = message
            case ApprovalOutcome():
                decided = [r.approval_id for r in self.journal if isinstance(r, ApprovalDecided)]
                if message.status == "decided":
                    assert message.approval_id in decided, "a decision that is not durable was confirmed"
                self.undecided.pop(message.approval_id, None)
                self.told.append(message)
            case StopOutcome():
                stopped = sum(
                    isinstance(each, TurnEnded) and each.status == "stopped" for each in self.journal
                )
                assert stopped >= message.stopped, "a stop that is not durable was confirmed"
                self.outcomes.append(message)
                self.stops.pop(0)

    # What holds

    def recorded(self) -> list[str]:
        return [record.message_id for record in self.journal if isinstance(record, UserSaid)]

    def ends(self) -> list[TurnEnded]:
        return [record for record in self.journal if isinstance(record, TurnEnded)]

    def text(self) -> str:
        """What a follower has of the running attempt."""
        chunks = [event for event in self.said if isinstance(event, AssistantChunk)]
        newest = [
            each
            for each in chunks
            if each.attempt == chunks[-1].attempt and each.turn_id == chunks[-1].turn_id
        ]
        text = ""
        for each in newest:
            text = text[: each.offset] + each.text
        return text

    def done(self) -> list[TurnDone]:
        return [event for event in self.said if isinstance(event, TurnDone)]

    def check_journal(self) -> None:
        """Numbers unbroken, no message twice, at most one end each, in the order of the messages."""
        assert [record.number for record in self.journal] == list(range(1, len(self.journal) + 1))
        seqs = [seq for record in self.journal if (seq := getattr(record, "seq", None)) is not None]
        assert seqs == list(range(1, len(seqs) + 1))
        recorded = self.recorded()
        assert len(set(recorded)) == len(recorded)
        ended = [record.message_id for record in self.ends()]
        assert len(set(ended)) == len(ended)
        assert set(ended) <= set(recorded)
        decided = [record.approval_id for record in self.journal if isinstance(record, ApprovalDecided)]
        assert len(set(decided)) == len(decided), "two decisions about one tool"
        started = [record.call_id for record in self.journal if isinstance(record, ToolStarted)]
        assert len(set(started)) == len(started), "a tool started twice"
        finished = [record.call_id for record in self.journal if isinstance(record, ToolFinished)]
        assert len(set(finished)) == len(finished), "a tool ended twice"
        apart = {each.message_id for each in self.journal if isinstance(each, UserSaid) and each.command}
        apart |= {each.message_id for each in self.ends() if each.code == "steered"}
        in_order = [each for each in ended if each not in apart]
        assert in_order == [each for each in recorded if each not in apart][: len(in_order)]

    def check_all_answered(self) -> None:
        """Every message that was taken has its one end, and nobody waits for a receipt."""
        self.check_journal()
        assert sorted(record.message_id for record in self.ends()) == sorted(self.recorded())
        assert not self.unsettled
        assert not self.stops
        assert not self.undecided
        assert not self.asked
        assert set(self.accepted) <= set(self.recorded())
