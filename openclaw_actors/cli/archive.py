"""Decides how a person deletes conversations, gets them back, and removes them for good."""

from __future__ import annotations

__all__ = ["archived", "delete", "purge", "restore"]

import sys
from typing import Any

import click

from openclaw_actors.cli.common import (
    Invocation,
    common_options,
    json_option,
    limit_option,
    page_options,
    pass_invocation,
    print_json,
    say_what_follows,
)

TIMEOUT_S = 120.0
_DAY_S = 86_400.0

yes_option = click.option("-y", "--yes", is_flag=True, help="Do not ask.")


@click.command("delete")
@click.argument("key")
@click.option("--purge", "for_good", is_flag=True, help="For good: nothing is kept in the archive.")
@yes_option
@json_option
@common_options
@pass_invocation
def delete(invocation: Invocation, *, key: str, for_good: bool, yes: bool, as_json: bool) -> None:
    """Move a conversation to the archive; its key begins a new one.

    What runs in it is stopped. 'sessions restore' brings it back.
    """
    from openclaw_actors.cli.names import known_session
    from openclaw_actors.cli.plain import one_line
    from openclaw_actors.cli.running import ask
    from openclaw_actors.messages.admin import DeleteSession, SessionDeleted

    name = one_line(key)
    _confirm(f"Remove {name} for good?" if for_good else f"Delete {name}?", yes=yes)
    with known_session(invocation, key):
        done = ask(
            invocation, DeleteSession(session=key, purge=for_good), SessionDeleted, timeout_s=TIMEOUT_S
        )
    if as_json:
        print_json(done)
        return
    for each in done.archives:
        what = "what was set aside of it" if each.state == "quarantined" else name
        click.echo(f"{what} is removed for good" if done.purged else f"{what} is archived as {each.archive}")


@click.command("restore")
@click.argument("name", metavar="KEY|ARCHIVE")
@click.option("--replace", is_flag=True, help="Archive the conversation that the key has by now.")
@json_option
@common_options
@pass_invocation
def restore(invocation: Invocation, *, name: str, replace: bool, as_json: bool) -> None:
    """Bring an archived conversation back.

    A KEY stands for its newest archive.
    """
    from openclaw_actors.cli.names import known_archive
    from openclaw_actors.cli.plain import one_line
    from openclaw_actors.cli.running import ask
    from openclaw_actors.messages.admin import RestoreSession, SessionRestored

    with known_archive(invocation, name):
        message = RestoreSession(name=name, replace=replace)
        done = ask(invocation, message, SessionRestored, timeout_s=TIMEOUT_S)
    if as_json:
        print_json(done)
        return
    click.echo(f"{one_line(done.session)} is restored from {done.archive}")
    for each in done.replaced:
        click.echo(f"the conversation that was there is archived as {each.archive}")


@click.command("archived")
@click.option("--contains", default="", metavar="TEXT", help="Only keys and archives that contain this.")
@page_options
@json_option
@common_options
@pass_invocation
def archived(invocation: Invocation, *, contains: str, offset: int, limit: int, as_json: bool) -> None:
    """List archived conversations, the newest archive first."""
    list_archived(invocation, contains=contains, offset=offset, limit=limit, as_json=as_json)


def list_archived(invocation: Invocation, *, contains: str, offset: int, limit: int, as_json: bool) -> None:
    """As the command does."""
    from openclaw_actors.cli.running import ask
    from openclaw_actors.messages.archive import ArchiveList, ListArchives

    message = ListArchives(offset=offset, limit=limit, contains=contains)
    found = ask(invocation, message, ArchiveList, timeout_s=TIMEOUT_S)
    if as_json:
        print_json(found)
        return
    if not found.archives:
        click.echo("nothing is archived" if not found.total else f"no more archives; there are {found.total}")
        return
    _print_archives(found.archives)
    say_what_follows(offset, len(found.archives), found.total)


@click.command("purge")
@click.argument("names", nargs=-1, metavar="[KEY|ARCHIVE]...")
@click.option(
    "--older-than",
    type=click.FloatRange(min=0.0),
    metavar="DAYS",
    help="Only those archived longer ago.",
)
@limit_option(1_000, "How many at most.")
@click.option("--dry-run", is_flag=True, help="Only list what would be removed.")
@yes_option
@json_option
@common_options
@pass_invocation
def purge(
    invocation: Invocation,
    *,
    names: tuple[str, ...],
    older_than: float | None,
    limit: int,
    dry_run: bool,
    yes: bool,
    as_json: bool,
) -> None:
    """Remove archived conversations for good.

    The oldest go first; a KEY stands for all its archives. Conversations that are not archived are never removed.
    """
    from openclaw_actors.cli.running import ask
    from openclaw_actors.messages.archive import ArchivesPurged, PurgeArchives

    if not names and older_than is None:
        raise click.UsageError("Say which archives, or --older-than DAYS.")
    wanted = PurgeArchives(
        names=names,
        older_than_s=None if older_than is None else older_than * _DAY_S,
        dry_run=True,
        limit=limit,
    )
    done = ask(invocation, wanted, ArchivesPurged, timeout_s=TIMEOUT_S)
    if not dry_run and done.archives:
        count = len(done.archives)
        _confirm(f"Remove {count} {'archive' if count == 1 else 'archives'} for good?", yes=yes)
        chosen = PurgeArchives(names=tuple(each.archive for each in done.archives), limit=limit)
        more = done.more
        done = ask(invocation, chosen, ArchivesPurged, timeout_s=TIMEOUT_S)
        done = ArchivesPurged(archives=done.archives, more=more)
    if as_json:
        print_json(done)
        return
    if not done.archives:
        click.echo("there is nothing to remove")
        return
    _print_archives(done.archives)
    click.echo("these would be removed" if dry_run else "removed for good")
    if done.more:
        click.echo("there are more; repeat the command, or raise --limit")


def _print_archives(archives: Any) -> None:
    from rich.text import Text

    from openclaw_actors.cli.plain import one_line
    from openclaw_actors.cli.tables import column_table, console, size, when

    table = column_table(
        "ARCHIVE", "SESSION", "STATE", "ARCHIVED", "TURNS", "SIZE", numbers=("TURNS", "SIZE")
    )
    for each in archives:
        row = (each.state, when(each.archived_at), str(each.turns), size(each.size_bytes))
        table.add_row(each.archive, Text(one_line(each.session)), *row)
    console().print(table)


def _confirm(question: str, *, yes: bool) -> None:
    """Ask a person; without one, only `--yes` will do."""
    if yes:
        return
    if not sys.stdin.isatty():
        raise click.UsageError(f"{question} Nobody can be asked here: say --yes.")
    if not click.confirm(question, err=True):
        raise click.ClickException("nothing was changed")
