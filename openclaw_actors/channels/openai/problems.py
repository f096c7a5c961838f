"""Decides what a client of the OpenAI API is told when it gets no answer: status, body, and whether to try again."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from openclaw_actors.channels.websocket.wire import encode_json
from openclaw_actors.messages import CallFailed, TurnDone

__all__ = [
    "ApiProblem",
    "answer_restarted",
    "bad_request",
    "error_type",
    "model_not_found",
    "problem_of_call",
    "problem_of_refusal",
    "problem_of_turn",
    "slow_consumer",
    "turn_goes_on",
]

_BAD_REQUEST = "invalid_request_error"
_TYPES: Mapping[int, str] = MappingProxyType(
    {401: "authentication_error", 403: "permission_error", 429: "rate_limit_error"}
)


class ApiProblem(Exception):
    """Raised, or told, when a request gets no answer.

    Args:
        status: of the HTTP response; within a stream it is no longer seen.
        message: for a person.
        code: for programs.
        type_: OpenAI's class of errors; follows from the status by default.
        param: the field of the request that is to blame.
        retry_after_s: the pause that a client should make before it tries again.
        retry: whether OpenAI's clients should try again by themselves; None: as they do for this status.
    """

    def __init__(
        self,
        status: int,
        message: str,
        *,
        code: str | None = None,
        type_: str | None = None,
        param: str | None = None,
        retry_after_s: int | None = None,
        retry: bool | None = None,
    ) -> None:
        super().__init__(status, message)
        self.status = status
        self.message = message
        self.code = code
        self.type = type_ or error_type(status)
        self.param = param
        self.retry_after_s = retry_after_s
        self.retry = retry

    @property
    def body(self) -> dict[str, Any]:
        """OpenAI's error object."""
        return {"error": {"message": self.message, "type": self.type, "param": self.param, "code": self.code}}

    @property
    def headers(self) -> dict[str, str]:
        """What goes with the status."""
        headers: dict[str, str] = {}
        if self.retry_after_s is not None:
            headers["Retry-After"] = str(self.retry_after_s)
        if self.retry is not None:
            headers["x-should-retry"] = "true" if self.retry else "false"
        return headers

    def encode(self) -> bytes:
        """The body of the response."""
        return encode_json(self.body) + b"\n"


def error_type(status: int) -> str:
    """OpenAI's class of errors for a status."""
    return _TYPES.get(status, "server_error" if status >= 500 else _BAD_REQUEST)


def bad_request(message: str, param: str | None, code: str | None = None) -> ApiProblem:
    """The request cannot be answered as it is."""
    return ApiProblem(400, message, param=param, code=code)


def model_not_found(model: str, known: tuple[str, ...]) -> ApiProblem:
    """There is no such model here."""
    return ApiProblem(
        404,
        f"The model {model[:100]!r} does not exist here; there is {' and '.join(known)}.",
        param="model",
        code="model_not_found",
    )


class _Kind(NamedTuple):
    status: int
    retry_after_s: int | None = None
    retry: bool | None = None
    type_: str | None = None


_REFUSALS: Mapping[str, _Kind] = MappingProxyType(
    {
        # Not taken, so that the same request may be sent again.
        "busy": _Kind(429, 1),
        "rate_limited": _Kind(429, 10),
        "draining": _Kind(503, 5),
        "not_accepted": _Kind(503, 1),
        "persistence_failed": _Kind(503, 5),
        # Trying again changes nothing.
        "budget": _Kind(429, retry=False, type_="insufficient_quota"),
        "message_id_conflict": _Kind(409, retry=False),
        "quarantined": _Kind(500, retry=False),
        "too_large": _Kind(400),
        "corrupt": _Kind(500, retry=False),
    }
)
_OTHER_REFUSAL = _Kind(503, 1)

_TURNS: Mapping[str, _Kind] = MappingProxyType(
    {
        "provider": _Kind(502),
        "stream_broken": _Kind(502),
        "timeout": _Kind(504),
        "circuit_open": _Kind(503, 30),
        "overloaded": _Kind(503, 5),
        "interrupted": _Kind(503),
        "unavailable": _Kind(503, 5),
        "draining": _Kind(503, 5),
        "too_large": _Kind(400),
    }
)
_OTHER_TURN = _Kind(500)


def answer_restarted() -> ApiProblem:
    """A further attempt at the answer says something else: a stream cannot take back what it has said."""
    return ApiProblem(
        502,
        "The answer was interrupted and has started again in other words: what was streamed is void. The turn goes "
        "on; the same request with the same Idempotency-Key gets its answer.",
        code="answer_restarted",
        retry=False,
    )


def turn_goes_on(*, has_key: bool) -> ApiProblem:
    """The gateway ends before the turn does, which goes on when the gateway is there again.

    Args:
        has_key: the message can be told from another one when it is sent again.
    """
    return ApiProblem(
        503,
        "The gateway is shutting down. The message was taken and will be answered in its session; the same request "
        "with the same Idempotency-Key gets its answer.",
        code="draining",
        retry_after_s=5,
        retry=None if has_key else False,
    )


def slow_consumer() -> ApiProblem:
    """The client did not read what it was sent."""
    return ApiProblem(500, "The client took too long to read its answer.", code="slow_consumer", retry=False)


def problem_of_refusal(code: str, text: str) -> ApiProblem:
    """The session did not take the message.

    Args:
        code: as in `Refused`.
        text: for the sender.
    """
    kind = _REFUSALS.get(code, _OTHER_REFUSAL)
    return _problem(kind, text, code, retry=kind.retry)


def problem_of_turn(done: TurnDone) -> ApiProblem | None:
    """The turn ended without an answer; None: it has one.

    The message stands in the conversation and its turn is over: a client that sent it again by itself would say it
    twice.
    """
    if done.status in ("completed", "stopped"):
        return None
    code = done.code or done.status
    kind = _TURNS.get(code, _OTHER_TURN)
    return _problem(kind, done.text or "The turn was interrupted.", code, retry=False)


def problem_of_call(failed: CallFailed) -> ApiProblem:
    """The model gave no answer; nothing was stored, so that the same request may be sent again."""
    kind = _TURNS.get(failed.code, _OTHER_TURN)
    return _problem(kind, failed.text, failed.code, retry=kind.retry)


def _problem(kind: _Kind, message: str, code: str, *, retry: bool | None) -> ApiProblem:
    return ApiProblem(
        kind.status,
        message,
        code=code,
        type_=kind.type_,
        retry_after_s=kind.retry_after_s,
        retry=retry,
    )
