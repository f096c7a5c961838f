"""Decides how a conversation is exported: page by page from the running gateway, to stdout or into a file."""

from __future__ import annotations

__all__ = ["export"]

import contextlib
import os
import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from openclaw_actors.cli.common import Invocation, common_options, pass_invocation

if TYPE_CHECKING:
    from openclaw_actors.cli.progress import Spinner

TIMEOUT_S = 30.0
PATIENCE_S = 15.0
"""For so long a page is asked for again while the store is being restarted."""
_POLL_S = 0.2
_TELL_EVERY = 1_000


@click.command("export")
@click.argument("name", metavar="KEY|ARCHIVE")
@click.option(
    "--format",
    "format_",
    type=click.Choice(["jsonl", "json", "markdown"]),
    default="jsonl",
    show_default=True,
    help="A JSON document for each record, one for all, or text to read.",
)
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="The file to write, readable by you alone; else stdout.",
)
@common_options
@pass_invocation
def export(invocation: Invocation, *, name: str, format_: str, output: Path | None) -> None:
    """Write out a whole conversation as it stands now.

    It may be live, stored or archived. A KEY that has no conversation stands for its newest archive.
    """
    from openclaw_actors.cli.names import known_conversation
    from openclaw_actors.cli.progress import Spinner
    from openclaw_actors.core.exporting import render

    # What goes to the terminal itself is seen to go on.
    with Spinner("exporting", on=output is not None or not sys.stdout.isatty()) as spinner:
        with known_conversation(invocation, name):
            begin, records = _read(invocation, name)
        pieces = render(format_, begin, _counted(records, spinner))
        if output is not None:
            _write_file(output, pieces)
        else:
            _write_out(pieces)


def _counted(records: Iterator[Any], spinner: Spinner) -> Iterator[Any]:
    for number, record in enumerate(records, start=1):
        if number % _TELL_EVERY == 0:
            spinner.tell(f"exporting: {number:,} records")
        yield record


def _read(invocation: Invocation, name: str) -> tuple[Any, Iterator[Any]]:
    """What stands before the records, and the records, of which each page is asked for when it is due."""
    from openclaw_actors.core.exporting import about

    first = _page(invocation, name, "")

    def records() -> Iterator[Any]:
        page = first
        while True:
            yield from page.records
            if not page.cursor:
                return
            page = _page(invocation, name, page.cursor)

    return about(first, exported_at=time.time()), records()


def _page(invocation: Invocation, name: str, cursor: str) -> Any:
    from openclaw_actors.cli.running import ask
    from openclaw_actors.errors import ActorGone, AskRefused
    from openclaw_actors.messages.archive import ReadRecords, RecordsPage

    deadline = time.monotonic() + PATIENCE_S
    while True:
        try:
            return ask(invocation, ReadRecords(name=name, cursor=cursor), RecordsPage, timeout_s=TIMEOUT_S)
        except (AskRefused, ActorGone) as error:
            passes = isinstance(error, ActorGone) or error.code == "unavailable"
            if not passes or time.monotonic() > deadline:
                raise
        time.sleep(_POLL_S)


def _write_out(pieces: Iterable[str]) -> None:
    from openclaw_actors.cli.plain import clean

    on_terminal = sys.stdout.isatty()
    for piece in pieces:
        sys.stdout.write(clean(piece) if on_terminal else piece)
    sys.stdout.flush()


def _write_file(path: Path, pieces: Iterable[str]) -> None:
    """Puts the whole file there, or leaves what is there as it is."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with open(descriptor, "w", encoding="utf-8", errors="replace", newline="") as file:
            file.writelines(pieces)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise
