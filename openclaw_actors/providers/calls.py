"""Owns the making of calls: places, attempts, the circuit breaker, deadlines. One instance serves all sessions."""

from __future__ import annotations

__all__ = ["CallLimits", "Caller"]

import asyncio
import logging
import math
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from openclaw_actors.core.breaker import CircuitBreaker, Outcome
from openclaw_actors.core.retry import RetryPolicy
from openclaw_actors.messages.model import Complete, ProviderProbed
from openclaw_actors.providers import failures
from openclaw_actors.providers.base import Answer, CallError, OnDelta, Provider

logger = logging.getLogger(__name__)

_WAIT_WITHOUT_TIMEOUT_S = 600.0


@dataclass(frozen=True, kw_only=True, slots=True)
class CallLimits:
    """What calls may take.

    Args:
        timeout_s: for a whole call, its attempts and the pauses between them included; and, apart from that, for the
            wait for a place. 0: none for the call, ten minutes for the wait.
        concurrent: calls under way at once.
        waiting: calls that wait for a place.
    """

    timeout_s: float = 120.0
    concurrent: int = 16
    waiting: int = 256


class Caller:
    """Makes calls of one provider.

    Args:
        provider: whom to call.
        breaker: asked before each attempt, told of each outcome.
        retries: how often and when a failed attempt is repeated.
        limits: of time and number.
        clock: monotonic seconds.
        sleep: waits between attempts.
        random_source: of the jitter.
    """

    def __init__(
        self,
        provider: Provider,
        *,
        breaker: CircuitBreaker,
        retries: RetryPolicy,
        limits: CallLimits,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        random_source: random.Random | None = None,
    ) -> None:
        self.breaker = breaker
        self.retried = 0
        """Attempts that were repetitions, of all calls."""
        self.on_retry: Callable[[], None] = lambda: None
        """Called before each attempt that repeats a failed one."""
        self._provider = provider
        self._retries = retries
        self._limits = limits
        self._clock = clock
        self._sleep = sleep
        self._random = random_source or random.Random()
        # asyncio's semaphore is first come, first served, and counts without waiting while a place is free.
        self._places = asyncio.Semaphore(limits.concurrent)
        self._waiting = 0

    @property
    def waiting(self) -> int:
        """Calls that wait for a place now."""
        return self._waiting

    async def complete(self, request: Complete, on_delta: OnDelta) -> Answer:
        """Make one call. Cancelling it closes its connection and gives its place back.

        Raises:
            CallError: there is no answer; `stream_broken` where parts of one were passed on, and another call may bring
                all of it.
        """
        await self._take_place()
        try:
            return await self._call(request, on_delta)
        finally:
            self._places.release()

    async def probe(self, *, timeout_s: float) -> ProviderProbed:
        """Find out how the provider is; takes no place and tells the circuit breaker nothing."""
        return await self._provider.probe(timeout_s=timeout_s)

    async def close(self) -> None:
        """Close the provider's connections."""
        await self._provider.close()

    async def _take_place(self) -> None:
        if not self._places.locked():
            await self._places.acquire()
            return
        if self._waiting >= self._limits.waiting:
            raise failures.overloaded(f"{self._waiting} calls wait already")
        wait_s = self._limits.timeout_s or _WAIT_WITHOUT_TIMEOUT_S
        self._waiting += 1
        try:
            async with asyncio.timeout(wait_s):
                await self._places.acquire()
        except TimeoutError:
            raise failures.overloaded(f"no place became free in {wait_s:.0f} s") from None
        finally:
            self._waiting -= 1

    async def _call(self, request: Complete, on_delta: OnDelta) -> Answer:
        deadline = self._clock() + self._limits.timeout_s if self._limits.timeout_s else math.inf
        retries = self._retries.begin(self._random)
        while True:
            try:
                return await self._attempt(request, on_delta, deadline)
            except CallError as error:
                delay_s = retries.next_delay_s(
                    retryable=error.retryable,
                    retry_after_s=error.retry_after_s,
                    left_s=deadline - self._clock(),
                )
                if delay_s is None:
                    raise
                logger.warning("call %s: %s; trying again in %.1f s", request.call_id, error, delay_s)
            self.retried += 1
            self.on_retry()
            await self._sleep(delay_s)

    async def _attempt(self, request: Complete, on_delta: OnDelta, deadline: float) -> Answer:
        now = self._clock()
        permit = self.breaker.acquire(now)
        if permit is None:
            raise failures.circuit_open(self.breaker.retry_after_s(now))
        outcome = Outcome.UNKNOWN
        streamed = False

        def pass_on(text: str) -> None:
            nonlocal streamed
            streamed = True
            on_delta(text)

        try:
            async with asyncio.timeout(None if deadline == math.inf else max(0.0, deadline - now)):
                answer = await self._provider.complete(request, pass_on)
            outcome = Outcome.ALIVE
            return answer
        except (CallError, TimeoutError) as error:
            if isinstance(error, TimeoutError):
                error = failures.timed_out(f"no whole answer in {self._limits.timeout_s:g} s")
            outcome = error.outcome
            # What was passed on cannot be taken back by a second attempt of this call. Whether the asker begins anew is
            # its own decision, and none that could help where the same request must fail again.
            broken = streamed and error.retryable
            raise (failures.broken_stream(error.detail) if broken else error) from None
        finally:
            self.breaker.release(permit, outcome, self._clock())
