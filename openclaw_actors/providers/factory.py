"""Decides which provider the configuration means, and with what limits it is called."""

from __future__ import annotations

__all__ = ["create_caller", "create_pool"]

import itertools
import logging
import re
from collections.abc import Callable, Mapping

import msgspec

from openclaw_actors.config.models import FALLBACK_KEY, MODEL_KEY, settings_of
from openclaw_actors.config.sections import LlmConfig, LlmModel
from openclaw_actors.core.breaker import CircuitBreaker
from openclaw_actors.core.retry import RetryPolicy
from openclaw_actors.providers.base import Provider
from openclaw_actors.providers.calls import Caller, CallLimits
from openclaw_actors.providers.demo import DemoProvider
from openclaw_actors.providers.endpoints import Unusable, target_for
from openclaw_actors.providers.places import Places
from openclaw_actors.providers.pool import Lane, ModelPool

logger = logging.getLogger(__name__)

_NOT_IN_LABELS = re.compile(r"[^A-Za-z0-9_./:@+-]")
_LONGEST_NAME = 100
_OTHER = "other"
"""What metrics call a model that the configuration does not name: there may be any number of those."""


def create_pool(llm: LlmConfig, secrets: Mapping[str, str]) -> ModelPool:
    """Make what calls every model of the configuration.

    Args:
        llm: the section `llm` of the configuration.
        secrets: dotted key -> resolved key of a provider.

    Raises:
        Unusable: the settings name a provider that could not be called.
    """
    return _PoolMaker(llm, secrets).make()


class _PoolMaker:
    """Makes lanes: one for each model, however often the configuration names it."""

    def __init__(self, llm: LlmConfig, secrets: Mapping[str, str]) -> None:
        self._llm = llm
        self._secrets = secrets
        self._places = _limits(llm).places()
        self._made: list[tuple[tuple[LlmConfig, str | None], Lane]] = []

    def make(self) -> ModelPool:
        llm = self._llm
        own = msgspec.structs.replace(llm, fallbacks=(), models={})
        key = self._secrets.get("llm.api_key")
        if llm.provider == "demo":
            caller = create_caller(own, key, places=self._places)
            return ModelPool(Lane("demo", "demo", caller), places=self._places, open_lane=self._demo(caller))
        main = self._lane(llm.model, own, key)
        # The names that were chosen for them go before those of their providers.
        choices = {
            name: self._further(name, MODEL_KEY.format(name), model) for name, model in llm.models.items()
        }
        fallbacks = [
            self._further(model.model, FALLBACK_KEY.format(number), model)
            for number, model in enumerate(llm.fallbacks)
        ]

        def open_lane(name: str) -> Lane:
            settings = msgspec.structs.replace(own, model=name)
            return Lane(_OTHER, name, create_caller(settings, key, places=self._places))

        return ModelPool(
            main,
            fallbacks=tuple(each for each in dict.fromkeys(fallbacks) if each is not main),
            choices=choices,
            places=self._places,
            open_lane=None if llm.models else open_lane,
        )

    @staticmethod
    def _demo(caller: Caller) -> Callable[[str], Lane]:
        return lambda name: Lane(_OTHER, name, caller)

    def _further(self, name: str, at: str, model: LlmModel) -> Lane:
        settings = settings_of(self._llm, model)
        inherited = model.api_key is None and settings.api_key is not None
        key = self._secrets.get("llm.api_key" if inherited else f"{at}.api_key")
        try:
            return self._lane(name, settings, key)
        except Unusable as problem:
            raise Unusable(f"{at}: {problem}") from None

    def _lane(self, name: str, settings: LlmConfig, key: str | None) -> Lane:
        same = (msgspec.structs.replace(settings, api_key=None), key)
        found = next((lane for each, lane in self._made if each == same), None)
        if found is not None:
            return found
        name = _NOT_IN_LABELS.sub("_", name)[:_LONGEST_NAME]
        names = {lane.name for _, lane in self._made}
        full = f"{settings.provider}:{name}"
        free = itertools.chain((name, full), (f"{full}#{number}" for number in itertools.count(2)))
        lane = Lane(
            next(each for each in free if each not in names),
            settings.model,
            create_caller(settings, key, places=self._places),
        )
        self._made.append((same, lane))
        return lane


def create_caller(llm: LlmConfig, api_key: str | None, *, places: Places | None = None) -> Caller:
    """Make what calls the configured model, and no other.

    Args:
        llm: the section `llm` of the configuration.
        api_key: the resolved key, where there is one.
        places: of all models together; None: those of this one alone.

    Raises:
        Unusable: the settings name no provider that could be called.
    """
    return Caller(
        _create_provider(llm, api_key),
        breaker=CircuitBreaker(
            threshold=llm.circuit_breaker_threshold,
            cooldown_s=llm.circuit_breaker_cooldown_seconds,
            cooldown_max_s=llm.circuit_breaker_cooldown_max_seconds,
        ),
        retries=RetryPolicy(
            retries=llm.retry_count,
            backoff_s=llm.retry_backoff_seconds,
            backoff_max_s=max(llm.retry_backoff_seconds, llm.retry_backoff_max_seconds),
        ),
        limits=_limits(llm),
        places=places,
    )


def _limits(llm: LlmConfig) -> CallLimits:
    return CallLimits(
        timeout_s=llm.timeout_seconds,
        concurrent=llm.max_concurrent_calls,
        waiting=llm.max_waiting_calls,
    )


def _create_provider(llm: LlmConfig, api_key: str | None) -> Provider:
    if llm.provider == "demo":
        return DemoProvider(faults=llm.demo_faults)
    target = target_for(llm, api_key)
    if target.proxy:
        logger.warning("calls go through the proxy %s, which HTTPS_PROXY names", target.proxy_name)
    # Here, not above: an HTTP client is 10 MB that a gateway on the demo provider does not need.
    from openclaw_actors.providers.client import HttpProvider

    return HttpProvider(
        target,
        name=llm.provider,
        connect_timeout_s=llm.connect_timeout_seconds,
        max_response_bytes=llm.max_response_bytes,
    )
