"""Makes the model calls of one session: answers of its turns, and summaries beside them."""

from __future__ import annotations

import logging
from collections.abc import Callable

from openclaw_actors import logs
from openclaw_actors.actors.directory import ServiceDirectory
from openclaw_actors.actors.session_limits import too_large
from openclaw_actors.actorsystem import AsyncActor
from openclaw_actors.agent.compaction import summary_call, too_late
from openclaw_actors.agent.prompt import PromptBuilder
from openclaw_actors.agent.system_prompt import SystemPrompt
from openclaw_actors.core.effects import CallModel, CancelModel, SummariseHistory
from openclaw_actors.core.session import SessionCore
from openclaw_actors.errors import FrameTooLarge
from openclaw_actors.messages import CallFailed, CancelCall, Complete, ToolSpec

__all__ = ["ModelCalls"]

logger = logging.getLogger(__name__)


class ModelCalls:
    """What a session asks of the model.

    Args:
        actor: the session.
        core: the conversation.
        system: what stands at the beginning of every prompt.
        tools: gives them as the model sees them now.
        failed: told of a call that ended here.
        summary_timeout_s: how long a summary may take, in seconds, the wait for a place and retries included.
    """

    def __init__(
        self,
        actor: AsyncActor,
        core: SessionCore,
        directory: ServiceDirectory,
        system: SystemPrompt,
        tools: Callable[[], tuple[ToolSpec, ...]],
        failed: Callable[[CallFailed], None],
        *,
        summary_timeout_s: float,
    ) -> None:
        self.called_incarnation = 0
        """Of the model, that was sent something last."""
        self._actor = actor
        self._core = core
        self._directory = directory
        self._system = system
        self._tools = tools
        self._failed = failed
        self._summary_timeout_s = summary_timeout_s
        self._prompts = PromptBuilder()

    def use(self, system: SystemPrompt, *, summary_timeout_s: float) -> None:
        """Another configuration holds."""
        self._system = system
        self._summary_timeout_s = summary_timeout_s

    def turn_begins(self) -> None:
        """Take in what has changed of what stands at the beginning of prompts."""
        self._system.refresh()
        self._prompts.system = self._system.message

    def carry_out(self, effect: CallModel | SummariseHistory | CancelModel) -> None:
        """Begin a call, or end one."""
        match effect:
            case CallModel():
                self._answer(effect)
            case SummariseHistory():
                self._summarise(effect)
            case CancelModel():
                self.send(CancelCall(call_id=effect.call_id))

    def again(self, call: Complete) -> None:
        """Make a call that found no room in the model's queue, if it is still wanted."""
        if self._core.waits_for(call.call_id):
            self.send(call)

    def send(self, message: Complete | CancelCall) -> None:
        """Send to the model that there is now; without one, its successor will be known to be another."""
        ref = self._directory.find("model")
        if ref is not None:
            self.called_incarnation = ref.incarnation
            self._actor.send(ref.address, message)

    def _answer(self, effect: CallModel) -> None:
        if logger.isEnabledFor(logging.INFO):
            with logs.bind(correlation=effect.correlation_id):
                logger.info("asks the model (%s)", effect.call_id)
        call = Complete(
            call_id=effect.call_id,
            session=self._core.state.key,
            correlation_id=effect.correlation_id,
            messages=self._prompts.build(self._core.state, effect.question),
            tools=self._tools(),
            model=self._core.state.settings.get("model"),
            turn=effect.turn_id,
        )
        try:
            self.send(call)
        except FrameTooLarge as error:
            logger.error("the conversation takes %d bytes, too many for a model call", error.size)
            self._actor.loop.call_soon(self._failed, too_large(effect.call_id))

    def _summarise(self, effect: SummariseHistory) -> None:
        with logs.bind(correlation=effect.correlation_id):
            logger.info("asks for a summary of %d turns (%s)", len(effect.turns), effect.call_id)
        self.send(summary_call(effect, self._core.state))
        self._actor.call_later(self._summary_timeout_s, self._is_late, effect.call_id)

    def _is_late(self, call_id: str) -> None:
        if self._core.compaction.waits_for(call_id):
            self.send(CancelCall(call_id=call_id))
            self._failed(too_late(call_id))
