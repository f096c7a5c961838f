"""A stand-in for Twilio's API, for measurements: it takes every message at once. Run as a process of its own."""

from __future__ import annotations

import asyncio
import itertools
import sys

from aiohttp import web

__all__ = ["main"]


async def _serve() -> None:
    numbers = itertools.count(1)

    async def take(request: web.Request) -> web.Response:
        form = await request.post()
        sid = f"SM{next(numbers):032x}"
        return web.json_response(
            {"sid": sid, "status": "queued", "to": form.get("To"), "body": form.get("Body")}, status=201
        )

    async def listed(request: web.Request) -> web.Response:
        return web.json_response({"messages": []})

    app = web.Application()
    app.router.add_post("/2010-04-01/Accounts/{account}/Messages.json", take)
    app.router.add_get("/2010-04-01/Accounts/{account}/Messages.json", listed)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    assert site._server is not None
    sys.stdout.write(f"{site._server.sockets[0].getsockname()[1]}\n")  # type: ignore[attr-defined]
    sys.stdout.flush()
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)  # until whoever started it is gone
    await runner.cleanup()


def main() -> None:
    """Prints its port, and serves until its standard input ends."""
    asyncio.run(_serve())


if __name__ == "__main__":
    main()
