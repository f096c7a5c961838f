"""Decides how the running gateway is told to read its configuration again, and what a person sees of it."""

from __future__ import annotations

__all__ = ["command"]

from typing import TYPE_CHECKING

import click

from openclaw_actors.cli.common import Invocation, common_options, json_option, pass_invocation, print_json

if TYPE_CHECKING:
    from openclaw_actors.messages.reload import Reloaded

TIMEOUT_S = 300.0
"""A server of MCP may take its time to come up, and the one before once more."""
_EXIT_FAILED = 1
_EXIT_REFUSED = 2
_EFFECTS = {
    "at_once": "at once",
    "actor_restart": "restart of its actor",
    "gateway_restart": "NEEDS A RESTART OF THE GATEWAY",
}
_OUTCOMES = {
    "told": "told",
    "restarted": "restarted",
    "started": "started",
    "ended": "ended",
    "kept_old": "KEPT THE OLD ONE",
    "to_tell": "to be told",
    "to_restart": "to be restarted",
    "to_start": "to be started",
    "to_end": "to be ended",
}


@click.command("reload")
@click.option("--dry-run", "--check", "dry_run", is_flag=True, help="Only show what would happen.")
@json_option
@common_options
@pass_invocation
def command(invocation: Invocation, *, dry_run: bool, as_json: bool) -> None:
    """Have the running gateway read its configuration again, and run on it without a restart.

    It reads what `start` was given: its file, its environment, its command line. Exit code 0: done; 1: an actor goes on
    with what it had; 2: the configuration is broken, and nothing has changed.
    """
    from openclaw_actors.cli.running import ask
    from openclaw_actors.messages.reload import Reload, Reloaded

    done = ask(invocation, Reload(dry_run=dry_run), Reloaded, timeout_s=TIMEOUT_S)
    if as_json:
        print_json(done)
    else:
        _tell(done)
    code = {"refused": _EXIT_REFUSED, "partly": _EXIT_FAILED}.get(done.code, 0)
    click.get_current_context().exit(code)


def _tell(done: Reloaded) -> None:
    from rich.text import Text

    from openclaw_actors.cli.plain import one_line
    from openclaw_actors.cli.tables import column_table, console

    for problem in done.problems:
        click.echo(f"Error: {one_line(problem)}", err=True)
    if done.problems:
        click.echo("Error: the gateway goes on with the configuration that it has", err=True)
        return
    for warning in done.warnings:
        click.echo(f"Warning: {one_line(warning)}", err=True)
    if done.changes:
        keys = column_table("KEY", "BEFORE", "AFTER", "TAKES EFFECT")
        for change in done.changes:
            shown = (change.key, change.before, change.after, _EFFECTS[change.effect])
            keys.add_row(*(Text(one_line(each)) for each in shown))
        console().print(keys)
        click.echo()
    if done.actors:
        actors = column_table("ACTOR", "", "WHY")
        for actor in done.actors:
            why = actor.text or ", ".join(actor.keys)
            actors.add_row(Text(one_line(actor.name)), Text(_OUTCOMES[actor.outcome]), Text(one_line(why)))
        console().print(actors)
        click.echo()
    click.echo(f"{done.code.replace('_', ' ')}: {one_line(done.text)} ({done.seconds * 1000:.0f} ms)")
