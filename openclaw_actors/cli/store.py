"""Decides what a person sees and does about the format of a stopped gateway's store."""

from __future__ import annotations

__all__ = ["command"]

from typing import Any

import click

from openclaw_actors.cli.common import Invocation, common_options, json_option, pass_invocation, print_json


@click.group("store", no_args_is_help=False)
@common_options
def command() -> None:
    """The store of a stopped gateway."""


@command.command("migrate")
@click.option("--dry-run", is_flag=True, help="Only list what would be done.")
@json_option
@common_options
@pass_invocation
def migrate(invocation: Invocation, *, dry_run: bool, as_json: bool) -> None:
    """Bring the store to the format of this version.

    'start' does so by itself. The gateway must be stopped.

    What OpenClaw.NET has left is listed, too: each conversation is taken over when it is first used.
    """
    from openclaw_actors.cli.progress import Spinner
    from openclaw_actors.cli.stopped import stopped
    from openclaw_actors.store.files import Files
    from openclaw_actors.store.migrations import FORMAT, bring_up_to_date, format_to_open, steps_from
    from openclaw_actors.store.takeover import waiting_in
    from openclaw_actors.store.undo import is_kept

    root = invocation.paths().memory
    if not root.is_dir():
        raise click.ClickException(f"there is no store in {root}; the first start makes it")
    with stopped(invocation.paths()), Spinner("bringing the store up to date"):
        found = format_to_open(root)
        steps = steps_from(found) if dry_run else bring_up_to_date(root, Files())
        waiting = waiting_in(root)
        kept = is_kept(root)
    if as_json:
        document: dict[str, Any] = {
            "store": str(root),
            "dry_run": dry_run,
            "format": found,
            "to": FORMAT,
            "steps": [{"to": step.to, "does": step.does} for step in steps],
            "first_use": waiting,
        }
        print_json(document)
        return
    what = f"format {found}" if found else "no format written down"
    click.echo(f"{root} has {what}; this version writes {FORMAT}")
    for step in steps:
        click.echo(f"{'to do' if dry_run else 'done'}: {step.does}")
    if not steps:
        click.echo("nothing has to be done")
    if kept and not dry_run:
        click.echo(
            "the files from before are kept until this version has started, and put back if an older one does"
        )
    for kind, count in waiting.items():
        if count:
            click.echo(f"{count} {kind} of OpenClaw.NET; taken over when they are first used")
