"""Decides who calls the provider: the running gateway, which has the key, or else this process."""

from __future__ import annotations

__all__ = ["NoProbe", "Probing"]

from collections.abc import Mapping

from openclaw_actors.cli.doctor.gateway import PROBE_S, Gateway, Once
from openclaw_actors.config.secrets import SecretUnresolved, resolve
from openclaw_actors.config.sections import LlmConfig
from openclaw_actors.errors import OpenClawError
from openclaw_actors.messages import ProviderProbed


class NoProbe(OpenClawError):
    """Raised when there is nothing that could be called; its text says why."""


class Probing:
    """One call of the provider, shared by those who want to know what came of it.

    Args:
        llm: the section of the configuration.
        environ: where the key may be.
        gateway: the running one; its own configuration counts, not `llm`.
    """

    def __init__(self, llm: LlmConfig, environ: Mapping[str, str], gateway: Gateway | None) -> None:
        self._llm = llm
        self._environ = environ
        self._once = Once(self._directly if gateway is None else gateway.probe)

    async def result(self) -> ProviderProbed:
        """What came of it.

        Raises:
            NoProbe: nothing can be called.
            ActorError: the gateway did not say.
        """
        return await self._once.get()

    async def _directly(self) -> ProviderProbed:
        from openclaw_actors.providers import Unusable, create_caller

        key = self._llm.api_key
        try:
            caller = create_caller(self._llm, None if key is None else resolve(key, self._environ))
        except (Unusable, SecretUnresolved) as problem:
            raise NoProbe(str(problem)) from None
        try:
            return await caller.probe(timeout_s=PROBE_S)
        finally:
            await caller.close()
