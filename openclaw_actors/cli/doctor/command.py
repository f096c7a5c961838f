"""Decides how `doctor` runs: what is looked at, what is repaired, and how it ends."""

from __future__ import annotations

__all__ = ["command"]

import asyncio
import os

import click

from openclaw_actors.cli.common import Invocation, common_options, json_option, pass_invocation, print_json


@click.command("doctor")
@click.option("--fix", is_flag=True, help="Repair what can be repaired without risk.")
@click.option(
    "--security", is_flag=True, help="Only who can reach the gateway, with what, and who can read its files."
)
@json_option
@common_options
@pass_invocation
def command(invocation: Invocation, *, fix: bool, security: bool, as_json: bool) -> None:
    """Check everything that a gateway needs, running or not, and say what to do. Exit 1 if something is wrong."""
    from openclaw_actors.cli.doctor.catalogue import CHECKS, SECURITY
    from openclaw_actors.cli.doctor.context import assemble
    from openclaw_actors.cli.doctor.report import document, errors_left, render
    from openclaw_actors.cli.doctor.runner import repaired, run_checks
    from openclaw_actors.cli.tables import console

    context = assemble(invocation.config_file, invocation.state_dir, os.environ)
    found = asyncio.run(run_checks(SECURITY if security else CHECKS, context))
    if fix and context.places_known:
        found = [repaired(each) for each in found]
    running = context.record is not None
    if as_json:
        print_json(document(found, running=running))
    else:
        render(found, running=running, console=console(), fixing=fix)
    click.get_current_context().exit(1 if errors_left(found) else 0)
