"""Decides which model answers a call: the one that was chosen, and who stands in where it cannot.

The text of an answer is one model's alone: once a piece of it was passed on, nobody else is asked in that call. A turn
stays with whom it has come to: a loop of tools is not handed back and forth between models.
"""

from __future__ import annotations

__all__ = ["Lane", "ModelPool"]

import logging
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import msgspec

from openclaw_actors.core.breaker import BreakerState, Outcome
from openclaw_actors.messages.model import Complete, ProviderProbed
from openclaw_actors.providers import failures
from openclaw_actors.providers.base import Answer, CallError, OnDelta
from openclaw_actors.providers.calls import Caller
from openclaw_actors.providers.places import Places

logger = logging.getLogger(__name__)

_MOST_TURNS = 4096
"""So many turns are remembered; beyond it the one that is oldest begins at the first model again."""
_MOST_OPENED = 64
"""Models that were chosen by a name that the configuration does not hold."""
_LONGEST_NAME = 128
_RETRIES_BEFORE_FALLBACK = 1


@dataclass(slots=True, eq=False)
class Lane:
    """One model, with a circuit breaker of its own."""

    name: str
    """As the configuration, the metrics and `status` call it."""
    model: str
    """As its provider calls it."""
    caller: Caller
    calls: int = field(default=0)
    """That may come to it now."""


