"""Further models: what they have of the section, whose key they get, and what of them is refused."""

from __future__ import annotations

import json

import pytest

from openclaw_actors.config import collect_secrets, decode, encode, mask
from openclaw_actors.config.environment import ANTHROPIC_KEY
from openclaw_actors.config.models import choices_of, settings_of
from openclaw_actors.config.secrets import secret_variables, travelling, values_for_vault, without_values
from tests.unit.config.world import Load, problems_of

TEXT = """
llm:
  provider: anthropic
  model: claude-opus-4-1
  api_key: env:MAIN
  max_tokens: 1000
  fallbacks:
    - model: claude-haiku-4-5
    - {provider: openai, model: gpt-4o, api_key: "raw:sk-hunter2", max_tokens: 50}
  models:
    fast: {model: claude-haiku-4-5}
    meta-llama/llama-3:8b: {provider: ollama, model: llama3}
"""


def test_a_model_has_the_settings_of_the_section_but_for_its_own(load: Load) -> None:
    llm = load(TEXT, MAIN="sk-1").config.llm
    haiku, gpt = (settings_of(llm, each) for each in llm.fallbacks)
    assert (haiku.provider, haiku.model, haiku.max_tokens) == ("anthropic", "claude-haiku-4-5", 1000)
    assert (gpt.provider, gpt.model, gpt.max_tokens, gpt.endpoint) == ("openai", "gpt-4o", 50, None)
    assert (haiku.fallbacks, haiku.models, haiku.timeout_seconds) == ((), {}, llm.timeout_seconds)
    assert choices_of(llm) == ("claude-opus-4-1", "fast", "meta-llama/llama-3:8b")


@pytest.mark.parametrize(
    ("entry", "inherits"),
    [
        ("{model: b}", True),
        ("{model: b, provider: anthropic}", True),
        ("{model: b, endpoint: 'https://proxy.example'}", True),
        ("{model: b, endpoint: 'https://other.example'}", False),
        ("{model: b, provider: ollama}", False),
    ],
)
def test_a_key_goes_to_nobody_for_whom_it_was_not_meant(load: Load, entry: str, *, inherits: bool) -> None:
    text = f"llm: {{provider: anthropic, endpoint: 'https://proxy.example', api_key: env:MAIN, fallbacks: [{entry}]}}"
    llm = load(text, MAIN="sk-1").config.llm
    (model,) = llm.fallbacks
    assert settings_of(llm, model).api_key == ("env:MAIN" if inherits else None)


def test_their_keys_are_secrets_like_all_others(load: Load) -> None:
    config = load(TEXT, MAIN="sk-1").config
    assert collect_secrets(config, {"MAIN": "sk-1"}) == {
        "llm.api_key": "sk-1",
        "llm.fallbacks[1].api_key": "sk-hunter2",
    }
    assert "hunter2" not in json.dumps(mask(config))
    assert mask(config)["llm"]["fallbacks"][1]["api_key"] == "raw:***"
    assert b"hunter2" not in encode(without_values(config))
    assert travelling(config, {}, "/v")["llm.fallbacks[1].api_key"] == "vault:/v:raw:llm.fallbacks[1].api_key"
    assert values_for_vault(config, {"MAIN": "sk-1"})["raw:llm.fallbacks[1].api_key"] == "sk-hunter2"
    assert decode(encode(config)) == config


@pytest.mark.parametrize(
    ("llm", "problem"),
    [
        ("fallbacks: 3", "llm.fallbacks must be a list; each entry a mapping"),
        ("fallbacks: [3]", "llm.fallbacks[0] must be a mapping"),
        ("fallbacks: [{model: b}, {}]", "llm.fallbacks[1].model must be a text that is not empty"),
        (
            "fallbacks: [{modl: b}]",
            "llm.fallbacks[0].modl is not a key; the nearest is llm.fallbacks[0].model",
        ),
        ("fallbacks: [{model: b, max_tokens: 0}]", "llm.fallbacks[0].max_tokens must be a whole number"),
        ("fallbacks: [{model: b, provider: x}]", "llm.fallbacks[0].provider must be one of"),
        ("fallbacks: [{model: b, api_key: sk-1}]", "llm.fallbacks[0].api_key must be a reference"),
        (
            "fallbacks: [{model: b, api_key: 'env:NONE'}]",
            "llm.fallbacks[0].api_key must be a reference that resolves",
        ),
        (
            "fallbacks: [{model: b, provider: openai}]",
            "llm.fallbacks[0].api_key must be set for the provider openai",
        ),
        (
            "fallbacks: [{model: b, provider: openai-compatible}]",
            "llm.fallbacks[0].endpoint must be set for the provider openai-compatible",
        ),
        ("models: {fast: {}}", "llm.models.fast.model must be a text that is not empty"),
        ("models: {'a b': {model: b}}", "llm.models must be named by a text of the form"),
        ("models: {m: {model: b}}", "llm.models.m must be named otherwise: that is llm.model"),
        (f"fallbacks: [{', '.join(['{model: b}'] * 65)}]", "llm.fallbacks must be at most 64 entries"),
    ],
)
def test_what_is_wrong_is_named_with_its_place(load: Load, llm: str, problem: str) -> None:
    text = f"llm:\n  provider: ollama\n  model: m\n  {llm}\n"
    found = problems_of(load, text)
    assert any(problem in each for each in found), found


