"""Measures the HTTP channel: webhooks of SMS, a scrape, and what a slowloris costs the others."""

from __future__ import annotations

__all__ = ["measure_http"]

import asyncio
import base64
import hashlib
import hmac
import itertools
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

import aiohttp

from benchmarks.gateway import ROOT, Gateway
from benchmarks.table import Row, median

_TOKEN = "bench-token"
_PUBLIC = "https://sms.example"
_PATH = "/twilio/sms/inbound"
_TO = "+15550000000"
_SENDERS = 200
_SLOW_CONNECTIONS = 500
_MAX_WEBHOOK_MS = 8.0
_MIN_WEBHOOKS_A_SECOND = 300.0
_MAX_SCRAPE_MS = 50.0
_MAX_SCRAPE_BYTES = 100_000.0
_MAX_SLOWLORIS_RATIO = 2.0


def measure_http(directory: Path, *, runs: int, seconds: float) -> list[Row]:
    """All of it with one gateway, fsync included, and an API of Twilio beside it that takes everything at once.

    Args:
        runs: rounds of each.
        seconds: of each round.
    """
    with _twilio() as api, Gateway(directory / "gateway", _config(api)) as gateway:
        return asyncio.run(_measure(gateway, runs, seconds))


async def _measure(gateway: Gateway, runs: int, seconds: float) -> list[Row]:
    url = gateway.http_url
    ids = itertools.count(1)
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as client:
        webhooks = _Webhooks(client, url, ids)
        await webhooks.warm_up()
        alone = [await webhooks.one_after_the_other(seconds) for _ in range(runs)]
        at_once = [await webhooks.at_once(seconds) for _ in range(runs)]
        scrapes = [await _scrape(client, url) for _ in range(max(runs, 5))]
        plain, beset = [], []
        for _ in range(runs):
            plain.append(await _p95_of_others(client, url, seconds))
            async with _Slowloris(url):
                beset.append(await _p95_of_others(client, url, seconds))
    ratios = [with_ / without for with_, without in zip(beset, plain, strict=True)]
    scrape_ms = [milliseconds for milliseconds, _ in scrapes]
    sizes = [float(size) for _, size in scrapes]
    return [
        Row(
            name="webhook of an SMS to its answer, fsync on, p50",
            value=median(alone),
            unit="ms",
            target=_MAX_WEBHOOK_MS,
            runs=alone,
            digits=2,
        ),
        Row(
            name=f"webhooks a second, {_SENDERS} senders, each with a turn and a reply",
            value=median(at_once),
            unit="/s",
            target=_MIN_WEBHOOKS_A_SECOND,
            at_least=True,
            runs=at_once,
            beside="load generator and Twilio's stand-in on the same two cores",
        ),
        Row(
            name=f"scrape of /metrics, {_SENDERS} live sessions",
            value=median(scrape_ms),
            unit="ms",
            target=_MAX_SCRAPE_MS,
            runs=scrape_ms,
        ),
        Row(
            name="its size",
            value=median(sizes),
            unit="bytes",
            target=_MAX_SCRAPE_BYTES,
            runs=sizes,
            digits=0,
        ),
        Row(
            name=f"p95 of other requests beside a slowloris of {_SLOW_CONNECTIONS}, as a multiple of alone",
            value=median(ratios),
            unit="",
            target=_MAX_SLOWLORIS_RATIO,
            runs=ratios,
            beside=f"{median(plain):.1f} ms alone, {median(beset):.1f} ms beside it",
            digits=2,
        ),
    ]