class ModelPool:
    """Everybody who may answer.

    Args:
        main: the configured model.
        fallbacks: who is asked instead, in this order.
        choices: the models that a request can name, beside the main one's own name.
        places: for calls of all of them together.
        open_lane: makes the lane of a model that a request names, where any name will do; None: only `choices` will.
    """

    def __init__(
        self,
        main: Lane,
        *,
        places: Places,
        fallbacks: Sequence[Lane] = (),
        choices: Mapping[str, Lane] | None = None,
        open_lane: Callable[[str], Lane] | None = None,
    ) -> None:
        self.on_retry: Callable[[], None] = lambda: None
        """Told of each attempt that repeats one."""
        self.on_failed: Callable[[str, CallError], None] = lambda _name, _error: None
        """Told whose failure another model makes up for."""
        self._chain = (main, *fallbacks)
        self._choices = dict(choices or {})
        self._places = places
        self._open_lane = open_lane
        self._opened: OrderedDict[str, Lane] = OrderedDict()
        self._forgotten: list[Lane] = []
        """Their connections are still to be closed."""
        self._turns: OrderedDict[tuple[str, str], Lane] = OrderedDict()
        self._answers: Lane | None = None
        for lane in self.lanes:
            self._listen_to(lane)

    @property
    def main(self) -> Lane:
        """The configured model."""
        return self._chain[0]

    @property
    def lanes(self) -> tuple[Lane, ...]:
        """Every model of the configuration."""
        return tuple(dict.fromkeys((*self._chain, *self._choices.values())))

    def describe(self) -> str:
        """What is out of the ordinary, for `status`; empty: nothing is."""
        lanes = self.lanes
        shut = [lane.name for lane in lanes if lane.caller.breaker.state is not BreakerState.CLOSED]
        said = []
        if shut:
            said.append("circuit open" if len(lanes) == 1 else f"circuit open: {' '.join(shut)}")
        if self._answers is not None and self._answers is not self.main:
            said.append(f"{self._answers.name} answers")
        return ", ".join(said)

    async def complete(self, request: Complete, on_delta: OnDelta) -> Answer:
        """Have one of the models answer. Cancelling it closes its connection and gives its place back.

        Raises:
            CallError: nobody did; it says whose failure it is. Where several failed, it is that of the first.
        """
        lanes = self._lanes_for(request)
        for lane in lanes:
            lane.calls += 1
        try:
            while self._forgotten:
                await self._forgotten.pop().caller.close()
            async with self._places:
                return await self._ask_in_turn(self._rest_of(lanes, request), request, on_delta)
        finally:
            for lane in lanes:
                lane.calls -= 1

    async def probe(self, *, timeout_s: float) -> ProviderProbed:
        """Find out how the configured model's provider is."""
        return await self.main.caller.probe(timeout_s=timeout_s)

    async def close(self) -> None:
        """Close all connections."""
        for lane in (*self.lanes, *self._opened.values(), *self._forgotten):
            await lane.caller.close()

    # Who is asked

    def _lanes_for(self, request: Complete) -> tuple[Lane, ...]:
        """Who may answer, best first. What somebody chose is what answers, or nobody does."""
        name = request.model
        if name is None or name == self.main.model:
            return self._chain
        if (chosen := self._choices.get(name)) is not None:
            return (chosen,)
        if self._open_lane is None or not name.isprintable() or not 0 < len(name) <= _LONGEST_NAME:
            raise failures.unknown_model(name, () if self._open_lane else (self.main.model, *self._choices))
        return (self._open(name, self._open_lane),)

    def _open(self, name: str, make: Callable[[str], Lane]) -> Lane:
        lane = self._opened.get(name)
        if lane is None:
            if len(self._opened) >= _MOST_OPENED:
                self._forget_one()
            lane = self._opened[name] = make(name)
            self._listen_to(lane)
        self._opened.move_to_end(name)
        return lane

    def _listen_to(self, lane: Lane) -> None:
        lane.caller.on_retry = lambda: self.on_retry()

    def _forget_one(self) -> None:
        name = next((name for name, lane in self._opened.items() if not lane.calls), None)
        if name is None:
            raise failures.overloaded(f"calls of {len(self._opened)} models are under way")
        self._forgotten.append(self._opened.pop(name))

    def _rest_of(self, lanes: tuple[Lane, ...], request: Complete) -> tuple[Lane, ...]:
        """Without those from which the turn has gone on already."""
        lane = self._turns.get((request.session, request.turn)) if request.turn else None
        return lanes[lanes.index(lane) :] if lane in lanes else lanes

    def _keep(self, request: Complete, lane: Lane | None) -> None:
        """Remember to whom the turn has come; None: it ends, or nobody is left."""
        key = (request.session, request.turn)
        self._turns.pop(key, None)
        if request.turn and lane is not None and lane is not self.main:
            self._turns[key] = lane
            while len(self._turns) > _MOST_TURNS:
                self._turns.popitem(last=False)

    # Asking

    async def _ask_in_turn(self, lanes: tuple[Lane, ...], request: Complete, on_delta: OnDelta) -> Answer:
        said = False

        def pass_on(text: str) -> None:
            nonlocal said
            said = True
            on_delta(text)

        first: CallError | None = None
        for lane, following in _with_next(lanes):
            try:
                answer = await self._ask(lane, request, pass_on, last=following is None)
            except CallError as error:
                self._name(error, lane)
                if said:
                    # The next attempt of the turn begins with who comes next: this one has just shown that it breaks.
                    self._keep(request, following or lane)
                    raise
                first = first or error
                if following is None or not _worth_another(error):
                    self._keep(request, None)
                    if first is not error:
                        logger.warning("call %s: %s, too: %s", request.call_id, lane.name, error)
                    raise first from None
                logger.warning(
                    "call %s: %s: %s; %s is asked", request.call_id, lane.name, error, following.name
                )
                self.on_failed(lane.name, error)
                continue
            self._keep(request, lane if answer.tool_calls else None)
            if lane in self._chain:
                self._answers = lane
            return replace(answer, model=lane.name)
        raise AssertionError("a call without a model")

    async def _ask(self, lane: Lane, request: Complete, on_delta: OnDelta, *, last: bool) -> Answer:
        if request.model is not None:
            request = msgspec.structs.replace(request, model=lane.model)
        retries = None if last else _RETRIES_BEFORE_FALLBACK
        return await lane.caller.call(request, on_delta, most_retries=retries)

    def _name(self, error: CallError, lane: Lane) -> None:
        error.model = lane.name
        if lane is not self.main and error.code == "configuration":
            error.text = f"The model {lane.name}: {error.text}"


def _with_next(lanes: Sequence[Lane]) -> Iterator[tuple[Lane, Lane | None]]:
    return zip(lanes, (*lanes[1:], None), strict=True)


def _worth_another(error: CallError) -> bool:
    """Whether another model may do better: not where this one works, and declines this very conversation."""
    return error.outcome is Outcome.FAILED or error.code in ("circuit_open", "configuration")
