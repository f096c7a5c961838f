"""Tools that wait for a person, with the real gateway: every way to decide, and every death while they wait."""

from __future__ import annotations

import asyncio
import json
import os
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.client import connect

from tests.system.client import Client
from tests.system.conftest import GatewayFactory
from tests.system.gateway import Gateway, wait_until

NOTE = '/demo tool memory {"action": "write", "key": "k", "content": "password=hunter22"}'
ASKS: dict[str, Any] = {"tooling": {"approval": "always"}}
TOKENS = {"auth": {"tokens": {"alice": "raw:alice-token", "eve": "raw:eve-token"}}}


def waiting(gateway: Gateway) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(gateway.cli("approvals", "list", "--json").stdout)["waiting"]
    return found


def audit(gateway: Gateway) -> list[dict[str, Any]]:
    path: Path = gateway.state_dir / "logs" / "audit.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


async def ask(client: Client) -> dict[str, Any]:
    """Have a tool wait; returns the question."""
    await client.send(NOTE)
    return await client.expect("tool_approval_required", name="memory")


async def decide(client: Client, question: dict[str, Any], *, approved: bool) -> None:
    frame = {"type": "tool_approval_decision", "approvalId": question["approvalId"], "approved": approved}
    await client.connection.send(json.dumps(frame))


def test_a_tool_is_approved_denied_and_decided_once(make_gateway: GatewayFactory) -> None:
    gateway = make_gateway(config=ASKS).start()

    async def scene() -> None:
        async with Client(gateway.ws_url) as client:
            question = await ask(client)
            assert json.loads(question["arguments"])["key"] == "k"
            assert not [event for event in client.events if event["type"] == "tool_start"]
            await decide(client, question, approved=True)
            assert (await client.expect("tool_result"))["status"] == "ok"
            assert (await client.expect("turn_done"))["status"] == "completed"
            await decide(client, question, approved=False)
            notice = await client.expect("notice", code="already_decided")
            assert notice["text"] == "memory was approved already."

            question = await ask(client)
            await decide(client, question, approved=False)
            result = await client.expect("tool_result")
            assert (result["status"], result["text"]) == ("denied", "Tool execution denied by user.")
            assert "denied by user" in (await client.expect("turn_done"))["text"]

            # By words, which are answered at once, beside the turn that waits.
            question = await ask(client)
            done = await client.turn("/approve")
            assert done["text"] == "memory was approved and runs."
            assert (await client.expect("turn_done"))["status"] == "completed"

            # A stop ends the question with its turn.
            question = await ask(client)
            await client.stop_turn()
            assert (await client.expect("turn_done"))["status"] == "stopped"
            await decide(client, question, approved=True)
            assert "its turn has ended" in (await client.expect("notice", code="already_decided"))["text"]

    asyncio.run(scene())
    lines = wait_until(lambda: len(audit(gateway)) >= 3 and audit(gateway), what="the audit")
    assert [line["status"] for line in lines] == ["ok", "denied", "ok"]
    assert {(line["principal"], line["tool"], line["session"]) for line in lines} == {
        ("local", "memory", "websocket:local:main")
    }
    assert not any("hunter22" in line["arguments"] for line in lines)
    assert os.stat(gateway.state_dir / "logs" / "audit.jsonl").st_mode & 0o777 == 0o600
    gateway.stop()


def test_nobody_else_decides_and_four_that_wait_are_in_nobodys_way(make_gateway: GatewayFactory) -> None:
    gateway = make_gateway(config={**ASKS, **TOKENS}).start()

    async def scene() -> None:
        clients = [Client(gateway.ws_url, session=f"s{n}", token="alice-token") for n in range(4)]
        for client in clients:
            await client.connect()
        questions = [await ask(client) for client in clients]
        async with Client(gateway.ws_url, session="s0", token="eve-token") as eve:
            assert (await eve.turn("hello", deadline_s=30))["status"] == "completed"
            await decide(eve, questions[0], approved=True)
            assert "must name an approval" in (await eve.expect("error", code="bad_field"))["text"]
            done = await eve.turn(f"/approve {questions[0]['approvalId']}")
            assert "There is no approval" in done["text"]
        # A session that waits hears everything else.
        assert (await clients[0].turn("/status"))["status"] == "completed"
        assert [each["session"] for each in waiting(gateway)] == [
            f"websocket:alice:s{number}" for number in range(4)
        ]
        # The owner of the gateway may decide, whosever session it is.
        done = gateway.cli("approvals", "approve", questions[1]["approvalId"])
        assert (done.returncode, done.stdout) == (0, "memory was approved and runs.\n")
        assert (await clients[1].expect("turn_done"))["status"] == "completed"
        again = gateway.cli("approvals", "deny", questions[1]["approvalId"])
        assert (again.returncode, again.stderr) == (1, "Error: memory was approved already.\n")
        unknown = gateway.cli("approvals", "approve", "nothing-1")
        assert unknown.returncode == 1
        assert "there is no approval nothing-1" in unknown.stderr
        for client in clients:
            await client.close()

    asyncio.run(scene())
    gateway.stop()


