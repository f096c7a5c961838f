"""Decides how the configuration is checked and shown; no gateway is needed for it."""

from __future__ import annotations

__all__ = ["command"]

from typing import Any

import click

from openclaw_actors.cli.common import Invocation, common_options, json_option, pass_invocation, print_json
from openclaw_actors.errors import ConfigError


@click.group("config", no_args_is_help=False)
@common_options
def command() -> None:
    """Check and show the configuration."""


@command.command("check")
@json_option
@common_options
@pass_invocation
def check(invocation: Invocation, *, as_json: bool) -> None:
    """Say everything that is wrong with the configuration, at once."""
    try:
        loaded = invocation.load()
    except ConfigError as error:
        if not as_json:
            raise
        print_json({"ok": False, "problems": [_fields(each) for each in error.problems], "warnings": []})
        click.get_current_context().exit(2)
    if as_json:
        print_json({"ok": True, "problems": [], "warnings": list(loaded.warnings)})
        return
    for warning in loaded.warnings:
        click.echo(f"Warning: {warning}", err=True)
    click.echo(f"ok: {loaded.path or 'no file, built-in defaults'}")


def _fields(problem: object) -> dict[str, str | None]:
    """A problem for programs: what is where, and beside it the line that a person is shown."""
    from openclaw_actors.config import Problem

    if not isinstance(problem, Problem):
        return {"problem": str(problem)}
    return {
        "kind": problem.kind,
        "key": problem.key,
        "value": problem.value,
        "problem": str(problem),
        "allowed": problem.allowed,
        "where": problem.where,
        "hint": problem.hint,
    }


@command.command("show")
@json_option
@common_options
@pass_invocation
def show(invocation: Invocation, *, as_json: bool) -> None:
    """Show every value and where it came from; secrets are masked."""
    from openclaw_actors.config import mask

    loaded = invocation.load()
    values = dict(_leaves(mask(loaded.config), ""))
    rows = {
        key: {"value": value, "source": loaded.sources.get(key, "default")} for key, value in values.items()
    }
    if as_json:
        print_json(rows)
    else:
        _print_rows(rows)


def _leaves(value: Any, key: str) -> list[tuple[str, Any]]:
    if isinstance(value, dict) and value:
        return [
            leaf for name, inner in value.items() for leaf in _leaves(inner, f"{key}.{name}" if key else name)
        ]
    return [(key, value)]


def _print_rows(rows: dict[str, dict[str, Any]]) -> None:
    import msgspec
    from rich.text import Text

    from openclaw_actors.cli.tables import column_table, console

    table = column_table("KEY", "VALUE", "FROM")
    for key, row in rows.items():
        style = "dim" if row["source"] in ("default", "derived") else ""
        value = msgspec.json.encode(row["value"]).decode()
        table.add_row(Text(key), Text(value), Text(row["source"]), style=style)
    console().print(table)
