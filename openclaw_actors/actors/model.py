"""ModelActor: the only process that calls the provider and holds its key. The shell around `providers.ModelPool`.

Each call is a task. What a provider says in one tick of the loop is one piece, and pieces travel at a frame's pace:
every message wakes a session's process, and nobody sees the difference.
"""

from __future__ import annotations

import asyncio
import logging
import os
import time

from openclaw_actors import logs
from openclaw_actors.actors.board import counters_of
from openclaw_actors.actors.model_ledger import ModelLedger
from openclaw_actors.actors.own_secrets import own_secrets
from openclaw_actors.actors.replaceable import Replaceable
from openclaw_actors.actorsystem import AsyncActor, address_key, handles
from openclaw_actors.config import decode
from openclaw_actors.config.sections import LlmConfig
from openclaw_actors.core.metrics import LLM_RESULTS
from openclaw_actors.core.series import series
from openclaw_actors.errors import AskRefused, ConfigError
from openclaw_actors.messages import (
    Address,
    CallFailed,
    CancelCall,
    Complete,
    Completed,
    Directory,
    Drain,
    Drained,
    Init,
    InitFailed,
    ModelDelta,
    Ping,
    Pong,
    ProbeProvider,
    ProviderProbed,
    Ready,
    Reconfigure,
    Reconfigured,
    Usage,
)
from openclaw_actors.providers import CallError, ModelPool, Unusable, create_pool, estimate_usage

__all__ = ["ModelActor"]

logger = logging.getLogger(__name__)

_CLOSE_S = 1.0
_PACE_S = 0.005
"""What an unfinished answer says waits so long for more."""
_MOST_PIECES = 32
"""Of a call that wait; what comes beyond them is added to the last one."""
_LOOK_EVERY_S = 1.0
_PROBE_S = 60.0


class _Call:
    """One call under way: whose it is, and what of its answer has not been sent on yet."""

    __slots__ = ("asker", "chars", "pieces", "request", "said_at", "task", "words")

    def __init__(self, request: Complete, asker: Address) -> None:
        self.request = request
        self.asker = asker
        self.words: list[str] = []
        """Of this tick."""
        self.pieces: list[str] = []
        """Of the ticks before."""
        self.chars = 0
        """Of the answer so far."""
        self.said_at = time.monotonic()
        """When the asker was last sent something."""
        self.task: asyncio.Task[None] | None = None

    @property
    def call_id(self) -> str:
        return self.request.call_id

    def tick_ends(self) -> None:
        """What was said in this tick is a piece."""
        words, self.words = "".join(self.words), []
        if len(self.pieces) < _MOST_PIECES:
            self.pieces.append(words)
        else:
            self.pieces[-1] += words


