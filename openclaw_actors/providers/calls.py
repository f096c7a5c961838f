"""Owns the making of one provider's calls: attempts, the circuit breaker, deadlines. One instance serves everybody."""

from __future__ import annotations

__all__ = ["CallLimits", "Caller"]

import asyncio
import logging
import math
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace

from openclaw_actors.core.breaker import CircuitBreaker, Outcome
from openclaw_actors.core.retry import RetryPolicy
from openclaw_actors.messages.model import Complete, ProviderProbed
from openclaw_actors.providers import failures
from openclaw_actors.providers.base import Answer, CallError, OnDelta, Provider
from openclaw_actors.providers.places import Places

logger = logging.getLogger(__name__)


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

    def places(self) -> Places:
        """The places that these limits allow."""
        return Places(concurrent=self.concurrent, waiting=self.waiting, wait_s=self.timeout_s)


class Caller:
    """Makes calls of one provider.

    Args:
        provider: whom to call.
        breaker: asked before each attempt, told of each outcome.
        retries: how often and when a failed attempt is repeated.
        limits: of time and number.
        places: where other providers' calls count, too; None: they do not.
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
        places: Places | None = None,
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
        self._places = places or limits.places()

    @property
    def waiting(self) -> int:
        """Calls that wait for a place now."""
        return self._places.waiting

    async def complete(self, request: Complete, on_delta: OnDelta) -> Answer:
        """Make one call. Cancelling it closes its connection and gives its place back.

        Raises:
            CallError: there is no answer; `stream_broken` where parts of one were passed on, and another call may bring
                all of it.
        """
        async with self._places:
            return await self.call(request, on_delta)

    async def probe(self, *, timeout_s: float) -> ProviderProbed:
        """Find out how the provider is; takes no place and tells the circuit breaker nothing."""
        return await self._provider.probe(timeout_s=timeout_s)

    async def close(self) -> None:
        """Close the provider's connections."""
        await self._provider.close()

    async def call(self, request: Complete, on_delta: OnDelta, *, most_retries: int | None = None) -> Answer:
        """As `complete`, for somebody who holds a place already.

        Args:
            request: what to answer.
            on_delta: told each piece of the text as it arrives.
            most_retries: fewer repetitions than usual, where another model can be asked instead.

        Raises:
            CallError: see `complete`.
        """
        deadline = self._clock() + self._limits.timeout_s if self._limits.timeout_s else math.inf
        policy = self._retries
        if most_retries is not None and most_retries < policy.retries:
            policy = replace(policy, retries=most_retries)
        retries = policy.begin(self._random)
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
