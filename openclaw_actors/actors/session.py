"""SessionActor: one conversation in a process of its own. The shell around `core.session`.

It feeds the core with what arrives and carries out what the core decides. Nothing here holds the mailbox: writes,
model calls and replays are tasks that come back with an event.
"""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Iterable, Sequence

from openclaw_actors import logs
from openclaw_actors.actors.directory import ServiceDirectory
from openclaw_actors.actors.replay import ReplayReader
from openclaw_actors.actors.session_activity import SessionDoing
from openclaw_actors.actors.session_approvals import ApprovalWatch
from openclaw_actors.actors.session_blueprint import blueprint_of
from openclaw_actors.actors.session_change import SessionChange
from openclaw_actors.actors.session_commands import SessionCommands
from openclaw_actors.actors.session_leaving import SessionLeaving
from openclaw_actors.actors.session_limits import give_way, limit_memory, log_end
from openclaw_actors.actors.session_model import ModelCalls
from openclaw_actors.actors.session_subagents import SubAgentCalls
from openclaw_actors.actors.session_voice import Voice
from openclaw_actors.actors.turn_clock import TurnClock
from openclaw_actors.actorsystem import AsyncActor, handles
from openclaw_actors.agent.faults import Fault, commit_fault, fault_of
from openclaw_actors.config import GatewayConfig
from openclaw_actors.core.conversation import decode_state
from openclaw_actors.core.effects import (
    ApprovalsChanged,
    CallModel,
    CancelModel,
    Effect,
    FindOutcome,
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
from openclaw_actors.core.records import Record
from openclaw_actors.core.session import SessionCore
from openclaw_actors.errors import AskRefused
from openclaw_actors.messages import (
    Address,
    Append,
    Appended,
    AssistantChunk,
    CallFailed,
    CloseSession,
    Complete,
    Completed,
    DecideApproval,
    Deliver,
    Directory,
    Drain,
    Drained,
    EndSession,
    Event,
    Followers,
    ForkedWith,
    InitFailed,
    InitSession,
    Message,
    ModelDelta,
    OpenSession,
    Passivate,
    PassivationDeclined,
    PassivationGranted,
    Ping,
    Pong,
    Ready,
    Replay,
    SessionGivesUp,
    SessionOpened,
    StopTurn,
    ToolCall,
    TurnDone,
)

__all__ = ["SessionActor"]

logger = logging.getLogger(__name__)

_STORE_TIMEOUT_S = 30.0
_LOOK_AGAIN_S = 1.0


class SessionActor(AsyncActor):
    """One conversation."""

    new_session = True
    made_before_fork = True
    process_name = "session"

    def __init__(self) -> None:
        super().__init__()
        self._key = ""
        self._early: list[tuple[Message, Address]] | None = []
        self._looks = False
        """At the end of this tick, what it does is looked at."""

    # Life

    @handles(InitSession)
    async def initialise(self, message: InitSession, sender: Address) -> Ready | InitFailed:
        """Opens the conversation and continues at its last record."""
        self._key = message.session
        self._router = sender
        self._directory = ServiceDirectory(message.directory)
        blueprint = blueprint_of(message.settings)
        self._config = blueprint.config
        logs.serve_session(self._key)
        if not self.rehearses:
            give_way()
            limit_memory(self._config.sessions.max_memory_mb)
        try:
            opened: SessionOpened = await self._directory.ask(
                self, "persistence", OpenSession(session=self._key), timeout_s=_STORE_TIMEOUT_S
            )
        except AskRefused as refusal:
            self.stop_after_answer(refusal.code)
            return InitFailed(reason=refusal.text, code=refusal.code)
        self.incarnation = opened.token
        self._core = SessionCore(decode_state(opened.state), opened.token, blueprint.limits, time.monotonic)
        system_prompt = blueprint.system_prompt
        skills = system_prompt.skills
        self._turn_clock = TurnClock(
            self.call_later,
            self._config.sessions.turn_timeout_seconds,
            self._turn_timed_out,
            began=self._turn_began,
        )
        self._approvals = ApprovalWatch(
            self._core,
            opened.token,
            self._turn_clock,
            call_later=self.call_later,
            tell_router=self._tell_router,
            expired=self._approval_expired,
        )
        self._doing = SessionDoing(
            self._core, opened.token, self._approvals, self._turn_clock, self._tell_router
        )
        self._tools = blueprint.tools
        self._tools.serve(self, self._key, self._directory, self._tool_done, message.secrets)
        self._commands = SessionCommands(
            self._core, self._tools.ask_store, self._command_done, skills.told if skills is not None else None
        )
        await self._tools.open()
        self._calls = ModelCalls(
            self,
            self._core,
            self._directory,
            system_prompt,
            lambda: self._tools.specs,
            self._heard,
            summary_timeout_s=self._config.sessions.turn_timeout_seconds,
        )
        self._tools.sub_agents = SubAgentCalls(
            self._core, send_to_model=self._calls.send, carry_out=self._carry_out
        )
        self._core.approvals.needed_for = self._tools.needs_approval
        self._core.runs_beside = self._tools.runs_beside
        self._voice = Voice(self, self._key, self._directory, message.followers, self._said_so_far)
        self._replays = ReplayReader(self, self._directory, self._core, self._voice)
        self._change = SessionChange(
            self._core, self._tools, self._calls, self._commands, self._turn_clock, self._took
        )
        self._leaving = SessionLeaving(
            self._core,
            opened.token,
            self._approvals,
            idle_s=self._config.sessions.idle_seconds,
            call_later=self.call_later,
            tell_router=self._tell_router,
        )
        resumes = {"resumes": "a turn"} if self._core.resumes else {}
        self._carry_out(
            self._core.resume(
                deaths=message.deaths, live_channels=self._directory.instances(), now=time.time()
            )
        )
        self._leaving.watch()
        early, self._early = self._early or [], None
        for each, its_sender in early:
            self._entered(each, its_sender)
        self._leaving.channels(self._directory.instances())
        return Ready(pid=os.getpid(), incarnation=opened.token, detail=resumes)

    def _turn_began(self) -> None:
        self._change.turn_began()

    def _took(self, config: GatewayConfig) -> None:
        self._config = config
        self._leaving.use(config.sessions.idle_seconds)

    @handles(Directory)
    def learn_addresses(self, message: Directory, sender: Address) -> None:
        """A service was replaced."""
        if not self._key:
            self._opening(message, sender)
            return
        changed = self._directory.update(message)
        if self._early is not None:
            return
        self._tools.learn_addresses()
        if "model" in changed and self._calls.called_incarnation != self._directory.incarnation("model"):
            self._tools.sub_agents.model_lost()
            self._carry_out(self._core.model_lost(time.time()))
        if "persistence" in changed:
            self._carry_out(self._core.store_replaced(time.time()))
        self._voice.tell_again()
        self._leaving.channels(self._directory.instances())

    @handles(Ping)
    def sign_of_life(self, message: Ping, sender: Address) -> Pong:
        """Says what the session is doing."""
        if self._early is not None:
            return Pong(pid=os.getpid(), incarnation=self.incarnation or 0, doing="opening")
        self._doing.tell(again=True)
        return Pong(
            pid=os.getpid(),
            incarnation=self.incarnation or 0,
            mailbox_depth=self._core.mailbox_depth,
            doing=self._doing.words,
            problems=("writing failed; held in memory",) if self._core.degraded else (),
        )

    @handles(Drain)
    async def drain(self, message: Drain, sender: Address) -> Drained:
        """Takes nothing new, lets the running turn finish within the grace period, and leaves."""
        self.call_later(message.grace_s + _STORE_TIMEOUT_S, self.stop, "drained")
        if self._early is None:
            self._carry_out(self._core.drain(time.time()))
            self._note_idleness()
            try:
                async with asyncio.timeout(message.grace_s):
                    await self._leaving.became_idle.wait()
                    await self._close()
            except TimeoutError:
                logger.info("a turn is left for the next start")
            except AskRefused as refusal:
                logger.warning("the conversation cannot be closed: %s", refusal)
        self.stop_after_answer("drained")
        return Drained(unfinished=len(self._core.state.open) if self._early is None else 0)

    # From people

    @handles(Deliver, StopTurn, DecideApproval, Replay, Followers, EndSession, Passivate, ForkedWith)
    def from_router(self, message: Message, sender: Address) -> None:
        """What the router passes on; before the conversation is open it waits."""
        if not self._opening(message, sender):
            self._entered(message, sender)

    def _opening(self, message: Message, sender: Address) -> bool:
        if self._early is None:
            return False
        self._early.append((message, sender))
        return True

    def _entered(self, message: Message, sender: Address) -> None:
        match message:
            case Deliver():
                self._leaving.delivered(message)
                self._carry_out(self._core.delivered(message, time.time()))
            case StopTurn():
                self._carry_out(self._core.stop(message, time.time()))
            case DecideApproval():
                self._carry_out(self._core.decided(message, time.time()))
            case Replay():
                self._replays.show(message)
            case Followers():
                self._voice.followers = message.channels
            case EndSession():
                self._leaving.connection_closed()
            case Passivate():
                self._leaving.wanted()
            case Directory():
                self.learn_addresses(message, sender)
            case ForkedWith():
                self._change.arrived(message)

    # From the model

    @handles(ModelDelta, Completed, CallFailed)
    def model_said(self, message: ModelDelta | Completed | CallFailed, sender: Address) -> None:
        """A piece of the answer, the whole of it, or that there will be none."""
        self._heard(message)

    def _heard(self, message: ModelDelta | Completed | CallFailed) -> None:
        most_chars = self._core.limits.max_answer_chars
        if (kept := self._core.early.hear(message, most_chars=most_chars)) is not None:
            self._carry_out(kept)
        elif isinstance(message, ModelDelta):
            self._carry_out(self._core.model_said(message.call_id, message.text, time.time()))
        elif self._tools.sub_agents.model_said(message):
            return
        elif isinstance(message, CallFailed):
            self._carry_out(self._core.model_failed(message, time.time()))
        else:
            self._answered(message)

    def _answered(self, message: Completed) -> None:
        """Of the demo provider an answer may be a fault to commit."""
        llm = self._config.llm
        fault = fault_of(message) if llm.demo_faults and llm.provider == "demo" else None
        if fault is not None and self._core.waits_for(message.call_id):
            # In a tick of its own: the receipt of its question may be about to leave in this one.
            self.call_later(0, self._commit, fault, message)
        else:
            self._carry_out(self._core.model_done(message, time.time()))

    def _commit(self, fault: Fault, message: Completed) -> None:
        done = Completed(call_id=message.call_id, text=commit_fault(fault), usage=message.usage)
        self._carry_out(self._core.model_done(done, time.time()))

    # Effects

    def _carry_out(self, effects: Iterable[Effect]) -> None:
        for effect in effects:
            match effect:
                case Publish():
                    self._publish(effect.events)
                case WriteRecords():
                    self._write(effect)
                case TryAgainLater():
                    self.call_later(_LOOK_AGAIN_S, self._try_again)
                case TellChannel():
                    self._voice.flush()
                    self._voice.tell(effect.channel, effect.message)
                case TellRouter():
                    self._voice.flush()  # it may end this process on what it hears
                    self.send(self._router, effect.message)
                case CallModel() | SummariseHistory() | CancelModel() | TakeUp():
                    self._with_model(effect)
                case RunCommand():
                    self.spawn(self._commands.run(effect), name="command")
                case StartTurnClock() | ApprovalsChanged():
                    self._approvals.carry_out(effect)
                    self._tools.sub_agents.approvals_changed()
                case FindOutcome():
                    self._replays.tell_outcome(effect)
                case _:
                    self._tools.carry_out(effect)
        if not self._looks:
            self._looks = True
            self.call_at_tick_end(self._note_idleness)

    def _with_model(self, effect: CallModel | SummariseHistory | CancelModel | TakeUp) -> None:
        if isinstance(effect, TakeUp):
            for message in effect.heard:
                self._heard(message)
        else:
            self._change.call_begins(effect)
            self._calls.carry_out(effect)

    def _write(self, write: WriteRecords) -> None:
        append = Append(
            session=self._key,
            token=self._core_token,
            records=write.records,
            when_exhausted=write.when_exhausted,
        )
        self._directory.ask_then(self, "persistence", append, self._written, timeout_s=_STORE_TIMEOUT_S)

    def _written(self, stored: Appended, refusal: AskRefused | None) -> None:
        if refusal is None:
            self._carry_out(self._core.written(time.time(), durable=stored.durable))
        elif refusal.code == "persistence_failed":
            self._carry_out(self._core.write_failed(time.time()))
        else:
            missing = self._core.store_misses(time.time()) if refusal.code == "gap" else None
            if missing is None:
                self._give_up(refusal)
            else:
                self._carry_out(missing)

    def _try_again(self) -> None:
        self._carry_out(self._core.try_again(time.time()))

    def _give_up(self, refusal: AskRefused) -> None:
        """What this process knows and what the store knows differ: the next incarnation takes the store's word."""
        logger.error("the store refuses what this session writes: %s", refusal)
        reason = f"the store refused what it wrote ({refusal.code})"
        self.send(
            self._router, SessionGivesUp(session=self._key, incarnation=self._core_token, reason=reason)
        )
        self.stop(refusal.code)

    @property
    def _core_token(self) -> int:
        assert self.incarnation is not None
        return self.incarnation

    def _publish(self, events: tuple[Event, ...]) -> None:
        for event in events:
            if isinstance(event, TurnDone):
                log_end(event, self._turn_clock.began_at, self._turn_clock.correlation_id)
        self._voice.publish(events)

    def on_dead_target(self, address: Address, message: object) -> None:
        """Keeps what a dying channel did not take."""
        if self._early is None:
            self._voice.not_delivered(address, message)

    def on_overflow(self, address: Address, message: object) -> None:
        """Tells channels again what there was no room for, and asks the model again."""
        if self._early is None:
            self._voice.not_taken(address, message)
        if isinstance(message, Complete):
            self.call_later(_LOOK_AGAIN_S, self._calls.again, message)

    def _said_so_far(self) -> AssistantChunk | None:
        turn = self._core.turn
        return turn.said_so_far() if turn is not None else None

    def _approval_expired(self, approval_id: str) -> None:
        self._carry_out(self._core.approval_expired(approval_id, time.time()))

    def _tell_router(self, message: Message) -> None:
        self.send(self._router, message)

    def _turn_timed_out(self, turn_id: str) -> None:
        self._carry_out(self._core.turn_timed_out(turn_id, time.time()))

    def _command_done(self, message_id: str, text: str, records: Sequence[Record]) -> None:
        self._carry_out(self._core.command_done(message_id, text, time.time(), drafts=records))

    def _tool_done(self, turn_id: str, call: ToolCall, status: str, text: str) -> None:
        self._carry_out(self._core.tool_done(turn_id, call, status, text, time.time()))

    # Leaving

    async def on_stop(self) -> None:
        """Leaves nothing of the audit unwritten."""
        if self._early is None:
            self._tools.close()

    def _note_idleness(self) -> None:
        self._looks = False
        if self._early is not None:
            return
        self._doing.tell()
        self._leaving.look()

    @handles(PassivationDeclined)
    def stay(self, message: PassivationDeclined, sender: Address) -> None:
        """Something is on its way."""
        self._leaving.declined()

    @handles(PassivationGranted)
    async def leave(self, message: PassivationGranted, sender: Address) -> None:
        """Writes the snapshot and exits; stays if its records cannot be written, or a decision came meanwhile."""
        if not self._core.rests:
            self._leaving.stays()
            return
        self._approvals.rest()
        self._voice.flush()
        try:
            await self._close()
        except AskRefused as refusal:
            if refusal.code == "dirty":
                self._leaving.stays()
                self._approvals.look()
                return
        self.stop("passivated")

    async def _close(self) -> None:
        await self._directory.ask(
            self,
            "persistence",
            CloseSession(session=self._key, token=self._core_token),
            timeout_s=_STORE_TIMEOUT_S,
        )
