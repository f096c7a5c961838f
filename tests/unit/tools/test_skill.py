"""The model reads a skill by its name, and is told what there is where it cannot."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import pytest

from openclaw_actors.tools.base import ToolFailed
from openclaw_actors.tools.registry import toolbox_of
from openclaw_actors.tools.skill import SkillArguments, SkillTool
from tests.unit.tools.place import Workplace

__all__: list[str] = []


class Skills:
    def read(self, name: str, file: str = "") -> str:
        if name != "a":
            raise LookupError(f"the skill {name!r} cannot be used. There are: a")
        return f"read {file or 'SKILL.md'}"

    def environment(self) -> dict[str, str]:
        return {}


def run(**arguments: str) -> str:
    tool = SkillTool(cast(Any, None), Skills())
    return asyncio.run(tool.run(SkillArguments(**arguments)))


def test_it_reads() -> None:
    assert run(name="a") == "read SKILL.md"
    assert run(name="a", file="x.md") == "read x.md"


def test_it_says_what_there_is() -> None:
    with pytest.raises(ToolFailed) as failure:
        run(name="b")
    assert failure.value.text == "Error: the skill 'b' cannot be used. There are: a."


def test_a_session_without_skills_does_not_have_it(place: Workplace) -> None:
    assert toolbox_of(place.host()).find("skill") is None
    assert toolbox_of(place.host(), Skills()).find("skill") is not None