def test_a_question_survives_the_session_and_everything(make_gateway: GatewayFactory) -> None:
    gateway = make_gateway(config=ASKS).start()

    async def scene() -> None:
        client = Client(gateway.ws_url)
        await client.connect()
        question = await ask(client)
        for _ in range(3):  # a wait kills nobody: it is not given up as poison
            gateway.kill("websocket:local:main")
            await client.expect("turn_started")
        [waits] = wait_until(lambda: waiting(gateway), what="the question")
        assert waits["approval_id"] == question["approvalId"]
        await client.close()

        gateway.kill_all()
        gateway.restart()
        await client.connect()
        await client.resume(last_seq=client.last_seq)
        await decide(client, question, approved=True)
        assert (await client.expect("tool_result"))["status"] == "ok"
        assert (await client.expect("turn_done"))["status"] == "completed"
        asked = [event for event in client.durable() if event["type"] == "tool_approval_required"]
        assert len(asked) == 1

        # An orderly stop does not wait for a person either.
        await ask(client)
        await client.close()
        gateway.stop()
        gateway.restart()
        [waits] = wait_until(lambda: waiting(gateway), what="the question")
        assert gateway.cli("approvals", "deny", waits["approval_id"]).returncode == 0
        await client.connect()
        await client.resume(last_seq=client.last_seq)
        assert (await client.expect("tool_result"))["status"] == "denied"
        await client.expect("turn_done")
        await client.close()

    asyncio.run(scene())
    gateway.stop()


def test_what_nobody_decides_expires_and_no_turn_clock_runs_meanwhile(make_gateway: GatewayFactory) -> None:
    config = {
        "tooling": {"approval": "always", "approval_timeout_seconds": 1.5},
        "sessions": {"turn_timeout_seconds": 1},
    }
    gateway = make_gateway(config=config).start()

    async def scene() -> None:
        async with Client(gateway.ws_url) as client:
            question = await ask(client)
            result = await client.expect("tool_result")
            assert result["status"] == "denied"
            assert result["text"] == "Tool execution denied: nobody decided within 1.5 seconds."
            assert (await client.expect("turn_done"))["status"] == "completed"
            await decide(client, question, approved=True)
            assert "its time is over" in (await client.expect("notice", code="already_decided"))["text"]

    asyncio.run(scene())
    gateway.stop()


@pytest.mark.parametrize("enveloped", [False, True])
def test_the_older_dialects_are_told_how_to_answer(make_gateway: GatewayFactory, *, enveloped: bool) -> None:
    gateway = make_gateway(config=ASKS).start()

    def said(text: str) -> str:
        return json.dumps({"type": "user_message", "text": text}) if enveloped else text

    async def scene() -> None:
        async with connect(gateway.ws_url, proxy=None) as connection:

            async def next_text(kind: str) -> str:
                async with asyncio.timeout(30):
                    async for frame in connection:
                        if not enveloped:
                            return str(frame)
                        event = json.loads(frame)
                        if event["type"] == kind:
                            return str(event["text"])
                raise AssertionError(f"no {kind}")

            await connection.send(said(NOTE))
            question = await next_text("error")
            assert question.startswith("The tool memory asks for your approval: {")
            word = question.splitlines()[-1].removeprefix("Answer ").partition(" or ")[0]
            assert word.startswith("/approve ")
            await connection.send(said(word))
            told = await next_text("assistant_chunk")
            assert told == "memory was approved and runs."
            assert "Saved note: k" in await next_text("tool_result")

    asyncio.run(scene())
    gateway.stop()


def test_a_chat_shows_the_question_and_answers_it(make_gateway: GatewayFactory) -> None:
    gateway = make_gateway(config=ASKS).start()
    said = gateway.cli("chat", stdin=f"{NOTE}\n/approve\n{NOTE}\n/deny\n/approve\n")
    assert said.returncode == 0, said.stderr
    assert said.stdout.count("May this run? memory") == 2
    assert "memory: Saved note: k" in said.stdout
    assert "[memory: denied]" in said.stdout
    assert "Nothing waits for a decision." in said.stdout
    gateway.stop()


def test_the_owner_decides_over_http_too(make_gateway: GatewayFactory) -> None:
    gateway = make_gateway(config={**ASKS, **TOKENS, "auth_token": "raw:owner-token"}).start()

    def call(method: str, path: str, token: str = "owner-token") -> tuple[int, Any]:
        request = urllib.request.Request(gateway.http_url + path, method=method)
        request.add_header("Authorization", f"Bearer {token}")
        try:
            with urllib.request.urlopen(request, timeout=30) as response:
                return response.status, json.load(response)
        except urllib.error.HTTPError as error:
            return error.code, json.load(error)

    async def scene() -> None:
        async with Client(gateway.ws_url, token="alice-token") as client:
            question = await ask(client)
            approve = f"/api/approvals/{question['approvalId']}/approve"
            status, found = await asyncio.to_thread(call, "GET", "/api/approvals")
            assert (status, [each["approval_id"] for each in found["waiting"]]) == (
                200,
                [question["approvalId"]],
            )
            assert (await asyncio.to_thread(call, "POST", approve, "eve-token"))[0] == 403
            status, found = await asyncio.to_thread(call, "POST", approve)
            assert (status, found["code"]) == (200, "approved")
            assert (await client.expect("turn_done"))["status"] == "completed"
            status, found = await asyncio.to_thread(call, "POST", approve.replace("/approve", "/deny"))
            assert (status, found["error"]["code"]) == (409, "already_decided")
            assert (await asyncio.to_thread(call, "POST", "/api/approvals/none-1/deny"))[0] == 404

    asyncio.run(scene())
    gateway.stop()
