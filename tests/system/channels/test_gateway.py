"""The whole gateway as a WebSocket client sees it: real processes, store and router behind the channel."""

from __future__ import annotations

import asyncio
import json
import urllib.request
from typing import Any

import aiohttp
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus
from websockets.typing import Origin, Subprotocol

from tests.system.channels.harness import closed
from tests.system.client import Client, assert_one_answer_each, assert_seqs_unbroken
from tests.system.conftest import GatewayFactory
from tests.system.gateway import Gateway, wait_until

FAST = {"websocket": {"messages_per_minute_per_connection": 100_000, "max_connections_per_ip": 500}}


def test_cut_fifty_times_in_mid_stream_the_transcript_is_the_same(make_gateway: GatewayFactory) -> None:
    gateway = make_gateway(config=FAST).start()

    async def scene() -> None:
        async with Client(gateway.ws_url) as steady:
            await steady.resume(0)
            cut = Client(gateway.ws_url)
            sent: list[str] = []
            await cut.connect()
            await cut.resume(0)
            for number in range(10):
                sent.append(await cut.send("/demo slow 0.7"))
                for again in range(5):
                    await cut.expect("turn_started" if again == 0 else "assistant_chunk")
                    for _ in range((number + again) % 2):
                        await cut.expect("assistant_chunk")
                    cut.cut()
                    await cut.connect()
                    await cut.resume(cut.last_seq)
                await cut.expect("turn_done", messageId=sent[-1])
            await steady.expect("turn_done", messageId=sent[-1], deadline_s=60)
            assert json.dumps(cut.durable()) == json.dumps(steady.durable())
            assert_seqs_unbroken(cut.durable())
            assert_one_answer_each(cut.durable(), sent)
            for done in steady.done():
                assert steady.streamed(done["turnId"]) == done["text"]
            await cut.close()

    asyncio.run(scene())
    gateway.stop()


def test_each_dialect_with_the_real_session(gateway: Gateway) -> None:
    async def scene() -> None:
        async with connect(gateway.ws_url, proxy=None) as raw:
            await raw.send("one")
            assert await asyncio.wait_for(raw.recv(), 30) == "echo: one"
            await raw.send("/demo recall")
            assert await asyncio.wait_for(raw.recv(), 30) == "turns=1 first=one last=one"
        async with connect(gateway.ws_url, proxy=None) as raw:  # another connection is another session
            await raw.send("/demo recall")
            assert str(await asyncio.wait_for(raw.recv(), 30)).startswith("turns=0")
        async with connect(f"{gateway.ws_url}?session=shared", proxy=None) as enveloped:
            await enveloped.send(json.dumps({"type": "user_message", "text": "two", "messageId": "e"}))
            text, kinds = "", []
            while not kinds or kinds[-1] != "assistant_done":
                event = json.loads(await asyncio.wait_for(enveloped.recv(), 30))
                assert event["inReplyToMessageId"] == "e"
                kinds.append(event["type"])
                text += event["text"]
            assert text == "echo: two"
            assert set(kinds) == {"assistant_chunk", "assistant_done"}
        async with Client(gateway.ws_url, session="shared") as client:
            assert (await client.turn("/demo recall"))["text"] == "turns=1 first=two last=two"
            await client.resume(0)
            assert (await client.expect("message_accepted", messageId="e"))["seq"] == 1

    asyncio.run(scene())


def test_several_followers_and_a_late_one_see_the_same(gateway: Gateway) -> None:
    async def scene() -> None:
        async with (
            Client(gateway.ws_url) as a,
            Client(gateway.ws_url) as b,
            Client(gateway.ws_url) as late,
        ):
            await b.resume(0)
            first = await a.send("/demo slow 0.5")
            await a.expect("assistant_chunk")
            await late.resume(0)
            second = await b.send("and another")
            for client in (a, b, late):
                await client.expect("turn_done", messageId=second)
                assert_seqs_unbroken(client.durable())
                assert_one_answer_each(client.durable(), [first, second])
                for done in client.done():
                    assert client.streamed(done["turnId"]) == done["text"]
            assert a.durable() == b.durable() == late.durable()

    asyncio.run(scene())


