"""Decides what a person can do to one actor by its name."""

from __future__ import annotations

__all__ = ["command"]

import click

from openclaw_actors.cli.common import Invocation, common_options, pass_invocation

TIMEOUT_S = 15.0


@click.group("actors", no_args_is_help=False)
@common_options
def command() -> None:
    """Act on single actors of the running gateway."""


@command.command("restart")
@click.argument("name")
@common_options
@pass_invocation
def restart(invocation: Invocation, name: str) -> None:
    """Restart the actor NAME, as `status` prints it: a service or a session."""
    from openclaw_actors.cli.names import actor_names, nobody_is_called, session_keys
    from openclaw_actors.cli.running import ask
    from openclaw_actors.errors import AskRefused
    from openclaw_actors.messages.admin import Done, RestartActor

    try:
        done = ask(invocation, RestartActor(name=name), Done, timeout_s=TIMEOUT_S)
    except AskRefused as refused:
        if refused.code != "unknown":
            raise
        if name in session_keys(invocation, name):
            click.echo(f"{name} has no process now; its next message starts one")
            return
        raise nobody_is_called("actor", name, actor_names(invocation), more="status") from None
    click.echo(done.text or f"{name}: restarted")
