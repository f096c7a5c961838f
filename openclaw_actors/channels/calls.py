"""Decides what a channel that calls the model itself, with no session between, does when the model's actor is replaced.

No socket, no clock, no actor: times come in as arguments, messages to the model's actor leave through `send`, and a
reader is woken through its call's `wake`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from openclaw_actors.channels.backlog import Backlog
from openclaw_actors.core.refusals import REFUSAL_TEXTS
from openclaw_actors.messages import CallFailed, CancelCall, Complete, Completed, ModelDelta, Usage

__all__ = ["Call", "Calls", "Said"]

Said: TypeAlias = ModelDelta | Completed | CallFailed

_LOST = "Sorry, I'm having trouble reaching my AI provider right now. Please try again shortly."
_TOO_LARGE = "The conversation is too large for a model call."


class Call(Backlog[Said]):
    """One call, and what its reader has not read yet.

    Args:
        request: what is asked for.
        wake: called when there is something to read.
    """

    __slots__ = ("begun", "ended", "request", "waits_since")

    def __init__(self, request: Complete, wake: Callable[[], None]) -> None:
        super().__init__(wake)
        self.request = request
        self.begun = False
        """A part of the answer has come: it cannot be asked for anew."""
        self.ended = False
        self.waits_since: float | None = None
        """Since when there has been nobody to call, monotonic."""

    def put(self, piece: Said) -> None:
        """One more piece for the reader; nothing comes after the end."""
        if self.ended or self.cut_off:
            return
        self.begun = True
        self.ended = not isinstance(piece, ModelDelta)
        super().put(piece)

    def fail(self, code: str, text: str) -> None:
        """There will be no (further) answer."""
        failed = CallFailed(
            call_id=self.request.call_id,
            code=code,
            text=text,
            streamed=self.begun,
            usage=Usage(),
            model_seconds=0.0,
        )
        self.put(failed)


class Calls:
    """The calls of one channel that are under way.

    Args:
        send: sends to the model's actor; False where there is none.
        wait_s: how long a call waits for the model's next actor.
    """

    def __init__(self, send: Callable[[Complete | CancelCall], bool], *, wait_s: float) -> None:
        self._send = send
        self._wait_s = wait_s
        self._calls: dict[str, Call] = {}

    def __len__(self) -> int:
        return len(self._calls)

    def use(self, *, wait_s: float) -> None:
        """Another time holds."""
        self._wait_s = wait_s

    def begin(self, call: Call, now: float) -> None:
        """Make a call."""
        self._calls[call.request.call_id] = call
        self._ask(call, now)

    def end(self, call: Call) -> None:
        """Its answer is read, or no longer wanted."""
        self._calls.pop(call.request.call_id, None)
        if not call.ended:
            self._send(CancelCall(call_id=call.request.call_id))

    def said(self, message: Said) -> None:
        """The model's actor says something."""
        call = self._calls.get(message.call_id)
        # An empty piece only asks whether we live.
        if call is not None and (message.text or not isinstance(message, ModelDelta)):
            call.put(message)

    def not_sent(self, call_id: str, *, too_large: bool = False) -> None:
        """A call could not be handed over."""
        call = self._calls.get(call_id)
        if call is not None:
            code, text = ("too_large", _TOO_LARGE) if too_large else ("overloaded", REFUSAL_TEXTS["busy"])
            call.fail(code, text)

    def model_replaced(self, now: float) -> None:
        """The model's actor is another one now, or gone: what has not begun to be answered is asked for again."""
        for call in tuple(self._calls.values()):
            if call.begun:
                call.fail("stream_broken", _LOST)
            else:
                self._ask(call, now)

    def tick(self, now: float) -> None:
        """Give up the calls for which nobody has been there for too long."""
        for call in tuple(self._calls.values()):
            if call.waits_since is not None and now - call.waits_since >= self._wait_s:
                call.fail("unavailable", _LOST)

    def shut_down(self) -> None:
        """Nothing more comes."""
        for call in tuple(self._calls.values()):
            call.fail("draining", REFUSAL_TEXTS["draining"])

    def _ask(self, call: Call, now: float) -> None:
        if self._send(call.request):
            call.waits_since = None
        elif call.waits_since is None:
            call.waits_since = now
