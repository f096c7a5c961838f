"""The running turn: what its attempt has said so far, and what it waits for."""

from __future__ import annotations

from dataclasses import dataclass, field

from openclaw_actors.core.conversation import OpenMessage
from openclaw_actors.core.records import turn_id_of
from openclaw_actors.messages.events import AssistantChunk, Usage
from openclaw_actors.messages.model import CallFailed, Completed

__all__ = ["Turn", "call_id_of"]

_BETWEEN_STEPS = "\n\n"


def call_id_of(turn_id: str, *, attempt: int, number: int) -> str:
    """The id of a turn's model call, the same for whoever makes it."""
    return f"{turn_id}/{attempt}/{number}"


@dataclass(slots=True)
class Turn:
    """One attempt to answer one message."""

    message_id: str
    turn_id: str
    attempt: int
    correlation_id: str
    call_id: str | None = None
    """The model call that runs; None while tools run or records are written."""
    due: bool = True
    """The next model call may go out: the attempt began, or the last answer's tools have all ended."""
    calls: int = 0
    """Model calls of this turn, so far as they are recorded, and of this attempt."""
    restarts: int = 0
    """How often the turn started again as what the model said broke off."""
    losses: int = 0
    """How often the model's actor died under it."""
    ending: bool = False
    """Its end is on the way to the journal: nothing that still comes of it counts."""
    usage: Usage = field(default_factory=Usage)
    model: str = ""
    """Who answered last; empty: nobody yet, or whom the conversation has chosen."""
    waited_s: float | None = 0.0
    """What the model and tools took so far; None: not known, for an attempt was lost with its process."""
    _out_since: float | None = None
    """Since when the model or tools work, Unix time."""
    _pieces: list[str] = field(default_factory=list)
    _length: int = 0
    _step_starts: int = 0

    @classmethod
    def of(cls, message: OpenMessage, before: Turn | None) -> Turn:
        """The attempt that the message's state stands for.

        Args:
            before: the same turn's last attempt, in this process.
        """
        turn = cls(
            message_id=message.message_id,
            turn_id=turn_id_of(message.message_id),
            attempt=message.attempt,
            correlation_id=message.correlation_id,
            restarts=before.restarts if before is not None else 0,
            losses=before.losses if before is not None else 0,
            usage=message.usage,
            waited_s=0.0 if message.attempt <= 1 else None,
            calls=len(message.steps),
        )
        for step in message.steps:
            turn.say(step.text)
            turn.begin_step()
        return turn

    def __len__(self) -> int:
        return self._length

    def calls_model(self, now: float) -> str:
        """The next model call goes out; returns its id."""
        self.due = False
        self.calls += 1
        self.begin_step()
        self.goes_out(now)
        self.call_id = call_id_of(self.turn_id, attempt=self.attempt, number=self.calls)
        return self.call_id

    def call_ends(self, said: Completed | CallFailed, now: float, *, was_chosen: bool) -> None:
        """The model answered, or failed to.

        Args:
            was_chosen: by the conversation: it need not be noted who it was.
        """
        self.call_id = None
        self.comes_back(now, said.model_seconds)
        if said.model:
            self.model = "" if was_chosen else said.model
        self.usage = self.usage + said.usage

    def goes_out(self, now: float) -> None:
        """The model, or tools, work from now on; what passed since the last lap was our own doing."""
        self._out_since = now

    def lap(self, now: float) -> None:
        """One of several tools has ended; others may go on."""
        if self._out_since is not None:
            self._add_wait(now - self._out_since)
            self._out_since = now

    def comes_back(self, now: float, took_s: float | None = None) -> None:
        """Nothing is waited for any more.

        Args:
            took_s: how long it took, if that is known better.
        """
        if self._out_since is not None:
            self._add_wait(now - self._out_since if took_s is None else took_s)
            self._out_since = None

    def _add_wait(self, seconds: float) -> None:
        if self.waited_s is not None:
            self.waited_s += max(0.0, seconds)

    @property
    def text(self) -> str:
        """All that this attempt has said."""
        if len(self._pieces) > 1:
            self._pieces = ["".join(self._pieces)]
        return self._pieces[0] if self._pieces else ""

    def begin_step(self) -> None:
        """What is said from now on belongs to the next model answer."""
        self._step_starts = self._length

    def missing_of(self, answer: str) -> str:
        """The end of the model's answer that never came as a piece, if what came is its beginning."""
        said = self.text[self._step_starts :]
        if self._step_starts:
            said = said.removeprefix(_BETWEEN_STEPS)
        return answer[len(said) :] if answer.startswith(said) else ""

    def say(self, text: str) -> AssistantChunk | None:
        """Adds a piece; returns the chunk that followers are to see, None for an empty piece."""
        if not text:
            return None
        if self._length and self._length == self._step_starts:
            text = _BETWEEN_STEPS + text
        offset = self._length
        self._pieces.append(text)
        self._length += len(text)
        return AssistantChunk(turn_id=self.turn_id, attempt=self.attempt, offset=offset, text=text)

    def said_so_far(self) -> AssistantChunk | None:
        """One chunk with all of the attempt's text, for those who join now."""
        if not self._length:
            return None
        return AssistantChunk(turn_id=self.turn_id, attempt=self.attempt, offset=0, text=self.text)
