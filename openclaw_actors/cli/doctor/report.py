"""Decides how findings are shown: a block for each, the worst of a check first, and how the command ends."""

from __future__ import annotations

__all__ = ["document", "errors_left", "render"]

from collections.abc import Sequence
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.text import Text

from openclaw_actors.cli.doctor.finding import counted
from openclaw_actors.cli.doctor.runner import Checked
from openclaw_actors.cli.plain import one_line

_STYLES = {"ok": "green", "info": "cyan", "warning": "yellow", "error": "bold red"}
_ORDER = ("error", "warning", "info", "ok")
_INDENT = 9


def errors_left(found: Sequence[Checked]) -> int:
    """How many errors were not repaired."""
    return sum(each.finding.level == "error" and not each.fixed for each in found)


def document(found: Sequence[Checked], *, running: bool) -> dict[str, Any]:
    """The JSON form."""
    return {
        "ok": not errors_left(found),
        "running": running,
        "counts": {level: sum(each.finding.level == level for each in found) for level in _ORDER},
        "findings": [_fields(each) for each in found],
    }


def _fields(each: Checked) -> dict[str, Any]:
    finding = each.finding
    fields = {
        "check": each.check,
        "level": finding.level,
        "what": finding.what,
        "why": finding.why,
        "remedy": finding.remedy,
        "fixable": finding.repair is not None,
    }
    if each.fixed:
        fields["fixed"] = each.fixed
    if each.not_fixed:
        fields["not_fixed"] = each.not_fixed
    return fields


def render(found: Sequence[Checked], *, running: bool, console: Console, fixing: bool) -> None:
    """Print the findings, and a line that sums them up."""
    checks = list(dict.fromkeys(each.check for each in found))
    for check in checks:
        mine = sorted(
            (each for each in found if each.check == check),
            key=lambda each: _ORDER.index(each.finding.level),
        )
        console.print(Text(check, style="bold"))
        for each in mine:
            console.print(_block(each))
    console.print()
    console.print(_summary(found, running=running, fixing=fixing))


def _block(each: Checked) -> RenderableType:
    finding = each.finding
    head = Text.assemble((f"{finding.level:<{_INDENT}}", _STYLES[finding.level]), one_line(finding.what))
    lines: list[RenderableType] = [head]
    told = (
        ("", finding.why, "dim"),
        ("do: ", finding.remedy, ""),
        ("fixed: ", each.fixed, "green"),
        ("not fixed: ", each.not_fixed, "red"),
    )
    for lead, text, style in told:
        if text:
            lines.append(
                Padding(Text(f"{lead}{one_line(text)}", style=style), (0, 0, 0, _INDENT), expand=False)
            )
    return Padding(Group(*lines), (0, 0, 0, 2), expand=False)


def _summary(found: Sequence[Checked], *, running: bool, fixing: bool) -> Text:
    errors, warnings = errors_left(found), sum(each.finding.level == "warning" for each in found)
    gateway = "a gateway runs" if running else "no gateway runs: what only one can tell was left out"
    if not errors and not warnings:
        return Text(f"all is well; {gateway}", style="green")
    counts = f"{counted(errors, 'error')}, {counted(warnings, 'warning')}; {gateway}"
    fixable = sum(each.finding.repair is not None for each in found)
    if fixable and not fixing:
        counts += f"; --fix repairs {fixable}"
    return Text(counts, style="bold red" if errors else "yellow")
