"""An MCP server without any library: it does on its standard streams what it is told, right or wrong.

It speaks the protocol of 2024-11-05, as many servers still do. Its argument says how it misbehaves at the start:
`silent` (answers nothing), `exit` (ends with 3), `noise`. What it hangs on and is told to cancel it notes in $NOTES.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from typing import Any

TOOLS = ["echo", "noise", "garbage", "huge", "flood", "hang", "breed", "pid", "grow"]
HOG = "import signal,time\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\ntime.sleep(600)"


def write(data: bytes, to: int = 1) -> None:
    while data:
        data = data[os.write(to, data) :]


def say(message: dict[str, Any]) -> None:
    write(json.dumps({"jsonrpc": "2.0", **message}).encode() + b"\n")


def note(line: str) -> None:
    with open(os.environ["NOTES"], "a") as file:
        file.write(f"{line}\n")


def text(request: int, words: str) -> None:
    say({"id": request, "result": {"content": [{"type": "text", "text": words}]}})


def call(request: int, name: str, given: dict[str, Any]) -> None:
    match name:
        case "noise":
            write(b"listening on stdio\n" * 1000 + b'{"level": "info", "id": 7}\n' + b"n" * 300_000 + b"\n")
            write(b"e" * 1_000_000 + b"\n", to=2)
            text(request, "was noisy")
        case "garbage":
            write(b'{"jsonrpc":"2.0","id":%d,"result":{"content":"\xff"}}\n' % request)
        case "huge":
            write(b'{"jsonrpc":"2.0","id":%d,"result":{"content":[{"type":"text","text":"' % request)
            for _ in range(given["megabytes"]):
                write(b"h" * 1_000_000)
            write(b'"}]}}\n')
        case "flood":
            changed = b'{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}\n'
            progress = (
                b'{"jsonrpc":"2.0","method":"notifications/message","params":{"level":"info","data":"x"}}\n'
            )
            write((changed + progress) * given["times"])
            text(request, "flooded")
        case "hang":
            note(f"hangs {request}")
        case "breed":
            inside = subprocess.Popen([sys.executable, "-c", HOG])
            outside = subprocess.Popen([sys.executable, "-c", HOG], start_new_session=True)
            text(request, f"{inside.pid} {outside.pid}")
        case "pid":
            text(request, str(os.getpid()))
        case "grow":
            TOOLS.append(given["name"])
            say({"method": "notifications/tools/list_changed"})
            text(request, "grown")
        case _:
            text(request, str(given.get("text", name)))


def handle(message: dict[str, Any]) -> None:
    request, method, params = message.get("id"), message.get("method"), message.get("params") or {}
    if method == "notifications/cancelled":
        note(f"cancelled {params['requestId']}")
    if request is None:
        return
    if method == "initialize":
        version = {"protocolVersion": "2024-11-05", "capabilities": {"tools": {"listChanged": True}}}
        say({"id": request, "result": {**version, "serverInfo": {"name": "raw", "version": "1"}}})
    elif method == "tools/list":
        schema = {"type": "object", "properties": {"text": {"type": "string"}}}
        tools = [{"name": name, "description": f"Does {name}.", "inputSchema": schema} for name in TOOLS]
        say({"id": request, "result": {"tools": tools}})
    elif method == "tools/call":
        call(request, params["name"], params.get("arguments") or {})
    else:
        say({"id": request, "error": {"code": -32601, "message": "Method not found"}})


def main() -> None:
    how = sys.argv[1] if len(sys.argv) > 1 else ""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if how == "exit":
        write(b"no such license\n", to=2)
        sys.exit(3)
    if how == "noise":
        write(b"Welcome!\n")
    for line in sys.stdin:
        if how != "silent":
            handle(json.loads(line))


if __name__ == "__main__":
    main()
