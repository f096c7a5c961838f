"""The real HTTP process: health, and what it says to everything else."""

from __future__ import annotations

import asyncio
import json
import socket
from functools import partial
from pathlib import Path
from typing import Any

import aiohttp

from openclaw_actors.messages import InitFailed
from tests.system.channels.harness import Channel, ChannelFactory, eventually


async def get(channel: Channel, path: str, *, method: str = "GET", **options: Any) -> tuple[int, Any, Any]:
    async with (
        aiohttp.ClientSession() as session,
        session.request(method, f"http://{channel.host_port}{path}", **options) as answer,
    ):
        body = await answer.read()
        return answer.status, answer.headers, json.loads(body) if body else None


async def does(channel: Channel, what: str) -> bool:
    return (await channel.ping()).doing == what


def test_health_says_how_long_the_gateway_lives(start_channel: ChannelFactory) -> None:
    async def scene() -> None:
        async with start_channel("http") as channel:
            for path in ("/health", "/health/live", "/health/ready"):
                status, headers, body = await get(channel, path)
                assert (status, body) == (200, {"status": "ok", "uptime": 12.5})
                assert headers["Content-Type"].startswith("application/json")

    asyncio.run(scene())


def test_ready_names_the_failing_parts(start_channel: ChannelFactory) -> None:
    async def scene() -> None:
        async with start_channel("http") as channel:
            await channel.behave(ready=False)
            status, _, body = await get(channel, "/health/ready")
            assert status == 503
            assert body["failing"] == ["persistence: restarting"]
            assert (await get(channel, "/health"))[0] == 200
            await channel.behave(ready=True)
            await asyncio.sleep(0.3)  # longer than an answer counts as fresh
            await channel.drain()
            status, _, body = await get(channel, "/health/ready")
            assert (status, body["failing"]) == (503, ["http: draining"])

    asyncio.run(scene())


def test_a_supervisor_that_does_not_answer_is_a_failing_part(start_channel: ChannelFactory) -> None:
    async def scene() -> None:
        async with start_channel("http") as channel:
            channel.freeze_router()
            try:
                status, _, body = await get(channel, "/health/ready")
                assert (status, body["failing"]) == (503, ["supervisor: no answer"])
                status, _, body = await get(channel, "/health/live")
                assert (status, body["status"]) == (200, "ok")
            finally:
                channel.thaw_router()

    asyncio.run(scene())


def test_errors_are_json(start_channel: ChannelFactory) -> None:
    async def scene() -> None:
        async with start_channel("http") as channel:
            status, headers, body = await get(channel, "/nothing")
            assert (status, body["error"]["code"]) == (404, "not_found")
            assert "aiohttp" not in headers["Server"]
            status, headers, body = await get(channel, "/health", method="POST", data=b"x" * 100)
            assert (status, body["error"]["code"]) == (405, "method_not_allowed")
            assert "GET" in headers["Allow"]
            assert (await get(channel, "/health", method="HEAD"))[0] == 200

    asyncio.run(scene())


def test_a_head_that_is_too_large_is_refused(start_channel: ChannelFactory) -> None:
    async def scene() -> None:
        async with start_channel("http") as channel:
            async with (
                aiohttp.ClientSession() as session,
                session.get(f"http://{channel.host_port}/health", headers={"X-Long": "x" * 20_000}) as answer,
            ):
                assert (answer.status, (await answer.json())["error"]["code"]) == (400, "bad_request")
            assert (await get(channel, "/health"))[0] == 200

    asyncio.run(scene())


TWILIO = {"enabled": True, "webhook_public_base_url": "https://sms.example.org"}
TWILIO_SECRETS = {"channels.sms.twilio.auth_token_ref": "raw:the-token"}
TAKE_BODIES = {
    "/v1/chat/completions": "application/json",
    "/api/drain": "application/json",
    "/twilio/sms/inbound": "application/x-www-form-urlencoded",
}


