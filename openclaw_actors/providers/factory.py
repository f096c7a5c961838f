"""Decides which provider the configuration means, and with what limits it is called."""

from __future__ import annotations

__all__ = ["create_caller"]

import logging

from openclaw_actors.config.sections import LlmConfig
from openclaw_actors.core.breaker import CircuitBreaker
from openclaw_actors.core.retry import RetryPolicy
from openclaw_actors.providers.base import Provider
from openclaw_actors.providers.calls import Caller, CallLimits
from openclaw_actors.providers.demo import DemoProvider
from openclaw_actors.providers.endpoints import target_for

logger = logging.getLogger(__name__)


def create_caller(llm: LlmConfig, api_key: str | None) -> Caller:
    """Make what calls the configured provider.

    Args:
        llm: the section `llm` of the configuration.
        api_key: the resolved key, where there is one.

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
        limits=CallLimits(
            timeout_s=llm.timeout_seconds,
            concurrent=llm.max_concurrent_calls,
            waiting=llm.max_waiting_calls,
        ),
    )


def _create_provider(llm: LlmConfig, api_key: str | None) -> Provider:
    if llm.provider == "demo":
        return DemoProvider(faults=llm.demo_faults)
    target = target_for(llm, api_key)
    if target.proxy:
        logger.warning("calls go through the proxy %s, which HTTPS_PROXY names", target.proxy_name)
    # Here, not above: an HTTP client is 10 MB that a gateway on the demo provider does not need.
    from openclaw_actors.providers.openai import OpenAIProvider

    return OpenAIProvider(
        target,
        name=llm.provider,
        connect_timeout_s=llm.connect_timeout_seconds,
        max_response_bytes=llm.max_response_bytes,
    )
