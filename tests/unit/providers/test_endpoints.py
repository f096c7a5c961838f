"""Each kind of provider is reached at its place, with its headers; what cannot work is said at the start."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from openclaw_actors.config.sections import LlmConfig
from openclaw_actors.providers.endpoints import Target, Unusable, target_for

__all__: list[str] = []

KEY = "sk-0123456789"


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


def target(provider: str, endpoint: str | None = None, *, key: str | None = KEY, **given: Any) -> Target:
    llm = msgspec.convert({"provider": provider, "endpoint": endpoint, "model": "m", **given}, LlmConfig)
    return target_for(llm, key)


@pytest.mark.parametrize(
    ("provider", "endpoint", "url"),
    [
        ("openai", None, "https://api.openai.com/v1/chat/completions"),
        ("ollama", None, "http://localhost:11434/v1/chat/completions"),
        ("ollama", "http://box:11434", "http://box:11434/v1/chat/completions"),
        ("openai-compatible", "http://h", "http://h/v1/chat/completions"),
        ("openai-compatible", "http://h/", "http://h/v1/chat/completions"),
        ("openai-compatible", "http://h/v1", "http://h/v1/chat/completions"),
        ("openai-compatible", "http://h/v1/", "http://h/v1/chat/completions"),
        ("openai-compatible", "http://h/api/v1", "http://h/api/v1/chat/completions"),
        ("openai-compatible", "http://h/chat/completions", "http://h/chat/completions"),
        ("openai-compatible", "http://h/v1/chat/completions/", "http://h/v1/chat/completions"),
        ("openai-compatible", "http://h/v1?a=b", "http://h/v1/chat/completions?a=b"),
        ("openai-compatible", "http://[::1]:8000/v1", "http://[::1]:8000/v1/chat/completions"),
        ("azure-openai", "https://r", "https://r/openai/deployments/m/chat/completions?api-version=v"),
        (
            "azure-openai",
            "https://r/openai/",
            "https://r/openai/deployments/m/chat/completions?api-version=v",
        ),
        (
            "azure-openai",
            "https://r/openai/deployments/d/chat/completions?api-version=w",
            "https://r/openai/deployments/d/chat/completions?api-version=w",
        ),
        ("azure-openai", "https://r/openai/v1/", "https://r/openai/v1/chat/completions"),
    ],
)
def test_addresses(provider: str, endpoint: str | None, url: str) -> None:
    assert target(provider, endpoint, api_version="v").url == url


@pytest.mark.parametrize(
    ("provider", "key", "header", "value"),
    [
        ("openai", KEY, "Authorization", f"Bearer {KEY}"),
        ("ollama", KEY, "Authorization", f"Bearer {KEY}"),
        ("ollama", None, "Authorization", "Bearer ollama"),
        ("openai-compatible", KEY, "Authorization", f"Bearer {KEY}"),
        ("openai-compatible", None, "Authorization", None),
        ("azure-openai", KEY, "api-key", KEY),
        ("azure-openai", KEY, "Authorization", None),
    ],
)
def test_keys(provider: str, key: str | None, header: str, value: str | None) -> None:
    reached = target(provider, "https://h/v1", key=key)

    assert reached.headers.get(header) == value
    assert KEY not in repr(reached)


@pytest.mark.parametrize(
    ("provider", "endpoint", "key", "says"),
    [
        ("openai", None, None, "llm.api_key"),
        ("azure-openai", "https://h", None, "llm.api_key"),
        ("azure-openai", None, KEY, "llm.endpoint"),
        ("openai-compatible", None, KEY, "llm.endpoint"),
        ("openai", None, "ключ", "llm.api_key"),
        ("openai", None, "a\tb", "llm.api_key"),
    ],
)
def test_what_is_missing_is_named(provider: str, endpoint: str | None, key: str | None, says: str) -> None:
    with pytest.raises(Unusable, match=says) as refusal:
        target(provider, endpoint, key=key)
    assert not key or key not in str(refusal.value)


def test_only_openai_itself_is_sure_to_know_the_newer_name_of_the_limit() -> None:
    assert target("openai").format.length_key == "max_completion_tokens"
    assert target("openai", "https://api.groq.com/openai/v1").format.length_key == "max_tokens"
    assert target("ollama").format.length_key == "max_tokens"
    assert target("azure-openai", "https://h").format.length_key == "max_tokens"


@pytest.mark.parametrize(
    ("endpoint", "proxy"),
    [
        ("https://h/v1", "http://u:secret@proxy:3128"),
        ("http://h/v1", None),
        ("https://localhost/v1", None),
        ("https://127.0.0.1/v1", None),
        ("https://[::1]/v1", None),
        ("https://inside/v1", None),
    ],
)
def test_the_proxy_of_the_environment(
    monkeypatch: pytest.MonkeyPatch, endpoint: str, proxy: str | None
) -> None:
    for name in ("HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://u:secret@proxy:3128")
    monkeypatch.setenv("NO_PROXY", "inside")

    reached = target("openai-compatible", endpoint)

    assert reached.proxy == proxy
    assert reached.proxy_name == ("proxy:3128" if proxy else "")


@pytest.mark.parametrize("proxy", ["socks5://u:secret@proxy:1080", "proxy:3128"])
def test_a_proxy_that_cannot_be_used_is_refused(monkeypatch: pytest.MonkeyPatch, proxy: str) -> None:
    monkeypatch.setenv("HTTPS_PROXY", proxy)

    with pytest.raises(Unusable, match="HTTPS_PROXY") as refusal:
        target("openai")
    assert "secret" not in str(refusal.value)
