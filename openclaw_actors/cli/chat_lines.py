"""Owns a conversation without a terminal: a message a line in, the answers out, one after the other."""

from __future__ import annotations

__all__ = ["run"]

import asyncio
import signal
import sys
import threading
from typing import TYPE_CHECKING

import click

from openclaw_actors.cli.chat import Chat

if TYPE_CHECKING:
    from openclaw_actors.config import Loaded

INTERRUPTED = 130
STOP_WITHIN_S = 1.5


async def run(loaded: Loaded, session: str) -> int:
    """Converse until the end of the input; returns the exit code: 1 if a message was not answered in full."""
    chat = Chat(loaded, session, write=_write, remark=lambda text: click.echo(text, err=True))
    interrupted = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGINT, interrupted.set)
    tasks = {
        asyncio.create_task(chat.run()),
        asyncio.create_task(_converse(chat)),
        asyncio.create_task(interrupted.wait()),
    }
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        if interrupted.is_set():
            return await _interrupted(chat)
        for task in done:
            task.result()  # raises what ended it
        return 1 if chat.transcript.failed else 0
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _interrupted(chat: Chat) -> int:
    if not chat.interrupted():
        try:
            async with asyncio.timeout(STOP_WITHIN_S):
                await _until_answered(chat)
        except TimeoutError:
            pass  # the turn goes on, as it would after any disconnect
    return INTERRUPTED


async def _converse(chat: Chat) -> None:
    lines = _read_lines()
    while not chat.leaving:
        line = await lines.get()
        if line is None:
            return
        if chat.entered(line):
            await _until_answered(chat)


async def _until_answered(chat: Chat) -> None:
    """Wait for the answers: the next message must not meet a full queue."""
    while chat.conversation.waiting:
        chat.changed.clear()
        await chat.changed.wait()


def _read_lines() -> asyncio.Queue[str | None]:
    """The lines of standard input, then None. A thread reads: a file cannot be waited for, and a pipe may block."""
    lines: asyncio.Queue[str | None] = asyncio.Queue()
    loop = asyncio.get_running_loop()

    def put(line: str | None) -> None:
        try:
            loop.call_soon_threadsafe(lines.put_nowait, line)
        except RuntimeError:
            pass  # the loop is closed: nobody waits for the line any more

    def read() -> None:
        for line in sys.stdin:
            put(line.rstrip("\n"))
        put(None)

    threading.Thread(target=read, daemon=True, name="stdin").start()
    return lines


def _write(text: str) -> None:
    if text:
        sys.stdout.write(text)
        sys.stdout.flush()
