"""Brings a session onto another configuration: what limits messages at once, all else when the next turn begins."""

from __future__ import annotations

from collections.abc import Callable

from openclaw_actors import logs
from openclaw_actors.actors.session_commands import SessionCommands
from openclaw_actors.actors.session_limits import limit_memory, session_limits
from openclaw_actors.actors.session_model import ModelCalls
from openclaw_actors.actors.session_tools import SessionTools
from openclaw_actors.actors.turn_clock import TurnClock
from openclaw_actors.agent.system_prompt import SystemPrompt
from openclaw_actors.config import GatewayConfig, decode
from openclaw_actors.core.effects import CallModel, CancelModel, SummariseHistory
from openclaw_actors.core.session import SessionCore
from openclaw_actors.messages import ForkedWith

__all__ = ["SessionChange"]


class SessionChange:
    """The newest configuration that a session was told of.

    Args:
        core: the conversation.
        took: told of a configuration when the session runs on it.
    """

    def __init__(
        self,
        core: SessionCore,
        tools: SessionTools,
        calls: ModelCalls,
        commands: SessionCommands,
        clock: TurnClock,
        took: Callable[[GatewayConfig], None],
    ) -> None:
        self._core = core
        self._tools = tools
        self._calls = calls
        self._commands = commands
        self._clock = clock
        self._took = took
        self._waits: ForkedWith | None = None
        self._begun_early = False
        """A turn that is not recorded yet has called the model."""

    def arrived(self, message: ForkedWith) -> None:
        """There is another configuration; a turn that runs goes on with what it began with."""
        config = decode(message.settings)
        logs.use(level=config.logging.level, form=config.logging.format)
        self._core.intake.admission.limits = session_limits(config)
        self._waits = message
        if self._core.turn is None and not self._begun_early:
            self._change()

    def call_begins(self, effect: CallModel | CancelModel | SummariseHistory) -> None:
        """A model call is about to be made, or ended: a turn may begin with it, before its record stands."""
        if isinstance(effect, CancelModel):
            self._begun_early = False
        elif isinstance(effect, CallModel) and effect.question is not None:
            self._turn_begins()
            self._begun_early = True

    def turn_began(self) -> None:
        """The turn's record stands."""
        if not self._begun_early:
            self._turn_begins()
        self._begun_early = False

    def _turn_begins(self) -> None:
        self._change()
        self._calls.turn_begins()

    def _change(self) -> None:
        """No tool runs, and no model call of a turn: everything can be replaced."""
        if self._waits is None:
            return
        message, self._waits = self._waits, None
        config = decode(message.settings)
        limit_memory(config.sessions.max_memory_mb)
        self._core.use(session_limits(config))
        system = SystemPrompt(config)
        skills = system.skills
        self._tools.use(config, message.secrets, skills)
        self._calls.use(system, summary_timeout_s=config.sessions.turn_timeout_seconds)
        self._commands.use(skills.told if skills is not None else None)
        self._clock.use(config.sessions.turn_timeout_seconds)
        self._took(config)
