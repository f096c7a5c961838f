"""Owns a conversation without a screen: a message a line in, the answers out, one after the other."""

from __future__ import annotations

__all__ = ["run"]

import asyncio
import os
import signal
import sys
import threading
from typing import TYPE_CHECKING, Any

import click

from openclaw_actors.cli.chat import Chat
from openclaw_actors.cli.plain import clean

if TYPE_CHECKING:
    from openclaw_actors.config import Loaded

INTERRUPTED = 130
STOP_WITHIN_S = 1.5

LINES_AHEAD = 16
"""So many lines are read before they are wanted."""

READ_BYTES = 65_536
MAX_LINE_BYTES = 16 * 1024 * 1024
"""More than any message that a gateway takes; what is longer is sent in parts."""


async def run(loaded: Loaded, session: str) -> int:
    """Converse until the end of the input; returns the exit code: 1 if a message was not answered in full."""
    chat = Chat(loaded, session, write=_write, remark=_remark)
    interrupts: asyncio.Queue[None] = asyncio.Queue()
    asyncio.get_running_loop().add_signal_handler(signal.SIGINT, interrupts.put_nowait, None)
    connection = asyncio.create_task(chat.run())
    conversing = asyncio.create_task(_converse(chat))
    interrupted = asyncio.create_task(_until_interrupted(chat, interrupts))
    tasks: set[asyncio.Task[Any]] = {connection, conversing, interrupted}
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()  # raises what ended it
        chat.say_what_is_lost()
        if interrupted in done:
            return INTERRUPTED
        return 1 if chat.transcript.failed else 0
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _until_interrupted(chat: Chat, interrupts: asyncio.Queue[None]) -> None:
    """Returns when Ctrl-C means leaving: always without a person, else when there is nothing to stop."""
    while True:
        await interrupts.get()
        if chat.interrupted():
            return
        if sys.stdin.isatty():
            continue
        try:
            async with asyncio.timeout(STOP_WITHIN_S):
                await _until_answered(chat)
        except TimeoutError:
            pass  # the turn goes on, as it would after any disconnect
        return


async def _converse(chat: Chat) -> None:
    await chat.connected.wait()  # whether there is a gateway is said also if the input is empty
    lines = _read_lines()
    while not chat.leaving:
        line = await lines.get()
        if line is None:
            return
        chat.entered(line)
        await _until_answered(chat)


async def _until_answered(chat: Chat) -> None:
    """Wait for the answers: the next message must not meet a full queue. A tool that asks is answered by a line."""
    while (chat.conversation.waiting and not chat.asked) or chat.asks:
        chat.changed.clear()
        await chat.changed.wait()


def _read_lines() -> asyncio.Queue[str | None]:
    """The lines of standard input, then None. A thread reads: a file cannot be waited for, and a pipe may block."""
    lines: asyncio.Queue[str | None] = asyncio.Queue(LINES_AHEAD)
    loop = asyncio.get_running_loop()

    def put(line: bytes | None) -> None:
        text = None if line is None else line.decode(errors="surrogateescape").removesuffix("\r")
        putting = lines.put(text)
        try:
            asyncio.run_coroutine_threadsafe(putting, loop).result()
        except RuntimeError:
            putting.close()  # the loop is closed: nobody waits for the line any more

    def read() -> None:
        # Not `sys.stdin`: its lock, held while it waits, would abort the interpreter at its end.
        rest = b""
        while data := os.read(0, READ_BYTES):
            *whole, rest = (rest + data).split(b"\n")
            for line in whole:
                put(line)
            if len(rest) > MAX_LINE_BYTES:
                put(rest)
                rest = b""
        if rest:
            put(rest)
        put(None)

    threading.Thread(target=read, daemon=True, name="stdin").start()
    return lines


def _write(text: str, answer: bool) -> None:  # noqa: FBT001 - as a screen is told
    if text:
        sys.stdout.write(text)
        sys.stdout.flush()


def _remark(text: str) -> None:
    click.echo(clean(text), err=True)
