"""Decides how a person has what is too old archived and removed, and sees before what that is."""

from __future__ import annotations

__all__ = ["command"]

from typing import Any

import click

from openclaw_actors.cli.common import (
    Invocation,
    common_options,
    json_option,
    limit_option,
    pass_invocation,
    print_json,
)

TIMEOUT_S = 620.0


@click.group("retention", no_args_is_help=False)
@common_options
def command() -> None:
    """Archive conversations that are too old or too many, and remove old archives, by the section `retention`."""


@command.command("run")
@click.option("--dry-run", is_flag=True, help="Only list what would be done.")
@limit_option(1_000, "Archive N, and remove N archives, at most.")
@json_option
@common_options
@pass_invocation
def run(invocation: Invocation, *, dry_run: bool, limit: int, as_json: bool) -> None:
    """Archive and remove now, whether `retention.enabled` or not.

    Conversations that are in use stay as they are. Others go to the archive, from where 'sessions restore' brings
    them back; archives that are too old are removed for good.
    """
    from openclaw_actors.cli.running import ask
    from openclaw_actors.messages.backup import RetentionReport, RunRetention

    message = RunRetention(dry_run=dry_run, limit=limit)
    report = ask(invocation, message, RetentionReport, timeout_s=TIMEOUT_S)
    if as_json:
        print_json(report)
    elif not report.limited:
        raise click.ClickException(
            "nothing is limited: set retention.max_age_days, max_total_mb, archive_max_age_days or archive_max_total_mb"
        )
    else:
        _print(report)


def _print(report: Any) -> None:
    from rich.text import Text

    from openclaw_actors.cli.plain import one_line
    from openclaw_actors.cli.tables import column_table, console, size, when

    would = "would be " if report.dry_run else ""
    if report.archived or report.purged:
        table = column_table("WHAT", "SESSION", "LAST USED, ARCHIVED", "SIZE", numbers=("SIZE",))
        for each in report.archived:
            row = (when(each.last_active_at), size(each.size_bytes))
            table.add_row(f"{would}archived", Text(one_line(each.session)), *row)
        for each in report.purged:
            row = (when(each.archived_at), size(each.size_bytes))
            table.add_row(f"{would}removed for good", Text(one_line(each.session)), *row)
        console().print(table)
    else:
        click.echo("nothing is too old or too much")
    if report.kept:
        click.echo(f"{report.kept} would be too old, but are in use")
    if report.failed:
        click.echo(f"{report.failed} could not be archived; see the log")
    if report.more:
        click.echo("there are more; repeat the command, or raise --limit")
