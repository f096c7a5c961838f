"""Decides how a person sees what was used: the ledger, summed up or line by line. The gateway need not run."""

from __future__ import annotations

__all__ = ["command", "parse_since"]

import os
import re
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from openclaw_actors.cli.common import Invocation, common_options, json_option, pass_invocation, paths_of

if TYPE_CHECKING:
    from openclaw_actors.store.usage import UsageLine

_UNITS = {"m": 60, "h": 3_600, "d": 86_400, "w": 604_800}
_SINCE = "a span such as 90m, 24h, 7d or 2w, or a date such as 2026-01-31 (UTC)"
GROUPS = ("principal", "session", "model", "day", "status")


def _since(context: click.Context, parameter: click.Parameter, text: str | None) -> float:
    try:
        return parse_since(text, time.time()) if text is not None else 0.0
    except ValueError:
        raise click.BadParameter(f"{text!r} is not {_SINCE}", ctx=context, param=parameter) from None


def parse_since(text: str, now: float) -> float:
    """The time from which on lines count, Unix time; raises ValueError for what is none."""
    span = re.fullmatch(r"(\d{1,9})([mhdw])", text)
    if span is not None:
        return now - int(span[1]) * _UNITS[span[2]]
    return datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC).timestamp()


@click.command("usage")
@click.option("--since", callback=_since, metavar="WHEN", help=f"Only from then on: {_SINCE}.")
@click.option(
    "--by", type=click.Choice(GROUPS), default="principal", show_default=True, help="What to sum up by."
)
@json_option
@common_options
@pass_invocation
def command(invocation: Invocation, *, since: float, by: str, as_json: bool) -> None:
    """Show what was used: tokens and time.

    The ledger has a line for each turn; here they are summed up. With --json all lines, as one document.
    """
    from openclaw_actors.store.usage import read_ledger

    path = paths_of(invocation.find()).memory
    lines = (line for line in read_ledger(path) if line.at >= since)
    if as_json:
        _print_json(lines)
    else:
        _print_table(lines, by, path)


def _print_json(lines: Iterator[UsageLine]) -> None:
    import msgspec

    between = ""
    click.echo('{"turns": [', nl=False)
    for line in lines:
        click.echo(between + "\n" + msgspec.json.encode(line).decode(), nl=False)
        between = ","
    click.echo("\n]}")


def _group(line: UsageLine, by: str) -> str:
    if by == "day":
        return datetime.fromtimestamp(line.at, UTC).strftime("%Y-%m-%d")
    return str(getattr(line, by)) or "-"


def _print_table(lines: Iterator[UsageLine], by: str, path: Path) -> None:
    from rich.text import Text

    from openclaw_actors.cli.plain import one_line
    from openclaw_actors.cli.tables import column_table, console

    sums: dict[str, list[float]] = {}
    for line in lines:
        found = sums.setdefault(_group(line, by), [0, 0, 0, 0.0])
        for index, value in enumerate((1, line.tokens_in, line.tokens_out, line.seconds)):
            found[index] += value
    if not sums:
        click.echo(f"nothing was used; the ledger is in {os.fspath(path)}")
        return
    if len(sums) > 1:
        total = [sum(values) for values in zip(*sums.values(), strict=True)]
        sums = dict(
            sorted(sums.items(), key=lambda item: item[0] if by == "day" else -item[1][1] - item[1][2])
        )
        sums["total"] = total
    columns = (by.upper(), "TURNS", "TOKENS IN", "TOKENS OUT", "SECONDS")
    table = column_table(*columns, numbers=columns[1:])
    for name, (turns, tokens_in, tokens_out, seconds) in sums.items():
        numbers = (f"{turns:,.0f}", f"{tokens_in:,.0f}", f"{tokens_out:,.0f}", f"{seconds:,.1f}")
        table.add_row(Text(one_line(name)), *numbers)
    console().print(table)
