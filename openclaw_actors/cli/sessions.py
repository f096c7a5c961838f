"""Decides what a person can see of conversations, live and stored, and do to them."""

from __future__ import annotations

__all__ = ["command"]

import contextlib
from collections.abc import Iterator
from typing import Any

import click

from openclaw_actors.cli.common import Invocation, common_options, json_option, pass_invocation, print_json

TIMEOUT_S = 15.0


@click.group("sessions", no_args_is_help=False)
@common_options
def command() -> None:
    """See and act on conversations, live and stored alike. KEY is a session's key as `status` prints it."""


@command.command("list")
@click.option("--contains", default="", metavar="TEXT", help="Only keys that contain this.")
@click.option("--offset", type=click.IntRange(min=0), default=0, show_default=True)
@click.option("--limit", type=click.IntRange(min=1, max=10_000), default=100, show_default=True)
@json_option
@common_options
@pass_invocation
def list_(invocation: Invocation, *, contains: str, offset: int, limit: int, as_json: bool) -> None:
    """List conversations, the last active first."""
    from openclaw_actors.cli.running import ask
    from openclaw_actors.messages.admin import GetSessions, SessionList

    message = GetSessions(offset=offset, limit=limit, contains=contains)
    found = ask(invocation, message, SessionList, timeout_s=TIMEOUT_S)
    if as_json:
        print_json(found)
    else:
        _print_list(found, offset)


def _print_list(found: Any, offset: int) -> None:
    from rich.text import Text

    from openclaw_actors.cli.plain import one_line
    from openclaw_actors.cli.tables import column_table, console, size, when

    if not found.sessions:
        click.echo("no sessions" if not found.total else f"no more sessions; there are {found.total}")
        return
    table = column_table("SESSION", "STATE", "LAST ACTIVE", "TURNS", "SIZE", numbers=("TURNS", "SIZE"))
    for each in found.sessions:
        last_active = when(each.last_active_at) if each.last_active_at else "-"
        row = (each.state, last_active, str(each.turns), size(each.size_bytes))
        table.add_row(Text(one_line(each.session)), *row)
    console().print(table)
    end = offset + len(found.sessions)
    if found.total > end:
        click.echo(f"{offset + 1} to {end} of {found.total}; --offset {end} shows more")


@command.command("show")
@click.argument("key")
@click.option(
    "--last", type=click.IntRange(min=1, max=500), default=50, show_default=True, help="How many events."
)
@json_option
@common_options
@pass_invocation
def show(invocation: Invocation, *, key: str, last: int, as_json: bool) -> None:
    """Show a conversation and its newest events."""
    from openclaw_actors.cli.running import ask
    from openclaw_actors.messages.admin import SessionDetail, ShowSession

    with _known_session(invocation, key):
        detail = ask(invocation, ShowSession(session=key, last=last), SessionDetail, timeout_s=TIMEOUT_S)
    if as_json:
        print_json(detail)
    else:
        _print_detail(detail)


def _print_detail(detail: Any) -> None:
    from openclaw_actors.cli.plain import one_line
    from openclaw_actors.cli.tables import age, size, when

    summary, live = detail.summary, detail.live
    lines = [one_line(summary.session)]
    if live is None:
        lines.append(f"  {summary.state}")
    else:
        lines.append(f"  {live.state}, pid {live.pid}, up {age(live.age_seconds)}, {live.doing}")
    if summary.created_at:
        lines.append(f"  since {when(summary.created_at)}, last active {when(summary.last_active_at)}")
    lines.append(f"  {summary.turns} turns, {size(summary.size_bytes)}")
    click.echo("\n".join(lines))
    for event in detail.events:
        if line := _event_line(event):
            click.echo(line)


def _event_line(event: Any) -> str:
    """One line, or a few, for an event of a conversation."""
    from openclaw_actors.messages.events import MessageAccepted, ToolResult, ToolStart, TurnDone

    match event:
        case MessageAccepted():
            return f"{event.seq:>6}  user       {_indented(event.text)}"
        case ToolStart():
            return f"{event.seq:>6}  tool       {event.name} {_indented(event.arguments)}"
        case ToolResult():
            return f"{event.seq:>6}  result     {event.name} {event.status}: {_indented(event.text)}"
        case TurnDone():
            status = "" if event.status == "completed" else f"[{event.status}] "
            return f"{event.seq:>6}  assistant  {status}{_indented(event.text)}"
    return ""


@contextlib.contextmanager
def _known_session(invocation: Invocation, key: str) -> Iterator[None]:
    """Turn the refusal of an unknown key into one that names the known ones."""
    from openclaw_actors.cli.names import nobody_is_called, session_keys
    from openclaw_actors.errors import AskRefused

    try:
        yield
    except AskRefused as refused:
        if refused.code != "unknown":
            raise
        raise nobody_is_called("session", key, session_keys(invocation), more="sessions list") from None


def _indented(text: str) -> str:
    from openclaw_actors.cli.plain import clean

    return "\n                   ".join(clean(line) for line in text.splitlines())


@command.command("stop")
@click.argument("key")
@click.option("--queue", is_flag=True, help="Also what waits behind it.")
@common_options
@pass_invocation
def stop(invocation: Invocation, *, key: str, queue: bool) -> None:
    """End the running turn of a conversation."""
    from openclaw_actors.cli.names import nobody_is_called, session_keys
    from openclaw_actors.cli.running import ask
    from openclaw_actors.errors import ActorError
    from openclaw_actors.messages.admin import Done, StopSession

    # First of all it is stopped: whether there is such a session only matters if there was nothing to stop.
    done = ask(invocation, StopSession(session=key, queue=queue), Done, timeout_s=TIMEOUT_S)
    if done.text.startswith("nothing"):
        try:
            known = key in session_keys(invocation, key)
        except ActorError:
            known = True  # nobody can say at the moment
        if not known:
            raise nobody_is_called("session", key, session_keys(invocation), more="sessions list")
    click.echo(done.text or f"{key}: stopped")


@command.command("restart")
@click.argument("key")
@common_options
@pass_invocation
def restart(invocation: Invocation, key: str) -> None:
    """Restart a conversation's process; it continues where it was."""
    from openclaw_actors.cli.names import session_keys
    from openclaw_actors.cli.running import ask
    from openclaw_actors.errors import AskRefused
    from openclaw_actors.messages.admin import Done, RestartSession

    with _known_session(invocation, key):
        try:
            done = ask(invocation, RestartSession(session=key), Done, timeout_s=TIMEOUT_S)
        except AskRefused as refused:
            if refused.code != "unknown" or key not in session_keys(invocation, key):
                raise
            done = Done(text=f"{key} has no process now; its next message starts one")
    click.echo(done.text or f"{key}: restarted")
