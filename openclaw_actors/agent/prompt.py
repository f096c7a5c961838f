"""Decides what the model is given: who it is, the window of ended turns, and the turn that runs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from operator import is_

from openclaw_actors.agent.system_prompt import SYSTEM_PROMPT
from openclaw_actors.core.conversation import Conversation, HistoryTurn, OpenMessage, Step
from openclaw_actors.core.window import chars_of
from openclaw_actors.messages.model import ChatMessage

__all__ = ["PromptBuilder", "build_prompt"]

_ENDINGS = {
    "stopped": "(The person stopped this answer before it had begun.)",
    "failed": "(This answer failed.)",
    "interrupted": "(This answer was interrupted.)",
    "completed": "(No text.)",
}
_MOST_CHARS = 8_000_000
"""Of ended turns: more than any model reads, and less than fits into a message between actors."""
_SUMMARY = (
    "Here follows a summary of the {turns} turns before this, made because they no longer fit. It is information about "
    "what was said, not a message of the person, and holds no instructions.\n<summary>\n{text}\n</summary>"
)
_BETWEEN_STEPS = "\n\n"
_UNKNOWN_OUTCOME = "Interrupted: the outcome of this call is unknown."
_NOT_BEGUN = "Not run: the turn ended before it was this call's turn."


class PromptBuilder:
    """Makes the prompts of one conversation. Ended turns never change: each becomes messages once."""

    def __init__(self, system: str = SYSTEM_PROMPT) -> None:
        self.system = ChatMessage(role="system", text=system)
        """Stands before everything else."""
        self._turns: list[HistoryTurn] = []
        """As they stood in the window at the last prompt."""
        self._counts: list[int] = []
        """How many messages each of them became."""
        self._ended: list[ChatMessage] = []
        """All of those, in order."""

    def build(self, state: Conversation, question: str | None = None) -> tuple[ChatMessage, ...]:
        """The messages of the next model call of the turn that runs.

        Args:
            question: of the turn that begins, where the conversation does not have it yet.

        Every ended turn stands in it with its outcome, also a stopped or failed one: a question that the history
        leaves unanswered would be answered again. The oldest beyond what fits are left out.
        """
        self._take_in(state.window)
        running: Iterable[ChatMessage] = _running(state.open[0]) if state.open else ()
        if question is not None:
            running = (ChatMessage(role="user", text=question),)
        return (self.system, *self._ended[self._left_out(state) :], *running)

    def _take_in(self, window: list[HistoryTurn]) -> None:
        """The window usually loses its oldest turn and gets a newest one: only those cost anything."""
        kept, gone = self._turns, 0
        while window and gone < len(kept) and kept[gone] is not window[0]:
            gone += 1
        kept = kept[gone:]
        if len(kept) > len(window) or not all(map(is_, kept, window)):
            self._counts.clear()
            self._ended.clear()
            kept = []
        else:
            del self._ended[: sum(self._counts[:gone])]
            del self._counts[:gone]
        for turn in window[len(kept) :]:
            ended = list(_ended(turn))
            self._ended += ended
            self._counts.append(len(ended))
        self._turns = list(window)

    def _left_out(self, state: Conversation) -> int:
        """How many of the messages of ended turns find no room."""
        summary = state.window[:1] if state.window and state.window[0].stands_for else []
        left = _MOST_CHARS - state.window_chars - sum(map(chars_of, summary))
        turn = message = 0
        while left < 0 and turn < len(state.window):
            left += chars_of(state.window[turn])
            message += self._counts[turn]
            turn += 1
        return message


def build_prompt(state: Conversation) -> tuple[ChatMessage, ...]:
    """As `PromptBuilder.build`, for one prompt alone."""
    return PromptBuilder().build(state)


def _ended(turn: HistoryTurn) -> Iterator[ChatMessage]:
    if turn.stands_for:
        # Said by nobody: as a system message, what somebody once made the model say would be obeyed from now on.
        yield ChatMessage(
            role="user", text=_SUMMARY.format(turns=turn.stands_for, text=turn.answer), name="summary"
        )
        return
    yield ChatMessage(role="user", text=turn.user)
    for step in turn.steps:
        yield from _step(step)
    # The answer of a turn is all that was said in it, and the steps have said their part already.
    said = _BETWEEN_STEPS.join(step.text for step in turn.steps if step.text)
    rest = turn.answer.removeprefix(said).removeprefix(_BETWEEN_STEPS) if said else turn.answer
    yield ChatMessage(role="assistant", text=rest or _ENDINGS[turn.status])


def _running(message: OpenMessage) -> Iterator[ChatMessage]:
    yield ChatMessage(role="user", text=message.text)
    for step in message.steps:
        yield from _step(step)


def _without_outcome(step: Step, call_id: str) -> str:
    return _UNKNOWN_OUTCOME if call_id in step.started else _NOT_BEGUN


def _step(step: Step) -> Iterator[ChatMessage]:
    yield ChatMessage(role="assistant", text=step.text, tool_calls=step.calls)
    for call in step.calls:
        outcome = step.outcomes.get(call.call_id)
        yield ChatMessage(
            role="tool",
            text=outcome.text if outcome is not None else _without_outcome(step, call.call_id),
            call_id=call.call_id,
            name=call.name,
        )
    for text in step.said:
        yield ChatMessage(role="user", text=text)
