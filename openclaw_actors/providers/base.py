"""Owns what every provider is: something that answers a `Complete`, piece by piece, or fails in a stated way."""

from __future__ import annotations

__all__ = ["Answer", "CallError", "OnDelta", "Provider"]

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from openclaw_actors.core.breaker import Outcome
from openclaw_actors.errors import ProviderError
from openclaw_actors.messages.events import Usage
from openclaw_actors.messages.model import Complete, FinishReason, ProviderProbed, ToolCall

OnDelta: TypeAlias = Callable[[str], None]
"""Takes a piece of the answer's text. Never blocks, never raises."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Answer:
    """A whole answer."""

    text: str
    usage: Usage
    tool_calls: tuple[ToolCall, ...] = ()
    finish_reason: FinishReason = "stop"
    cache_read_tokens: int = 0
    """Of the input: what the provider had kept from an earlier call, and charges less for."""
    cache_write_tokens: int = 0
    """Of the input: what it keeps for the next one."""
    model: str = ""
    """Who answered, by the name that the configuration has for it."""


class CallError(ProviderError):
    """Raised when a call, or one attempt of it, brought no answer.

    Args:
        code: `provider`, `timeout`, `circuit_open`, `overloaded`, `configuration`, `stream_broken` or `unknown_model`.
        text: one line for the person who asked; holds no key and nothing that the provider said.
        detail: one line for the log; holds no key.
        outcome: what the failure says about the provider, for the circuit breaker.
        retryable: the same request may succeed if it is made again.
        retry_after_s: the pause that the provider asked for.
    """

    def __init__(
        self,
        *,
        code: str,
        text: str,
        detail: str,
        outcome: Outcome = Outcome.FAILED,
        retryable: bool = False,
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__(code, detail)
        self.model = ""
        """Whose failure it is, by the name that the configuration has for it."""
        self.code = code
        self.text = text
        self.detail = detail
        self.outcome = outcome
        self.retryable = retryable
        self.retry_after_s = retry_after_s

    def __str__(self) -> str:
        return f"{self.code}: {self.detail}"


class Provider(Protocol):
    """A source of completions. One instance serves all sessions."""

    async def complete(self, request: Complete, on_delta: OnDelta) -> Answer:
        """Make one attempt at an answer.

        It may be cancelled at any moment and closes its connection then. It keeps no deadline for the whole answer:
        the caller does.

        Args:
            request: what to answer.
            on_delta: told each piece of the text as it arrives.

        Raises:
            CallError: there is no answer.
        """
        ...

    async def probe(self, *, timeout_s: float) -> ProviderProbed:
        """Find out whether a call could succeed, without one that costs anything. Raises nothing.

        Args:
            timeout_s: for all of it.
        """
        ...

    async def close(self) -> None:
        """Close what is open; no call is under way any more."""
        ...
