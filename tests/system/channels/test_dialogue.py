"""The real WebSocket process: a conversation in each dialect."""

from __future__ import annotations

import asyncio
import json

from websockets.asyncio.client import connect

from tests.system.channels.harness import ChannelFactory
from tests.system.client import Client, assert_seqs_unbroken


def test_a_v2_client_gets_its_answer(start_channel: ChannelFactory) -> None:
    async def scene() -> None:
        async with start_channel() as channel, Client(channel.url) as client:
            done = await client.turn("hello", message_id="m1")
            assert done["text"] == "echo: hello"
            assert done["status"] == "completed"
            assert done["sessionId"] == "main"
            assert client.streamed(done["turnId"]) == "echo: hello"
            assert_seqs_unbroken(client.durable())

    asyncio.run(scene())


def test_raw_text_is_answered_by_one_frame(start_channel: ChannelFactory) -> None:
    async def scene() -> None:
        async with start_channel() as channel, connect(channel.url, proxy=None) as client:
            await client.send("hello")
            assert await asyncio.wait_for(client.recv(), 30) == "echo: hello"
            await client.send('{"type":"other"}')
            assert await asyncio.wait_for(client.recv(), 30) == 'echo: {"type":"other"}'

    asyncio.run(scene())


def test_an_envelope_is_answered_in_envelopes(start_channel: ChannelFactory) -> None:
    async def scene() -> None:
        async with start_channel() as channel, connect(channel.url, proxy=None) as client:
            await client.send(json.dumps({"type": "user_message", "text": "hello", "messageId": "a"}))
            frames = [json.loads(await asyncio.wait_for(client.recv(), 30)) for _ in range(2)]
            assert frames == [
                {"type": "assistant_chunk", "text": "echo: hello", "inReplyToMessageId": "a"},
                {"type": "assistant_done", "text": "", "inReplyToMessageId": "a"},
            ]

    asyncio.run(scene())
