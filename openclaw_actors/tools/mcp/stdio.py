"""Carries messages to and from a program, for the library: newline-delimited JSON-RPC over its standard streams.

The library's own transport keeps a line of any length, and puts whatever is no message into the log with a traceback.
"""

from __future__ import annotations

__all__ = ["stdio_transport"]

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import TypeAlias

import anyio
import msgspec
from anyio.abc import ObjectReceiveStream, ObjectSendStream
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream
from mcp.shared.message import SessionMessage
from mcp.types import PARSE_ERROR, ErrorData, JSONRPCError, jsonrpc_message_adapter

from openclaw_actors.tools.mcp.chatter import Chatter
from openclaw_actors.tools.mcp.lines import Lines, TooLong, id_in
from openclaw_actors.tools.mcp.program import ServerProgram

_READ_BYTES = 65_536
_GONE = (anyio.ClosedResourceError, anyio.BrokenResourceError)

_TOOLS_CHANGED = "notifications/tools/list_changed"
_NEWS = frozenset((_TOOLS_CHANGED, "notifications/message", "notifications/progress"))
_NEWS_BYTES = 4_096


class _Peek(msgspec.Struct):
    method: str = ""


_peek = msgspec.json.Decoder(_Peek)

Incoming: TypeAlias = SessionMessage | Exception
Streams: TypeAlias = tuple[MemoryObjectReceiveStream[Incoming], MemoryObjectSendStream[SessionMessage]]


@asynccontextmanager
async def stdio_transport(
    program: ServerProgram,
    chatter: Chatter,
    *,
    max_message_bytes: int,
    changed: Callable[[], None] = lambda: None,
) -> AsyncIterator[Streams]:
    """A transport of the library over a program that runs already, and that its owner ends.

    Nothing is read ahead: a server that floods waits until what it said is handled.

    Args:
        chatter: takes what is no message.
        max_message_bytes: a longer one is not kept; if it answers a request, that fails.
        changed: called when the server says that its tools have changed.
    """
    incoming, read_stream = anyio.create_memory_object_stream[Incoming](0)
    write_stream, outgoing = anyio.create_memory_object_stream[SessionMessage](0)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(_read, program, incoming, chatter, max_message_bytes, changed)
        tasks.start_soon(_write, program, outgoing)
        try:
            yield read_stream, write_stream
        finally:
            tasks.cancel_scope.cancel()
            for stream in (incoming, read_stream, write_stream, outgoing):
                stream.close()


async def _read(
    program: ServerProgram,
    incoming: ObjectSendStream[Incoming],
    chatter: Chatter,
    most: int,
    changed: Callable[[], None],
) -> None:
    lines = Lines(most)
    async with incoming:
        while data := await program.stdout.read(_READ_BYTES):
            for line in lines.feed(data):
                news = _news_in(line)
                if news == _TOOLS_CHANGED:
                    changed()
                if news:
                    continue
                message = _message_of(line, most)
                if message is None:
                    chatter.note("stdout", line)
                    continue
                try:
                    await incoming.send(message)
                except _GONE:
                    return
    program.over.set()


async def _write(program: ServerProgram, outgoing: ObjectReceiveStream[SessionMessage]) -> None:
    async with outgoing:
        async for each in outgoing:
            data = each.message.model_dump_json(by_alias=True, exclude_unset=True)
            try:
                program.stdin.write(data.encode() + b"\n")
                await program.stdin.drain()
            except (OSError, RuntimeError):
                return  # it reads no more: the end of its stdout tells what became of it


def _news_in(line: bytes | TooLong) -> str:
    """The method of a notification that the library need not see; empty for everything else.

    Some servers send them by the thousand, and the library takes a third of a millisecond for each.
    """
    if isinstance(line, TooLong) or len(line) > _NEWS_BYTES or b'"id"' in line:
        return ""
    try:
        method = _peek.decode(line).method
    except msgspec.MsgspecError:
        return ""
    return method if method in _NEWS and b'"_meta"' not in line else ""


def _message_of(line: bytes | TooLong, most: int) -> SessionMessage | None:
    if isinstance(line, TooLong):
        return _failure(line.head, line.tail, f"the answer takes {line.size} bytes, the most is {most}")
    try:
        return SessionMessage(jsonrpc_message_adapter.validate_json(line, by_name=False))
    except ValueError:
        if b'"jsonrpc"' in line and (b'"result"' in line or b'"error"' in line):
            return _failure(line, line, "the answer is not valid")
        return None


def _failure(head: bytes, tail: bytes, reason: str) -> SessionMessage | None:
    """Ends the request that was answered so; without it the asker would wait until its time is over."""
    request = id_in(head, tail)
    if request is None:
        return None
    error = ErrorData(code=PARSE_ERROR, message=reason)
    return SessionMessage(JSONRPCError(jsonrpc="2.0", id=request, error=error))