def test_a_problem_in_a_list_says_its_line(load: Load) -> None:
    text = "llm:\n  provider: ollama\n  fallbacks:\n    - model: a\n    - model: b\n      max_tokens: 0\n"
    (problem,) = problems_of(load, text)
    assert ".yaml:6" in problem


def test_the_environment_can_give_the_list_and_replaces_it_whole(load: Load) -> None:
    text = "llm: {provider: ollama, fallbacks: [{model: a, max_tokens: 5}, {model: b}]}"
    loaded = load(text, OPENCLAW__LLM__FALLBACKS="[{model: c}]")
    assert [each.model for each in loaded.config.llm.fallbacks] == ["c"]
    assert not [key for key in loaded.sources if "[1]" in key]


@pytest.mark.parametrize(
    ("text", "environ", "provider", "key"),
    [
        ("", {ANTHROPIC_KEY: "sk-a"}, "anthropic", "env:ANTHROPIC_API_KEY"),
        ("", {ANTHROPIC_KEY: "sk-a", "OPENAI_API_KEY": "sk-o"}, "openai", "env:OPENAI_API_KEY"),
        ("", {ANTHROPIC_KEY: "sk-a", "OPENCLAW_ENDPOINT": "http://h"}, "openai-compatible", None),
        ("llm: {endpoint: 'http://h'}", {ANTHROPIC_KEY: "sk-a"}, "openai-compatible", None),
        ("llm: {api_key: 'raw:k'}", {ANTHROPIC_KEY: "sk-a"}, "openai", "raw:k"),
        ("llm: {provider: ollama}", {ANTHROPIC_KEY: "sk-a"}, "ollama", None),
        ("llm: {provider: demo}", {ANTHROPIC_KEY: "sk-a"}, "demo", None),
        (
            "llm: {provider: Anthropic}",
            {ANTHROPIC_KEY: "sk-a", "OPENAI_API_KEY": "sk-o"},
            "anthropic",
            "env:ANTHROPIC_API_KEY",
        ),
        (
            "",
            {"OPENCLAW__LLM__PROVIDER": "anthropic", ANTHROPIC_KEY: "sk-a", "OPENAI_API_KEY": "sk-o"},
            "anthropic",
            "env:ANTHROPIC_API_KEY",
        ),
        (
            "llm: {provider: anthropic}",
            {ANTHROPIC_KEY: "sk-a", "OPENCLAW_API_KEY": "sk-c"},
            "anthropic",
            "env:OPENCLAW_API_KEY",
        ),
    ],
)
def test_nobody_gets_another_providers_key(
    load: Load, text: str, environ: dict[str, str], provider: str, key: str | None
) -> None:
    config = load(text, **environ).config
    assert (config.llm.provider, config.llm.api_key) == (provider, key)
    assert ANTHROPIC_KEY in secret_variables(config, environ), "no child sees it, whosever it is"


def test_openais_key_alone_is_none_for_anthropic(load: Load) -> None:
    (problem,) = problems_of(load, "llm: {provider: anthropic}", OPENAI_API_KEY="sk-o")
    assert problem.startswith("llm.api_key must be set for the provider anthropic; set ANTHROPIC_API_KEY")


def test_anthropic_has_a_model_of_its_own_by_default(load: Load) -> None:
    assert load("", ANTHROPIC_API_KEY="sk-a").config.llm.model == "claude-sonnet-5-5"
    assert load("", ANTHROPIC_API_KEY="sk-a", OPENCLAW_MODEL="claude-x").config.llm.model == "claude-x"
    assert load("", OPENAI_API_KEY="sk-o").config.llm.model == "gpt-4o"


def test_each_provider_has_versions_of_its_own(load: Load) -> None:
    text = "llm: {provider: anthropic, model: a, api_key: 'raw:k'%s, fallbacks: [{model: b}, %s]}"
    azure = "{provider: azure-openai, model: c, api_key: 'raw:l', endpoint: 'https://h'}"
    for given, version in (("", "2026-10-21"), (", api_version: '2023-06-01'", "2023-06-01")):
        llm = load(text % (given, azure)).config.llm
        versions = [llm.api_version, *(settings_of(llm, each).api_version for each in llm.fallbacks)]
        assert versions == [version, version, "2024-10-21"]
