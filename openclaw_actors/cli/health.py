"""Decides whether the gateway is healthy, fast enough for a container's probe."""

from __future__ import annotations

__all__ = ["command"]

import asyncio

import click

from openclaw_actors.cli.common import Invocation, common_options, json_option, pass_invocation, print_json

TIMEOUT_S = 2.0


@click.command("health")
@click.option("--ready", is_flag=True, help="Also ask whether it can take messages now.")
@json_option
@common_options
@pass_invocation
def command(invocation: Invocation, *, ready: bool, as_json: bool) -> None:
    """Exit 0 if the gateway is healthy, 1 if not, 3 if none is running."""
    healthy, problems = asyncio.run(_look(invocation, ready=ready))
    if as_json:
        print_json({"healthy": healthy, "problems": problems})
    elif healthy:
        click.echo(f"healthy, but {'; '.join(problems)}" if problems else "healthy")
    else:
        click.echo(f"not healthy: {'; '.join(problems) or 'unknown'}", err=True)
    click.get_current_context().exit(0 if healthy else 1)


async def _look(invocation: Invocation, *, ready: bool) -> tuple[bool, list[str]]:
    from openclaw_actors.cli.running import ask_supervisor, require_running
    from openclaw_actors.errors import ActorGone, AskTimeout
    from openclaw_actors.messages.admin import GatewayHealth, GetHealth

    record = require_running(invocation.paths().run)
    try:
        health: GatewayHealth = await ask_supervisor(record, GetHealth(), timeout_s=TIMEOUT_S)
    except AskTimeout:
        return False, ["the supervisor does not answer"]
    except ActorGone:
        return False, [
            f"the gateway is {record.state}" if record.state != "ready" else "there is no supervisor"
        ]
    return (health.ready if ready else health.live), list(health.problems)
