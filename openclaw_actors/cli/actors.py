"""Decides what a person can do to one actor by its name."""

from __future__ import annotations

__all__ = ["command"]

import click

from openclaw_actors.cli.common import Invocation, common_options, pass_invocation

TIMEOUT_S = 15.0


@click.group("actors")
@common_options
def command() -> None:
    """Act on single actors of the running gateway."""


@command.command("restart")
@click.argument("name")
@common_options
@pass_invocation
def restart(invocation: Invocation, name: str) -> None:
    """Restart the actor NAME, as `status` prints it: a service or a session."""
    from openclaw_actors.cli.running import ask
    from openclaw_actors.messages.admin import Done, RestartActor

    done = ask(invocation, RestartActor(name=name), Done, timeout_s=TIMEOUT_S)
    click.echo(done.text or f"{name}: restarted")
