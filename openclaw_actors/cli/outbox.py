"""Decides what a person can see of replies that were not sent by SMS, and do about them."""

from __future__ import annotations

__all__ = ["command"]

import functools
from collections.abc import Callable
from typing import Any, TypeVar

import click

from openclaw_actors.cli.common import (
    Invocation,
    common_options,
    json_option,
    page_options,
    pass_invocation,
    print_json,
    say_what_follows,
)

TIMEOUT_S = 15.0
STATES = ("waiting", "prepared", "retrying", "sent", "confirmed", "ambiguous", "dead")

F = TypeVar("F", bound=Callable[..., Any])


@click.group("outbox", no_args_is_help=False)
@common_options
def command() -> None:
    """See and act on replies that were not sent. ENTRY is `SESSION/NUMBER` as `list` prints it, or a session's key."""


@command.command("list")
@click.option("--state", "states", multiple=True, type=click.Choice(STATES), help="Only in this state.")
@page_options
@json_option
@common_options
@pass_invocation
def list_(invocation: Invocation, *, states: tuple[Any, ...], offset: int, limit: int, as_json: bool) -> None:
    """List replies that were not sent, the longest waiting first.

    Those in the states dead and ambiguous wait for you: `retry` or `purge` them. All others are being sent.
    """
    from openclaw_actors.cli.running import ask
    from openclaw_actors.messages.outbox import ListOutbox, OutboxPage

    message = ListOutbox(states=states, offset=offset, limit=limit)
    page = ask(invocation, message, OutboxPage, timeout_s=TIMEOUT_S)
    if as_json:
        print_json(page)
    else:
        _print_page(page, offset)


def _print_page(page: Any, offset: int) -> None:
    from rich.text import Text

    from openclaw_actors.cli.plain import one_line
    from openclaw_actors.cli.tables import column_table, console, when

    if not page.entries:
        click.echo("nothing waits" if not page.total else f"no more entries; there are {page.total}")
        return
    table = column_table("ENTRY", "STATE", "SINCE", "PART", "TRIES", "WHY", numbers=("PART", "TRIES"))
    for each in page.entries:
        name = Text(one_line(f"{each.session}/{each.seq}"))
        why = Text(one_line(each.reason))
        table.add_row(name, each.state, when(each.at), str(each.part), str(each.attempts), why)
    console().print(table)
    say_what_follows(offset, len(page.entries), page.total)


def _choice(function: F) -> F:
    """Add how entries are chosen."""

    @click.argument("entries", nargs=-1, metavar="[ENTRY]...")
    @click.option("--all", "every", is_flag=True, help="All that are set aside.")
    @click.option(
        "--state",
        "states",
        multiple=True,
        type=click.Choice(("dead", "ambiguous")),
        help="Only in this state.",
    )
    @json_option
    @common_options
    @pass_invocation
    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        if bool(kwargs["entries"]) == kwargs.pop("every"):
            raise click.UsageError("Name entries, or say --all.")
        return function(*args, **kwargs)

    return call  # type: ignore[return-value]


@command.command("retry")
@_choice
def retry(
    invocation: Invocation, *, entries: tuple[str, ...], states: tuple[Any, ...], as_json: bool
) -> None:
    """Try dead and ambiguous entries again.

    Of an ambiguous one Twilio's list is asked first; what it does not show is sent, labelled as a possible repetition.
    """
    from openclaw_actors.messages.outbox import RetryOutbox

    _act(invocation, RetryOutbox, entries, states, as_json=as_json, done="tried again")


@command.command("purge")
@_choice
def purge(
    invocation: Invocation, *, entries: tuple[str, ...], states: tuple[Any, ...], as_json: bool
) -> None:
    """Forget dead and ambiguous entries. The replies stay in their conversations."""
    from openclaw_actors.messages.outbox import PurgeOutbox

    _act(invocation, PurgeOutbox, entries, states, as_json=as_json, done="purged")


def _act(
    invocation: Invocation,
    kind: Any,
    entries: tuple[str, ...],
    states: tuple[Any, ...],
    *,
    as_json: bool,
    done: str,
) -> None:
    from openclaw_actors.cli.running import ask
    from openclaw_actors.messages.outbox import OutboxDone

    count, sessions = 0, dict[str, None]()
    chosen = [_parse(entry) for entry in entries]
    for session, seq in chosen or [("", 0)]:
        message = kind(session=session, seq=seq, states=states)
        answer = ask(invocation, message, OutboxDone, timeout_s=TIMEOUT_S)
        count += answer.count
        sessions.update(dict.fromkeys(answer.sessions))
    if as_json:
        print_json(OutboxDone(count=count, sessions=tuple(sessions)))
    else:
        click.echo(f"{count} {'entry' if count == 1 else 'entries'} {done}")


def _parse(entry: str) -> tuple[str, int]:
    session, slash, number = entry.rpartition("/")
    if not slash:
        return entry, 0
    if not (number.isascii() and number.isdigit() and int(number)):
        raise click.UsageError(f"'{entry}' is no entry: say SESSION/NUMBER as `outbox list` prints it.")
    return session, int(number)
