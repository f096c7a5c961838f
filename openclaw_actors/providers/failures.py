"""Decides what a failed provider call means: whether it may be repeated, what it says of the provider, and its text."""

from __future__ import annotations

__all__ = [
    "OUT_OF_REACH",
    "TEMPORARILY_UNAVAILABLE",
    "broken_stream",
    "circuit_open",
    "connection_failed",
    "empty",
    "garbage",
    "misconfigured",
    "overloaded",
    "refused",
    "reported",
    "timed_out",
    "too_large",
    "too_many_calls",
    "unknown_model",
    "unsendable",
]

import re
from collections.abc import Sequence

from openclaw_actors.core.breaker import Outcome
from openclaw_actors.providers.base import CallError

OUT_OF_REACH = "Sorry, I'm having trouble reaching my AI provider right now. Please try again shortly."
TEMPORARILY_UNAVAILABLE = "I'm temporarily unavailable. Please try again shortly."
_BUSY = "Too many people are asking at once. Please try again shortly."
_REFUSED_KEY = "My AI provider refused the API key. Please set a valid llm.api_key and restart the gateway."
_NOT_ALLOWED = (
    "My AI provider does not allow this key to use {model!r}. Please check llm.api_key and llm.model."
)
_NO_CREDIT = "The account at my AI provider has no credit left. Please check its plan and billing."
_NOT_FOUND = (
    "My AI provider knows no model {model!r} at this address. Please check llm.model and llm.endpoint."
)
_MOVED = "My AI provider's address has moved. Please check llm.endpoint."
_TOO_LONG = "This conversation has become too long for the model {model!r}. Please start a new one."
_REJECTED = (
    "My AI provider rejected this request. Please check llm.model and llm.endpoint, or try another message."
)
_FILTERED = "My AI provider's content filter withheld the answer. Please put the question in another way."
_NO_ROOM = (
    "The answer used up llm.max_tokens before its first word. Please set a larger one, or ask for less."
)
_TOO_LARGE = "My AI provider's answer is larger than llm.max_response_bytes allows, and was given up."

_TOO_MANY_CALLS = (
    "The model asked for too many tools at once, and its answer was given up. Please ask for less at a time."
)

_SHOWN_CHARS = 64
_SHOWN_NAMES = 20

_CONTEXT_REASONS = frozenset(
    {"context_length_exceeded", "exceed_context_size_error", "string_above_max_length"}
)
_FILTER_REASONS = frozenset({"content_filter", "content_policy_violation", "ResponsibleAIPolicyViolation"})
_STATUS_OF_REASON = {
    "invalid_api_key": 401,
    "authentication_error": 401,
    "permission_error": 403,
    "model_not_found": 404,
    "DeploymentNotFound": 404,
    "invalid_request_error": 400,
    "billing_error": 402,
    "not_found_error": 404,
    "request_too_large": 413,
    "rate_limit_error": 429,
    "timeout_error": 504,
    "overloaded_error": 529,
}


def connection_failed(detail: str) -> CallError:
    """No connection, or it was lost before anything of the answer was passed on."""
    return CallError(code="provider", text=OUT_OF_REACH, detail=detail, retryable=True)


def garbage(detail: str, *, retryable: bool = False) -> CallError:
    """What came is no answer in any form that we know; `retryable` where it had begun as one."""
    return CallError(code="provider", text=OUT_OF_REACH, detail=detail, retryable=retryable)


def too_large(detail: str) -> CallError:
    """There is more of the answer than we take."""
    return CallError(code="provider", text=_TOO_LARGE, detail=detail)


def too_many_calls(detail: str) -> CallError:
    """The model asks for more tools at once than we take; its provider works, and another attempt costs as much."""
    return CallError(code="provider", text=_TOO_MANY_CALLS, detail=detail, outcome=Outcome.ALIVE)


def unsendable(detail: str) -> CallError:
    """The request cannot be made at all, whoever it is for."""
    return CallError(code="provider", text=_REJECTED, detail=detail, outcome=Outcome.UNKNOWN)