@dataclass
class _Webhooks:
    client: aiohttp.ClientSession
    url: str
    ids: Iterator[int]

    async def warm_up(self) -> None:
        """Every sender's session is forked."""
        for first in range(0, _SENDERS, 10):
            await asyncio.gather(*(self._post(number) for number in range(first, first + 10)))

    async def one_after_the_other(self, seconds: float) -> float:
        """The median time of one webhook, in milliseconds."""
        end = time.perf_counter() + seconds
        took: list[float] = []
        for number in itertools.cycle(range(_SENDERS)):
            began = time.perf_counter()
            if began >= end:
                return median(took)
            await self._post(number)
            took.append((time.perf_counter() - began) * 1e3)
        raise AssertionError

    async def at_once(self, seconds: float) -> float:
        """Webhooks a second, eight on their way at any time."""
        end = time.perf_counter() + seconds
        numbers = itertools.cycle(range(_SENDERS))
        done = 0

        async def worker() -> None:
            nonlocal done
            while time.perf_counter() < end:
                await self._post(next(numbers))
                done += 1

        began = time.perf_counter()
        await asyncio.gather(*(worker() for _ in range(8)))
        return done / (time.perf_counter() - began)

    async def _post(self, number: int) -> None:
        form = {
            "MessageSid": f"SM{next(self.ids):032x}",
            "From": _sender(number),
            "To": _TO,
            "Body": "hello there",
        }
        signed = _PUBLIC + _PATH + "".join(f"{name}{form[name]}" for name in sorted(form))
        signature = base64.b64encode(hmac.new(_TOKEN.encode(), signed.encode(), hashlib.sha1).digest())
        headers = {
            "X-Twilio-Signature": signature.decode(),
            "Content-Type": "application/x-www-form-urlencoded",
        }
        async with self.client.post(self.url + _PATH, data=urlencode(form), headers=headers) as answer:
            body = await answer.read()
            if answer.status != 200:
                raise RuntimeError(f"a webhook was answered {answer.status}: {body[:200]!r}")


async def _scrape(client: aiohttp.ClientSession, url: str) -> tuple[float, int]:
    began = time.perf_counter()
    async with client.get(url + "/metrics") as answer:
        body = await answer.read()
        if answer.status != 200:
            raise RuntimeError(f"the scrape was answered {answer.status}")
    return (time.perf_counter() - began) * 1e3, len(body)


async def _p95_of_others(client: aiohttp.ClientSession, url: str, seconds: float) -> float:
    """Milliseconds, of requests that somebody else makes one after the other."""
    end = time.perf_counter() + seconds
    took: list[float] = []
    while True:
        began = time.perf_counter()
        if began >= end:
            return sorted(took)[int(0.95 * len(took))]
        async with client.get(url + "/v1/models") as answer:
            await answer.read()
        took.append((time.perf_counter() - began) * 1e3)


class _Slowloris:
    """Many connections that send a request's head a byte at a time."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._address = parts.hostname, parts.port
        self._writers: list[asyncio.StreamWriter] = []
        self._feeding: asyncio.Task[None] | None = None

    async def __aenter__(self) -> _Slowloris:
        for _ in range(_SLOW_CONNECTIONS):
            _, writer = await asyncio.open_connection(*self._address)
            writer.write(b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nX-Slow: ")
            self._writers.append(writer)
        self._feeding = asyncio.ensure_future(self._feed())
        return self

    async def __aexit__(self, *error: object) -> None:
        assert self._feeding is not None
        self._feeding.cancel()
        for writer in self._writers:
            writer.transport.abort()

    async def _feed(self) -> None:
        while True:
            await asyncio.sleep(1)
            for writer in self._writers:
                writer.write(b"x")


def _sender(number: int) -> str:
    return f"+1555{number:07d}"


def _config(api: str) -> dict[str, Any]:
    return {
        "channels": {
            "sms": {
                "twilio": {
                    "enabled": True,
                    "account_sid": "AC" + "0" * 32,
                    "auth_token_ref": f"raw:{_TOKEN}",
                    "from_number": _TO,
                    "api_base_url": api,
                    "webhook_public_base_url": _PUBLIC,
                    "allowed_from_numbers": [_sender(number) for number in range(_SENDERS)],
                    "allowed_to_numbers": [_TO],
                    "rate_limit_per_from_per_minute": 1_000_000,
                }
            }
        },
        "http": {"chat_requests_per_minute": 10_000_000},
    }


@contextmanager
def _twilio() -> Iterator[str]:
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.twilio"],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        yield f"http://127.0.0.1:{int(process.stdout.readline())}"
    finally:
        process.stdin.close()
        process.wait(timeout=10)
