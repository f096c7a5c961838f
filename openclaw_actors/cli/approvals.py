"""Decides what a person can see of tools that wait for a decision, and do about them."""

from __future__ import annotations

__all__ = ["command"]

from typing import Any

import click

from openclaw_actors.cli.common import Invocation, common_options, json_option, pass_invocation, print_json

TIMEOUT_S = 15.0
MAX_SHOWN = 300


@click.group("approvals", no_args_is_help=False)
@common_options
def command() -> None:
    """See and decide what tools wait for, in any conversation. ID is an approval's as `list` prints it."""


@command.command("list")
@json_option
@common_options
@pass_invocation
def list_(invocation: Invocation, *, as_json: bool) -> None:
    """List what waits, the longest waiting first."""
    from openclaw_actors.cli.running import ask
    from openclaw_actors.messages.approvals import ApprovalList, GetApprovals

    found = ask(invocation, GetApprovals(), ApprovalList, timeout_s=TIMEOUT_S)
    if as_json:
        print_json(found)
    else:
        _print_list(found)


def _print_list(found: Any) -> None:
    from rich.text import Text

    from openclaw_actors.cli.plain import one_line
    from openclaw_actors.cli.tables import column_table, console, when

    if not found.waiting:
        click.echo("nothing waits")
        return
    table = column_table("ID", "SESSION", "TOOL", "UNTIL", "ARGUMENTS")
    for each in found.waiting:
        arguments = each.arguments[:MAX_SHOWN] + ("…" if len(each.arguments) > MAX_SHOWN else "")
        shown = (Text(one_line(text)) for text in (each.session, each.name))
        table.add_row(each.approval_id, *shown, when(each.expires_at), Text(one_line(arguments)))
    console().print(table)


@command.command("approve")
@click.argument("id_", metavar="ID")
@click.option("--session", default="", metavar="KEY", help="Its conversation, where the id does not say.")
@common_options
@pass_invocation
def approve(invocation: Invocation, *, id_: str, session: str) -> None:
    """Let a tool run."""
    _decide(invocation, id_, session, approved=True)


@command.command("deny")
@click.argument("id_", metavar="ID")
@click.option("--session", default="", metavar="KEY", help="Its conversation, where the id does not say.")
@common_options
@pass_invocation
def deny(invocation: Invocation, *, id_: str, session: str) -> None:
    """Do not let a tool run; the model is told."""
    _decide(invocation, id_, session, approved=False)


def _decide(invocation: Invocation, approval_id: str, session: str, *, approved: bool) -> None:
    from openclaw_actors.cli.plain import one_line
    from openclaw_actors.cli.running import ask
    from openclaw_actors.errors import AskRefused
    from openclaw_actors.messages.approvals import ApprovalOutcome, DecideApproval

    message = DecideApproval(approval_id=approval_id, approved=approved, session=session, by="operator")
    outcome = ask(invocation, message, ApprovalOutcome, timeout_s=TIMEOUT_S)
    if outcome.status != "decided":
        raise AskRefused(outcome.status, one_line(outcome.text))
    click.echo(one_line(outcome.text))
