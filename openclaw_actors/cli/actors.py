"""Decides what a person can do to one actor by its name."""

from __future__ import annotations

__all__ = ["command"]

from typing import Any

import click

from openclaw_actors.cli.common import Invocation, common_options, json_option, pass_invocation, print_json

TIMEOUT_S = 15.0


@click.group("actors", no_args_is_help=False)
@common_options
def command() -> None:
    """Act on single actors of the running gateway."""


@command.command("restart")
@click.argument("name")
@json_option
@common_options
@pass_invocation
def restart(invocation: Invocation, *, name: str, as_json: bool) -> None:
    """Restart one actor.

    NAME is as `status` prints it: a service, a session, or `supervisor`, which is everything below `start`.
    """
    from openclaw_actors.messages.admin import RestartActor

    _act(invocation, name, RestartActor(name=name), as_json=as_json)


@command.command("stop")
@click.argument("name")
@json_option
@common_options
@pass_invocation
def stop(invocation: Invocation, *, name: str, as_json: bool) -> None:
    """End a channel or a session.

    NAME is as `status` prints it. A channel stays ended until it is restarted, a session until its next message.
    """
    from openclaw_actors.messages.admin import StopActor

    _act(invocation, name, StopActor(name=name), as_json=as_json)


def _act(invocation: Invocation, name: str, message: Any, *, as_json: bool) -> None:
    from openclaw_actors.cli.names import actor_names, nobody_is_called
    from openclaw_actors.cli.plain import one_line
    from openclaw_actors.cli.running import ask
    from openclaw_actors.errors import AskRefused
    from openclaw_actors.messages.admin import Done

    try:
        done = ask(invocation, message, Done, timeout_s=TIMEOUT_S)
    except AskRefused as refused:
        if refused.code != "unknown":
            raise
        raise nobody_is_called("actor", name, actor_names(invocation), more="status") from None
    if as_json:
        print_json(done)
    else:
        click.echo(one_line(done.text))
