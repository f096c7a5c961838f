"""Budgets hold before the call that would exceed them, and what was used can be seen and exported."""

from __future__ import annotations

import asyncio
import json

from tests.system.client import Client
from tests.system.conftest import GatewayFactory
from tests.system.gateway import wait_until


def test_a_days_budget_holds_over_sessions_and_restarts_and_the_ledger_knows(
    make_gateway: GatewayFactory,
) -> None:
    config = {
        "llm": {"tokens_per_day_per_principal": 60},
        "auth": {"tokens": {"alice": "raw:alice-token", "bob": "raw:bob-token"}},
    }
    gateway = make_gateway(config=config).start()

    def lines() -> list[dict[str, object]]:
        found: list[dict[str, object]] = json.loads(gateway.cli("usage", "--json").stdout)["turns"]
        return found

    def is_written() -> None:
        """The ledger is written behind the turns: what a kill finds unwritten is gone."""
        wait_until(
            lambda: any(line["status"] == "failed" for line in lines()), what="the refused turn's line"
        )

    async def scene() -> None:
        async with Client(gateway.ws_url, token="alice-token") as alice:
            used = 0
            while used < 60:
                done = await alice.turn("a few words")
                assert done["status"] == "completed"
                used += done["usage"]["inputTokens"] + done["usage"]["outputTokens"]
            over = await alice.turn("one more", session="other")
            assert (over["status"], over["code"]) == ("failed", "budget")
            assert over["text"].startswith(f"You have reached today's token budget ({used}/60 tokens).")
            said = await alice.turn("/usage")
            assert f"Today you have used {used} of 60 in all conversations." in said["text"]
            await asyncio.to_thread(is_written)
            await asyncio.to_thread(gateway.kill, "persistence")
            await asyncio.to_thread(gateway.kill, "model")
            over = await alice.turn("one more")
            assert over["code"] == "budget", "the next ones have forgotten"
        async with Client(gateway.ws_url, token="bob-token") as bob:
            assert (await bob.turn("hello"))["status"] == "completed"

    asyncio.run(scene())

    wait_until(lambda: any(line["principal"] == "bob" for line in lines()), what="the last line")
    found = lines()
    assert len({line["turn"] for line in found}) == len(found), "a turn twice"
    assert [line["code"] for line in found if line["status"] == "failed"] == ["budget"] * 2
    gateway.stop()
    shown = gateway.cli("usage", "--since", "1h").stdout
    assert "alice" in shown
    assert "total" in shown
    assert "nothing was used" in gateway.cli("usage", "--since", "2999-01-01").stdout
    wrong = gateway.cli("usage", "--since", "yesterday")
    assert wrong.returncode == 2
    assert "'yesterday' is not a span such as" in wrong.stderr


def test_a_turn_over_its_own_budget_ends_before_its_next_call(make_gateway: GatewayFactory) -> None:
    gateway = make_gateway(config={"sessions": {"turn_token_budget": 5}}).start()

    async def scene() -> None:
        async with Client(gateway.ws_url) as client:
            done = await client.turn('/demo tool memory {"action": "read", "key": "k"}')
            assert (done["status"], done["code"]) == ("failed", "budget")
            assert "/5 tokens)" in done["text"]

    asyncio.run(scene())
    gateway.stop()
