"""Owns calls of the real client against the fake provider, and what the provider does in them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from openclaw_actors.config.sections import LlmConfig
from openclaw_actors.messages.model import ChatMessage, Complete
from openclaw_actors.providers import Answer, Caller, CallError, create_caller
from tests.system.providers.fake import Exchange, FakeProvider, Script

__all__ = [
    "KEY",
    "PEM",
    "Said",
    "ask",
    "call",
    "comment_and_hang",
    "config",
    "fail",
    "hang",
    "play",
    "refusing",
    "request",
    "reset",
    "saying",
    "sending",
]

KEY = "sk-test-0123456789abcdef"
PEM = Path(__file__).parent / "self_signed.pem"


def config(at: FakeProvider | str, /, **given: Any) -> LlmConfig:
    defaults = {
        "provider": "openai-compatible",
        "endpoint": at if isinstance(at, str) else at.url,
        "model": "m1",
        "timeout_seconds": 15,
        "retry_backoff_seconds": 0.01,
        "retry_backoff_max_seconds": 0.02,
    }
    return msgspec.convert({**defaults, **given}, LlmConfig)


def request(text: str = "hi", **given: Any) -> Complete:
    message = ChatMessage(role="user", text=text)
    return Complete(call_id="t/1/1", session="s", correlation_id="k", messages=(message,), **given)


class Said(list[str]):
    """What was passed on, and a way to wait for it."""

    def __init__(self) -> None:
        self.changed = asyncio.Event()

    def append(self, text: str) -> None:
        super().append(text)
        self.changed.set()

    async def until(self, text: str) -> None:
        async with asyncio.timeout(30):
            while "".join(self) != text:
                self.changed.clear()
                await self.changed.wait()


def play(scene: Callable[[FakeProvider], Awaitable[Any]], *scripts: Script) -> Any:
    """Run a scene with a fake provider that follows the scripts."""

    async def run() -> Any:
        async with asyncio.timeout(200), FakeProvider(*scripts) as provider:
            return await scene(provider)

    return asyncio.run(run())


async def call(caller: Caller, asked: Complete | None = None, said: Said | None = None) -> Answer:
    try:
        return await caller.complete(asked or request(), (said if said is not None else Said()).append)
    finally:
        await caller.close()


def ask(*scripts: Script, said: Said | None = None, asked: Complete | None = None, **given: Any) -> Answer:
    async def scene(provider: FakeProvider) -> Answer:
        return await call(create_caller(config(provider, **given), KEY), asked, said)

    answer: Answer = play(scene, *scripts)
    return answer


def fail(*scripts: Script, said: Said | None = None, **given: Any) -> tuple[CallError, FakeProvider, Caller]:
    """Make a call that must fail; return how, and what is known of it afterwards."""

    async def scene(provider: FakeProvider) -> tuple[CallError, FakeProvider, Caller]:
        caller = create_caller(config(provider, **given), KEY)
        with pytest.raises(CallError) as failure:
            await call(caller, said=said)
        return failure.value, provider, caller

    result: tuple[CallError, FakeProvider, Caller] = play(scene, *scripts)
    return result


def saying(*texts: str, then: Callable[[Exchange], Awaitable[None]] | None = None) -> Script:
    """Begin to answer, and then do something else."""

    async def script(exchange: Exchange) -> None:
        await exchange.head()
        for text in texts:
            await exchange.say(text)
        if then is not None:
            await then(exchange)

    return script


def refusing(status: int, body: Any = None, **headers: str) -> Script:
    return lambda exchange: exchange.refuse(status, body, **headers)


def sending(*pieces: bytes | str) -> Script:
    async def script(exchange: Exchange) -> None:
        await exchange.head()
        for piece in pieces:
            await exchange.send(piece)
        await exchange.end()

    return script


async def reset(exchange: Exchange) -> None:
    # What was sent must have been read before the reset throws away what was not.
    await asyncio.sleep(0.2)
    exchange.reset()


async def hang(exchange: Exchange) -> None:
    await exchange.hung_up()


async def comment_and_hang(exchange: Exchange) -> None:
    await exchange.send(": I am here\n\n")
    await exchange.hung_up()
