"""SessionRouter: the parent of all sessions. The shell around `core.router` and `core.watchdog`.

It forks, so it has one thread and nothing in it blocks.
"""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections import deque
from collections.abc import Coroutine, Iterable
from typing import Any

from openclaw_actors.actors.board import counters_of
from openclaw_actors.actors.catalogue import CHANNELS, load
from openclaw_actors.actors.directory import ServiceDirectory
from openclaw_actors.actors.router_approvals import ApprovalRequests
from openclaw_actors.actors.router_change import RouterChange
from openclaw_actors.actors.router_clock import WatchClock
from openclaw_actors.actors.router_moves import RouterMoves
from openclaw_actors.actors.router_tree import SessionTree, feed_of_sessions, note_exit
from openclaw_actors.actors.router_view import SessionGauges, limits_of
from openclaw_actors.actors.session_blueprint import prepare_sessions
from openclaw_actors.actors.session_rehearsal import rehearse_sessions
from openclaw_actors.actorsystem import ActorFailed, AsyncActor, address_key, handles
from openclaw_actors.actorsystem.holes import fill_holes
from openclaw_actors.core.conversation import decode_state
from openclaw_actors.core.drafts import ends_of
from openclaw_actors.core.router import RouterCore
from openclaw_actors.core.routing import (
    AnswerStop,
    EndTurnsOf,
    Fork,
    Kill,
    MoveSession,
    Phase,
    PingSession,
    RouterEffect,
    SendToSession,
    Tell,
)
from openclaw_actors.core.series import series
from openclaw_actors.core.watchdog import Watchdog
from openclaw_actors.errors import ActorError, AskRefused
from openclaw_actors.messages import (
    Address,
    Append,
    ApprovalOutcome,
    ApprovalsWaiting,
    DeleteSession,
    Deliver,
    Directory,
    Done,
    Drain,
    Drained,
    EndSession,
    Init,
    InitFailed,
    InitSession,
    Intake,
    ListOpenTurns,
    Message,
    OpenSession,
    OpenTurns,
    PassivationAsked,
    PassivationDeclined,
    Ping,
    Pong,
    Ready,
    Reconfigure,
    Reconfigured,
    Replay,
    RestartSession,
    RestoreSession,
    RetireSession,
    SessionDeleted,
    SessionGivesUp,
    SessionOpened,
    SessionRestored,
    SessionRetired,
    Settled,
    StopActor,
    StopOutcome,
    StopTurn,
    Unfollow,
)

__all__ = ["SessionRouter"]

logger = logging.getLogger(__name__)

_STORE_TIMEOUT_S = 10.0
_LIST_TIMEOUT_S = 600.0
"""The store reads every conversation in the list; its death is noticed at once all the same."""
_LIST_AGAIN_S = 1.0
_DRAIN_MARGIN_S = 2.0


