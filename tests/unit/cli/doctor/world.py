"""Owns what a test of a check needs: a state directory of its own, a context for it, and what the check says."""

from __future__ import annotations

__all__ = ["Look", "World", "levels", "told"]

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path
from typing import Any

import yaml

from openclaw_actors.cli.doctor.context import Context, assemble
from openclaw_actors.cli.doctor.finding import Finding
from openclaw_actors.cli.doctor.runner import DaemonThreads

Look = Callable[[Context], Iterable[Finding] | Awaitable[Iterable[Finding]]]


class World:
    """A state directory and a configuration file, in a short directory.

    Args:
        root: an empty directory.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.state = root / "s"
        self.file = root / "gateway.yaml"
        self.proc = root / "proc"
        self.environ = {"HOME": str(root)}
        self.configure({})

    def configure(self, config: dict[str, Any]) -> None:
        self.file.write_text(yaml.safe_dump(config))

    def make(self, *names: str, mode: int = 0o700) -> None:
        """Make directories of the state directory, as the gateway does."""
        for name in ("", *names):
            path = self.state / name
            path.mkdir(exist_ok=True, parents=True)
            path.chmod(mode)

    def kernel(self, **files: str) -> None:
        """Have files of /proc say something; `__` stands for `/`."""
        for name, text in files.items():
            path = self.proc / name.replace("__", "/")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)

    def context(self, **changes: Any) -> Context:
        found = assemble(self.file, str(self.state), self.environ)
        values = {name: getattr(found, name) for name in Context.__dataclass_fields__}
        return Context(**{**values, **changes})

    def see(self, look: Look, context: Context | None = None, **changes: Any) -> list[Finding]:
        """What a check says."""
        given = context or self.context(**changes)

        async def run() -> list[Finding]:
            asyncio.get_running_loop().set_default_executor(DaemonThreads())
            found = look(given)
            return list(await found if isinstance(found, Awaitable) else found)

        return asyncio.run(run())


def told(found: Iterable[Finding], level: str) -> str:
    """What is said at one level, a line each."""
    return "\n".join(each.what for each in found if each.level == level)


def levels(found: Iterable[Finding]) -> set[str]:
    return {each.level for each in found}
