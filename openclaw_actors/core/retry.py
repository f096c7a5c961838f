"""Decides whether a failed provider call is tried again, and when."""

from __future__ import annotations

__all__ = ["Retries", "RetryPolicy", "parse_retry_after"]

import random
from dataclasses import dataclass
from datetime import UTC
from email.utils import parsedate_to_datetime

from openclaw_actors.core.backoff import Backoff

_LONGEST_HEADER = 64


@dataclass(frozen=True, kw_only=True, slots=True)
class RetryPolicy:
    """How often, and how soon, a call is tried again.

    Args:
        retries: how many attempts may follow the first.
        backoff_s: the wait before the second attempt; it doubles from there.
        backoff_max_s: the longest such wait.
        jitter: the part of a wait, 0 to 1, that is left to chance.
        longest_wait_s: a provider that asks for a longer pause than this is not waited for.
    """

    retries: int = 3
    backoff_s: float = 1.0
    backoff_max_s: float = 30.0
    jitter: float = 0.25
    longest_wait_s: float = 60.0

    def begin(self, random_source: random.Random) -> Retries:
        """The decisions for one call."""
        backoff = Backoff(self.backoff_s, self.backoff_max_s, jitter=self.jitter, random_source=random_source)
        return Retries(policy=self, backoff=backoff, random_source=random_source)


@dataclass(kw_only=True, slots=True)
class Retries:
    """One call's attempts."""

    policy: RetryPolicy
    backoff: Backoff
    random_source: random.Random
    used: int = 0

    def next_delay_s(self, *, retryable: bool, retry_after_s: float | None, left_s: float) -> float | None:
        """An attempt failed: the wait before the next one, or None: give up.

        Args:
            retryable: another attempt may succeed, and nothing of this one was passed on.
            retry_after_s: the pause that the provider asked for.
            left_s: what is left of the time that the call may take; `math.inf` where there is no such limit.
        """
        policy = self.policy
        if not retryable or self.used >= policy.retries:
            return None
        delay_s = self.backoff.next_delay_s()
        if retry_after_s is not None:
            if retry_after_s > policy.longest_wait_s:
                return None
            # Never earlier than asked for, and not all callers in the same instant.
            delay_s = max(delay_s, retry_after_s * (1 + 0.1 * self.random_source.random()))
        if delay_s >= left_s:
            return None
        self.used += 1
        return delay_s


def parse_retry_after(value: str | None, *, wall_now_s: float) -> float | None:
    """Seconds that a `Retry-After` header asks for: a number or an HTTP date; None where it says neither.

    Args:
        value: the header, as it came.
        wall_now_s: the time of day, in seconds since 1970; a date in the past means now.
    """
    if value is None or len(value) > _LONGEST_HEADER:
        return None
    text = value.strip()
    if text.replace(".", "", 1).isdecimal() and text.isascii():
        return float(text)
    try:
        when = parsedate_to_datetime(text)
    except (ValueError, IndexError, OverflowError):
        return None
    if when.tzinfo is None:
        when = when.replace(tzinfo=UTC)
    return max(0.0, when.timestamp() - wall_now_s)
