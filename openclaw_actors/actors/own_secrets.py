"""Decides how an actor comes by its secrets: it resolves its own references, and nobody else has the values."""

from __future__ import annotations

__all__ = ["SparedSecrets", "own_secrets"]

import asyncio
import logging
from collections.abc import Mapping

from openclaw_actors import logs
from openclaw_actors.config import resolve_all
from openclaw_actors.errors import ConfigError
from openclaw_actors.messages import Init, Reconfigure

logger = logging.getLogger(__name__)

_TRY_AGAIN_S = 1.0


def own_secrets(message: Init | Reconfigure) -> dict[str, str]:
    """Resolve the references of an `Init` or of another configuration, and keep their values out of this process's log.

    Returns:
        Dotted key -> value.

    Raises:
        ConfigError: one does not resolve; its text is one line, and names keys and references but no value.
    """
    return _resolved(message.secrets)


class SparedSecrets:
    """The secrets of an actor that serves more than what some of them are for.

    One of those that does not resolve costs only that: it is looked for again and again.

    Args:
        spared: how the keys of those begin.
        serves: what cannot be served without them, as people know it.

    Raises:
        ConfigError: one of the others does not resolve.
    """

    def __init__(self, message: Init | Reconfigure, *, spared: str, serves: str) -> None:
        self._spared = {key: ref for key, ref in message.secrets.items() if key.startswith(spared)}
        self._serves = serves
        others = {key: ref for key, ref in message.secrets.items() if key not in self._spared}
        self.values = _resolved(others)
        """Dotted key -> value; those that are found later come to it."""
        self.problems = self._look()
        """Why something is not served."""
        for problem in self.problems:
            logger.error("%s", problem)

    async def seek(self) -> None:
        """Look for what does not resolve until it does."""
        while self.problems:
            await asyncio.sleep(_TRY_AGAIN_S)
            self.problems = self._look()
            if not self.problems:
                logger.info("%s is served from now on", self._serves)

    def _look(self) -> tuple[str, ...]:
        try:
            self.values |= _resolved(self._spared)
        except ConfigError as error:
            return (f"{self._serves} is not served: {error}",)
        return ()


def _resolved(refs: Mapping[str, str]) -> dict[str, str]:
    try:
        # Without an environment: `start` has taken all secrets out of it.
        secrets = resolve_all(refs, {})
    except ConfigError as error:
        raise ConfigError(["; ".join(map(str, error.problems))]) from None
    logs.register_secrets(secrets.values())
    return secrets
