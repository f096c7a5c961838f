"""Decides what further models there are: each has the settings of its section, but for what it says itself."""

from __future__ import annotations

__all__ = [
    "ANTHROPIC_MODEL",
    "ANTHROPIC_VERSION",
    "FALLBACK_KEY",
    "MODEL_KEY",
    "choices_of",
    "further_models",
    "settings_of",
    "with_defaults_of_provider",
]

from collections.abc import Container, Iterator

import msgspec

from openclaw_actors.config.sections import LlmConfig, LlmModel

ANTHROPIC_MODEL = "claude-sonnet-5-5"
ANTHROPIC_VERSION = "2026-10-21"

FALLBACK_KEY = "llm.fallbacks[{}]"
MODEL_KEY = "llm.models.{}"


def settings_of(llm: LlmConfig, model: LlmModel) -> LlmConfig:
    """The whole section as one of its further models sees it.

    Key and endpoint are those of the section only where provider and address are: a key goes to nobody for whom it was
    not meant.
    """
    provider = model.provider or llm.provider
    same = provider == llm.provider and model.endpoint in (None, llm.endpoint)
    return msgspec.structs.replace(
        llm,
        provider=provider,
        model=model.model,
        api_key=model.api_key or (llm.api_key if same else None),
        endpoint=model.endpoint or (llm.endpoint if same else None),
        api_version=model.api_version
        or (llm.api_version if provider == llm.provider else _version_of(provider)),
        max_tokens=model.max_tokens or llm.max_tokens,
        fallbacks=(),
        models={},
    )


def _version_of(provider: str) -> str:
    return ANTHROPIC_VERSION if provider == "anthropic" else LlmConfig().api_version


def with_defaults_of_provider(llm: LlmConfig, given: Container[str]) -> LlmConfig:
    """The section with what it does not say itself, where that follows from its provider.

    Args:
        llm: the section.
        given: the dotted keys that somebody has set.
    """
    defaults = {"model": ANTHROPIC_MODEL, "api_version": ANTHROPIC_VERSION}
    derived = {name: value for name, value in defaults.items() if f"llm.{name}" not in given}
    return msgspec.structs.replace(llm, **derived) if llm.provider == "anthropic" else llm


def further_models(llm: LlmConfig) -> Iterator[tuple[str, LlmModel]]:
    """Every model beside the configured one, with its dotted key."""
    for number, model in enumerate(llm.fallbacks):
        yield FALLBACK_KEY.format(number), model
    for name, model in llm.models.items():
        yield MODEL_KEY.format(name), model


def choices_of(llm: LlmConfig) -> tuple[str, ...]:
    """The names by which a conversation or a client can choose a model; the configured one is the first."""
    if llm.provider == "demo":
        return ("demo",)
    return (llm.model, *llm.models)
