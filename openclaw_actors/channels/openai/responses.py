"""Owns the bodies of answers: whole completions, the chunks of streamed ones, and the list of models."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from openclaw_actors.channels.openai.problems import ApiProblem
from openclaw_actors.channels.websocket.wire import encode_json
from openclaw_actors.messages import FinishReason, Usage

__all__ = ["DONE", "KEEP_ALIVE", "Answering", "Json", "error_event", "model_card", "model_list", "usage_of"]

Json: TypeAlias = Mapping[str, Any]

DONE = b"data: [DONE]\n\n"
KEEP_ALIVE = b": keep-alive\n\n"
"""A comment: readers of event streams skip it, and those between us and the client see that we live."""

_MODELS_CREATED = 1_735_689_600
"""OpenAI's format wants a time for each model, and clients cache by it: the same for ever."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answering:
    """What all pieces of one answer have in common.

    Args:
        completion_id: the answer's id.
        model: as the client named it.
        created: Unix time, whole seconds.
        include_usage: a stream ends with a count of tokens.
    """

    completion_id: str
    model: str
    created: int
    include_usage: bool = False

    def completion(self, text: str, usage: Usage, reason: FinishReason = "stop") -> bytes:
        """The whole answer at once."""
        message = {"role": "assistant", "content": text, "refusal": None}
        choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": reason}
        return encode_json({**self._head("chat.completion"), "choices": [choice], "usage": usage_of(usage)})

    def role(self) -> bytes:
        """The first event of a stream."""
        return self._chunk({"role": "assistant", "content": ""})

    def delta(self, text: str) -> bytes:
        """More text; nothing for none."""
        return self._chunk({"content": text}) if text else b""

    def end(self, usage: Usage, reason: FinishReason = "stop") -> bytes:
        """The last events of a stream."""
        events = self._chunk({}, reason)
        if self.include_usage:
            head = self._head("chat.completion.chunk")
            events += _event({**head, "choices": [], "usage": usage_of(usage)})
        return events + DONE

    def _chunk(self, delta: Json, reason: FinishReason | None = None) -> bytes:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": reason}
        chunk = {**self._head("chat.completion.chunk"), "choices": [choice]}
        if self.include_usage:
            chunk["usage"] = None
        return _event(chunk)

    def _head(self, kind: str) -> dict[str, Any]:
        return {
            "id": self.completion_id,
            "object": kind,
            "created": self.created,
            "model": self.model,
            "system_fingerprint": None,
        }


def error_event(problem: ApiProblem) -> bytes:
    """The end of a stream that cannot go on; no `[DONE]` follows."""
    return _event(problem.body)


def usage_of(usage: Usage) -> dict[str, int]:
    """The tokens of one request."""
    return {
        "prompt_tokens": usage.input_tokens,
        "completion_tokens": usage.output_tokens,
        "total_tokens": usage.total,
    }


def model_card(model: str) -> dict[str, Any]:
    """One model, as the list shows it."""
    return {"id": model, "object": "model", "created": _MODELS_CREATED, "owned_by": "openclaw"}


def model_list(models: tuple[str, ...]) -> bytes:
    """All models."""
    return encode_json({"object": "list", "data": [model_card(model) for model in models]})


def _event(value: Json) -> bytes:
    return b"data: " + encode_json(value) + b"\n\n"
