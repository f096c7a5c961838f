"""The tool by which the model reads a skill when it needs one."""

from __future__ import annotations

from typing import Annotated, Protocol

from msgspec import Meta

from openclaw_actors.tools.base import Arguments, Effect, Tool, ToolFailed, ToolHost

__all__ = ["SkillReader", "SkillTool"]


class SkillReader(Protocol):
    """The session's skills, as the tool sees them."""

    def read(self, name: str, file: str = "") -> str:
        """The instructions of a skill, or another file of it.

        Raises:
            LookupError: it cannot be given; the text says why.
        """

    def environment(self) -> dict[str, str]:
        """The variables that programs are given for the sake of skills."""


class SkillArguments(Arguments, frozen=True):
    """Which skill, and what of it."""

    name: Annotated[str, Meta(max_length=200, description="The skill's name.")]
    file: Annotated[
        str, Meta(max_length=1_000, description="Another text file of the skill, such as references/api.md.")
    ] = ""


class SkillTool(Tool[SkillArguments]):
    """Gives the instructions of one skill."""

    name = "skill"
    description = (
        "Reads the instructions of a skill. "
        "Use it before you begin with something that an available skill is for."
    )
    effect = Effect.READS
    arguments = SkillArguments

    def __init__(self, host: ToolHost, skills: SkillReader) -> None:
        super().__init__(host)
        self._skills = skills

    async def run(self, arguments: SkillArguments) -> str:
        """See `Tool.run`."""
        try:
            return self._skills.read(arguments.name, arguments.file)
        except LookupError as problem:
            raise ToolFailed(f"Error: {problem.args[0]}.") from None