def test_a_message_repeated_on_a_new_connection_is_answered_once(gateway: Gateway) -> None:
    async def scene() -> None:
        async with Client(gateway.ws_url) as first:
            done = await first.turn("hello", message_id="same")
        async with Client(gateway.ws_url) as second:
            await second.send("hello", message_id="same")
            assert (await second.expect("message_accepted", messageId="same"))["duplicate"] is True
            assert await second.expect("turn_done", messageId="same") == done
            await second.send("other text", message_id="same")
            assert (await second.expect("error"))["code"] == "message_id_conflict"
            assert (await second.turn("/demo recall"))["text"].startswith("turns=1 ")

    asyncio.run(scene())


def test_a_turn_goes_on_when_its_client_leaves_and_stops_when_told(gateway: Gateway) -> None:
    async def scene() -> None:
        async with Client(gateway.ws_url) as client:
            await client.send("/demo slow 1", message_id="m")
            await client.expect("assistant_chunk")
            client.cut()
            await client.connect()
            await client.resume(client.last_seq)
            assert (await client.expect("turn_done", messageId="m"))["status"] == "completed"
            await client.send("/demo hang", message_id="h")
            await client.expect("turn_started", messageId="h")
            begun = asyncio.get_running_loop().time()
            await client.stop_turn()
            assert (await client.expect("turn_done", messageId="h"))["status"] == "stopped"
            assert (
                asyncio.get_running_loop().time() - begun < 15
            )  # the promise is a second; this machine may be busy
            await client.stop_turn()
            assert (await client.expect("notice"))["code"] == "nothing_to_stop"

    asyncio.run(scene())


async def say(client: Client, text: str, message_id: str) -> None:
    """As a careful client does it: repeat with the same id until it stands in the journal."""
    async with asyncio.timeout(30):
        while True:
            try:
                await client.send(text, message_id=message_id)
                while True:
                    event = await client.next(deadline_s=30)
                    if event.get("messageId") == message_id and event["type"] == "message_accepted":
                        return
                    if event.get("messageId") == message_id and event["type"] == "error":
                        break
            except (ConnectionClosed, OSError):
                await come_back(client)


async def until_done(client: Client, message_id: str) -> None:
    async with asyncio.timeout(30):
        while message_id not in [done["messageId"] for done in client.done()]:
            try:
                await client.next(deadline_s=30)
            except ConnectionClosed:
                await come_back(client)


async def come_back(client: Client) -> None:
    while True:
        try:
            await client.connect()
        except (OSError, InvalidHandshake):
            await asyncio.sleep(0.02)
        else:
            await client.resume(client.last_seq)
            return


@pytest.mark.parametrize("victim", ["websocket", "router", "persistence", "model"])
def test_a_service_is_killed_while_people_talk(gateway: Gateway, victim: str) -> None:
    """Whoever comes back and resumes has every message answered once, in order."""

    async def scene() -> None:
        client = Client(gateway.ws_url)
        await client.connect()
        await client.resume(0)
        sent: list[str] = []
        for number in range(30):
            message_id = f"m{number}"
            sent.append(message_id)
            if number == 10:
                await asyncio.to_thread(gateway.kill, victim)
            await say(client, f"text {number}", message_id)
        await until_done(client, sent[-1])
        assert_seqs_unbroken(client.durable())
        assert_one_answer_each(client.durable(), sent)
        await client.close()

    asyncio.run(scene())


def test_principals_do_not_see_each_other(make_gateway: GatewayFactory) -> None:
    tokens: dict[str, Any] = {"auth": {"tokens": {"alice": "env:ALICE", "bob": "env:BOB"}}}
    gateway = make_gateway(config=tokens, environment={"ALICE": "alice-token", "BOB": "bob-token"}).start()

    async def scene() -> None:
        with pytest.raises(InvalidStatus):
            await Client(gateway.ws_url).connect()
        async with (
            Client(gateway.ws_url, token="alice-token") as alice,
            Client(gateway.ws_url, token="bob-token") as bob,
        ):
            await alice.turn("the secret of alice")
            for session in ("main", "alice:main", "websocket:alice:main", "../alice:main"):
                await bob.resume(0, session=session)
                done = await bob.turn("/demo recall", session=session)
                assert done["text"].startswith("turns=0 ")
            texts = [str(event["text"]) for event in bob.events if "text" in event]
            assert not [text for text in texts if "secret of alice" in text]

    asyncio.run(scene())
    assert "alice-token" not in gateway.log_text() + gateway.out.text() + gateway.err.text()
    gateway.stop()


