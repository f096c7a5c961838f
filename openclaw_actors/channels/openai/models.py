"""Decides which models there are, and which one a request means."""

from __future__ import annotations

from collections.abc import Sequence

from openclaw_actors.channels.openai.problems import model_not_found

__all__ = ["GATEWAY_MODEL", "Models"]

GATEWAY_MODEL = "openclaw"
"""Whatever is configured: a client that names it need not change when the configuration does."""
_ALIASES = frozenset(("openclaw/default", "openclaw:main", "openclaw/main"))
"""What clients of OpenClaw call it; there is one agent here."""


class Models:
    """The models that this gateway serves: the configured one, under its own name and under ours, and further ones.

    Args:
        configured: the configured model's name.
        choices: those of further ones.
    """

    def __init__(self, configured: str, choices: Sequence[str] = ()) -> None:
        self.names = tuple(dict.fromkeys((configured, GATEWAY_MODEL, *choices)))

    def find(self, name: str | None) -> str:
        """The model of this name; without a name the configured one.

        Raises:
            ApiProblem: there is none.
        """
        if not name:
            return self.names[0]
        if name not in self.names and name not in _ALIASES:
            raise model_not_found(name, self.names)
        return name

    def chosen(self, name: str) -> str | None:
        """What a call says of a model that was found; None: nothing, the configured one answers."""
        return None if name in (self.names[0], GATEWAY_MODEL) or name in _ALIASES else name
