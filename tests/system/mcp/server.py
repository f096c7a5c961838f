"""An MCP server for tests, written with the official library: over its standard streams, or over HTTP.

`python server.py` speaks over stdin and stdout; `python server.py --http PORT` serves http://127.0.0.1:PORT/mcp.
Its tools misbehave as servers of other people do.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from mcp.server.mcpserver import Context, Image, MCPServer
from mcp.types import ToolAnnotations

server = MCPServer("crooked")


@server.tool(annotations=ToolAnnotations(read_only_hint=True))
def echo(text: str) -> str:
    """Answer the text."""
    return text


@server.tool()
def environment(name: str) -> str:
    """Answer a variable of the environment."""
    return os.environ.get(name, "(not set)")


@server.tool()
def fail(text: str) -> str:
    """Fail with the text."""
    raise RuntimeError(text)


@server.tool()
def picture() -> Image:
    """Answer a picture."""
    return Image(data=b"x" * 1234, format="png")


@server.tool()
def much(chars: int) -> str:
    """Answer so many characters."""
    return "m" * chars


@server.tool()
async def sleep(seconds: float, log: str) -> str:
    """Sleep, and note in a file how that ended."""
    with Path(log).open("a") as file:  # noqa: ASYNC230 - short
        file.write(f"began {os.getpid()}\n")
        file.flush()
        try:
            await asyncio.sleep(seconds)
        except asyncio.CancelledError:
            file.write("cancelled\n")
            raise
        file.write("slept\n")
    return "slept"


@server.tool()
def noise() -> str:
    """Print what is no message, on both streams."""
    os.write(1, b"starting up...\n" * 1000 + b'{"level": "info", "id": 7}\n')
    os.write(2, b"e" * 1_000_000 + b"\n")
    return "was noisy"


@server.tool()
def garbage(context: Context) -> str:
    """Answer the request with what is no valid answer, and never properly."""
    os.write(1, b'{"jsonrpc":"2.0","id":%s,"result":{"content":"\xff"}}\n' % str(context.request_id).encode())
    time.sleep(600)
    return "never"


@server.tool()
def die(code: int) -> str:
    """End at once."""
    os._exit(code)


@server.tool()
def stop() -> str:
    """Stop, as by SIGSTOP: answer nothing any more."""
    os.kill(os.getpid(), signal.SIGSTOP)
    return "never"


@server.tool()
def breed() -> str:
    """Leave processes behind: in the group, outside of it, and deaf to SIGTERM."""
    code = "import signal,time\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\ntime.sleep(600)"
    pids = [subprocess.Popen([sys.executable, "-c", code]).pid]
    pids.append(subprocess.Popen([sys.executable, "-c", code], start_new_session=True).pid)
    return " ".join(map(str, pids))


@server.tool()
async def grow(name: str, context: Context) -> str:
    """Offer one tool more."""
    server.add_tool(lambda: f"I am {name}", name=name, description="A new one.")
    await context.notify_tools_changed()
    await context.session.send_tool_list_changed()
    return f"offers {name}"


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--http", type=int)
    given = parser.parse_args()
    if given.http is None:
        server.run("stdio")
    else:
        server.run("streamable-http", host="127.0.0.1", port=given.http)


if __name__ == "__main__":
    main()
