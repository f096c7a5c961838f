"""What the tests of the OpenAI API say with OpenAI's own client, and how they read its answers."""

from __future__ import annotations

__all__ = ["ask", "client", "named", "read", "stream"]

from typing import Any

from openai import AsyncOpenAI, AsyncStream
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from tests.system.gateway import Gateway


def client(gateway: Gateway, token: str = "none", *, max_retries: int = 0) -> AsyncOpenAI:
    """OpenAI's client; to be used as a context."""
    return AsyncOpenAI(
        base_url=f"{gateway.http_url}/v1", api_key=token, max_retries=max_retries, timeout=30.0
    )


def named(session: str, key: str | None = None) -> dict[str, str]:
    """The headers that name a session, and the message."""
    return {"X-OpenClaw-Session-Id": session, **({"Idempotency-Key": key} if key else {})}


def _messages(text: str | list[dict[str, Any]]) -> list[Any]:
    return [{"role": "user", "content": text}] if isinstance(text, str) else text


async def ask(
    api: AsyncOpenAI,
    text: str | list[dict[str, Any]],
    *,
    headers: dict[str, str] | None = None,
    **fields: Any,
) -> ChatCompletion:
    """One completion, at once."""
    answer: ChatCompletion = await api.chat.completions.create(
        **{"model": "openclaw", "messages": _messages(text), "extra_headers": headers, **fields}
    )
    return answer


async def stream(
    api: AsyncOpenAI,
    text: str | list[dict[str, Any]],
    *,
    headers: dict[str, str] | None = None,
    **fields: Any,
) -> AsyncStream[ChatCompletionChunk]:
    """One completion, streamed."""
    chunks: AsyncStream[ChatCompletionChunk] = await api.chat.completions.create(
        **{
            "model": "openclaw",
            "messages": _messages(text),
            "extra_headers": headers,
            "stream": True,
            **fields,
        }
    )
    return chunks


async def read(chunks: AsyncStream[ChatCompletionChunk]) -> tuple[str, str | None]:
    """What is left of a stream: its text, and why it ends."""
    text, reason = "", None
    async for chunk in chunks:
        for choice in chunk.choices:
            text += choice.delta.content or ""
            reason = choice.finish_reason or reason
    return text, reason
