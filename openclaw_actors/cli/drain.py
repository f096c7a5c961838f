"""Decides how a running gateway is told to take no new messages, and to take them again."""

from __future__ import annotations

__all__ = ["command"]

import click

from openclaw_actors.cli.common import Invocation, common_options, json_option, pass_invocation, print_json

TIMEOUT_S = 15.0


@click.command("drain")
@click.option("--cancel", is_flag=True, help="Take new messages again.")
@json_option
@common_options
@pass_invocation
def command(invocation: Invocation, *, cancel: bool, as_json: bool) -> None:
    """Refuse new messages; what was accepted goes on, and the gateway keeps running.

    'status' shows what still runs. It lasts until --cancel, until 'stop', or until the supervisor is restarted.
    """
    from openclaw_actors.cli.running import ask
    from openclaw_actors.messages.admin import Done, DrainGateway

    done = ask(invocation, DrainGateway(cancel=cancel), Done, timeout_s=TIMEOUT_S)
    if as_json:
        print_json(done)
    else:
        click.echo(done.text)
