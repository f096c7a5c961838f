"""Decides what a person can see of conversations, live and stored, and do to them."""

from __future__ import annotations

__all__ = ["command"]

from typing import TYPE_CHECKING, Any

import click

from openclaw_actors.cli.archive import archived, delete, list_archived, purge, restore
from openclaw_actors.cli.common import (
    Invocation,
    common_options,
    json_option,
    page_options,
    pass_invocation,
    print_json,
    say_what_follows,
)
from openclaw_actors.cli.export import export

if TYPE_CHECKING:
    from openclaw_actors.messages.admin import SessionFilter
    from openclaw_actors.messages.persistence import SessionOrder

TIMEOUT_S = 15.0


@click.group("sessions", no_args_is_help=False)
@common_options
def command() -> None:
    """See and act on conversations, live and stored alike. KEY is a session's key as `status` prints it."""


@command.command("list")
@click.option("--contains", default="", metavar="TEXT", help="Only keys that contain this, in any case.")
@click.option(
    "--state",
    type=click.Choice(["any", "live", "stored", "quarantined"]),
    default="any",
    show_default=True,
    help="Only with a process, without one, or damaged and set aside.",
)
@click.option("--live", is_flag=True, help="The same as --state live.")
@click.option("--archived", "in_archive", is_flag=True, help="Those that were deleted.")
@click.option(
    "--sort",
    type=click.Choice(["active", "size", "key"]),
    default="active",
    show_default=True,
    help="The last active first, the largest first, or by name.",
)
@click.option("--reverse", is_flag=True, help="In the opposite order.")
@page_options
@json_option
@common_options
@pass_invocation
def list_(
    invocation: Invocation,
    *,
    contains: str,
    state: SessionFilter,
    live: bool,
    in_archive: bool,
    sort: SessionOrder,
    reverse: bool,
    offset: int,
    limit: int,
    as_json: bool,
) -> None:
    """List conversations, the last active first."""
    from openclaw_actors.cli.running import ask
    from openclaw_actors.messages.admin import GetSessions, SessionList

    if live and state not in ("any", "live"):
        raise click.UsageError(f"--live and --state {state} exclude each other.")
    if in_archive:
        if live or reverse or state != "any" or sort != "active":
            raise click.UsageError("--archived goes with --contains, --offset and --limit only.")
        list_archived(invocation, contains=contains, offset=offset, limit=limit, as_json=as_json)
        return
    message = GetSessions(
        offset=offset,
        limit=limit,
        contains=contains,
        state="live" if live else state,
        order=sort,
        reverse=reverse,
    )
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
    say_what_follows(offset, len(found.sessions), found.total)


@command.command("show")
@click.argument("key")
@click.option(
    "--last",
    type=click.IntRange(min=1, max=500),
    default=50,
    show_default=True,
    metavar="N",
    help="Show the newest N events.",
)
@json_option
@common_options
@pass_invocation
def show(invocation: Invocation, *, key: str, last: int, as_json: bool) -> None:
    """Show a conversation and its newest events."""
    from openclaw_actors.cli.names import known_session
    from openclaw_actors.cli.running import ask
    from openclaw_actors.messages.admin import SessionDetail, ShowSession

    with known_session(invocation, key):
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
        pid = f"pid {live.pid}, " if live.pid else ""
        lines.append(f"  {live.state}, {pid}up {age(live.age_seconds)}, {live.doing}")
    if summary.created_at:
        lines.append(f"  since {when(summary.created_at)}, last active {when(summary.last_active_at)}")
    turns = "1 turn" if summary.turns == 1 else f"{summary.turns} turns"
    lines.append(f"  {turns}, {size(summary.size_bytes)}")
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


def _indented(text: str) -> str:
    from openclaw_actors.cli.plain import clean

    return "\n                   ".join(clean(line) for line in text.splitlines())


@command.command("stop")
@click.argument("key")
@click.option("--queue", is_flag=True, help="Also what waits behind it.")
@json_option
@common_options
@pass_invocation
def stop(invocation: Invocation, *, key: str, queue: bool, as_json: bool) -> None:
    """End the running turn of a conversation."""
    from openclaw_actors.messages.admin import StopSession

    _act(invocation, key, StopSession(session=key, queue=queue), as_json=as_json)


@command.command("restart")
@click.argument("key")
@json_option
@common_options
@pass_invocation
def restart(invocation: Invocation, *, key: str, as_json: bool) -> None:
    """Restart a conversation's process; it continues where it was."""
    from openclaw_actors.messages.admin import RestartSession

    _act(invocation, key, RestartSession(session=key), as_json=as_json)


def _act(invocation: Invocation, key: str, message: Any, *, as_json: bool) -> None:
    from openclaw_actors.cli.names import known_session
    from openclaw_actors.cli.plain import one_line
    from openclaw_actors.cli.running import ask
    from openclaw_actors.messages.admin import Done

    with known_session(invocation, key):
        done = ask(invocation, message, Done, timeout_s=TIMEOUT_S)
    if as_json:
        print_json(done)
    else:
        click.echo(one_line(done.text))


for _command in (delete, restore, archived, purge, export):
    command.add_command(_command)
