"""Looks at the actors of the running gateway: who failed, who was restarted and when, who does not keep up."""

from __future__ import annotations

__all__ = ["look"]

from collections.abc import Iterator, Mapping

from openclaw_actors.cli.doctor.context import Context
from openclaw_actors.cli.doctor.finding import Finding, counted, error, info, ok, warning
from openclaw_actors.cli.doctor.gateway import reason_of
from openclaw_actors.cli.tables import age
from openclaw_actors.errors import OpenClawError
from openclaw_actors.messages import Status, StatusNode

_DEEP_MAILBOX = 100
_NAMED = 5


async def look(context: Context) -> list[Finding]:
    """See the module's text."""
    if context.record is None or context.gateway is None:
        return [info(f"no gateway runs on {context.paths.state}", remedy="openclaw-actors start")]
    if context.record.state != "ready":
        return [
            warning(
                f"the gateway (pid {context.record.pid}) is {context.record.state}",
                why="it takes no messages now",
                remedy="try again in a moment; if it stays so, see the log",
            )
        ]
    try:
        status = await context.gateway.status()
    except OpenClawError as failed:
        return [
            error(
                f"the supervisor (gateway pid {context.record.pid}) does not answer: {reason_of(failed)}",
                why="nobody looks after the services; `start` kills and rebuilds it within seconds",
                remedy=f"see the log; if it stays so, openclaw-actors stop, or kill -9 {context.record.pid}",
            )
        ]
    return list(_findings(status))


def _findings(status: Status) -> Iterator[Finding]:
    for problem in status.problems if status.healthy else ():
        yield warning(
            problem,
            why="the gateway goes on without it; its tools are not there",
            remedy="openclaw-actors status; see the log; openclaw-actors actors restart NAME",
        )
    for problem in status.problems if not status.healthy else ():
        yield error(problem, why="health is not ready", remedy="openclaw-actors status; see the log")
    services = [status.root, *status.root.children]
    for node in services:
        if node.restarts:
            yield warning(
                f"{node.name} was restarted {_times(node.restarts)}, the last time {age(node.age_seconds)} ago",
                why="nothing accepted is lost by that, but it should not happen",
                remedy=f"grep '{node.name} died' in the log says why",
            )
    sessions = [session for service in status.root.children for session in service.children]
    yield from _sessions(sessions)
    for node in (*services, *sessions):
        if node.mailbox_depth > _DEEP_MAILBOX:
            yield warning(
                f"{node.name} has {node.mailbox_depth} messages that it has not handled ({node.doing})",
                why="it does not keep up; what is sent to it waits",
                remedy="openclaw-actors status --watch; if it does not fall, openclaw-actors actors restart NAME",
            )
    yield from _outbox(status.counters)
    if status.draining:
        yield info(
            "the gateway drains: it takes no new messages",
            why="somebody said `drain`, or it is about to end",
            remedy="openclaw-actors drain --cancel, unless it is to end",
        )
    if not status.problems:
        yield ok(
            f"up {age(status.uptime_seconds)}: {counted(len(services), 'service')}, {counted(len(sessions), 'session')}"
        )


def _outbox(counters: Mapping[str, float]) -> Iterator[Finding]:
    dead, ambiguous = int(counters.get("sms_dead_letters", 0)), int(counters.get("sms_ambiguous", 0))
    if dead or ambiguous:
        yield warning(
            f"replies by SMS are set aside: {dead} that Twilio does not take, {ambiguous} that may have been sent",
            why="nobody tries them again by itself",
            remedy="openclaw-actors outbox list says why; then openclaw-actors outbox retry, or purge",
        )


def _sessions(sessions: list[StatusNode]) -> Iterator[Finding]:
    restarted = sorted((node for node in sessions if node.restarts), key=lambda node: node.age_seconds)
    if restarted:
        named = ", ".join(f"{node.name} ({_times(node.restarts)})" for node in restarted[:_NAMED])
        more = f" and {len(restarted) - _NAMED} more" if len(restarted) > _NAMED else ""
        yield warning(
            f"conversations were restarted: {named}{more}; the last one {age(restarted[0].age_seconds)} ago",
            why="their people saw an answer start again",
            remedy="the log says why: memory (sessions.max_memory_mb), no sign of life, or a fault",
        )


def _times(number: int) -> str:
    return "once" if number == 1 else f"{number} times"
