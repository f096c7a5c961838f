"""An MCP server over HTTP without any library, of the protocol's years with sessions: it forgets them when it ends.

`python raw_http.py PORT` serves http://127.0.0.1:PORT/mcp to whoever has the token `right`.
"""

from __future__ import annotations

import json
import secrets
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

SESSIONS: set[str] = set()
FREE = ("initialize", "server/discover")
TOOL = {"name": "echo", "inputSchema": {"type": "object", "properties": {"text": {"type": "string"}}}}


def result_of(method: str, params: dict[str, Any]) -> dict[str, Any] | None:
    if method == "initialize":
        version = {"protocolVersion": "2025-06-18", "capabilities": {"tools": {}}}
        return {**version, "serverInfo": {"name": "old", "version": "1"}}
    if method == "tools/list":
        return {"tools": [TOOL]}
    if method == "tools/call":
        return {"content": [{"type": "text", "text": params["arguments"]["text"]}]}
    return None


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        message = json.loads(self.rfile.read(int(self.headers["content-length"])))
        method = message["method"]
        if self.headers.get("authorization") != "Bearer right":
            self.answer(401)
        elif method not in FREE and self.headers.get("mcp-session-id") not in SESSIONS:
            self.answer(404)
        elif "id" not in message:
            self.answer(202)
        else:
            result = result_of(method, message.get("params") or {})
            error = {"error": {"code": -32601, "message": "Method not found"}}
            body = {"jsonrpc": "2.0", "id": message["id"], **({"result": result} if result else error)}
            self.answer(200, body, session=method == "initialize")

    def do_GET(self) -> None:
        self.answer(405)

    def do_DELETE(self) -> None:
        self.answer(200)

    def answer(self, status: int, body: object = None, *, session: bool = False) -> None:
        data = b"" if body is None else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        if session:
            name = secrets.token_hex(8)
            SESSIONS.add(name)
            self.send_header("Mcp-Session-Id", name)
        self.end_headers()
        self.wfile.write(data)


if __name__ == "__main__":
    ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
