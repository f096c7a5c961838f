"""Runs the tools of one session, in its process and on its loop."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Coroutine, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from openclaw_actors import logs
from openclaw_actors.actors.directory import ServiceDirectory
from openclaw_actors.actors.session_mcp import SessionMcp
from openclaw_actors.actors.session_subagents import SubAgentCalls
from openclaw_actors.actorsystem import AsyncActor, become_subreaper
from openclaw_actors.config import GatewayConfig, find_paths
from openclaw_actors.config.secrets import SecretUnresolved, resolve
from openclaw_actors.core.approvals import refusal_text
from openclaw_actors.core.effects import CallTool, CancelTools, NotRun
from openclaw_actors.linewriter import LineWriter
from openclaw_actors.messages import ChatMessage, Completed, Message, ToolCall, ToolSpec
from openclaw_actors.tools.audit import AUDIT_NAME, Audit
from openclaw_actors.tools.base import ToolFailed
from openclaw_actors.tools.hooks import Hooks, load_hooks
from openclaw_actors.tools.launch import ProgramLimits
from openclaw_actors.tools.policy import needs_approval
from openclaw_actors.tools.programs import Programs
from openclaw_actors.tools.registry import toolbox_of
from openclaw_actors.tools.runner import ToolRunner
from openclaw_actors.tools.skill import SkillReader

__all__ = ["SessionTools"]

_SERVICE_TIMEOUT_S = 30.0
_AUDIT_S = 0.5


class SessionTools:
    """The tools of a session, and the session as they see it. Made before the session is forked; see `serve`.

    Args:
        config: of the session.
        skills: the session's skills; None: they are off.
    """

    def __init__(self, config: GatewayConfig, skills: SkillReader | None = None) -> None:
        self.session = ""
        self.sub_agents: SubAgentCalls
        self.config = config
        self._skills = skills
        self._toolbox = toolbox_of(self, skills)
        self._mcp: SessionMcp | None = None
        self._audit_lines: LineWriter | None = None
        self._closing: asyncio.Task[None] | None = None

    def serve(
        self,
        actor: AsyncActor,
        session: str,
        directory: ServiceDirectory,
        done: Callable[[str, ToolCall, str, str], None],
        secrets: Mapping[str, str],
    ) -> None:
        """Be the tools of a session.

        Args:
            actor: the session; its end ends them.
            session: its key.
            done: told of each tool's end: turn, call, status and text.
            secrets: dotted key -> reference, of what its tools may resolve.
        """
        self.session = session
        self._actor = actor
        self._directory = directory
        self._done = done
        self._secrets = secrets
        self._use_mcp()

    def use(self, config: GatewayConfig, secrets: Mapping[str, str], skills: SkillReader | None) -> None:
        """Another configuration holds. No tool runs now."""
        if self._closing is not None:
            self._closing.cancel()
            self._closing = None
            del self.programs
        self.__dict__.pop("_runner", None)
        self.config = config
        self._secrets = secrets
        self._skills = skills
        self._toolbox = toolbox_of(self, skills)
        self._use_mcp()
        self.learn_addresses()

    def _use_mcp(self) -> None:
        if self._mcp is not None:
            self._mcp.use()
        elif self.config.mcp.servers:
            self._mcp = SessionMcp(self._actor, self, self._directory)
        self._toolbox.source = self._mcp

    @cached_property
    def _runner(self) -> ToolRunner:
        """Runs the tools; made when the model wants the first one."""
        if self._audit_lines is None:
            paths = find_paths(self.config.state_dir, self.config.memory.storage_path, os.environ)
            file = logs.SharedFile(paths.logs / AUDIT_NAME)
            self._audit_lines = LineWriter(file.write, what="audit")
        return ToolRunner(
            self._toolbox,
            spawn=self._spawn,
            done=self._done,
            hooks=Hooks(
                load_hooks(self.config.tooling.hooks),
                spawn=self._spawn,
                noted=Audit(self._audit_lines).note,
            ),
            session=self.session,
            parallel=self.config.tooling.parallel_tool_execution,
        )

    @property
    def specs(self) -> tuple[ToolSpec, ...]:
        """The tools, as the model sees them now."""
        return self._toolbox.specs

    async def open(self) -> None:
        """Get ready for the first turn."""
        if self._mcp is not None:
            await self._mcp.open()

    def learn_addresses(self) -> None:
        """The directory is another one."""
        if self._mcp is not None:
            self._mcp.learn()

    def carry_out(self, effect: CallTool | CancelTools | NotRun) -> None:
        """Run a tool when its turn has come, end all of a turn's, or note one that did not run."""
        match effect:
            case CallTool():
                self._runner.start(effect.turn_id, effect.call)
            case CancelTools():
                self._runner.cancel(effect.turn_id)
            case NotRun():
                self._runner.not_run(effect.turn_id, effect.call, effect.status, effect.text)

    async def complete(
        self, turn_id: str, call_id: str, messages: Sequence[ChatMessage], tools: Sequence[ToolSpec]
    ) -> Completed:
        """See `DelegateHost.complete`."""
        return await self.sub_agents.complete(turn_id, call_id, messages, tools)

    async def run_for(self, turn_id: str, call: ToolCall) -> tuple[str, str]:
        """See `DelegateHost.run_for`."""
        if self.needs_approval(call.name):
            decision = await self.sub_agents.decision(turn_id, call)
            if decision != "approved":
                text = refusal_text(decision, self.config.tooling.approval_timeout_seconds)
                self._runner.not_run(turn_id, call, "denied", text)
                return "denied", text
        return await self._runner.outcome(turn_id, call)

    def needs_approval(self, name: str) -> bool:
        """Whether a person is asked before this tool runs; one that does not exist asks nobody."""
        tool = self._toolbox.find(name)
        return tool is not None and needs_approval(self.config.tooling, tool)

    def runs_beside(self, name: str) -> bool:
        """Whether this tool runs beside others that do; one that does not exist is in nobody's way."""
        return self._runner.runs_beside(name)

    def close(self) -> None:
        """Wait a moment for what is still to be written to the audit."""
        if self._audit_lines is not None:
            self._audit_lines.close(_AUDIT_S)

    @cached_property
    def programs(self) -> Programs:
        """Runs programs; made when a tool wants the first one."""
        become_subreaper()  # what programs leave behind falls to this process, and is ended with them
        of_skills = self._skills.environment() if self._skills is not None else {}
        programs = Programs(
            ProgramLimits.of(self.config),
            workspace=Path(self.config.workspace),
            scratch=Path(self.config.state_dir) / "tmp",
            environ={**os.environ, **of_skills},
            passed=(*self.config.tooling.pass_environment, *of_skills),
            spare=self._actor.children_pids,
        )
        self._closing = self._actor.spawn(self._close_at_the_end(programs), name="programs")
        return programs

    async def _close_at_the_end(self, programs: Programs) -> None:
        try:
            await self._actor.loop.create_future()  # a session that exits cancels its tasks
        finally:
            await programs.close()

    async def ask_store(self, message: Message) -> Any:
        """Ask the PersistenceActor, through its restarts.

        Raises:
            AskRefused: it refused.
        """
        return await self.ask_service("persistence", message)

    async def ask_service(self, name: str, message: Message) -> Any:
        """Ask a service by its name, through its restarts, what may be asked twice.

        Raises:
            AskRefused: it refused.
        """
        return await self._directory.ask(self._actor, name, message, timeout_s=_SERVICE_TIMEOUT_S)

    def secret(self, key: str) -> str:
        """The value of a secret that tools of sessions may hold.

        Raises:
            ToolFailed: there is none.
        """
        try:
            value = resolve(self._secrets.get(key, ""), {})
        except SecretUnresolved as error:
            raise ToolFailed(f"Error: {key} has no value: {error}.") from None
        logs.register_secrets((value,))
        return value

    def _spawn(self, coro: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        return self._actor.spawn(coro, name="tool")
