"""The baseline: one asyncio process that does the same I/O a turn as the gateway, without isolation.

    python -m benchmarks.baseline DIRECTORY --sync inline|thread

A frame in, two fsynced appends to the session's own file, one streamed answer of the same demo provider with the
same window of history, the same frames out. No supervision, no recovery, no limits, no de-duplication: what is left
when everything that the gateway is for is taken away. Says its URL on standard output.
"""

from __future__ import annotations

__all__ = ["main"]

import argparse
import asyncio
import os
import sys
import time
from collections import deque
from pathlib import Path
from typing import Any

import msgspec
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

from openclaw_actors.messages.model import ChatMessage, Complete
from openclaw_actors.providers.demo import DemoProvider

_WINDOW_TURNS = 50
_SYSTEM = ChatMessage(role="system", text="You are OpenClaw, a personal assistant. " * 8)
_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder().decode


class Conversation:
    """One session: its file and its window.

    Args:
        sync_in_thread: whether the loop goes on while the disk works.
    """

    def __init__(self, path: Path, *, sync_in_thread: bool) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        self._sync_in_thread = sync_in_thread
        self.window: deque[ChatMessage] = deque(maxlen=2 * _WINDOW_TURNS)
        self.seq = 0

    async def append(self, *records: dict[str, Any]) -> None:
        """Write a line for each record; returns when they are on the disk."""
        os.write(self._file, b"".join(_encode(record) + b"\n" for record in records))
        if self._sync_in_thread:
            await asyncio.get_running_loop().run_in_executor(None, os.fdatasync, self._file)
        else:
            os.fdatasync(self._file)

    def next_seq(self) -> int:
        self.seq += 1
        return self.seq


class Baseline:
    """All sessions.

    Args:
        directory: of the sessions' files.
        sync_in_thread: see `Conversation`.
    """

    def __init__(self, directory: Path, *, sync_in_thread: bool) -> None:
        self._directory = directory
        self._sync_in_thread = sync_in_thread
        self._provider = DemoProvider(faults=False)
        self._conversations: dict[str, Conversation] = {}

    async def serve_client(self, connection: ServerConnection) -> None:
        """Answer one client's messages, one after the other."""
        try:
            async for frame in connection:
                message = _decode(frame)
                await self._turn(connection, message, self._find(message["sessionId"]))
        except ConnectionClosed:
            pass  # that is how a client leaves

    def _find(self, session: str) -> Conversation:
        conversation = self._conversations.get(session)
        if conversation is None:
            path = self._directory / f"{session}.jsonl"
            conversation = Conversation(path, sync_in_thread=self._sync_in_thread)
            self._conversations[session] = conversation
        return conversation

    async def _turn(
        self, connection: ServerConnection, message: dict[str, Any], conversation: Conversation
    ) -> None:
        session, text, message_id = message["sessionId"], message["text"], message["messageId"]
        turn_id = f"turn-{message_id}"

        def event(kind: str, **fields: Any) -> dict[str, Any]:
            return {"type": kind, **fields, "sessionId": session}

        accepted = event(
            "message_accepted", seq=conversation.next_seq(), messageId=message_id, text=text, queued=0
        )
        started = event(
            "turn_started", seq=conversation.next_seq(), turnId=turn_id, messageId=message_id, attempt=1
        )
        await conversation.append({"at": time.time(), **accepted}, {"at": time.time(), **started})
        await _send(connection, accepted)
        await _send(connection, started)

        conversation.window.append(ChatMessage(role="user", text=text))
        request = Complete(
            call_id=turn_id,
            session=session,
            correlation_id=message_id,
            messages=(_SYSTEM, *conversation.window),
        )
        pieces: asyncio.Queue[str | None] = asyncio.Queue()
        answering = asyncio.create_task(self._provider.complete(request, pieces.put_nowait))
        answering.add_done_callback(lambda _: pieces.put_nowait(None))
        streamed = 0
        while (piece := await pieces.get()) is not None:  # a frame for each word, as it comes
            chunk = event("assistant_chunk", turnId=turn_id, attempt=1, offset=streamed, text=piece)
            streamed += len(piece)
            await _send(connection, chunk)
        answer = await answering
        conversation.window.append(ChatMessage(role="assistant", text=answer.text))
        done = event(
            "turn_done",
            seq=conversation.next_seq(),
            turnId=turn_id,
            messageId=message_id,
            status="completed",
            text=answer.text,
            usage={"inputTokens": answer.usage.input_tokens, "outputTokens": answer.usage.output_tokens},
        )
        await conversation.append({"at": time.time(), **done})
        await _send(connection, done)


async def _send(connection: ServerConnection, event: dict[str, Any]) -> None:
    await connection.send(_encode(event), text=True)


async def _run(arguments: argparse.Namespace) -> None:
    arguments.directory.mkdir(parents=True, exist_ok=True)
    baseline = Baseline(arguments.directory, sync_in_thread=arguments.sync == "thread")
    async with serve(
        baseline.serve_client,
        "127.0.0.1",
        0,
        subprotocols=[Subprotocol("openclaw.v2")],
        compression=None,
    ) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        sys.stdout.write(f"ws://127.0.0.1:{port}/ws\n")
        sys.stdout.flush()
        # It ends with whoever started it.
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)


def main() -> None:
    """Run the process."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.baseline")
    parser.add_argument("directory", type=Path)
    parser.add_argument("--sync", choices=("inline", "thread"), default="inline")
    asyncio.run(_run(parser.parse_args()))


if __name__ == "__main__":
    main()
