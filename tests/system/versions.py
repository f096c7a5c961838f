"""Makes other versions of the program for a test: copies of the package in which a few lines differ."""

from __future__ import annotations

__all__ = ["make_version", "successor_of"]

import shutil
from collections.abc import Mapping
from pathlib import Path

from openclaw_actors import __version__
from tests.system.gateway import ROOT, Gateway

NEWER_FORMAT = {
    "store/migrations.py": (
        'STEPS: tuple[Step, ...] = (Step(1, "write down that the store has format 1", _adopt),)',
        'FORMAT = 2\nSTEPS: tuple[Step, ...] = (Step(1, "one", _adopt), Step(2, "two", _adopt))',
    )
}
"""Of a version that writes a store which this one does not know."""
REWRITES = {
    "store/migrations.py": (
        'STEPS: tuple[Step, ...] = (Step(1, "write down that the store has format 1", _adopt),)',
        """FORMAT = 2
def _seal(root: Path, files: Files) -> None:
    for path in (root / "sessions").glob("*.jsonl"):
        if (data := path.read_bytes()).count(b"/demo") == 0:
            files.replace(path, data[::-1])
STEPS: tuple[Step, ...] = (Step(1, "one", _adopt), Step(2, "two", _seal))""",
    )
}
"""Of a version after which nobody reads a conversation in which the demo was not asked for something."""
CANNOT_FORK = {
    "actorsystem/manager.py": (
        "            child = self.fork_actor(actor_class, requirements=requirements)",
        """            if actor_class.__name__ == "PersistenceActor" and os.path.exists(os.environ["NO_FORKS"]):
                raise BlockingIOError(11, "Resource temporarily unavailable")
            child = self.fork_actor(actor_class, requirements=requirements)""",
    )
}
"""Of a version that gets no process for the store while there is a file, as where the limit of processes is reached."""
CANNOT_LISTEN = {"actors/listening.py": ("_BACKLOG = 512", "_BACKLOG = 'no number'")}
"""Of a version that passes every check and does not come up."""
HANGS = {
    "actors/listening.py": (
        "_BACKLOG = 512",
        "_BACKLOG = 512\nsocket.getaddrinfo = lambda *_, **__: __import__('time').sleep(600)",
    )
}
"""Of a version that passes every check and is not ready for long."""


def make_version(directory: Path, version: str, changes: Mapping[str, tuple[str, str]] | None = None) -> Path:
    """Copy the package.

    Args:
        directory: for the copy; must not exist.
        version: what it says of itself.
        changes: file in the package -> a text that stands in it once, and another one for it.

    Returns:
        What has to stand first on Python's path.
    """
    package = directory / "openclaw_actors"
    shutil.copytree(
        Path(ROOT) / "openclaw_actors", package
    )  # its compiled modules are used, where nothing differs
    all_changes = {"__init__.py": (f'"{__version__}"', f'"{version}"'), **(changes or {})}
    for name, (before, after) in all_changes.items():
        text = (package / name).read_text()
        assert text.count(before) == 1, name
        (package / name).write_text(text.replace(before, after))
    return directory


def successor_of(old: Gateway, path: Path | str = ROOT) -> Gateway:
    """A gateway on the same state, configuration and ports, not started yet, by another version."""
    new = Gateway(old.directory, environment={"PYTHONPATH": str(path)}, arguments=old.arguments)
    new.use_ports_of(old)
    new.config_file.write_text(old.config_text)
    return new
