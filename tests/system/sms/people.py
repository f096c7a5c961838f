"""Decides how a test has somebody write an SMS, and asks actors: over the sockets of the run directory."""

from __future__ import annotations

__all__ = ["ask_actor", "entries", "outbox", "settings", "write"]

import asyncio
import json
import os
import time
import uuid
from pathlib import Path
from typing import Any

from openclaw_actors.actorsystem import Endpoint
from openclaw_actors.messages import Deliver, Message
from openclaw_actors.messages.outbox import ListOutbox, OutboxPage
from tests.system.gateway import Gateway
from tests.system.sms.fake_twilio import ACCOUNT, FROM, TOKEN, FakeTwilio


def settings(twilio: FakeTwilio, **changes: Any) -> dict[str, Any]:
    """A configuration with SMS on, and without patience."""
    sms = {
        "enabled": True,
        "account_sid": ACCOUNT,
        "auth_token_ref": f"raw:{TOKEN}",
        "from_number": FROM,
        "api_base_url": twilio.url,
        "webhook_public_base_url": "https://example.org",
        "allowed_from_numbers": ["+15550001111"],
        "allowed_to_numbers": [FROM],
        "request_timeout_seconds": 1.5,
        "retry_backoff_seconds": 0.1,
        "retry_backoff_max_seconds": 0.5,
        "ambiguous_grace_seconds": 1.0,
        **changes,
    }
    quick = {"ping_interval_seconds": 0.3, "ping_timeout_seconds": 3.0}
    return {"channels": {"sms": {"twilio": sms}}, "supervision": quick, "llm": {"retry_count": 0}}


def _socket_of(gateway: Gateway, name: str) -> Path:
    """The socket on which an actor listens, by its name in the tree."""
    pid = gateway.pid_of(name)
    held = set()
    for entry in Path(f"/proc/{pid}/fd").iterdir():
        try:
            held.add(os.readlink(entry))
        except FileNotFoundError:
            continue  # closed meanwhile
    run = os.path.realpath(gateway.state_dir / "run")
    for line in Path("/proc/net/unix").read_text().splitlines()[1:]:
        fields = line.split()
        listens = fields[3] == "00010000"
        if listens and f"socket:[{fields[6]}]" in held and fields[-1].startswith(run):
            return Path(fields[-1])
    raise AssertionError(f"{name} (pid {pid}) listens on no socket in {run}")


def ask_actor(gateway: Gateway, name: str, message: Message) -> Any:
    """Ask an actor something that only other actors ask it."""
    path = _socket_of(gateway, name)

    async def asking() -> Any:
        async with Endpoint(path.parent) as endpoint:
            return await endpoint.ask(str(path), message, timeout_s=30.0)

    return asyncio.run(asking())


def write(gateway: Gateway, number: str, *texts: str) -> None:
    """Have a number write these messages; returns when the router has them."""
    path = _socket_of(gateway, "router")

    async def writing() -> None:
        async with Endpoint(path.parent) as endpoint:
            for text in texts:
                name = uuid.uuid4().hex
                deliver = Deliver(
                    session=f"sms:{number}",
                    delivery_id=name,
                    message_id=f"SM{name}",
                    text=text,
                    channel="phone",
                    received_at=time.monotonic(),
                    correlation_id=name,
                )
                await endpoint.ask(str(path), deliver, timeout_s=30.0)

    asyncio.run(writing())


def outbox(gateway: Gateway, *arguments: str) -> Any:
    """What `outbox … --json` prints."""
    result = gateway.cli("outbox", *arguments, "--json")
    assert result.returncode == 0, f"{result.stderr}\n{gateway.printed()}"
    return json.loads(result.stdout)


def entries(gateway: Gateway) -> list[tuple[str, str]]:
    """The outbox as (entry, state)."""
    page: OutboxPage = gateway.ask(ListOutbox())
    return [(f"{each.session}/{each.seq}", each.state) for each in page.entries]