class SessionRouter(ApprovalRequests, SessionTree, AsyncActor):
    """Finds or forks the session of every message."""

    process_name = "router"
    first_message = Init
    sweeps = True

    def __init__(self) -> None:
        super().__init__()
        self._addresses: dict[str, Address] = {}
        self._keys: dict[str, str] = {}
        self._channels: dict[str, Address] = {}
        self._retired: deque[str] = deque(maxlen=64)
        self._stop_askers: dict[str, list[asyncio.Future[StopOutcome]]] = {}
        self._approvals: dict[str, ApprovalsWaiting] = {}
        """What waits for a person, by session."""
        self._approval_askers: dict[tuple[str, str], list[asyncio.Future[ApprovalOutcome]]] = {}
        self._endings: set[asyncio.Task[None]] = set()
        self._gauges = SessionGauges()
        self._forked: list[tuple[Fork, Address]] = []

    # Life

    @handles(Init)
    def initialise(self, message: Init, sender: Address) -> Ready:
        """Starts to route, and to resume the turns that an earlier life left open."""
        self.incarnation = message.incarnation
        self._change = RouterChange(message.settings, message.secrets)
        self._directory = ServiceDirectory(message.directory)
        self.counters = counters_of(message.name)
        self._core = RouterCore(limits_of(self._change.config))
        self._watchdog = Watchdog(self._core)
        self._clock = WatchClock(self._watchdog, self.call_later, self._carry_out)
        self._moves = RouterMoves(self, self._core, self._directory, self._carry_out)
        self._feed = feed_of_sessions(self)
        self._session_class = load("session")
        self._prepare_sessions()
        self.spawn(self._recover(), name="recover")
        self._clock.schedule()
        self.unstash()
        return Ready(pid=os.getpid(), incarnation=message.incarnation)

    def _prepare_sessions(self) -> None:
        settings = self._change.settings
        prepare_sessions(settings)
        rehearse_sessions(settings, run_dir=self.run_dir, limits=self.limits)
        prepare_sessions(settings)  # the rehearsal has used the one before
        fill_holes()  # what each session makes then lies together

    async def _recover(self) -> None:
        while True:
            try:
                found: OpenTurns = await self._directory.ask(
                    self, "persistence", ListOpenTurns(), timeout_s=_LIST_TIMEOUT_S
                )
                break
            except AskRefused as refusal:
                logger.error("open turns cannot be listed and wait to be resumed: %s", refusal)
                await asyncio.sleep(_LIST_AGAIN_S)
        if found.turns:
            logger.info("resumes the turns of %d sessions", len(found.turns))
        self._carry_out(self._core.recover([turn.session for turn in found.turns], time.monotonic()))

    @handles(Directory)
    def learn_addresses(self, message: Directory, sender: Address) -> None:
        """A service was replaced: sessions have to know too."""
        self._directory.update(message)
        for channel in CHANNELS:
            address = self._directory.address(channel)
            if address is not None:
                self._know_channel(channel, address)
        for each in self._addresses.values():
            self.send(each, message)

    def _know_channel(self, channel: str, address: Address) -> None:
        """A channel's new incarnation follows nothing yet, whether its first message or the directory tells of it."""
        known = self._channels.get(channel)
        if known == address or address_key(address) in self._retired:
            return
        self._channels[channel] = address
        if known is not None:
            self._retired.append(address_key(known))
            self._carry_out(self._core.channel_restarted(channel))

    @handles(Reconfigure)
    def reconfigure(self, message: Reconfigure, sender: Address) -> Reconfigured:
        """Another configuration, for itself, for the sessions that live, and for those that it forks later."""
        told = self._change.take(message, self._core)
        prepare_sessions(message.settings)
        if told is not None:
            for each in self._addresses.values():
                self.send(each, told)
        self._carry_out(self._core.fill(time.monotonic()))
        return Reconfigured(text=f"{_sessions(len(self._addresses))}, from the next turn on" if told else "")

    @handles(Ping)
    def sign_of_life(self, message: Ping, sender: Address) -> Pong:
        """Says how many sessions there are."""
        return Pong(
            pid=os.getpid(),
            incarnation=self.incarnation or 0,
            mailbox_depth=self.mailbox_depth,
            doing=_sessions(len(self._addresses)) if self._addresses else "idle",
            problems=tuple(
                f"session {entry.key} failed {entry.policy.total} times"
                for entry in self._core.entries.values()
                if entry.policy.failed
            ),
            gauges=self._gauges.of(self._core.entries.values(), len(self._addresses), time.monotonic()),
        )

    @handles(Drain)
    async def drain(self, message: Drain, sender: Address) -> Drained:
        """Refuses what has no session yet, and has every session finish its turn and leave."""
        self._carry_out(self._core.drain())
        answers = await asyncio.gather(
            *(self._drain_session(address, message) for address in list(self._addresses.values()))
        )
        if self._endings:  # what a person stopped must not be resumed at the next start
            await asyncio.wait(self._endings, timeout=message.grace_s + _DRAIN_MARGIN_S)
        return Drained(unfinished=sum(answers))

    async def _drain_session(self, address: Address, message: Drain) -> int:
        try:
            drained: Drained = await self.ask(address, message, timeout_s=message.grace_s + _DRAIN_MARGIN_S)
        except ActorError as error:
            logger.warning("a session did not drain: %s", type(error).__name__)
            return 0
        return drained.unfinished

    # From channels

    @handles(Deliver)
    def deliver(self, message: Deliver, sender: Address) -> None:
        """A person's message."""
        self._know_channel(message.channel, sender)
        self._carry_out(self._core.deliver(message, time.monotonic()))

    @handles(Replay)
    def replay(self, message: Replay, sender: Address) -> None:
        """A connection wants what it missed."""
        self._know_channel(message.channel, sender)
        self._carry_out(self._core.replay(message, time.monotonic()))

    @handles(Unfollow)
    def unfollow(self, message: Unfollow, sender: Address) -> None:
        """Nobody on this channel follows the session any more."""
        if self._channels.get(message.channel) == sender:
            self._carry_out(self._core.unfollow(message))

    @handles(EndSession)
    def end_session(self, message: EndSession, sender: Address) -> None:
        """The connection that the session was bound to is gone."""
        self._carry_out(self._core.end_session(message, time.monotonic()))

    @handles(StopTurn)
    async def stop_turn(self, message: StopTurn, sender: Address) -> StopOutcome | None:
        """Somebody wants the running turn ended; one who asks gets the outcome as the answer."""
        answer: asyncio.Future[StopOutcome] | None = None
        if message.channel is None:
            answer = self.loop.create_future()
            self._stop_askers.setdefault(message.session, []).append(answer)
        self._carry_out(self._core.stop(message, time.monotonic()))
        return None if answer is None else await answer

    # From sessions

    @handles(Settled)
    def settled(self, message: Settled, sender: Address) -> None:
        """Deliveries were accepted or refused."""
        self._core.settled(message)
        self._feed.touch()

    @handles(StopOutcome)
    def stop_confirmed(self, message: StopOutcome, sender: Address) -> None:
        """A session ended its turn; it has told the channel itself."""
        effects = self._core.stop_confirmed(message, time.monotonic())
        self._answer_stop_askers(message)
        self._carry_out(effects)

    @handles(SessionGivesUp)
    def session_gives_up(self, message: SessionGivesUp, sender: Address) -> None:
        """A session exits because the store refuses what it writes."""
        self._core.gives_up(message)

    @handles(PassivationAsked)
    def passivation_asked(self, message: PassivationAsked, sender: Address) -> None:
        """A session would leave."""
        self._carry_out(self._core.passivation_asked(message, time.monotonic()))
        self._moves.leaves_or_stays(message.session)

    @handles(PassivationDeclined)
    def passivation_declined(self, message: PassivationDeclined, sender: Address) -> None:
        """A session stays."""
        self._carry_out(self._core.passivation_declined(message, time.monotonic()))
        self._moves.leaves_or_stays(message.session)

    def on_child_exited(self, address: Address) -> None:
        """A session's process is gone, and what it left is ended."""
        key = self._keys.pop(address_key(address), None)
        if key is None:
            return
        del self._addresses[key]
        entry = self._core.entries.get(key)
        if entry is None or entry.wakes_at is None:
            self._approvals.pop(key, None)
        if entry is not None:
            note_exit(entry, self._feed)
            if entry.phase is Phase.PASSIVATING:
                self._count("session_passivations_total", entry.leaves_for)
            elif not (self._core.draining or entry.moving or entry.fatal is not None):
                self._count("session_restarts_total", entry.death or "died")
                logger.warning("session %s: %s", key, entry.last_death)
        self._carry_out(self._core.exited(key, time.monotonic()))
        self._moves.gone(key)

    def on_child_failed(self, failed: ActorFailed) -> None:
        """A session crashes; its exit follows, and the traceback stands in the log already."""
        key = self._keys.get(address_key(failed.address))
        logger.info("session %s crashes: %s", key, failed.reason)
        if key is not None:
            self._core.crashes(key, failed.message_id)

    def on_overflow(self, address: Address, message: object) -> None:
        """A session has more to do than it can: the sender may try again."""
        self._feed.not_taken(message)
        if isinstance(message, Deliver):
            self.loop.call_soon(self._carry_out, self._core.not_sent(message))

    # From the supervisor

    @handles(RestartSession)
    def restart_session(self, message: RestartSession, sender: Address) -> Done:
        """An operator restarts a session."""
        self._moves.refuse_if_moving(message.session)
        effects = self._core.restart_by_hand(message.session, time.monotonic())
        if effects is None:
            raise AskRefused("unknown", f"no live session {message.session}")
        self._carry_out(effects)
        return Done(text=f"{message.session} is restarted", code="restarted")

    @handles(RetireSession)
    async def retire_session(self, message: RetireSession, sender: Address) -> SessionRetired:
        """Archives a conversation that nobody uses any more."""
        return await self._moves.retire(message)

    @handles(DeleteSession)
    async def delete_session(self, message: DeleteSession, sender: Address) -> SessionDeleted:
        """An operator deletes a conversation."""
        return await self._moves.delete(message.session)

    @handles(RestoreSession)
    async def restore_session(self, message: RestoreSession, sender: Address) -> SessionRestored:
        """An operator wants an archived conversation back."""
        return await self._moves.restore(message)

    @handles(StopActor)
    async def end_by_hand(self, message: StopActor, sender: Address) -> Done:
        """An operator wants a session to leave memory."""
        return await self._moves.end(message.name)

    @handles(Intake)
    def take_or_refuse(self, message: Intake, sender: Address) -> Drained:
        """Refuses new messages from now on, or takes them again."""
        self._core.closed = not message.open
        return Drained()

    # Effects

    def _carry_out(self, effects: Iterable[RouterEffect]) -> None:
        for effect in effects:
            match effect:
                case SendToSession():
                    address = self._addresses.get(effect.key)
                    if address is not None:
                        self.send(address, effect.message)
                case Tell():
                    self._tell(effect.channel, effect.message)
                case Fork():
                    self._fork(effect)
                case Kill():
                    self._kill(effect)
                case PingSession():
                    self.spawn(self._ping(effect.key), name="ping")
                case AnswerStop():
                    if effect.outcome.channel is not None:
                        self._tell(effect.outcome.channel, effect.outcome)
                    self._answer_stop_askers(effect.outcome)
                case EndTurnsOf():
                    self._approvals.pop(effect.key, None)
                    self._finish_before_the_end(self._end_turns(effect), "end turns")
                case MoveSession():
                    self._approvals.pop(effect.key, None)
                    self._finish_before_the_end(self._moves.carry_out(effect.key), "move")
        self._initialise_forked()
        self._feed.touch()
        self._clock.schedule()

    def _finish_before_the_end(self, work: Coroutine[Any, Any, None], name: str) -> None:
        ending = self.spawn(work, name=name)
        self._endings.add(ending)
        ending.add_done_callback(self._endings.discard)

    def _tell(self, channel: str, message: Message) -> None:
        address = self._channels.get(channel) or self._directory.address(channel)
        if address is not None:
            self.send(address, message)

    def _fork(self, fork: Fork) -> None:
        self._approvals.pop(fork.key, None)  # it says anew what waits
        address = self.create(self._session_class)
        self._addresses[fork.key] = address
        self._keys[address_key(address)] = fork.key
        self._forked.append((fork, address))

    def _initialise_forked(self) -> None:
        """After all forks of one moment: what is written between two of them, the second session holds alone."""
        forked, self._forked = self._forked, []
        for fork, address in forked:
            self._count("session_starts_total", fork.why)
            self.spawn(self._initialise(fork, address), name="initialise session")

    async def _initialise(self, fork: Fork, address: Address) -> None:
        init = InitSession(
            session=fork.key,
            settings=self._change.settings,
            directory=self._directory.current,
            followers=fork.followers,
            secrets=self._change.secrets,
            deaths=fork.deaths,
        )
        try:
            answer = await self.ask(
                address, init, timeout_s=self._change.config.sessions.start_timeout_seconds
            )
        except ActorError as error:
            logger.info("session %s did not get ready: %s", fork.key, type(error).__name__)
            return  # its exit, or the watchdog, decides
        if self._addresses.get(fork.key) != address:
            return
        now = time.monotonic()
        if isinstance(answer, InitFailed):
            logger.error("session %s cannot be opened: %s", fork.key, answer.reason)
            self._core.start_failed(fork.key, answer.code, answer.reason)
        else:
            resumes = bool(answer.detail.get("resumes"))
            self._carry_out(self._core.ready(fork.key, answer.incarnation, answer.pid, now, resumes=resumes))

    def _kill(self, effect: Kill) -> None:
        address = self._addresses.get(effect.key)
        pid = self.child_pid(address) if address is not None else None
        if pid is not None:
            level = logging.INFO if self._core.entries[effect.key].moving else logging.WARNING
            logger.log(level, "session %s (pid %d) is killed: %s", effect.key, pid, effect.reason)
            self.kill(pid)

    async def _ping(self, key: str) -> None:
        address = self._addresses.get(key)
        if address is None:
            return
        timeout_s = 2 * self._change.config.sessions.ping_timeout_seconds
        try:
            pong: Pong = await self.ask(address, Ping(), timeout_s=timeout_s)
        except ActorError:
            return  # the watchdog sees that no answer came
        self._watchdog.ponged(key, pong, time.monotonic())
        self._feed.touch()

    async def _end_turns(self, effect: EndTurnsOf) -> None:
        """Opens the conversation in the place of its dead process, and writes the ends: either may be asked twice."""
        stopped = 0
        try:
            opened: SessionOpened = await self._directory.ask(
                self, "persistence", OpenSession(session=effect.key), timeout_s=_STORE_TIMEOUT_S
            )
            records = ends_of(decode_state(opened.state), queue=effect.queue, now=time.time())
            if records:
                append = Append(
                    session=effect.key, token=opened.token, records=records, when_exhausted="keep"
                )
                await self._directory.ask(self, "persistence", append, timeout_s=_STORE_TIMEOUT_S)
            stopped = len(records)
        except AskRefused as refusal:
            logger.error("the stop of %s cannot be recorded: %s", effect.key, refusal)
        self._carry_out(self._core.turns_ended(effect, stopped, time.monotonic()))

    def _answer_stop_askers(self, outcome: StopOutcome) -> None:
        for answer in self._stop_askers.pop(outcome.session, ()):
            if not answer.done():
                answer.set_result(outcome)

    def _count(self, name: str, reason: str) -> None:
        self.counters[series(name, reason=reason)] += 1


def _sessions(count: int) -> str:
    return "1 session" if count == 1 else f"{count} sessions"
