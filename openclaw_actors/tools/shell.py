"""The tool `shell`: a command line, if the operator allows it."""

from __future__ import annotations

__all__ = ["ShellTool"]

from typing import Annotated

from msgspec import Meta

from openclaw_actors.tools.base import Arguments, Tool, ToolFailed
from openclaw_actors.tools.reports import report, time_allowed

_MOST_S = 600
_DISABLED = "Error: Shell execution is disabled by configuration."


class ShellArguments(Arguments, frozen=True):
    """What `shell` is called with."""

    command: Annotated[str, Meta(min_length=1, max_length=30_000, description="What /bin/sh runs.")]
    timeout_seconds: Annotated[
        int, Meta(description="After so many seconds, 1 to 600, it is ended, with all that it started.")
    ] = 30


class ShellTool(Tool[ShellArguments]):
    """Runs a command line in the workspace, as the user that the gateway runs as."""

    name = "shell"
    description = (
        "Run a shell command in the workspace and answer its exit code, stdout and stderr. It has no stdin. What it "
        "leaves in the background is ended with it. Of long output the beginning and the end are answered."
    )
    dangerous = True
    arguments = ShellArguments

    @property
    def offered(self) -> bool:
        return self.host.config.tooling.allow_shell

    @property
    def timeout_s(self) -> float:
        return 0.0  # its own: what was printed until then is answered

    async def run(self, arguments: ShellArguments) -> str:
        if not self.host.config.tooling.allow_shell:
            raise ToolFailed(_DISABLED, status="denied")
        limit_s = time_allowed(arguments.timeout_seconds, self.host.config, most_s=_MOST_S)
        ended = await self.host.programs.run(["/bin/sh", "-c", arguments.command], timeout_s=limit_s)
        text = report(ended, limit_s, self.host.config)
        if ended.cause == "timeout":
            raise ToolFailed(text, status="timeout")
        return text
