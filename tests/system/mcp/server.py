"""An MCP server for tests, written with the official library: over its standard streams, or over HTTP.

`python server.py` speaks over stdin and stdout; `python server.py --http PORT` serves http://127.0.0.1:PORT/mcp.
Its tools misbehave as servers of other people do.
"""

from __future__ import annotations

import argparse
import os

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
def header(name: str, context: Context) -> str:
    """Answer a header of the request."""
    return (context.headers or {}).get(name, "(not sent)")


@server.tool()
def die(code: int) -> str:
    """End at once."""
    os._exit(code)


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