def test_at_the_end_clients_are_told_and_new_ones_refused(gateway: Gateway) -> None:
    async def scene() -> None:
        async with Client(gateway.ws_url) as client, connect(gateway.ws_url, proxy=None) as raw:
            await client.turn("hello")
            stopping = asyncio.create_task(asyncio.to_thread(gateway.stop))
            assert await closed(raw, deadline_s=30) == (1001, "shutdown")
            assert await closed(client.connection, deadline_s=30) == (1001, "shutdown")
            assert await stopping == 0

    asyncio.run(scene())


async def heard(connection: ClientConnection) -> list[str]:
    """All frames until the close."""
    async with asyncio.timeout(30):
        frames = [str(frame) async for frame in connection]
    assert (connection.close_code, connection.close_reason) == (1001, "shutdown")
    return frames


def test_at_the_end_every_message_has_been_told_what_became_of_it(make_gateway: GatewayFactory) -> None:
    gateway = make_gateway(config={"graceful_shutdown_seconds": 1}).start()

    def envelope(text: str, message_id: str) -> str:
        return json.dumps({"type": "user_message", "text": text, "messageId": message_id})

    async def scene() -> None:
        async with (
            connect(gateway.ws_url, proxy=None) as raw,
            connect(f"{gateway.ws_url}?session=named", proxy=None) as enveloped,
            Client(gateway.ws_url, session="named") as watcher,
        ):
            await watcher.resume(0)
            await raw.send("/demo hang")
            await enveloped.send(envelope("/demo hang", "a"))
            await watcher.expect("turn_started", messageId="a")
            stopping = asyncio.create_task(asyncio.to_thread(gateway.stop))
            await watcher.expect("notice", code="draining")
            await raw.send("late")
            await enveloped.send(envelope("late", "b"))
            refused = "The gateway is shutting down. Please retry in a moment."
            assert await heard(raw) == [refused, "The answer was interrupted."]
            told = [json.loads(frame) for frame in await heard(enveloped)]
            assert [(event["type"], event["inReplyToMessageId"]) for event in told] == [
                ("assistant_message", "b"),
                ("error", "a"),
                ("assistant_done", "a"),
            ]
            assert await stopping == 0

    asyncio.run(scene())


def test_at_the_debug_level_nobodys_words_or_tokens_are_logged(make_gateway: GatewayFactory) -> None:
    config = {
        "logging": {"level": "debug"},
        "auth_token": "env:T",
        "security": {"allow_query_string_token": True},
    }
    gateway = make_gateway(config=config, environment={"T": "the-secret-token"}).start()

    async def scene() -> None:
        async with Client(f"{gateway.ws_url}?token=the-secret-token") as client:
            await client.turn("private words")
        offered = [Subprotocol("openclaw.token.the-secret-token")]
        async with connect(gateway.ws_url, proxy=None, subprotocols=offered) as raw:
            await raw.send("private words")
            assert await asyncio.wait_for(raw.recv(), 30) == "echo: private words"

    asyncio.run(scene())
    gateway.stop()
    assert "turn-" in gateway.log_text()
    for secret in ("private words", "the-secret-token"):
        assert secret not in gateway.log_text() + gateway.out.text() + gateway.err.text()


