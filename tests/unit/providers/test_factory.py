"""The configuration becomes the provider that it names, with its limits."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from openclaw_actors.agent import faults
from openclaw_actors.config.sections import LlmConfig
from openclaw_actors.core.breaker import BreakerState, Outcome
from openclaw_actors.providers import FAULT_TOOL, Caller, Unusable, create_caller
from openclaw_actors.providers.client import HttpProvider
from openclaw_actors.providers.demo import DemoProvider

__all__: list[str] = []


def create(key: str | None = None, **given: Any) -> Caller:
    return create_caller(msgspec.convert(given, LlmConfig), key)


@pytest.mark.parametrize(
    ("given", "key", "kind"),
    [
        ({}, None, DemoProvider),
        ({"provider": "demo"}, "sk-0123456789", DemoProvider),
        ({"provider": "openai"}, "sk-0123456789", HttpProvider),
        ({"provider": "ollama"}, None, HttpProvider),
        ({"provider": "openai-compatible", "endpoint": "http://127.0.0.1:9"}, None, HttpProvider),
        ({"provider": "azure-openai", "endpoint": "http://127.0.0.1:9"}, "sk-0123456789", HttpProvider),
    ],
)
def test_providers(given: dict[str, Any], key: str | None, kind: type[object]) -> None:
    assert type(create(key, **given)._provider) is kind


def test_a_provider_without_its_key_is_refused() -> None:
    with pytest.raises(Unusable, match=r"llm\.api_key"):
        create(provider="openai")


def test_the_limits_are_those_of_the_configuration() -> None:
    caller = create(
        circuit_breaker_threshold=2,
        circuit_breaker_cooldown_seconds=7,
        retry_count=9,
        retry_backoff_seconds=0.5,
        timeout_seconds=3,
        max_concurrent_calls=4,
        max_waiting_calls=5,
    )

    for _ in range(2):
        permit = caller.breaker.acquire(0.0)
        assert permit is not None
        caller.breaker.release(permit, Outcome.FAILED, 0.0)
    assert caller.breaker.state is BreakerState.OPEN
    assert caller.breaker.retry_after_s(0.0) == 7.0
    assert (caller._retries.retries, caller._retries.backoff_s) == (9, 0.5)
    limits = caller._limits
    assert (limits.timeout_s, limits.concurrent, limits.waiting) == (3.0, 4, 5)


def test_both_sides_of_a_fault_know_it_by_one_name() -> None:
    assert faults.FAULT_TOOL == FAULT_TOOL
