"""The tool `delegate_agent`: a sub-agent works on a part of the task, under the rules of the turn that it works for.

Whatever a sub-agent has done is done by the session that delegated: the same people are asked, the same hooks look, the
same audit notes it, and its tokens are the turn's. It has no tool that its delegator has not.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextvars import ContextVar
from typing import Annotated, Any, Protocol, cast

import msgspec
from msgspec import Meta

from openclaw_actors.config.features import DelegationConfig, DelegationProfile
from openclaw_actors.core.runaway import LOOP, looping
from openclaw_actors.core.turn_meter import UNKNOWN_TOOL
from openclaw_actors.messages import ChatMessage, Completed, ToolCall, ToolSpec
from openclaw_actors.messages.history import Step
from openclaw_actors.tools.base import Arguments, Tool, ToolFailed, ToolHost
from openclaw_actors.tools.hooks import HookedCall, current_call

__all__ = ["DelegateArguments", "DelegateHost", "DelegateTool", "tools_of_delegation"]

_TOO_DEEP = "Error: Maximum delegation depth ({limit}) reached. Cannot delegate further."
_UNKNOWN = "Error: Unknown agent profile '{name}'. Available: {names}."
_FAILED = "Error: Sub-agent '{name}' failed: {why}"
_TOO_MANY_CALLS = "I've reached the maximum number of tool iterations. Please try a simpler request."
_NOTHING_SAID = "(The sub-agent said nothing.)"


class DelegateHost(ToolHost, Protocol):
    """The session, as the one for which sub-agents work."""

    specs: tuple[ToolSpec, ...]
    """Its tools."""

    async def complete(
        self, turn_id: str, call_id: str, messages: Sequence[ChatMessage], tools: Sequence[ToolSpec]
    ) -> Completed:
        """One model call, charged to the turn.

        Raises:
            ToolFailed: there is no answer, or none may be asked for: a budget is used up.
        """

    async def run_for(self, turn_id: str, call: ToolCall) -> tuple[str, str]:
        """Run one of its tools as if its model had asked for it: status and text. A person may be asked first."""


class _Scope(msgspec.Struct, frozen=True):
    """Within which delegation the running code works."""

    depth: int = 0
    """0: the conversation itself."""
    allowed: frozenset[str] | None = None
    """Names of the tools that may be used; None: all."""


_TOP = _Scope()
_scope: ContextVar[_Scope] = ContextVar("delegation", default=_TOP)


class DelegateArguments(Arguments, frozen=True):
    """What `delegate_agent` is called with."""

    profile: Annotated[str, Meta(max_length=200, description="Name of the sub-agent's profile.")] = ""
    task: Annotated[
        str,
        Meta(max_length=200_000, description="All that the sub-agent needs to know: it sees nothing else."),
    ] = ""


class DelegateTool(Tool[DelegateArguments]):
    """Gives a task to a sub-agent and answers with what it says."""

    name = "delegate_agent"
    description = "Give a task to a sub-agent, which works on it alone and answers with its result."
    arguments = DelegateArguments

    @property
    def timeout_s(self) -> float:
        """None of its own: its model calls and tools have theirs, and the turn has its end."""
        return 0.0

    def spec(self) -> ToolSpec:
        names = ", ".join(profile.name for profile in self._config.profiles.values())
        spec = super().spec()
        return msgspec.structs.replace(spec, description=f"{spec.description} Profiles: {names}.")

    async def run(self, arguments: DelegateArguments) -> str:
        for name in ("profile", "task"):
            if not getattr(arguments, name).strip():
                raise ToolFailed(f"Error: '{name}' parameter is required.")
        profile = self._profile(arguments.profile.strip())
        scope = _scope.get()
        if scope.depth >= self._config.max_depth:
            raise ToolFailed(_TOO_DEEP.format(limit=self._config.max_depth))
        host = cast(DelegateHost, self.host)
        inner = _Scope(depth=scope.depth + 1, allowed=self._allowed(profile, scope))
        token = _scope.set(inner)
        try:
            return await _SubAgent(host, profile, inner, current_call.get()).work(arguments.task)
        except ToolFailed as failure:
            why = failure.text.removeprefix("Error: ")
            raise ToolFailed(_FAILED.format(name=profile.name, why=why), status=failure.status) from None
        finally:
            _scope.reset(token)

    @property
    def _config(self) -> DelegationConfig:
        return self.host.config.delegation

    def _profile(self, name: str) -> DelegationProfile:
        for key, profile in self._config.profiles.items():
            if name in (key, profile.name):
                return profile
        names = ", ".join(profile.name for profile in self._config.profiles.values())
        raise ToolFailed(_UNKNOWN.format(name=name[:100], names=names))

    def _allowed(self, profile: DelegationProfile, scope: _Scope) -> frozenset[str]:
        """What the profile lists, of what its delegator may use. Only one that is listed may delegate further."""
        every = {spec.name for spec in cast(DelegateHost, self.host).specs}
        listed = set(profile.allowed_tools) & every if profile.allowed_tools else every - {self.name}
        if scope.depth + 1 >= self._config.max_depth:
            listed.discard(self.name)
        return frozenset(listed if scope.allowed is None else listed & scope.allowed)


class _SubAgent:
    """One sub-agent at work.

    Args:
        outer: the call by which it was asked for.
    """

    def __init__(
        self, host: DelegateHost, profile: DelegationProfile, scope: _Scope, outer: HookedCall
    ) -> None:
        self._host = host
        self._profile = profile
        self._allowed = scope.allowed or frozenset()
        self._specs = tuple(spec for spec in host.specs if spec.name in self._allowed)
        self._outer = outer
        self._steps: list[Step] = []
        self._said: list[tuple[ChatMessage, ...]] = []

    async def work(self, task: str) -> str:
        """Work until the model asks for no more tools, and return what it says.

        Raises:
            ToolFailed: it came to no end.
        """
        opening = [ChatMessage(role="user", text=task)]
        if self._profile.system_prompt.strip():
            opening.insert(0, ChatMessage(role="system", text=self._profile.system_prompt))
        for number in range(1, self._profile.max_iterations + 1):
            newest = self._said[-self._profile.max_history_turns :]
            messages = [*opening, *(message for step in newest for message in step)]
            call_id = f"{self._outer.call.call_id}/{number}"
            answer = await self._host.complete(self._outer.turn_id, call_id, messages, self._specs)
            if not answer.tool_calls:
                return answer.text or _NOTHING_SAID
            await self._step(answer)
        raise ToolFailed(_TOO_MANY_CALLS)

    async def _step(self, answer: Completed) -> None:
        repeats = looping(self._steps, answer.tool_calls, self._host.config.tooling.max_identical_calls)
        if repeats.ends:
            raise ToolFailed(LOOP)
        said = [ChatMessage(role="assistant", text=answer.text, tool_calls=answer.tool_calls)]
        for call in answer.tool_calls:
            text = repeats.refused.get(call.call_id) or await self._run(call)
            said.append(ChatMessage(role="tool", text=text, call_id=call.call_id, name=call.name))
        self._steps.append(Step(text=answer.text, calls=answer.tool_calls))
        self._said.append(tuple(said))

    async def _run(self, call: ToolCall) -> str:
        if call.name not in self._allowed:
            return UNKNOWN_TOOL
        inner = ToolCall(
            call_id=f"{self._outer.call.call_id}/{call.call_id}", name=call.name, arguments=call.arguments
        )
        _, text = await self._host.run_for(self._outer.turn_id, inner)
        return text


def tools_of_delegation(host: ToolHost) -> list[Tool[Any]]:
    """The tool, where sub-agents are on."""
    config = host.config.delegation
    return [DelegateTool(host)] if config.enabled and config.profiles else []