class ModelActor(AsyncActor):
    """Calls the provider for all sessions."""

    process_name = "model"
    first_message = Init

    def __init__(self) -> None:
        super().__init__()
        self._pools: Replaceable[ModelPool] | None = None
        self._made_of: tuple[object, object] = (None, None)
        """Settings and secrets of the pool."""
        self._ledger: ModelLedger | None = None
        self._calls: dict[tuple[str, str], _Call] = {}
        self._speaking: list[_Call] = []
        """Calls of which something waits to be sent; a timer is set while there are any."""
        self._looks = False
        self._probing = False

    # Life

    @handles(Init)
    def initialise(self, message: Init, sender: Address) -> Ready | InitFailed:
        """Gets ready to call; nothing is called yet."""
        self.incarnation = message.incarnation
        self.counters = counters_of(message.name)
        llm = decode(message.settings).llm
        self._ledger = ModelLedger(self, message.directory, llm)
        try:
            self._make_pool(llm, message)
        except (ConfigError, Unusable) as error:
            self.stop_after_answer("not usable")
            return InitFailed(reason=str(error), code="configuration")
        self.unstash()
        return Ready(
            pid=os.getpid(),
            incarnation=message.incarnation,
            detail={"provider": llm.provider, "model": llm.model},
        )

    def _make_pool(self, llm: LlmConfig, message: Init | Reconfigure) -> None:
        secrets = own_secrets(message)
        if self._made_of == (llm, secrets):
            return
        pool = create_pool(llm, secrets)
        pool.on_retry = self._count_retry
        pool.on_failed = self._count_fallback
        self._made_of = llm, secrets
        if self._pools is None:
            self._pools = Replaceable(pool, lambda coro: self.spawn(coro, name="close a pool"))
        else:
            self._pools.replace(pool)

    @property
    def _pool(self) -> ModelPool | None:
        return None if self._pools is None else self._pools.current

    @handles(Reconfigure)
    def reconfigure(self, message: Reconfigure, sender: Address) -> Reconfigured:
        """Makes the calls that begin from now on in another way; those under way end as they began."""
        config = decode(message.settings)
        try:
            self._make_pool(config.llm, message)
        except (ConfigError, Unusable) as error:
            raise AskRefused("configuration", str(error)) from None
        if self._ledger is not None:
            self._ledger.use(config.llm)
        logs.use(level=config.logging.level, form=config.logging.format)
        return Reconfigured()

    @handles(Directory)
    def learn_addresses(self, message: Directory, sender: Address) -> None:
        """Answers go to who asks; only the ledger's address is needed."""
        if self._ledger is not None:
            self._ledger.learn(message)

    @handles(Ping)
    def sign_of_life(self, message: Ping, sender: Address) -> Pong:
        """Says how many calls are under way, and whether the circuit is open."""
        gauges: dict[str, float] = {}
        calls = len(self._calls)
        doing = f"{calls} calls" if calls else "idle"
        if (pool := self._pool) is not None:
            gauges["circuit_breaker_state"] = float(pool.main.caller.breaker.state)
            for lane in pool.lanes:
                gauges[series("llm_model_circuit_state", model=lane.name)] = float(lane.caller.breaker.state)
            # Shown, but no problem of this gateway: one that is taken out of service for it would get no call, and
            # so no probe, any more.
            if said := pool.describe():
                doing += f", {said}"
        return Pong(
            pid=os.getpid(),
            incarnation=self.incarnation or 0,
            mailbox_depth=self.mailbox_depth,
            doing=doing,
            gauges=gauges,
        )

    @handles(ProbeProvider)
    async def probe(self, message: ProbeProvider, sender: Address) -> ProviderProbed:
        """Finds out whether the provider is there and takes the key."""
        if self._pool is None or self._probing:
            raise AskRefused("busy", "another probe of the provider is under way; try again in a moment")
        self._probing = True
        try:
            return await self._pool.probe(timeout_s=min(message.timeout_s, _PROBE_S))
        finally:
            self._probing = False

    @handles(Drain)
    async def drain(self, message: Drain, sender: Address) -> Drained:
        """Lets calls end within the grace period; those of sessions are over, or begin again at the next start."""
        tasks = [call.task for call in self._calls.values() if call.task is not None]
        if tasks and message.grace_s > 0:
            await asyncio.wait(tasks, timeout=message.grace_s)
        return Drained()

    async def on_stop(self) -> None:
        """Closes the provider's connections."""
        tasks = [call.task for call in self._calls.values() if call.task is not None]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=_CLOSE_S)
        if self._pools is not None:
            await self._pools.close()

    # Calls

    @handles(Complete)
    def complete(self, message: Complete, sender: Address) -> None:
        """Begins a call; one that is under way already is not begun again."""
        key = (address_key(sender), message.call_id)
        if key in self._calls:
            return
        if not self._looks:
            self._looks = True
            self.call_later(_LOOK_EVERY_S, self._look_after_askers)
        call = self._calls[key] = _Call(message, sender)
        call.task = self.spawn(self._make(call), name=f"call {message.call_id}")
        # Not in the task: one that is cancelled before its first step never gets to its `finally`.
        call.task.add_done_callback(lambda _: self._calls.pop(key, None))

    @handles(CancelCall)
    def cancel(self, message: CancelCall, sender: Address) -> None:
        """Ends a call and closes its connection."""
        call = self._calls.get((address_key(sender), message.call_id))
        if call is not None and call.task is not None:
            call.task.cancel()

    def on_dead_target(self, address: Address, message: object) -> None:
        """Ends the calls of a session that is gone."""
        gone = address_key(address)
        for (asker, _), call in list(self._calls.items()):
            if asker == gone and call.task is not None:
                call.task.cancel()

    def _look_after_askers(self) -> None:
        """Finds out whether those who wait for a silent provider still live: nobody else would end their calls."""
        now = time.monotonic()
        for call in list(self._calls.values()):
            if now - call.said_at >= _LOOK_EVERY_S:
                self._send_piece(call, "")
        self._looks = bool(self._calls)
        if self._looks:
            self.call_later(_LOOK_EVERY_S, self._look_after_askers)

    async def _make(self, call: _Call) -> None:
        assert self._pools is not None
        assert self._ledger is not None
        request = call.request
        began = time.monotonic()
        with logs.bind(correlation=request.correlation_id, session=request.session):
            try:
                await self._ledger.admit(request.session)
                with self._pools.used() as pool:
                    answer = await pool.complete(request, lambda text: self._said(call, text))
            except CallError as error:
                seconds = time.monotonic() - began
                logger.warning("call %s failed after %.3f s: %s", call.call_id, seconds, error)
                # What was streamed was paid for; how much it was, the provider has not got to say.
                usage = estimate_usage(request, call.chars) if call.chars else Usage()
                self._count_call(error.code, usage, error.model)
                self._ledger.spent(request, usage, "failed", seconds, model=error.model)
                self._flush(call)
                self.send(
                    call.asker,
                    CallFailed(
                        call_id=call.call_id,
                        code=error.code,
                        text=error.text,
                        streamed=call.chars > 0,
                        usage=usage,
                        model_seconds=seconds,
                        model=error.model,
                    ),
                )
            except asyncio.CancelledError:
                used = estimate_usage(request, call.chars) if call.chars else Usage()
                self._count_call("cancelled", used, "")
                self._ledger.spent(request, used, "stopped", time.monotonic() - began)
                logger.info("call %s is cancelled", call.call_id)
                raise
            else:
                seconds = time.monotonic() - began
                self._count_call("ok", answer.usage, answer.model)
                self._ledger.spent(request, answer.usage, "completed", seconds, model=answer.model)
                self.counters[series("llm_cache_tokens_total", kind="read")] += answer.cache_read_tokens
                self.counters[series("llm_cache_tokens_total", kind="write")] += answer.cache_write_tokens
                logger.info("call %s answered after %.3f s by %s", call.call_id, seconds, answer.model)
                self._flush(call)
                self.send(
                    call.asker,
                    Completed(
                        call_id=call.call_id,
                        text=answer.text,
                        usage=answer.usage,
                        tool_calls=answer.tool_calls,
                        model_seconds=seconds,
                        finish_reason=answer.finish_reason,
                        model=answer.model,
                    ),
                )

    def _said(self, call: _Call, text: str) -> None:
        call.words.append(text)
        call.chars += len(text)
        if len(call.words) == 1:
            self.call_at_tick_end(self._tick_ends, call)

    def _tick_ends(self, call: _Call) -> None:
        if not call.words:
            return  # its answer was complete in this tick
        call.tick_ends()
        if not self._speaking:
            self.call_later(_PACE_S, self._send_pieces)
        self._speaking.append(call)

    def _send_pieces(self) -> None:
        speaking, self._speaking = self._speaking, []
        for call in speaking:
            self._flush(call)

    def _flush(self, call: _Call) -> None:
        if call.words:
            call.tick_ends()
        pieces, call.pieces = call.pieces, []
        for piece in pieces:
            self._send_piece(call, piece)

    def _send_piece(self, call: _Call, text: str) -> None:
        call.said_at = time.monotonic()
        self.send(call.asker, ModelDelta(call_id=call.call_id, text=text))

    def _count_call(self, result: str, usage: Usage, model: str) -> None:
        known = result if result in LLM_RESULTS else "provider"
        self.counters[series("llm_calls_total", result=known)] += 1
        self.counters[series("llm_tokens_total", direction="input")] += usage.input_tokens
        self.counters[series("llm_tokens_total", direction="output")] += usage.output_tokens
        if model:
            self._count_model(model, known, usage)

    def _count_model(self, model: str, result: str, usage: Usage) -> None:
        self.counters[series("llm_model_calls_total", model=model, result=result)] += 1
        for direction, tokens in (("input", usage.input_tokens), ("output", usage.output_tokens)):
            self.counters[series("llm_model_tokens_total", model=model, direction=direction)] += tokens

    def _count_fallback(self, model: str, error: CallError) -> None:
        self.counters["llm_fallbacks_total"] += 1
        self._count_model(model, error.code, Usage())

    def _count_retry(self) -> None:
        self.counters["llm_retries_total"] += 1