def test_a_body_that_cannot_be_read_is_the_clients_error(start_channel: ChannelFactory) -> None:
    async def scene() -> None:
        async with start_channel(
            "http", secrets=TWILIO_SECRETS, channels={"sms": {"twilio": TWILIO}}
        ) as channel:
            host, _, port = channel.host_port.rpartition(":")
            for path, media_type in TAKE_BODIES.items():
                headers = {"Content-Encoding": "gzip", "Content-Type": media_type}
                status, _, body = await get(channel, path, method="POST", data=b"no gzip", headers=headers)
                assert (status, body["error"]["code"]) == (400, "bad_request"), path
                # And one whose client goes away in the middle.
                _, writer = await asyncio.open_connection(host, int(port))
                head = f"POST {path} HTTP/1.1\r\nHost: {channel.host_port}\r\nContent-Type: {media_type}\r\n"
                writer.write(f"{head}Content-Length: 100\r\n\r\nabc".encode())
                await writer.drain()
                await eventually(partial(does, channel, "1 connection"))
                writer.close()
                await eventually(partial(does, channel, "0 connections"))
            assert (await get(channel, "/health"))[0] == 200
            assert channel.counted('messages_rejected_total{channel="sms",reason="bad_form"}') == 2

    asyncio.run(scene())


def test_a_twilio_token_that_cannot_be_read_costs_the_webhook_alone_and_only_while_it_cannot(
    start_channel: ChannelFactory, tmp_path: Path
) -> None:
    token = tmp_path / "token"
    webhook = partial(
        get, path="/twilio/sms/inbound", method="POST", data={"From": "+1", "To": "+2", "Body": "x"}
    )

    async def scene() -> None:
        async with start_channel(
            "http",
            secrets={"channels.sms.twilio.auth_token_ref": f"file:{token}"},
            channels={"sms": {"twilio": TWILIO}},
        ) as channel:
            assert (await get(channel, "/health"))[0] == 200
            status, headers, _ = await webhook(channel)
            assert (status, headers["Retry-After"]) == (503, "5")
            [problem] = (await channel.ping()).problems
            assert "the webhook of SMS" in problem
            assert "channels.sms.twilio.auth_token_ref" in problem
            token.write_text("the-token")

            async def well() -> bool:
                return not (await channel.ping()).problems

            await eventually(well)
            assert (await webhook(channel))[0] == 401  # it was not signed with it

    asyncio.run(scene())


def test_wrong_tokens_of_an_address_count_together_wherever_they_are_tried(
    start_channel: ChannelFactory,
) -> None:
    async def scene() -> None:
        async with start_channel(
            "http", auth_token="raw:right", secrets={"auth_token": "raw:right"}
        ) as channel:
            wrong = {"Authorization": "Bearer wrong"}
            tried = [
                (await get(channel, path, headers=wrong))[0]
                for path in ("/metrics", "/v1/models", "/api/status") * 20
            ]
            assert set(tried) == {401}
            for path in ("/metrics", "/v1/models", "/api/status"):
                assert (await get(channel, path, headers=wrong))[0] == 429
            right = {"Authorization": "Bearer right"}
            assert (await get(channel, "/v1/models", headers=right))[0] == 200

    asyncio.run(scene())


def test_over_the_limit_a_connection_is_told_so(start_channel: ChannelFactory) -> None:
    async def scene() -> None:
        async with start_channel("http", http={"max_connections": 2}) as channel:
            host, _, port = channel.host_port.rpartition(":")
            held = [await asyncio.open_connection(host, int(port)) for _ in range(2)]
            status, _, body = await get(channel, "/health")
            assert (status, body["error"]["code"]) == (503, "busy")
            for _, writer in held:
                writer.close()
                await writer.wait_closed()

            async def served() -> bool:
                return (await get(channel, "/health"))[0] == 200

            await eventually(served)

    asyncio.run(scene())


def test_a_port_in_use_is_named(start_channel: ChannelFactory) -> None:
    async def scene() -> None:
        with socket.create_server(("127.0.0.1", 0)) as other:
            port = other.getsockname()[1]
            async with start_channel("http") as channel:
                channel.set(http={"port": port})
                answer = await channel.start()
                assert isinstance(answer, InitFailed)
                assert answer.code == "port_in_use"
                assert str(port) in answer.reason
                assert "http.port" in answer.reason

    asyncio.run(scene())