@pytest.mark.parametrize(
    "victim", ["router", "persistence", "model", "websocket:local:main", "demo crash", "demo fail"]
)
@pytest.mark.parametrize("named", [True, False])
def test_every_message_in_an_envelope_gets_one_end(gateway: Gateway, victim: str, named: bool) -> None:
    """Whatever dies behind the channel, and whatever fails."""
    faults = {"demo crash": "/demo crash", "demo fail": "/demo fail 9"}
    texts = [faults.get(victim, "/demo slow 1"), "two", "three"]

    async def scene() -> None:
        url = f"{gateway.ws_url}?session=main" if named else gateway.ws_url
        async with connect(url, proxy=None) as connection:
            for number, text in enumerate(texts):
                message = {"type": "user_message", "text": text, "messageId": f"m{number}"}
                await connection.send(json.dumps(message))
            ends: list[str] = []
            killed = victim in faults
            async with asyncio.timeout(60):
                while len(ends) < len(texts):
                    event = json.loads(await connection.recv())
                    if not killed and event["type"] == "assistant_chunk":
                        killed = True
                        await asyncio.to_thread(gateway.kill, victim if named else unnamed(victim))
                    if event["type"] in ("assistant_done", "assistant_message"):
                        ends.append(event["inReplyToMessageId"])
            assert sorted(ends) == ["m0", "m1", "m2"]
            await connection.send("and one more")
            more = json.loads(await asyncio.wait_for(connection.recv(), 30))
            assert "inReplyToMessageId" not in more, "an end that was told twice"

    def unnamed(name: str) -> str:
        if not name.startswith("websocket:"):
            return name
        (session,) = [key for key in gateway.nodes() if key.startswith("websocket:")]
        return session

    asyncio.run(scene())


def test_a_client_that_never_reads_delays_neither_others_nor_the_end(gateway: Gateway) -> None:
    async def scene() -> None:
        slow = await connect(
            gateway.ws_url, proxy=None, subprotocols=[Subprotocol("openclaw.v2")], max_queue=1
        )
        await slow.send(json.dumps({"type": "resume", "sessionId": "main", "lastSeq": 0}))
        async with Client(gateway.ws_url) as client:
            await client.turn("hello")
            slow.transport.pause_reading()
            for _ in range(3):
                await client.turn("/demo tokens 20000", deadline_s=30)
        began = asyncio.get_running_loop().time()
        await asyncio.to_thread(gateway.stop)
        assert asyncio.get_running_loop().time() - began < 14  # the grace period is 15
        slow.transport.abort()

    asyncio.run(scene())


def test_health_on_both_ports(gateway: Gateway) -> None:
    for url in (gateway.http_url, gateway.ws_url.replace("ws://", "http://").removesuffix("/ws")):
        with urllib.request.urlopen(f"{url}/health", timeout=30) as answer:
            assert json.load(answer)["status"] == "ok"
    with urllib.request.urlopen(f"{gateway.http_url}/health/ready", timeout=30) as answer:
        assert answer.status == 200


def test_the_page_of_any_free_http_port_is_led_to_and_may_connect(make_gateway: GatewayFactory) -> None:
    """`--http-port 0`: only the supervisor knows where the HTTP channel listens, also after it was restarted."""
    gateway = make_gateway(arguments=["--port", "0", "--http-port", "0"]).start()

    async def scene() -> None:
        at = gateway.ws_url.replace("ws://", "http://").removesuffix("/ws")
        async with aiohttp.ClientSession() as session, session.get(f"{at}/", allow_redirects=False) as answer:
            assert (answer.status, answer.headers["Location"]) == (307, f"{gateway.http_url}/")
        async with connect(gateway.ws_url, origin=Origin(gateway.http_url), proxy=None) as page:
            await page.send("hello")
            assert await asyncio.wait_for(page.recv(), 30) == "echo: hello"
        other = Origin(f"http://127.0.0.1:{int(gateway.http_url.rpartition(':')[2]) + 1}")
        with pytest.raises(InvalidStatus) as refused:
            await connect(gateway.ws_url, origin=other, proxy=None)
        assert refused.value.response.status_code == 403

    asyncio.run(scene())
    dead = gateway.kill("websocket")
    wait_until(lambda: gateway.nodes()["websocket"]["pid"] not in (None, dead), what="its next incarnation")
    wait_until(gateway.is_ready, what="it is back")
    asyncio.run(scene())
    gateway.stop()
