"""Decides what `status` shows: the tree of actors as the supervisor sees it, once or again and again."""

from __future__ import annotations

__all__ = ["command", "document"]

import sys
import time
from typing import Any

import click

from openclaw_actors.cli.common import Invocation, common_options, json_option, pass_invocation, print_json

WATCH_INTERVAL_S = 1.0
TIMEOUT_S = 10.0


@click.command("status")
@click.option("--watch", is_flag=True, help="Show it live, until q or Ctrl-C.")
@json_option
@common_options
@pass_invocation
def command(invocation: Invocation, *, watch: bool, as_json: bool) -> None:
    """Show the tree of actors, their memory and what they do."""
    if watch and as_json:
        raise click.UsageError("--watch and --json do not go together.")
    if watch:
        _watch(invocation)
    elif as_json:
        print_json(document(_fetch(invocation)))
    else:
        from openclaw_actors.cli.tables import console, status_view

        console().print(status_view(_fetch(invocation)))


def document(status: Any) -> dict[str, Any]:
    """The JSON form: the root node of the tree, and beside its fields those of the whole gateway."""
    import msgspec

    from openclaw_actors.channels.http.views import status_view

    fields: dict[str, Any] = msgspec.to_builtins(status_view(status))
    return fields


def _fetch(invocation: Invocation) -> Any:
    from openclaw_actors.cli.running import ask
    from openclaw_actors.messages.admin import GetStatus, Status

    return ask(invocation, GetStatus(), Status, timeout_s=TIMEOUT_S)


def _watch(invocation: Invocation) -> None:
    from openclaw_actors.cli.tables import console

    screen = console()
    if screen.is_terminal and sys.stdin.isatty() and not screen.is_dumb_terminal:
        from openclaw_actors.cli.watch import watch

        watch(invocation.paths().run, screen)
        return
    while True:
        screen.print(_view(invocation))
        sys.stdout.flush()
        time.sleep(WATCH_INTERVAL_S)


def _view(invocation: Invocation) -> Any:
    from openclaw_actors.cli.tables import status_view
    from openclaw_actors.errors import ActorError

    try:
        return status_view(_fetch(invocation))
    except ActorError:
        return "the gateway is restarting or does not answer"