def unknown_model(name: str, names: Sequence[str]) -> CallError:
    """The request names a model that cannot be chosen here.

    Args:
        name: that name.
        names: what can be chosen; empty: whatever looks like the name of a model.
    """
    shown = repr(name[:_SHOWN_CHARS])
    choice = f" Please choose one of: {', '.join(names[:_SHOWN_NAMES])}." if names else ""
    text = f"There is no model {shown} here.{choice}"
    return CallError(code="unknown_model", text=text, detail=f"no model {shown}", outcome=Outcome.UNKNOWN)


def empty(finish_reason: str) -> CallError | None:
    """What an answer without a word means, by the provider's reason for its end; None: that it has nothing to say."""
    text = {"length": _NO_ROOM, "content_filter": _FILTERED}.get(finish_reason)
    if text is None:
        return None
    detail = f"an empty answer, finish_reason {finish_reason}"
    return CallError(code="provider", text=text, detail=detail, outcome=Outcome.ALIVE)


def broken_stream(detail: str) -> CallError:
    """The answer ended before its end; parts of it were passed on already."""
    return CallError(code="stream_broken", text=OUT_OF_REACH, detail=detail)


def timed_out(detail: str, *, retryable: bool = False) -> CallError:
    """No answer within its time."""
    return CallError(code="timeout", text=OUT_OF_REACH, detail=detail, retryable=retryable)


def circuit_open(retry_after_s: float) -> CallError:
    """The circuit breaker lets nothing pass."""
    return CallError(
        code="circuit_open",
        text=TEMPORARILY_UNAVAILABLE,
        detail=f"circuit open for {retry_after_s:.1f} s more",
        outcome=Outcome.UNKNOWN,
        retry_after_s=retry_after_s,
    )


def overloaded(detail: str) -> CallError:
    """No place became free for this call."""
    return CallError(code="overloaded", text=_BUSY, detail=detail, outcome=Outcome.UNKNOWN)


def misconfigured(text: str, detail: str) -> CallError:
    """It cannot work before a person changes something."""
    return CallError(code="configuration", text=text, detail=detail, outcome=Outcome.ALIVE)


def refused(
    status: int, *, model: str, reason: str, detail: str, retry_after_s: float | None = None
) -> CallError:
    """The provider answered with an HTTP status that is not 200, or with an error that means one.

    Args:
        status: the status.
        model: the model that was asked for.
        reason: the provider's own error code or type, empty where it gave none.
        detail: for the log.
        retry_after_s: from its `Retry-After` header.
    """
    if reason == "insufficient_quota":
        return misconfigured(_NO_CREDIT, detail)
    if text := _deliberate(status, reason, model):
        return CallError(code="provider", text=text, detail=detail, outcome=Outcome.ALIVE)
    if status in (408, 409, 425, 429) or status >= 500:
        return CallError(
            code="provider",
            text=OUT_OF_REACH,
            detail=detail,
            retryable=True,
            retry_after_s=retry_after_s,
        )
    if status < 300:
        return garbage(detail)
    if status < 400:
        return misconfigured(_MOVED, detail)
    if status == 401:
        return misconfigured(_REFUSED_KEY, detail)
    if status == 402:
        return misconfigured(_NO_CREDIT, detail)
    if status == 403:
        return misconfigured(_NOT_ALLOWED.format(model=model), detail)
    if status in (404, 405):
        return misconfigured(_NOT_FOUND.format(model=model), detail)
    return CallError(code="provider", text=_REJECTED, detail=detail, outcome=Outcome.ALIVE)


def _deliberate(status: int, reason: str, model: str) -> str:
    """What to say where the provider works, but will not answer this conversation; empty: it is not that."""
    if status == 413 or reason in _CONTEXT_REASONS:
        return _TOO_LONG.format(model=model)
    return _FILTERED if reason in _FILTER_REASONS else ""


def reported(reason: str, *, model: str, detail: str) -> CallError:
    """The provider answered with 200, and with an error where the answer or its rest should have been.

    Args:
        reason: the provider's own error code or type; some give an HTTP status.
        model: the model that was asked for.
        detail: for the log.
    """
    status = int(reason) if re.fullmatch("[45][0-9]{2}", reason) else _STATUS_OF_REASON.get(reason, 500)
    return refused(status, model=model, reason=reason, detail=detail)
