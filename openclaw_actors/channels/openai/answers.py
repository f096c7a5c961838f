"""Turns what becomes of a turn, or of a plain model call, into what an OpenAI client is sent of it.

Events come in order, none twice. `take` returns the bytes of a stream; a client that wants the answer at once ignores
them and asks for `completion` in the end.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Generic, TypeVar

from openclaw_actors.channels.openai.problems import (
    ApiProblem,
    answer_restarted,
    problem_of_call,
    problem_of_turn,
)
from openclaw_actors.channels.openai.responses import Answering
from openclaw_actors.channels.openai.speech import Diverged, Speech
from openclaw_actors.messages import (
    AssistantChunk,
    CallFailed,
    Completed,
    Event,
    FinishReason,
    ModelDelta,
    TurnDone,
    TurnStarted,
    Usage,
)

__all__ = ["Answer", "CallAnswer", "TurnAnswer"]


_E = TypeVar("_E")


class Answer(ABC, Generic[_E]):
    """What both kinds have in common.

    Args:
        answering: of the request.
        streams: the client hears the text as it comes.
    """

    def __init__(self, answering: Answering, *, streams: bool) -> None:
        self.answering = answering
        self.streams = streams
        self.problem: ApiProblem | None = None
        """Why there will be no (further) answer."""
        self._speech = Speech()
        self._whole: tuple[str, Usage, FinishReason] | None = None

    @property
    def finished(self) -> bool:
        """Nothing more is to come."""
        return self.problem is not None or self._whole is not None

    @abstractmethod
    def take(self, event: _E) -> bytes:
        """Something happened; returns what the client is sent."""

    def completion(self) -> bytes:
        """The whole answer, once it is finished without a problem."""
        assert self._whole is not None
        return self.answering.completion(*self._whole)

    def _say(self, text: str, offset: int | None = None) -> bytes:
        if not self.streams:
            return b""
        try:
            return self.answering.delta(self._speech.say(text, offset))
        except Diverged:
            self.problem = answer_restarted()
            return b""

    def _end(self, text: str, usage: Usage, reason: FinishReason, *, cut: bool = False) -> bytes:
        if self.streams:
            try:
                rest = self._speech.finish(text)
            except Diverged:
                if not cut:
                    self.problem = answer_restarted()
                    return b""
                rest = ""
        self._whole = (text, usage, reason)
        return self.answering.delta(rest) + self.answering.end(usage, reason) if self.streams else b""


class TurnAnswer(Answer[Event]):
    """The answer that a session's turn gives.

    A session that has died begins the turn anew. The client hears nothing then until the new attempt has said, word for
    word, what the client has; if it says something else, the stream ends with a problem, and the turn goes on.
    """

    def __init__(self, answering: Answering, *, streams: bool) -> None:
        super().__init__(answering, streams=streams)
        self._attempt = 0

    def take(self, event: Event) -> bytes:
        """Something happened in the turn; returns what the client is sent."""
        if self.finished:
            return b""
        if isinstance(event, TurnStarted):
            self._heard_of(event.attempt)
        elif isinstance(event, AssistantChunk):
            self._heard_of(event.attempt)
            if event.attempt == self._attempt:
                return self._say(event.text, event.offset)
        elif isinstance(event, TurnDone):
            return self._done(event)
        return b""

    def _heard_of(self, attempt: int) -> None:
        if attempt > self._attempt:
            self._attempt = attempt
            self._speech.begin_again()

    def _done(self, done: TurnDone) -> bytes:
        self.problem = problem_of_turn(done)
        if self.problem is not None:
            return b""
        # A stopped turn's text may be less than what was heard of it: what was said before the stop stands.
        return self._end(done.text, done.usage, "stop", cut=done.status == "stopped")


class CallAnswer(Answer[ModelDelta | Completed | CallFailed]):
    """The answer that the model gives, with no session between."""

    def take(self, event: ModelDelta | Completed | CallFailed) -> bytes:
        """The model's actor says something; returns what the client is sent."""
        if self.finished:
            return b""
        if isinstance(event, ModelDelta):
            return self._say(event.text)
        if isinstance(event, CallFailed):
            self.problem = problem_of_call(event)
            return b""
        return self._end(event.text, event.usage, event.finish_reason)
