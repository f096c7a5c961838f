"""Looks at the two ports: free, ours, or somebody else's."""

from __future__ import annotations

__all__ = ["look"]

import asyncio
import pwd

from openclaw_actors.actors.answering import open_to_probe
from openclaw_actors.actors.listening import ListenFailed, listen
from openclaw_actors.cli.doctor import proc
from openclaw_actors.cli.doctor.context import Context
from openclaw_actors.cli.doctor.finding import Finding, error, info, ok, warning

_ANSWER_S = 3.0
_REQUEST = b"GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"


async def look(context: Context) -> list[Finding]:
    """See the module's text."""
    config = context.config
    ports = (("port", config.port, "ws"), ("http.port", config.http.port, "http"))
    if context.record is None:
        return [await _can_be_had(context, key, port) for key, port, _ in ports]
    found: list[Finding] = []
    for key, port, name in ports:
        address: str = getattr(context.record, name)
        if not address:
            found.append(info(f"the gateway is {context.record.state} and has no address for `{key}` yet"))
            continue
        found.append(await _answers(address, key, tls=bool(context.record.certificate)))
        real = int(address.rpartition(":")[2])
        if port not in (0, real):
            found.append(
                info(
                    f"the gateway listens on {real}, and `{key}` says {port}",
                    why="it was started with another configuration, or with an option on its command line",
                    remedy="stop and start it, if the configuration is meant",
                )
            )
    return found


async def _can_be_had(context: Context, key: str, port: int) -> Finding:
    host = context.config.bind_address
    if port == 0:
        return ok(f"`{key}` is 0: any free port")
    try:
        sockets = await listen(host, port, setting=key, retry_for_s=0.0)
    except ListenFailed as failed:
        who = await asyncio.to_thread(_who, port, context) if failed.code == "port_in_use" else ""
        what = f"port {port} of {host} is taken{who}" if who else failed.reason
        return error(what, why="start fails", remedy=f"stop that program, or set `{key}` to another port")
    for each in sockets:
        each.close()
    return ok(f"port {port} of {host} is free")


def _who(port: int, context: Context) -> str:
    found = proc.listeners(port, context.proc)
    pids = [pid for each in found for pid in each.pids]
    if pids:
        return " by " + ", ".join(f"{proc.name_of(pid, context.proc)} (pid {pid})" for pid in pids[:3])
    users = {_user(each.uid) for each in found}
    return f" by a program of {' and '.join(sorted(users))}" if users else " by a program that cannot be seen"


def _user(uid: int) -> str:
    try:
        return f"the user {pwd.getpwuid(uid).pw_name}"
    except KeyError:
        return f"the user {uid}"


async def _answers(address: str, key: str, *, tls: bool) -> Finding:
    try:
        async with asyncio.timeout(_ANSWER_S):
            reader, writer = await open_to_probe(address, tls=tls)
            try:
                writer.write(_REQUEST)
                line = await reader.readline()
            finally:
                writer.close()
    except (OSError, TimeoutError) as failed:
        reason = getattr(failed, "strerror", None) or f"no answer within {_ANSWER_S:g} s"
        return error(
            f"nothing answers on {address} (`{key}`): {reason}",
            why="clients cannot reach the gateway",
            remedy=f"openclaw-actors actors restart {'http' if key.startswith('http') else 'websocket'}",
        )
    if b" 200 " not in line:
        return warning(
            f"{address} (`{key}`) answers /health with {line[:60].decode(errors='replace').strip()!r}",
            why="probes take the gateway for dead",
            remedy="openclaw-actors health --ready says what is wrong",
        )
    return ok(f"the gateway answers on {address} (`{key}`)")
